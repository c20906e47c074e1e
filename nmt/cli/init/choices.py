"""Options that depend on the training text, each with the reason in a comment."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from typing import Any

from nmt.cli.init.yaml_text import YamlEntry
from nmt.config.dump import one_line
from nmt.config.schema import FiltersConfig
from nmt.data.languages import find_language
from nmt.data.preprocess.corpus_stats import CorpusStats, SideStats
from nmt.metrics.corpus import EXTRAS, resolve_tokenizer

PIECES_PER_WORD, PIECES_PER_CHARACTER = 1.8, 0.9
"""Pieces in batches per word and per character of the longer side, with subword sampling and padding."""
WITHOUT_SAMPLING = 0.85
"""Factor of the number of pieces without subword sampling and with its larger vocabulary."""
PIECES_PER_ROOT, PIECES_PER_ROOT_WITHOUT_SAMPLING = 7, 10
"""Vocabulary size over the square root of the number of words: 6,000 or 8,000 for the 670,000 words of Multi30k."""
PIECES_PER_TYPE = 0.7
LARGEST_VOCABULARY = 32_000
MAX_PIECES = 1_000
"""Maximum length of a sentence in pieces: half a batch of the smallest recipe."""
BYTES = 256
PARTS = 10
"""Parts of a training: warmup takes at most one, and each has at least one validation."""
SAME_SCRIPT = 0.5
FEW_SENTENCES = 200
"""Validation sentences below which BLEU, which counts four-grams, is a poor judge of models."""
MANY_CHARACTERS = 1_000
MECAB = {"ja-mecab": "MeCab", "ko-mecab": "mecab_ko"}
"""Modules that tokenizers of sacreBLEU require."""


def choices(text: CorpusStats, recipe: Sequence[YamlEntry], *, validation: int | None = None) -> list[YamlEntry]:
    """Return the options that depend on the text, with values and reasons.

    Args:
        text: Statistics of the training text.
        recipe: The other options.
        validation: Number of validation pairs. None: it is not known yet.
    """
    together = text.shared_script >= SAME_SCRIPT
    return [
        *_subwords(text, together, sampling=_has_sampling(recipe)),
        *([] if together else [_choice("model.tying", "two_way", "target and output share a table")]),
        *_pace(text, recipe),
        _bleu(text.target),
        *_metric(text.target, validation),
    ]


def filters(text: CorpusStats, *, drop_held_out: bool) -> list[YamlEntry]:
    """Return the filters, with facts about the text as reasons.

    Args:
        text: Statistics of the training text.
        drop_held_out: Whether the training text may contain the held-out pairs.
    """
    held_out = "the training file has the validation and test pairs too"
    standard = FiltersConfig()
    source, target = text.source.lengths, text.target.lengths
    usual = max(_pieces(source.percentile_99, text.source), _pieces(target.percentile_99, text.target))
    pieces = min(MAX_PIECES, max(standard.max_pieces, 2 * math.ceil(usual)))
    identical = text.filtered.get("identical sides", 0.0)
    return [
        YamlEntry(("data", "filters"), "", "Filters of the training pairs."),
        _choice(
            "data.filters.max_words",
            text.filters.max_words,
            f"99% of the sources have at most {count(source.percentile_99, text.source)}, 99% of the targets at most "
            f"{count(target.percentile_99, text.target)}, the longest {source.longest:,} and {target.longest:,}",
        ),
        *(
            []
            if pieces == standard.max_pieces
            else [_choice("data.filters.max_pieces", pieces, f"99% of the sentences have at most about {usual:,.0f}")]
        ),
        _choice(
            "data.filters.max_length_ratio",
            text.filters.max_length_ratio,
            f"99% of the pairs have at most {text.ratio:.1f}",
        ),
        _choice("data.filters.drop_identical", True, f"{percent(identical)} of the pairs have equal sides"),
        _choice(
            "data.filters.drop_duplicates", True, f"{percent(text.duplicates)} of the pairs repeat an earlier pair"
        ),
        *([_choice("data.filters.drop_held_out", True, held_out)] if drop_held_out else []),
    ]


def _pieces(words: int, side: SideStats) -> float:
    """Return the approximate number of pieces of a number of words, or characters where these are counted."""
    return words * (PIECES_PER_CHARACTER if side.by_character else PIECES_PER_WORD)


def _choice(path: str, value: Any, reason: str) -> YamlEntry:
    return YamlEntry(tuple(path.split(".")), one_line(value), reason)


def _has_sampling(recipe: Sequence[YamlEntry]) -> bool:
    """Whether a recipe has subword sampling."""
    return any(entry.path == ("tokenizer", "sampling") and float(entry.value) > 0 for entry in recipe)


def _subwords(text: CorpusStats, together: bool, *, sampling: bool) -> list[YamlEntry]:
    sides = (text.source, text.target)
    covered = 0.9995 if max(side.characters for side in sides) > MANY_CHARACTERS else 1.0
    script, others = next(iter(text.source.scripts), "unknown"), next(iter(text.target.scripts), "unknown")
    if together:
        why = f"both sides are in {script} script, and {percent(text.copied)} of the target words occur in the source"
    else:
        why = f"the sides are in {script} and {others} script and share no pieces"
    size = max(_vocabulary(group, sampling) for group in ([sides] if together else [(side,) for side in sides]))
    words = ", ".join(f"{side.language} {count(side.words, side)} ({_varied(side)})" for side in sides)
    each = "" if together else " per side"
    most = "all characters" if covered == 1 else "all but the rarest characters, which are written as bytes"
    characters = " and ".join(f"{side.characters:,}" for side in sides)
    return [
        _choice(
            "tokenizer.vocabulary_size",
            size,
            f"number of pieces{each} that {text.pairs:,} pairs can teach: {words}",
        ),
        _choice("tokenizer.joint", together, why),
        _choice("tokenizer.character_coverage", covered, f"{most}. The sides have {characters} different characters."),
    ]


def _varied(side: SideStats) -> str:
    different = "" if side.by_character else " different"
    return f"{side.types:,}{different}, {percent(side.once)} of them once"


def _vocabulary(sides: tuple[SideStats, ...], sampling: bool) -> int:
    """Return the vocabulary size, a multiple of 100.

    The number of different words grows with the square root of the length of a text (Heaps's law), and so does the
    vocabulary, up to the largest size that was tried. It has at most a fraction of the different words, and at least
    all characters.
    """
    words = sum(side.words * (0.6 if side.by_character else 1) for side in sides)
    per_root = PIECES_PER_ROOT if sampling else PIECES_PER_ROOT_WITHOUT_SAMPLING
    size = min(per_root * math.sqrt(words), LARGEST_VOCABULARY)
    if not any(side.by_character for side in sides):
        size = min(size, PIECES_PER_TYPE * sum(side.types for side in sides))
    needed = BYTES + 1.3 * sum(side.characters for side in sides)
    return 100 * math.ceil(max(size, needed) / 100)


def _pace(text: CorpusStats, recipe: Sequence[YamlEntry]) -> list[YamlEntry]:
    """Return the length of training and, if that is short, warmup and the interval of validations."""
    values = {entry.path: entry.value for entry in recipe}

    def number(path: str) -> int:
        return int(values[tuple(path.split("."))])

    accumulate = ("training", "accumulate")
    batch = number("training.batch_tokens") * (int(values[accumulate]) if accumulate in values else 1)
    epochs, limit = number("training.max_epochs"), number("training.max_updates")
    pieces = max(_pieces(side.words, side) for side in (text.source, text.target))
    each = max(1, round(pieces * (1 if _has_sampling(recipe) else WITHOUT_SAMPLING) / batch))
    interval = max(1, min(each * epochs, limit) // PARTS)
    shorter = (
        ("training.schedule.warmup", "a tenth of this short training"),
        ("training.validation.every_updates", "ten validations in this short training"),
    )
    return [
        _epochs(each, epochs, limit),
        *(_choice(path, interval, why) for path, why in shorter if number(path) > interval),
    ]


def _epochs(each: int, epochs: int, limit: int) -> YamlEntry:
    """Return the number of epochs of the recipe, with the number of updates as the reason."""
    if each * epochs > limit:
        last = max(1, round(limit / each))
        why = f"about {_about(each)} updates each: max_updates ends the training after {last} epochs"
    else:
        why = f"about {_about(each)} updates each, {_about(each * epochs)} in total"
    return _choice("training.max_epochs", epochs, why)


def _bleu(target: SideStats) -> YamlEntry:
    path = "evaluation.bleu_tokenizer"
    tokenizer = resolve_tokenizer("auto", target.language)
    if tokenizer in MECAB and importlib.util.find_spec(MECAB[tokenizer]) is None:
        extra = EXTRAS[tokenizer]
        why = f'{tokenizer} is not installed. Better: pip install "sacrebleu[{extra}]", and write auto.'
        return _choice(path, "char", why)
    return _choice(path, "auto", f"{tokenizer} for the target language {target.language}")


def _metric(target: SideStats, validation: int | None) -> list[YamlEntry]:
    """Return the metric that selects the best model, if BLEU is a poor judge."""
    path = "training.validation.metric"
    if not find_language(target.language).spaced:
        return [_choice(path, "chrf", "BLEU depends on borders of words, which this text does not have")]
    if validation is not None and validation < FEW_SENTENCES:
        return [_choice(path, "chrf", f"{validation:,} validation sentences are too few for BLEU")]
    return []


def count(words: int, side: SideStats) -> str:
    """Format a number of words, or of characters where these are counted."""
    return f"{words:,} {'characters' if side.by_character else 'words'}"


def percent(share: float) -> str:
    """Format a fraction as a percentage, with one digit after the point if it is small."""
    if share < 0.001:
        return "less than 0.1%" if share else "none"
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _about(number: int) -> str:
    digits = max(0, len(str(number)) - 2)
    return f"{round(number, -digits):,}"
