"""Arguments and options that several commands share, and checks of files that commands write."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nmt import log
from nmt.errors import UsageError

STANDARD_STREAM = Path("-")
"""Standard input, or standard output."""


def require_new_file(path: Path, *, overwrite: bool) -> None:
    """Check that a file does not exist yet, or may be replaced. Pipes and devices may always be written to.

    Raises:
        UsageError: the file exists and `overwrite` is false.
    """
    if path.is_file() and not overwrite:
        raise UsageError(f"{path} exists already. Choose another name, or replace it with --overwrite.")


def check_not_input(output: Path, inputs: Iterable[Path | None]) -> None:
    """Check that an output file is not one of the input files.

    Raises:
        UsageError: writing the output would destroy an input.
    """
    for path in inputs:
        if path in (None, STANDARD_STREAM) or not (output.exists() and path.exists()):
            continue
        if output.samefile(path):
            raise UsageError(f"-o {output} would replace the input file. Choose another name.")


def complete_override(incomplete: str) -> list[str]:
    """Return the key paths that start with the text, for shell completion."""
    from nmt.config.introspection import walk  # the schema takes longer to import than the rest of the command line
    from nmt.config.problems import dotted

    paths = (f"{dotted(path)}=" for path, option in walk() if option.section is None)
    return [path for path in paths if path.startswith(incomplete)]


def option(*names: str, metavar: str | None = None, help: str, **settings: Any) -> Any:
    """Return the settings of an option whose help states the default, if there is one."""
    return typer.Option(*names, metavar=metavar, help=help, show_default=False, **settings)


def _set_quiet(given: bool) -> bool:
    if given:
        log.setup(level=logging.WARNING)
    return given


def _set_verbose(given: bool) -> bool:
    if given:
        log.setup(level=logging.DEBUG)
    return given


Quiet = Annotated[bool, option("-q", "--quiet", callback=_set_quiet, help="Print only warnings and errors.")]
Verbose = Annotated[
    bool, option("-v", "--verbose", callback=_set_verbose, help="Print details, and tracebacks of errors.")
]
ConfigFile = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="Configuration of the experiment, a YAML file.", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY.PATH=VALUE",
        help="Options that replace those of the file, such as training.max_epochs=10 or data.train.0.weight=2.",
        show_default=False,
        autocompletion=complete_override,
    ),
]
Overwrite = Annotated[bool, option("--overwrite", help="Replace existing files.")]
InitFrom = Annotated[
    Path | None,
    option(
        "--init-from",
        metavar="MODEL",
        help="Model file, run folder or checkpoint whose weights and subword model training starts from. Default: "
        "random weights and a new subword model.",
    ),
]
Output = Annotated[Path | None, option("-o", "--output", metavar="FILE", help="Output file. Default: standard output.")]
AsJson = Annotated[bool, option("--json", help="Print JSON instead of text.")]
ModelArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="MODEL",
        help="Model file, run folder or checkpoint. Default: $NMT_MODEL, or the newest run.",
        show_default=False,
    ),
]
TestScores = Annotated[
    Path | None,
    option("--scores", metavar="FILE", help="Test scores for the model card: the output of nmt evaluate --json."),
]
Model = Annotated[
    Path | None,
    option(
        "-m",
        "--model",
        metavar="MODEL",
        help="Model file, run folder or checkpoint. Default: $NMT_MODEL, or the newest run.",
    ),
]
Models = Annotated[
    list[Path] | None,
    option(
        "-m",
        "--model",
        metavar="MODEL",
        help="Model file, run folder or checkpoint. Repeat the option for an ensemble. Default: "
        "$NMT_MODEL, or the newest run.",
    ),
]
ModelWeights = Annotated[
    list[float] | None,
    option(
        "--model-weight",
        metavar="NUMBER",
        help="Weight of a model in the ensemble. Repeat the option for each model, in order. Default: equal weights.",
        rich_help_panel="Search",
    ),
]
MinimumBayesRisk = Annotated[
    Literal["bleu", "chrf"] | None,
    option(
        "--mbr",
        help="Minimum Bayes risk decoding: choose the hypothesis of the beam with the highest mean score against all "
        "others, by this sentence-level metric. Default: the hypothesis with the highest model score.",
        rich_help_panel="Search",
    ),
]
Metric = Annotated[
    Literal["bleu", "chrf"] | None,
    option(
        "--metric",
        help="Metric to maximise. Default: the one that chose the model in training, or bleu if that was not a metric "
        "of translations.",
    ),
]
ValidationSource = Annotated[
    Path | None,
    option("--source", metavar="FILE", help="Source text. Default: the validation set of the model."),
]
ValidationReference = Annotated[
    Path | None,
    option("--reference", metavar="FILE", help="Reference translation of --source."),
]
Prefixes = Annotated[
    Path | None,
    option(
        "--prefixes",
        metavar="FILE",
        help="Target prefixes: the start of the translation of each line.",
        rich_help_panel="Constraints",
    ),
]
Required = Annotated[
    Path | None,
    option(
        "--required",
        metavar="FILE",
        help="Required phrases: for each line, phrases separated by tabs that its translation must contain.",
        rich_help_panel="Constraints",
    ),
]
Avoid = Annotated[
    Path | None,
    option(
        "--avoid",
        metavar="FILE",
        help="Avoided phrases, one per line, that no translation may contain.",
        rich_help_panel="Constraints",
    ),
]
TerminologyFile = Annotated[
    Path | None,
    option(
        "--terminology",
        metavar="FILE",
        help="Terminology: on each line a source term, a tab and its translation. Source terms match whole words.",
        rich_help_panel="Constraints",
    ),
]
