"""What a text decides in a configuration for it, with the reason for each choice."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from typing import Any

from nmt.cli.init.yaml_text import YamlEntry
from nmt.config.dump import one_line
from nmt.config.schema import FiltersConfig
from nmt.data.preprocess.corpus_stats import CorpusStats, SideStats
from nmt.metrics.corpus import EXTRAS, resolve_tokenizer

PIECES_PER_WORD, PIECES_PER_CHARACTER = 1.8, 0.9
"""About what a vocabulary of a fitting size gives in batches: of the longer side, cut anew, with padding."""
NOT_CUT_ANEW = 0.85
"""As many pieces has a text without subword sampling, with the larger pieces that go with it."""
PIECES_PER_ROOT, PIECES_PER_ROOT_NOT_CUT_ANEW = 7, 10
"""Pieces of the vocabulary over the square root of the words: 6,000 or 8,000 for the 670,000 words of Multi30k."""
PIECES_PER_TYPE = 0.7
LARGEST_VOCABULARY = 32_000
MOST_PIECES = 1_000
"""Of a sentence: half a batch of the smallest recipe."""
BYTES = 256
PARTS = 10
"""Of a training: the first is warmup at most, and each ends with a validation at least."""
SAME_SCRIPT = 0.5
MANY_CHARACTERS = 1_000
MECAB = {"ja-mecab": "MeCab", "ko-mecab": "mecab_ko"}
"""The modules that sacreBLEU's tokenizers need."""


def choices(text: CorpusStats, recipe: Sequence[YamlEntry]) -> list[YamlEntry]:
    """The options that a text decides, with their values and reasons; all others are those of `recipe`."""
    together = text.shared_script >= SAME_SCRIPT
    return [
        *_subwords(text, together, cut_anew=_cut_anew(recipe)),
        *([] if together else [_choice("model.tying", "two_way", "target and output; the source has its own table")]),
        *_pace(text, recipe),
        _bleu(text.target),
    ]


def filters(text: CorpusStats) -> list[YamlEntry]:
    """What is left out of the text, as far as the text has something to say to it."""
    standard = FiltersConfig()
    source, target = text.source.lengths, text.target.lengths
    usual = max(_pieces(source.percentile_99, text.source), _pieces(target.percentile_99, text.target))
    pieces = min(MOST_PIECES, max(standard.max_pieces, 2 * math.ceil(usual)))
    identical = text.filtered.get("identical sides", 0.0)
    return [
        YamlEntry(("data", "filters"), "", "Training pairs that are left out."),
        _choice(
            "data.filters.max_words",
            text.filters.max_words,
            f"99 of 100 sources have at most {count(source.percentile_99, text.source)}, targets "
            f"{count(target.percentile_99, text.target)}; the longest have {source.longest:,} and {target.longest:,}",
        ),
        *(
            []
            if pieces == standard.max_pieces
            else [_choice("data.filters.max_pieces", pieces, f"99 of 100 sentences have at most some {usual:,.0f}")]
        ),
        _choice(
            "data.filters.max_length_ratio",
            text.filters.max_length_ratio,
            f"99 of 100 pairs have at most {text.ratio:.1f}",
        ),
        _choice("data.filters.drop_identical", True, f"{percent(identical)} of the pairs have equal sides"),
        _choice(
            "data.filters.drop_duplicates", True, f"{percent(text.duplicates)} of the pairs repeat an earlier pair"
        ),
    ]


def _pieces(words: int, side: SideStats) -> float:
    """About how many pieces so many words are, or characters where these are counted."""
    return words * (PIECES_PER_CHARACTER if side.by_character else PIECES_PER_WORD)


def _choice(path: str, value: Any, reason: str) -> YamlEntry:
    return YamlEntry(tuple(path.split(".")), one_line(value), reason)


def _cut_anew(recipe: Sequence[YamlEntry]) -> bool:
    """Whether a recipe has subword sampling."""
    return any(entry.path == ("tokenizer", "sampling") and float(entry.value) > 0 for entry in recipe)


