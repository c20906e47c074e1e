"""Arguments and options that several commands have."""

from __future__ import annotations

import logging
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from nmt import log
from nmt.errors import UsageError


def _be_quiet(wanted: bool) -> bool:
    if wanted:
        log.setup(level=logging.WARNING)
    return wanted


def _be_verbose(wanted: bool) -> bool:
    if wanted:
        log.setup(level=logging.DEBUG)
    return wanted


def require_new_file(path: Path, *, overwrite: bool) -> None:
    """Make sure that writing `path` loses nothing; pipes and devices may always be written to.

    Raises:
        UsageError: the file is there, and may not be replaced.
    """
    if path.is_file() and not overwrite:
        raise UsageError(f"{path} exists already; choose another name, or replace it with --overwrite")


def complete_override(incomplete: str) -> list[str]:
    """What a shell offers for `training.opt`: all key paths that start so."""
    from nmt.config.introspection import walk
    from nmt.config.problems import dotted

    paths = (f"{dotted(path)}=" for path, option in walk() if option.section is None)
    return [path for path in paths if path.startswith(incomplete)]


Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", callback=_be_quiet, help="Print warnings and errors only, no progress.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", callback=_be_verbose, help="Print details, and tracebacks of errors.")
]
ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The experiment, a YAML file.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY.PATH=VALUE",
        help="Options that win over the file, such as training.max_epochs=10 or data.train.0.weight=2.",
        show_default=False,
        autocompletion=complete_override,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Model = Annotated[
    Path | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A model file or the folder of a run; by default $NMT_MODEL, else the newest run.",
        show_default=False,
    ),
]

Models = Annotated[
    list[Path] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A model file or the folder of a run; by default $NMT_MODEL, else the newest run. Given several times: "
        "models that work together.",
        show_default=False,
    ),
]
ModelWeights = Annotated[
    list[float] | None,
    typer.Option(
        "--model-weight",
        metavar="NUMBER",
        help="How much each of several models counts, in their order; by default all the same.",
        show_default=False,
        rich_help_panel="Decoding",
    ),
]


class Metrics(str, Enum):
    """Values of --metric: scores of whole sets of translations."""

    bleu = "bleu"
    chrf = "chrf"


Metric = Annotated[
    Metrics | None,
    typer.Option("--metric", help="What is to be high; by default what chose the model in training, else bleu."),
]
HeldOutSource = Annotated[
    Path | None,
    typer.Option(
        "--source", metavar="FILE", help="Sentences instead of the model's validation set.", show_default=False
    ),
]
HeldOutReference = Annotated[
    Path | None,
    typer.Option("--reference", metavar="FILE", help="Their translations, line by line.", show_default=False),
]


class Averages(str, Enum):
    """Values of --ensemble-average."""

    probabilities = "probabilities"
    log_probabilities = "log_probabilities"


class Utilities(str, Enum):
    """Values of --mbr."""

    chrf = "chrf"
    bleu = "bleu"


class Normalizations(str, Enum):
    """Values of --length-normalization."""

    none = "none"
    average = "average"
    gnmt = "gnmt"


class Precisions(str, Enum):
    """Values of --precision."""

    auto = "auto"
    bf16 = "bf16"
    fp32 = "fp32"
    int8 = "int8"


class Devices(str, Enum):
    """Values of --device."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def _decoding(name: str, help: str, minimum: float | None = None) -> Any:
    return typer.Option(name, min=minimum, help=help, show_default=False, rich_help_panel="Decoding")


BeamSize = Annotated[int | None, _decoding("--beam-size", "Hypotheses kept at each step; 1 is greedy search.", 1)]
LengthNormalization = Annotated[
    Normalizations | None,
    _decoding(
        "--length-normalization",
        "What the log-probability of a hypothesis of n pieces is divided by: none 1, average n^alpha, "
        "gnmt ((5+n)/6)^alpha.",
    ),
]
Alpha = Annotated[float | None, _decoding("--alpha", "Exponent of the length normalisation.", 0)]
MaxLengthRatio = Annotated[
    float | None, _decoding("--max-length-ratio", "Longest translation, in pieces for each piece of the source.", 0)
]
EnsembleAverage = Annotated[
    Averages | None, _decoding("--ensemble-average", "What several models average at each step.")
]
MinimumBayesRisk = Annotated[
    Utilities | None,
    _decoding("--mbr", "Choose the hypothesis of the beam that the others agree with most, by this metric."),
]
Shortlist = Annotated[
    bool | None,
    typer.Option(
        "--shortlist/--no-shortlist",
        help="Look only at likely translations of a sentence's pieces: faster, and a little less good.",
        show_default=False,
        rich_help_panel="Decoding",
    ),
]
SplitSentences = Annotated[
    bool | None,
    typer.Option(
        "--split-sentences/--no-split-sentences",
        help="Translate each sentence of a line by itself, for lines that are paragraphs. They stay one line.",
        show_default=False,
        rich_help_panel="Decoding",
    ),
]
Protect = Annotated[
    bool | None,
    typer.Option(
        "--protect/--no-protect",
        help="Bring tags, placeholders and URLs through translation unchanged.",
        show_default=False,
        rich_help_panel="Decoding",
    ),
]
BatchSize = Annotated[
    int | None, _decoding("--batch-size", "Sentences translated together; changes speed, never text.", 1)
]
Precision = Annotated[Precisions | None, _decoding("--precision", "Number format of matrix products.")]
Device = Annotated[Devices | None, _decoding("--device", "Where to compute.")]
Threads = Annotated[int | None, _decoding("--threads", "Processor threads; by default all cores.", 1)]
