"""Options of the search that few translations need: lengths, penalties, diversity, sampling, and steering by files.

And all options of the search together, for commands that translate with any of them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from nmt.cli.options import (
    Alpha,
    BatchSize,
    BeamSize,
    Device,
    EnsembleAverage,
    LengthNormalization,
    MaxLengthRatio,
    Precision,
    Protect,
    Shortlist,
    SplitSentences,
    Threads,
)


class StoppingRules(str, Enum):
    """Values of --stopping."""

    exact = "exact"
    fast = "fast"


def _search(name: str, help: str, minimum: float | None = None, panel: str = "Search") -> Any:
    return typer.Option(name, min=minimum, help=help, show_default=False, rich_help_panel=panel)


def _sampling(name: str, help: str, minimum: float | None = None) -> Any:
    return _search(name, help, minimum, panel="Sampling")


def _file(name: str, help: str) -> Any:
    return typer.Option(name, metavar="FILE", help=help, show_default=False, rich_help_panel="Steering")


NBest = Annotated[
    int | None,
    typer.Option(
        "--n-best", min=1, help="Alternatives for each line; with --sampling, how many are drawn.", show_default=False
    ),
]
MaxSourcePieces = Annotated[int | None, _search("--max-source-pieces", "Translate lines of more pieces in parts.", 1)]
MaxLength = Annotated[int | None, _search("--max-length", "Longest translation, in pieces.", 1)]
MinLength = Annotated[int | None, _search("--min-length", "Shortest translation, in pieces.", 0)]
MinLengthRatio = Annotated[
    float | None, _search("--min-length-ratio", "Shortest translation, in pieces for each piece of the source.", 0)
]
CoveragePenalty = Annotated[
    float | None,
    _search("--coverage-penalty", "How much to punish source pieces that little attention went to; 0.2 is usual.", 0),
]
RepetitionPenalty = Annotated[
    float | None,
    _search("--repetition-penalty", "Make pieces that are there already less probable; 1 not at all, 1.2 usual.", 1),
]
NoRepeatNgram = Annotated[
    int | None, _search("--no-repeat-ngram", "Let no sequence of so many pieces appear twice in a translation.", 1)
]
Stopping = Annotated[
    StoppingRules | None,
    _search("--stopping", "exact: until nothing better can come; fast: until nothing that goes on is better now."),
]
BeamGroups = Annotated[
    int | None, _search("--beam-groups", "Cut the beam into groups that keep away from each other: diverse n-best.", 1)
]
Diversity = Annotated[
    float | None, _search("--diversity", "How far groups keep away from each other; 0.5 by default.", 0)
]
Sampling = Annotated[
    bool | None,
    typer.Option(
        "--sampling/--no-sampling",
        help="Draw --n-best translations at random instead of searching for the best.",
        show_default=False,
        rich_help_panel="Sampling",
    ),
]
Temperature = Annotated[
    float | None, _sampling("--temperature", "Below 1 nearer to the best translation, above 1 wilder.", 0)
]
TopK = Annotated[int | None, _sampling("--top-k", "Sample among the so many most probable pieces only.", 1)]
TopP = Annotated[
    float | None, _sampling("--top-p", "Sample among the most probable pieces that together have this probability.", 0)
]
Seed = Annotated[int | None, _sampling("--seed", "Another seed, other translations.", 0)]
Prefixes = Annotated[Path | None, _file("--prefixes", "How each translation starts: a line for each line of the text.")]
RequiredPhrases = Annotated[
    Path | None,
    _file("--required", "What each translation has: a line for each line of the text, words or phrases by tabs."),
]
AvoidedPhrases = Annotated[Path | None, _file("--avoid", "What no translation has: a word or phrase a line.")]
TerminologyFile = Annotated[
    Path | None,
    _file("--terminology", "How terms are translated: source term, tab, target term a line; found as whole words."),
]

DECODING: Mapping[str, Any] = {
    "beam_size": BeamSize,
    "n_best": NBest,
    "length_normalization": LengthNormalization,
    "alpha": Alpha,
    "max_source_pieces": MaxSourcePieces,
    "max_length_ratio": MaxLengthRatio,
    "max_length": MaxLength,
    "min_length": MinLength,
    "min_length_ratio": MinLengthRatio,
    "coverage_penalty": CoveragePenalty,
    "repetition_penalty": RepetitionPenalty,
    "no_repeat_ngram": NoRepeatNgram,
    "stopping": Stopping,
    "beam_groups": BeamGroups,
    "diversity": Diversity,
    "sampling": Sampling,
    "temperature": Temperature,
    "top_k": TopK,
    "top_p": TopP,
    "seed": Seed,
    "ensemble_average": EnsembleAverage,
    "shortlist": Shortlist,
    "split_sentences": SplitSentences,
    "protect": Protect,
    "batch_sentences": BatchSize,
    "precision": Precision,
    "device": Device,
    "threads": Threads,
}
"""The options of the configuration's decoding section that the command line has, in the order of its help."""


def with_decoding(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that has all of DECODING as options.

    Args:
        command: It has a parameter `decoding`, and is given all of them there, by name; None: it was left out.
    """
    signature = inspect.signature(command, eval_str=True)
    parameters = list(_with_options(signature))

    @functools.wraps(command)
    def run(**given: Any) -> None:
        decoding = {name: given.pop(name) for name in DECODING}
        command(**given, decoding=decoding)

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _with_options(signature: inspect.Signature) -> Iterator[Parameter]:
    """Give the parameters of a command, with the options in place of `decoding`."""
    for parameter in signature.parameters.values():
        if parameter.name != "decoding":
            yield parameter.replace(kind=Parameter.KEYWORD_ONLY)
            continue
        for name, annotation in DECODING.items():
            yield Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
