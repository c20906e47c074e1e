"""Decoding options chosen on held-out sentences.

One option after another: each of its values is tried with the best of the options before it, and the best value stays.
That takes as many translations of the set as there are values, not as there are combinations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import yaml

from nmt.config.decoding import change_decoding
from nmt.config.schema import Decoding
from nmt.errors import UsageError
from nmt.evaluation.held_out import Measured

NOT_TUNED = frozenset({"batch_sentences", "device", "threads", "n_best", "precision"})
"""Options that change speed, or what is written, and not which translation is best."""


class Choice(NamedTuple):
    """An option and the values to try."""

    option: str
    values: list[Any]


PLAN = (
    Choice("length_normalization", ["none", "average", "gnmt"]),
    Choice("alpha", [0.4, 0.6, 0.8, 1.0, 1.2, 1.5]),
    Choice("beam_size", [1, 2, 5, 8, 12]),
    Choice("coverage_penalty", [0.05, 0.1, 0.2, 0.3]),
)
"""What is tried when nothing else is asked for."""
ENSEMBLE_PLAN = (Choice("ensemble_average", ["probabilities", "log_probabilities"]), *PLAN)
"""What is tried then with several models."""


class Trial(NamedTuple):
    """Options that were tried, and what came of it."""

    option: str
    value: Any
    decoding: Decoding
    measured: Measured
    best: bool
    """Better than all before."""


def possible(plan: Sequence[Choice], *, attention: bool) -> list[Choice]:
    """What of a plan can be tried with models of which one has `attention`, or none: a coverage penalty needs it."""
    return [choice for choice in plan if attention or choice.option != "coverage_penalty"]


def parse_choice(text: str) -> Choice:
    """Read `OPTION=VALUE,VALUE,...`, such as `beam_size=2,5,10`.

    Raises:
        UsageError: It is no such text, or there is no such option to tune.
    """
    option, equals, listed = text.partition("=")
    values = [yaml.safe_load(value) for value in listed.split(",") if value.strip()]
    if not equals or not values:
        raise UsageError(f"--try {text}: expected an option and the values to try, such as beam_size=2,5,10")
    known = [name for name in Decoding.model_fields if name not in NOT_TUNED]
    name = option.strip().replace("-", "_").removeprefix("decoding.")
    if name not in known:
        raise UsageError(f"--try {text}: there is no option {name} to tune; there are {', '.join(known)}")
    return Choice(name, values)


def tune(
    start: Decoding, plan: Sequence[Choice], *, metric: str, measure: Callable[[Decoding], Measured]
) -> Iterator[Trial]:
    """Try options, one after another; the last trial that is `best` has the best ones.

    A value replaces another only if it scores higher: of equals, that of `start` stays, or the one tried first. An
    alpha is not tried where there is no normalisation, nor a coverage penalty where there is nothing to choose from.

    Args:
        start: The options to begin with; they are tried first.
        plan: What to try.
        metric: What is to be high: `bleu` or `chrf`.
        measure: Translates the held-out set with some options.

    Raises:
        UsageError: A value cannot be used.
    """
    best, measured = start, measure(start)
    yield Trial("", None, start, measured, best=True)
    tried = [start]
    for option, values in plan:
        if option == "alpha" and best.length_normalization == "none":
            continue
        if option == "coverage_penalty" and (best.beam_size == 1 or best.sampling):
            continue
        for value in values:
            decoding = change_decoding(best, {option: value})
            if decoding in tried:
                continue
            tried.append(decoding)
            found = measure(decoding)
            better = found.scores[metric] > measured.scores[metric]
            yield Trial(option, value, decoding, found, best=better)
            if better:
                best, measured = decoding, found
