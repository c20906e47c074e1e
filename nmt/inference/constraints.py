"""Constraints on translations: a prefix, required phrases, avoided phrases, terminology.

A `SourceLine` holds the constraints of one line as text. The avoided phrases and the terminology hold for all lines of
a translator. `ConstraintCompiler` turns both into the token ids and phrase automata that a search works with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from nmt.config.problems import shorten
from nmt.data.lines import read_lines
from nmt.data.special_tokens import UNK
from nmt.data.tokenizer import SubwordModel
from nmt.data.words import PhraseFinder, canonical
from nmt.errors import DataError, UsageError
from nmt.inference.streaming import SourceLine
from nmt.search.phrase_automaton import UNWRITABLE, Automaton, Phrase, TokenSymbols, compile_phrases

MAX_PHRASE_LETTERS = 300
"""Longest required or avoided phrase."""
MAX_REQUIRED_LETTERS = 500
"""Most letters of the required phrases of one segment. Time and memory grow with letters times the vocabulary."""
MAX_AVOIDED_LETTERS = 20_000
"""Most letters of all avoided phrases."""
MAX_AVOIDED_ENTRIES = 100_000_000
"""Largest transition table of the avoided phrases: 400 megabytes."""
MAX_PREFIX_LETTERS, MAX_PREFIX_PIECES = 10_000, 1_000
"""Longest prefix. The search takes one step for each piece."""
CACHED_AUTOMATA = 64


class Constraints(NamedTuple):
    """Compiled constraints on the translation of one segment."""

    prefix: tuple[int, ...] = ()
    """Target ids that the translation starts with."""
    required: tuple[Phrase, ...] = ()
    """Phrases that the translation must contain."""
    usual_pieces: tuple[int, ...] = ()
    """Target ids of the required phrases in their usual segmentation; a shortlist must allow them."""


NO_CONSTRAINTS = Constraints()


class SearchJob(NamedTuple):
    """One search: a source segment and the constraints on its translation."""

    ids: tuple[int, ...]
    """Source ids, without EOS."""
    constraints: Constraints = NO_CONSTRAINTS


class ConstraintCompiler:
    """Compiles constraints into ids and automata. Threads may share it."""

    def __init__(
        self,
        target: SubwordModel,
        *,
        avoid: Sequence[str] = (),
        terminology: Terminology | None = None,
    ) -> None:
        """Compile the constraints that hold for all lines.

        Args:
            target: The subword model of the target side.
            avoid: Phrases that no translation may contain.
            terminology: Target terms that a translation must contain if its source contains their source terms.

        Raises:
            UsageError: An avoided phrase is empty after tokenization or too long, or there are too many.
        """
        self._target = target
        self._terminology = terminology
        self.avoided: Automaton | None = None
        if avoid:
            phrases = [self._phrase(text) for text in dict.fromkeys(avoid)]
            letters, room = sum(map(len, phrases)), min(MAX_AVOIDED_LETTERS, MAX_AVOIDED_ENTRIES // target.size)
            if letters > room:
                raise UsageError(
                    f"{len(phrases):,} avoided phrases have {letters:,} letters, more than {room:,}. Keep the most "
                    "important ones."
                )
            self.avoided = compile_phrases(list(dict.fromkeys(phrases)), self._symbols)
        self.automaton = lru_cache(maxsize=CACHED_AUTOMATA)(self._compile_phrase)

    @cached_property
    def _symbols(self) -> TokenSymbols:
        return TokenSymbols(self._target)

    def compile(self, line: SourceLine, segments: Sequence[str]) -> list[Constraints]:
        """Return the constraints of each segment of a line.

        Terms are matched in each segment. The prefix and the required phrases belong to the first segment.

        Args:
            line: The line.
            segments: The source text of its segments.

        Raises:
            UsageError: The vocabulary cannot write a phrase or the prefix, one of them is too long, or the model does
                not accept a prefix. The message names the line.
        """
        compiled = []
        for number, text in enumerate(segments):
            terms = self._terminology.targets(text) if self._terminology is not None else ()
            first = number == 0
            phrases = (*line.required, *terms) if first else tuple(terms)
            prefix = line.prefix.strip() if first else ""
            try:
                compiled.append(self._compile(prefix, phrases) if prefix or phrases else NO_CONSTRAINTS)
            except UsageError as error:
                raise UsageError(f"line {line.number}: {error}" if line.number else str(error)) from None
        return compiled

    def _compile(self, prefix: str, phrases: Sequence[str]) -> Constraints:
        if prefix and self._target.right_to_left:
            raise UsageError(
                f"the prefix {_quoted(prefix)} cannot be used with a model that writes from right to left. Such a "
                "model writes the beginning of a text last. Require the prefix as a phrase, or use a model that writes "
                "from left to right."
            )
        _check_length(prefix, len(prefix), MAX_PREFIX_LETTERS, "a prefix")
        ids = self._target.encode([prefix])[0] if prefix else []
        if len(ids) > MAX_PREFIX_PIECES:
            raise UsageError(
                f"{_quoted(prefix)} cannot be a prefix: it has {len(ids):,} pieces, more than {MAX_PREFIX_PIECES:,}."
            )
        if UNK in ids:
            raise UsageError(f"{_quoted(prefix)} cannot be a prefix: the vocabulary of the model cannot write it.")
        if prefix:
            self._check_verbatim(prefix, "a prefix")
        phrases = list(dict.fromkeys(phrases))
        letters = sum(map(len, phrases))
        if letters > MAX_REQUIRED_LETTERS and len(phrases) > 1:
            raise UsageError(
                f"{len(phrases):,} required phrases have {letters:,} letters, more than {MAX_REQUIRED_LETTERS}. Keep "
                "the most important ones."
            )
        pieces = [piece for row in self._target.encode(list(phrases)) for piece in row]
        required = tuple(dict.fromkeys(map(self.required_phrase, phrases)))
        return Constraints(tuple(ids), required, tuple(dict.fromkeys(pieces)))

    def required_phrase(self, text: str) -> Phrase:
        """Return the symbols of a phrase that a translation must contain.

        Raises:
            UsageError: The phrase is empty after tokenization, or the model cannot write it unchanged.
        """
        phrase = self._phrase(text)
        if not self.automaton(phrase).can_be_written:
            raise UsageError(f"{_quoted(text)} cannot be required: the vocabulary of the model cannot write it.")
        return phrase

    def _phrase(self, text: str) -> Phrase:
        _check_length(text, len(text), MAX_PHRASE_LETTERS, "a constraint")
        phrase = self._symbols.phrase(text)
        if not phrase:
            raise UsageError(f"{_quoted(text)} cannot be a constraint: it is empty after tokenization.")
        _check_length(text, len(phrase), MAX_PHRASE_LETTERS, "a constraint")  # its bytes count, where it is bytes
        if UNWRITABLE not in phrase:
            self._check_verbatim(text, "a constraint")
        return phrase

    def _check_verbatim(self, text: str, role: str) -> None:
        """Refuse a text that the model writes as another text, for example 10² as 102."""
        written = self._target.decode(self._target.encode([text]))[0]
        if canonical(written).split() != canonical(text).split():
            raise UsageError(f"{_quoted(text)} cannot be {role}: the model writes {_quoted(written)} instead.")

    def _compile_phrase(self, phrase: Phrase) -> Automaton:
        return compile_phrases([phrase], self._symbols, required=True)


def _quoted(text: str) -> str:
    return shorten(repr(text), keep="'", limit=100)


def _check_length(text: str, letters: int, most: int, role: str) -> None:
    """Refuse a constraint that would make the search take minutes."""
    if letters > most:
        raise UsageError(f"{_quoted(text)} cannot be {role}: it has {letters:,} letters, more than {most:,}.")


class Terminology:
    """Source terms and their target terms."""

    def __init__(self, terms: Mapping[str, str]) -> None:
        """Index the terms: source to target, none of them blank."""
        self._terms = dict(terms)
        self._finder = PhraseFinder(self._terms)

    def __len__(self) -> int:
        """Return the number of terms."""
        return len(self._terms)

    def targets(self, source: str) -> tuple[str, ...]:
        """Return the target terms of all source terms in a text, each once."""
        return tuple(dict.fromkeys(self._terms[term] for term in self._finder.find(source)))


def read_terminology(path: Path | str) -> Terminology:
    """Read a terminology file: a source term, a tab and a target term per line. Blank lines are skipped.

    Raises:
        DataError: A line does not have two columns, or a source term has two translations.
    """
    terms: dict[str, str] = {}
    for number, line in enumerate(read_lines(path, keep_broken=False), 1):
        if not line.strip():
            continue
        columns = [" ".join(column.split()) for column in line.split("\t")]
        if len(columns) != 2 or not all(columns):
            raise DataError(f"{path}:{number}: expected a source term, a tab and a target term, found {line!r}.")
        source, target = canonical(columns[0]), columns[1]
        if terms.setdefault(source, target) != target:
            raise DataError(
                f"{path}:{number}: {source!r} has two translations, {terms[source]!r} and {target!r}. Keep one of them."
            )
    return Terminology(terms)