def _subwords(text: CorpusStats, together: bool, *, cut_anew: bool) -> list[YamlEntry]:
    sides = (text.source, text.target)
    covered = 0.9995 if max(side.characters for side in sides) > MANY_CHARACTERS else 1.0
    script, others = next(iter(text.source.scripts), "unknown"), next(iter(text.target.scripts), "unknown")
    if together:
        why = f"both sides are written in {script}; {percent(text.copied)} of the target's words stand in its source"
    else:
        why = f"{script} on one side, {others} on the other: they share no pieces"
    size = max(_vocabulary(group, cut_anew) for group in ([sides] if together else [(side,) for side in sides]))
    words = ", ".join(f"{side.language} {count(side.words, side)} ({_varied(side)})" for side in sides)
    each = "" if together else " (for each side)"
    most = "all characters" if covered == 1 else "all but the rarest characters, which are written as bytes"
    characters = " and ".join(f"{side.characters:,}" for side in sides)
    return [
        _choice(
            "tokenizer.vocabulary_size",
            size,
            f"{text.pairs:,} pairs, {words}: few enough pieces{each} for each to be seen often and learnt",
        ),
        _choice("tokenizer.joint", together, why),
        _choice("tokenizer.character_coverage", covered, f"{most}; the sides have {characters} different ones"),
    ]


def _varied(side: SideStats) -> str:
    different = "" if side.by_character else " different"
    return f"{side.types:,}{different}, {percent(side.once)} of them seen once"


def _vocabulary(sides: tuple[SideStats, ...], cut_anew: bool) -> int:
    """As many pieces as the text can teach, in hundreds.

    Different words grow with the square root of a text (Heaps's law), and so does this, up to what has been tried. A
    text of few different words needs no more than some of these, one of many characters not less than these.
    """
    words = sum(side.words * (0.6 if side.by_character else 1) for side in sides)
    per_root = PIECES_PER_ROOT if cut_anew else PIECES_PER_ROOT_NOT_CUT_ANEW
    size = min(per_root * math.sqrt(words), LARGEST_VOCABULARY)
    if not any(side.by_character for side in sides):
        size = min(size, PIECES_PER_TYPE * sum(side.types for side in sides))
    needed = BYTES + 1.3 * sum(side.characters for side in sides)
    return 100 * math.ceil(max(size, needed) / 100)


def _pace(text: CorpusStats, recipe: Sequence[YamlEntry]) -> list[YamlEntry]:
    """How long training takes; and where that is short, when it warms up and is measured meanwhile."""
    values = {entry.path: entry.value for entry in recipe}

    def number(path: str) -> int:
        return int(values[tuple(path.split("."))])

    accumulate = ("training", "accumulate")
    batch = number("training.batch_tokens") * (int(values[accumulate]) if accumulate in values else 1)
    epochs, most = number("training.max_epochs"), number("training.max_updates")
    pieces = max(_pieces(side.words, side) for side in (text.source, text.target))
    each = max(1, round(pieces * (1 if _cut_anew(recipe) else NOT_CUT_ANEW) / batch))
    share = max(1, min(each * epochs, most) // PARTS)
    shorter = (("training.schedule.warmup", "a tenth"), ("training.validation.every_updates", "ten times in all"))
    return [
        _epochs(each, epochs, most),
        *(_choice(path, share, f"{what}: training is short") for path, what in shorter if number(path) > share),
    ]


def _epochs(each: int, epochs: int, most: int) -> YamlEntry:
    """As many epochs as the recipe allows, and where they end."""
    if each * epochs > most:
        why = f"about {_about(each)} updates each, so that max_updates ends training after {max(1, round(most / each))}"
    else:
        why = f"about {_about(each)} updates each, {_about(each * epochs)} in all"
    return _choice("training.max_epochs", epochs, why)


def _bleu(target: SideStats) -> YamlEntry:
    path = "evaluation.bleu_tokenizer"
    tokenizer = resolve_tokenizer("auto", target.language)
    if tokenizer in MECAB and importlib.util.find_spec(MECAB[tokenizer]) is None:
        extra = EXTRAS[tokenizer]
        why = f'{tokenizer} is not installed; better: pip install "sacrebleu[{extra}]", then write auto'
        return _choice(path, "char", why)
    return _choice(path, "auto", f"{tokenizer}, as the target is {target.language}")


def count(words: int, side: SideStats) -> str:
    """A number of words, or of what is counted instead."""
    return f"{words:,} {'characters' if side.by_character else 'words'}"


def percent(share: float) -> str:
    """A share, to one digit where it is small."""
    if share < 0.001:
        return "less than 0.1%" if share else "none"
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _about(number: int) -> str:
    digits = max(0, len(str(number)) - 2)
    return f"{round(number, -digits):,}"
