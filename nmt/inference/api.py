"""A model in Python: what `nmt.load` returns.

It does what `nmt translate`, `nmt score` and `nmt attention` do, with the same results:

    >>> import nmt
    >>> model = nmt.load("runs/my", beam_size=4, n_best=2)

A string is one line, and gives one result; a list gives a list; anything else that can be iterated over, such as an
open file, is read as it comes and gives an iterator, in bounded memory:

    >>> translation = model.translate("The dog sleeps.")
    >>> translation.text
    '...'
    >>> [candidate.text for candidate in translation.hypotheses]
    [...]
    >>> [translation.text for translation in model.translate(["The dog sleeps.", ""])]
    ['...', '']
    >>> several = model.translate(line for line in ["A dog.", "A cat."])
    >>> next(several).text
    '...'

How probable a given translation is, and what the model looks at when it writes it:

    >>> score = model.score("The dog sleeps.", "Der Hund schläft.")
    >>> score.log_probability <= 0 and score.mean <= 0
    True
    >>> len(score.pieces) == len(score.piece_log_probabilities) - 1  # the last number is that of the end
    True
    >>> attended = model.attention("The dog sleeps.", "Der Hund schläft.")
    >>> attended.words.source.texts
    ['The', 'dog', 'sleeps.', '</s>']
    >>> attended.words.weights.shape == (len(attended.words.target.texts), 4)
    True

The same model with other options shares what was read from the file:

    >>> greedy = model.with_options(beam_size=1, n_best=1)
    >>> greedy.decoding.beam_size
    1
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, overload

from nmt.config.schema import Config, Decoding
from nmt.errors import DataError, UsageError
from nmt.inference.attention import Attended, Attender
from nmt.inference.ensemble import Member, ensemble_translator
from nmt.inference.model_file import ModelFile, find_model, load_model
from nmt.inference.scorer import Scorer
from nmt.inference.scores import Pair, Score
from nmt.inference.translation import Translation
from nmt.inference.translator import Translator

ResultT = TypeVar("ResultT")
END = object()


class LoadedModel:
    """A model, or several that translate together, ready to use. May be used from several threads at once."""

    def __init__(self, members: Sequence[Member], *, weights: Sequence[float] | None, decoding: Mapping[str, Any]):
        """Makes a translator of model files that have been read; see `nmt.load` for what is raised.

        Args:
            members: The model, or those of an ensemble.
            weights: How much each member of an ensemble counts; None: all the same.
            decoding: Options in place of the models' own.
        """
        _check_names(decoding)
        self._members = tuple(members)
        self._weights = weights
        self._given = dict(decoding)
        if len(members) == 1 and weights is None:
            self._translator = Translator.from_model_file(members[0].file, decoding=decoding)
        else:
            self._translator = ensemble_translator(members, weights=weights, decoding=decoding)
        self._lock = threading.Lock()
        self._scorer: Scorer | None = None
        self._attender: Attender | None = None

    @property
    def config(self) -> Config:
        """The resolved configuration that the model was trained with; of an ensemble, that of its first member."""
        return self._members[0].file.config

    @property
    def decoding(self) -> Decoding:
        """The options that translations are searched for with."""
        return self._translator.decoding

    def with_options(self, **decoding: Any) -> LoadedModel:
        """Return the same model with other decoding options beside those that it was loaded with.

        Raises:
            UsageError: The options cannot be used.
        """
        return LoadedModel(self._members, weights=self._weights, decoding={**self._given, **decoding})

    @overload
    def translate(self, text: str) -> Translation: ...  # type: ignore[overload-overlap]
    @overload
    def translate(self, text: list[str] | tuple[str, ...]) -> list[Translation]: ...  # type: ignore[overload-overlap]
    @overload
    def translate(self, text: Iterable[str]) -> Iterator[Translation]: ...

    def translate(self, text: str | Iterable[str]) -> Translation | list[Translation] | Iterator[Translation]:
        """Translate lines: one translation for each, in order; blank for blank.

        Args:
            text: A line, several, or an iterator, which is read in a thread while earlier lines are translated.

        Raises:
            NMTError: Not even a single line fits into the machine's memory.
        """
        return _like(text, self._translator.translate(_lines(text)))

    @overload
    def score(self, source: str, target: str) -> Score | None: ...  # type: ignore[overload-overlap]
    @overload
    def score(  # type: ignore[overload-overlap]
        self, source: list[str] | tuple[str, ...], target: Iterable[str]
    ) -> list[Score | None]: ...
    @overload
    def score(self, source: Iterable[str], target: Iterable[str]) -> Iterator[Score | None]: ...

    def score(
        self, source: str | Iterable[str], target: str | Iterable[str]
    ) -> Score | list[Score | None] | Iterator[Score | None] | None:
        """Score given translations: one result for each pair, in order; None where the source is blank.

        Args:
            source: A line, several, or an iterator.
            target: As many translations.

        Raises:
            DataError: There are more of one than of the other.
            NMTError: Not even a single pair fits into the machine's memory.
            UsageError: There are several models.
        """
        pairs = _pairs(*_both(source, target))
        return _like(source, self._the_scorer().score(pairs))

    @overload
    def attention(self, source: str, target: str | None = None) -> Attended | None: ...  # type: ignore[overload-overlap]
    @overload
    def attention(  # type: ignore[overload-overlap]
        self, source: list[str] | tuple[str, ...], target: Sequence[str] | None = None
    ) -> list[Attended | None]: ...
    @overload
    def attention(self, source: Iterable[str], target: Sequence[str] | None = None) -> Iterator[Attended | None]: ...

    def attention(
        self, source: str | Iterable[str], target: str | Sequence[str] | None = None
    ) -> Attended | list[Attended | None] | Iterator[Attended | None] | None:
        """Give the attention between lines and translations, in order; None where either is blank.

        Args:
            source: A line, several, or an iterator.
            target: The translations; None: the model's own.

        Raises:
            DataError: There are more lines than translations, or fewer.
            UsageError: The model has no attention, or there are several models.
        """
        attender = self._the_attender()
        if target is None:
            return _like(source, attender.attend(_lines(source)))
        pairs = list(_pairs(*_both(source, target)))
        found = attender.attend([pair.source for pair in pairs], [pair.target for pair in pairs])
        return _like(source, found)

    def _the_scorer(self) -> Scorer:
        with self._lock:
            if self._scorer is None:
                self._scorer = Scorer.from_model_file(self._only("score"), decoding=self._given)
            return self._scorer

    def _the_attender(self) -> Attender:
        with self._lock:
            if self._attender is None:
                file = self._only("attention")
                self._attender = Attender(file, decoding=self._given, translator=self._translator)
            return self._attender

    def _only(self, what: str) -> ModelFile:
        if len(self._members) > 1:
            raise UsageError(f"{what} is of one model, and {len(self._members)} are loaded; load each by itself")
        return self._members[0].file


def read_members(paths: Sequence[Path | str] | None) -> list[Member]:
    """Read the model files that are meant; None: the one that `find_model` finds.

    Raises:
        UsageError: There is no such model.
        CheckpointError: A file is not a model file, or is damaged.
    """
    if paths is not None and not paths:
        raise UsageError("no model is named")
    found = [find_model(None)] if paths is None else [find_model(Path(path)) for path in paths]
    return [Member(str(path), load_model(path)) for path in found]


def _check_names(decoding: Mapping[str, Any]) -> None:
    for name in decoding:
        if name not in Decoding.model_fields:
            near = get_close_matches(name, Decoding.model_fields, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(Decoding.model_fields)}"
            raise UsageError(f"{name} is no decoding option{hint}")


def _lines(text: str | Iterable[str]) -> Iterable[str]:
    """Return lines without their line ends, which those of an open file have."""
    if isinstance(text, str):
        return [text.rstrip("\r\n")]
    if isinstance(text, (list, tuple)):
        return [line.rstrip("\r\n") for line in text]
    return (line.rstrip("\r\n") for line in text)


def _both(source: str | Iterable[str], target: str | Iterable[str]) -> tuple[Iterable[str], Iterable[str]]:
    """Return both sides as several lines.

    Raises:
        UsageError: One is a line, and the other is several.
    """
    if isinstance(source, str) != isinstance(target, str):
        raise UsageError("source and target go together: two strings, or several lines of each")
    return _lines(source), _lines(target)


def _pairs(sources: Iterable[str], targets: Iterable[str]) -> Iterator[Pair]:
    """Pair lines with translations.

    Raises:
        DataError: There are more of one than of the other.
    """
    one, other = iter(sources), iter(targets)
    count = 0
    while True:
        source, target = next(one, END), next(other, END)
        if source is END and target is END:
            return
        if not (isinstance(source, str) and isinstance(target, str)):
            longer = "translations than lines" if source is END else "lines than translations"
            raise DataError(f"There are more {longer}: {count} of those. Line n belongs to translation n.")
        count += 1
        yield Pair(source, target)


def _like(given: str | Iterable[Any], results: Iterator[ResultT]) -> ResultT | list[ResultT] | Iterator[ResultT]:
    """Return results in the form in which the lines were given."""
    if isinstance(given, str):
        (result,) = results
        return result
    return list(results) if isinstance(given, (list, tuple)) else results
