"""Lines in, translations out: exactly one for each, in order, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nmt.config.decoding import change_decoding
from nmt.config.schema import Decoding
from nmt.data.tokenizer import Tokenizers
from nmt.device import choose_device, choose_dtype, choose_precision, set_threads
from nmt.errors import UsageError
from nmt.inference.batches import Searcher
from nmt.inference.model_file import ModelFile, find_model, load_model
from nmt.inference.packing import PackedNetwork, ready_to_search
from nmt.inference.shortlist import Shortlist
from nmt.inference.text import clean, one_line, part_separator, split_long
from nmt.inference.windows import WindowSize, windows
from nmt.log import logger
from nmt.model import Seq2Seq
from nmt.model.output import OutputLayer
from nmt.search import Hypothesis, Normalization, StepModel, make_normalization

# A window holds this many full batches: sorted by length, little of them is padding.
WINDOW_BATCHES = 16
WINDOW_CHARACTERS = 1_000_000
SHOWN_LINES = 10


@dataclass(frozen=True)
class Candidate:
    """One of the translations of a line."""

    text: str
    ids: list[int]
    """Target pieces, without BOS and EOS."""
    pieces: list[str]
    """The same as strings; U+2581 stands for a space."""
    score: float
    """What candidates are ranked by: the log-probability after length normalisation."""
    log_probability: float
    """Sum over the pieces and EOS."""
    piece_log_probabilities: list[float]
    """Of each piece, and of EOS at the end (of each part, where a line was translated in parts)."""
    finished: bool
    """False if it was cut at the length limit."""


@dataclass(frozen=True)
class Translation:
    """What became of one line."""

    text: str
    """The best translation, on one line; empty for a blank line."""
    hypotheses: list[Candidate]
    """The best translations with different texts, best first: at most `n_best`, fewer where the search ended fewer or
    several had the same text; one for a line that was translated in parts; none for a blank line."""


BLANK = Translation("", [])


class Translator:
    """Translates lines with a model. May be used from several threads at once.

    The text of a translation depends on its line and the options alone: not on the lines around it, their number or
    order, or `batch_sentences`.
    """

    def __init__(
        self,
        model: StepModel[Any, Any],
        tokenizers: Tokenizers,
        *,
        decoding: Decoding,
        device: torch.device,
        max_source_pieces: int | None = None,
        separator: str = " ",
        shortlist: Shortlist | None = None,
    ) -> None:
        """Keeps what it is given.

        Args:
            model: A network on `device` in evaluation mode, or anything that can be searched like one.
            tokenizers: The subword models of its two sides.
            decoding: How to search.
            device: Where.
            max_source_pieces: Longer lines are translated in parts. None: none are.
            separator: What stands between the translations of such parts.
            shortlist: The pieces that translations may use; takes the place of `model`. None: all.
        """
        self.tokenizers = tokenizers
        self.decoding = decoding
        self.normalization: Normalization = make_normalization(decoding.length_normalization, decoding.alpha)
        self._max_source_pieces = max_source_pieces
        self._separator = separator
        self._searcher = Searcher(
            model,
            decoding=decoding,
            normalization=self.normalization,
            device=device,
            # On a processor the precision is that of the packed products.
            dtype=choose_dtype(decoding.precision, device) if device.type == "cuda" else torch.float32,
            shortlist=shortlist,
        )

    @classmethod
    def load(cls, path: Path | str | None, *, decoding: Mapping[str, Any] | None = None) -> Translator:
        """Load a translator.

        Args:
            path: A model file or the folder of a run; None: see `find_model`.
            decoding: Options of the configuration's decoding section in place of the model's own: beam_size, n_best,
                length_normalization, alpha, max_length_ratio, batch_sentences, precision, device, threads and so on.

        Raises:
            UsageError: There is no such model, or the options cannot be used.
            CheckpointError: The file is no model file, or it is damaged.
        """
        file = load_model(find_model(None if path is None else Path(path)))
        return cls.from_model_file(file, decoding=decoding or {})

    @classmethod
    def from_model_file(cls, file: ModelFile, *, decoding: Mapping[str, Any]) -> Translator:
        """Make a translator of a model file that has been read; see `load`.

        Raises:
            UsageError: The options cannot be used.
            CheckpointError: The weights do not fit the configuration.
        """
        options = change_decoding(file.config.decoding, decoding)
        if options.threads is not None:
            set_threads(options.threads)
        device = choose_device(options.device)
        network = file.network(device)
        precision = choose_precision(options.precision, device)
        model = ready_to_search(network, options.precision, device)
        return cls(
            model,
            file.tokenizers,
            decoding=options,
            device=device,
            max_source_pieces=file.config.data.filters.max_pieces,
            separator=part_separator(file.config.data.target_language),
            shortlist=_shortlist(file, model, network.output, precision) if options.shortlist else None,
        )

    def translate(self, lines: Iterable[str]) -> Iterator[Translation]:
        """Translate lines: one translation for each, in order.

        Lines are taken in windows, sorted by length inside. Where the next line has not come yet, those that are
        there are translated at once. Lists and tuples are taken as they are; anything else is read in a thread.

        Args:
            lines: Any strings. A single string is one line.

        Raises:
            NMTError: Not even a single line fits into the machine's memory.
        """
        size = WindowSize(
            first_lines=self.decoding.batch_sentences,
            lines=self.decoding.batch_sentences * WINDOW_BATCHES,
            characters=WINDOW_CHARACTERS,
        )
        long_lines = _LongLines()
        number = 0
        for window in windows([lines] if isinstance(lines, str) else lines, size):
            translations = self._window(window, number, long_lines)
            assert len(translations) == len(window)
            number += len(window)
            yield from translations
        long_lines.summarize()

    def _window(self, lines: Sequence[str], before: int, long_lines: _LongLines) -> list[Translation]:
        """Translate a window of lines, which `before` lines have preceded."""
        texts = [clean(line) for line in lines]
        distinct = list(dict.fromkeys(filter(None, texts)))
        encoded = dict(zip(distinct, self.tokenizers.source.encode(distinct), strict=True))
        parts = {text: self._parts(text, ids) for text, ids in encoded.items()}
        for number, text in enumerate(texts, before + 1):
            if len(parts.get(text, ())) > 1:
                long_lines.report(number, pieces=len(encoded[text]), parts=len(parts[text]))
        jobs = list(dict.fromkeys(tuple(ids) for several in parts.values() for ids in several))
        found = dict(zip(jobs, self._searcher.search(jobs), strict=True))
        done = {
            text: self._translation([found[tuple(ids)] for ids in several]) if several else BLANK
            for text, several in parts.items()
        }
        return [done.get(text, BLANK) for text in texts]

    def _parts(self, text: str, ids: list[int]) -> list[list[int]]:
        """Return the ids of a text, in several parts if they are too many for the model; no part if there are none."""
        longest = self._max_source_pieces
        if longest is None or len(ids) <= longest:
            return [ids] if ids else []
        parts = split_long(text, longest=longest, count=lambda texts: [len(row) for row in self._encode(texts)])
        return [part for part in self._encode(parts) if part]

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        return self.tokenizers.source.encode(texts)

    def _translation(self, parts: Sequence[Sequence[Hypothesis]]) -> Translation:
        """Make a translation of the hypotheses of each part of a line."""
        if len(parts) > 1:
            candidates = [self._joined([hypotheses[0] for hypotheses in parts])]
        else:
            candidates = self._candidates(parts[0])
        return Translation(candidates[0].text, candidates)

    def _candidates(self, hypotheses: Sequence[Hypothesis]) -> list[Candidate]:
        texts = self.tokenizers.target.decode([hypothesis.ids for hypothesis in hypotheses])
        by_text: dict[str, Candidate] = {}
        for text, hypothesis in zip(map(one_line, texts), hypotheses, strict=True):
            if text not in by_text:
                by_text[text] = Candidate(
                    text=text,
                    ids=hypothesis.ids,
                    pieces=self.tokenizers.target.pieces(hypothesis.ids),
                    score=hypothesis.score,
                    log_probability=hypothesis.log_probability,
                    piece_log_probabilities=hypothesis.piece_log_probabilities,
                    finished=hypothesis.finished,
                )
        return list(by_text.values())

    def _joined(self, parts: Sequence[Hypothesis]) -> Candidate:
        """Return the translation of a line from those of its parts. Its score is that of the parts in a row."""
        texts = map(one_line, self.tokenizers.target.decode([part.ids for part in parts]))
        ids = [piece for part in parts for piece in part.ids]
        log_probs = [value for part in parts for value in part.piece_log_probabilities]
        total = sum(part.log_probability for part in parts)
        return Candidate(
            text=self._separator.join(filter(None, texts)),
            ids=ids,
            pieces=self.tokenizers.target.pieces(ids),
            score=float(self.normalization.score(total, len(log_probs))),
            log_probability=total,
            piece_log_probabilities=log_probs,
            finished=all(part.finished for part in parts),
        )


def _shortlist(file: ModelFile, model: Seq2Seq | PackedNetwork, output: OutputLayer, precision: str) -> Shortlist:
    if file.shortlist is None:
        raise UsageError(
            "--shortlist: the model file has no table for it. `nmt shortlist MODEL` adds one, in the folder where the "
            "model was trained; --no-shortlist looks at the whole vocabulary."
        )
    return Shortlist(model, output, file.shortlist, precision=precision)


class _LongLines:
    """Tells about lines that were translated in parts: the first one at once, how many there were at the end."""

    def __init__(self) -> None:
        self._numbers: list[int] = []

    def report(self, number: int, *, pieces: int, parts: int) -> None:
        if not self._numbers:
            logger.warning(
                "line %d has %d pieces, more than the model was trained on: translated in %d parts",
                number,
                pieces,
                parts,
            )
        self._numbers.append(number)

    def summarize(self) -> None:
        if len(self._numbers) > 1:
            shown = ", ".join(map(str, self._numbers[:SHOWN_LINES]))
            more = ", ..." if len(self._numbers) > SHOWN_LINES else ""
            logger.warning("%d over-long lines were translated in parts: %s%s", len(self._numbers), shown, more)
