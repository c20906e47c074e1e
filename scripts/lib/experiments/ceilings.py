"""Ceilings: the scores of a text after a round trip through the default subword model. No translation scores higher.

    python scripts/lib/experiments/ceilings.py bn=text.bn th=text.th

The subword model is trained on the first thousand lines of each file, which it then segments and restores.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nmt.config.schema import TokenizerConfig
from nmt.data.languages import find_language, with_detected_script
from nmt.data.lines import is_blank, read_lines
from nmt.data.preprocess.round_trip import RoundTrips, count_round_trips
from nmt.data.text_form import learn_form
from nmt.data.tokenizer_training import train_subwords
from nmt.data.words import comparable
from nmt.errors import NMTError
from nmt.metrics.corpus import make_bleu, score

MAX_LINES = 1_000
PIECES_PER_CHARACTER = 4
"""Vocabulary size over the number of different characters, at least 2,000 pieces."""


class Ceiling(NamedTuple):
    """The scores of a text after the round trip, and its perfect score."""

    perfect: dict[str, float]
    scores: dict[str, float]
    canonical: dict[str, float]
    """Scores if both texts are in NFC."""
    tokenizer: str
    found: RoundTrips


def measure(code: str, lines: Sequence[str], *, normalization: str) -> Ceiling:
    """Train the default subword model on a text, write the text again, and score it against itself."""
    size = max(2_000, PIECES_PER_CHARACTER * len(set("".join(lines))))
    options = TokenizerConfig.model_validate({"vocabulary_size": size, "normalization": normalization})
    model, _ = train_subwords(lines, options=options, symbols=[], what=code, form=learn_form(lines))
    written = model.decode(model.encode(lines))
    tokenizer = find_language(with_detected_script(code, lines)).bleu_tokenizer
    try:
        make_bleu(tokenizer, lowercase=False)
    except NMTError:  # MeCab is not installed
        tokenizer = "char"

    def scores(one: Sequence[str], other: Sequence[str]) -> dict[str, float]:
        found = score(
            one, other, metrics=["bleu", "chrf"], bleu_tokenizer=tokenizer, lowercase=False, target_language=code
        )
        return {name: each.value for name, each in found.items()}

    return Ceiling(
        perfect=scores(lines, lines),
        scores=scores(written, lines),
        canonical=scores(list(map(comparable, written)), list(map(comparable, lines))),
        tokenizer=tokenizer,
        found=count_round_trips(model, lines),
    )


def row(code: str, ceiling: Ceiling) -> str:
    """Return a row of the table in docs/results/languages.md."""
    language = find_language(code)
    changes = ", ".join(
        f"{_points(one.before)} → {_points(one.after)}: {one.lines}" for one in ceiling.found.changes[:3]
    )
    numbers = [
        f"{ceiling.perfect['bleu']:.1f}",
        *(f"{values[name]:.2f}" for values in (ceiling.scores, ceiling.canonical) for name in ("bleu", "chrf")),
    ]
    cells = [language.name, language.script, ceiling.tokenizer, *numbers, str(ceiling.found.changed), changes]
    return f"| {' | '.join(cells)} |"


def _points(text: str) -> str:
    return " ".join(f"{ord(character):04X}" for character in text) or "nothing"


def main() -> None:
    """Print the table for the files of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="+", metavar="CODE=FILE")
    parser.add_argument("--normalization", default=TokenizerConfig().normalization)
    arguments = parser.parse_args()
    logging.getLogger("nmt").setLevel(logging.ERROR)
    for text in arguments.texts:
        code, _, file = text.partition("=")
        lines = [line for line in read_lines(Path(file), keep_broken=False) if not is_blank(line)][:MAX_LINES]
        print(row(code, measure(code, lines, normalization=arguments.normalization)), flush=True)


if __name__ == "__main__":
    main()
