"""How probable a model finds given translations.

The number of a piece is log p(piece | source, pieces before it), that of a translation their sum, EOS included: the
same, but for rounding, that a search reports for the same pieces. Three things to know:

    PAD, UNK and BOS are never generated, but hold their share of the probability, here as in a search.
    A text is cut into its best pieces. A search often finds the same text in other pieces, with another number, above
    all where training sampled pieces; where it says which, as in JSON Lines, those are scored.
    Probabilities are over the whole vocabulary. A search with a shortlist shares them out among fewer pieces, and
    reports more for each.

B pairs, T target length with EOS, N positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.config.decoding import change_decoding
from nmt.config.schema import Decoding
from nmt.data.tokenizer import Tokenizers
from nmt.device import autocast, choose_device, choose_dtype, set_threads
from nmt.errors import CheckpointError, DataError
from nmt.inference.forced import IdPair, decode_slices, like_batches, pad_pairs
from nmt.inference.model_file import ModelFile, find_model, load_model
from nmt.inference.scores import Pair, Score
from nmt.inference.text import clean, one_line
from nmt.inference.translator import WINDOW_BATCHES, WINDOW_CHARACTERS
from nmt.inference.windows import WindowSize, windows
from nmt.inference.workers import count_workers, halving, side_by_side
from nmt.log import logger
from nmt.model import Seq2Seq
from nmt.search import make_normalization

LOGITS = 4_000_000
"""Logits held at once (N x V)."""


class Scorer:
    """Scores translations with a model. May be used from several threads at once; keeps nothing between calls."""

    def __init__(
        self,
        network: Seq2Seq,
        tokenizers: Tokenizers,
        *,
        decoding: Decoding,
        device: torch.device,
        max_source_pieces: int | None = None,
    ) -> None:
        """Keeps what it is given.

        Args:
            network: In evaluation mode on `device`.
            tokenizers: The subword models of its two sides.
            decoding: How a search would rank; batch and precision (int8, which is for searches, counts as fp32).
            device: Where to compute.
            max_source_pieces: Longer lines are warned about, for a translator translates them in parts. None: none are.
        """
        self._network = network
        self._tokenizers = tokenizers
        self._batch_sentences = decoding.batch_sentences
        self._normalization = make_normalization(decoding.length_normalization, decoding.alpha)
        self._device = device
        self._dtype = choose_dtype(decoding.precision, device)
        self._max_source_pieces = max_source_pieces

    @classmethod
    def load(cls, path: Path | str | None, *, decoding: Mapping[str, Any] | None = None) -> Scorer:
        """Load a scorer; see `Translator.load`."""
        file = load_model(find_model(None if path is None else Path(path)))
        return cls.from_model_file(file, decoding=decoding or {})

    @classmethod
    def from_model_file(cls, file: ModelFile, *, decoding: Mapping[str, Any]) -> Scorer:
        """Make a scorer of a model file that has been read.

        Raises:
            UsageError: The options cannot be used.
            CheckpointError: The weights do not fit the configuration.
        """
        options = change_decoding(file.config.decoding, decoding)
        if options.threads is not None:
            set_threads(options.threads)
        device = choose_device(options.device)
        return cls(
            file.network(device),
            file.tokenizers,
            decoding=options,
            device=device,
            max_source_pieces=file.config.data.filters.max_pieces,
        )

    def score(self, pairs: Iterable[Pair]) -> Iterator[Score | None]:
        """Score pairs: one result for each, in order; None where the source is blank, which no model is asked about.

        Pairs are taken in windows as in `Translator.translate`. A pair longer than the model was trained on is scored
        whole, and warned about: `nmt translate` translates such a line in parts, whose numbers differ.

        Raises:
            DataError: A pair has pieces that the model does not have.
            NMTError: Not even a single pair fits into the machine's memory.
        """
        batch = self._batch_sentences
        size = WindowSize(first_lines=batch, lines=batch * WINDOW_BATCHES, characters=WINDOW_CHARACTERS)
        number = 0
        long_lines = _LongLines(self._max_source_pieces)
        for window in windows(pairs, size):
            ids = self._encode(window, number)
            long_lines.note(ids, number)
            yield from self._window(window, ids)
            number += len(window)
        long_lines.summarize()

    def log_probabilities(self, pairs: Sequence[IdPair]) -> list[list[float]]:
        """Return, for each pair of ids, the log-probability of each target piece and of EOS.

        Raises:
            CheckpointError: The model gives undefined probabilities.
            NMTError: Not even a single pair fits into the machine's memory.
        """
        workers = count_workers(self._device, len(pairs))
        chosen = list(like_batches(pairs, min(self._batch_sentences, max(1, -(-len(pairs) // workers)))))
        batches = [[pairs[index] for index in indices] for indices in chosen]
        found: list[list[float]] = [[]] * len(pairs)
        for indices, rows in zip(chosen, side_by_side(self._batch, batches, workers), strict=True):
            for index, row in zip(indices, rows, strict=True):
                found[index] = row
        return found

    def _encode(self, pairs: Sequence[Pair], before: int) -> list[IdPair]:
        """Return the ids of pairs, which `before` pairs have preceded."""
        sources = self._tokenizers.source.encode([clean(pair.source) for pair in pairs])
        targets = self._tokenizers.target.encode(["" if pair.pieces else clean(pair.target) for pair in pairs])
        ids = []
        for number, (pair, source, target) in enumerate(zip(pairs, sources, targets, strict=True), before + 1):
            ids.append(IdPair(source, target if pair.pieces is None else self._given_ids(pair.pieces, number)))
        return ids

    def _window(self, pairs: Sequence[Pair], ids: Sequence[IdPair]) -> Iterator[Score | None]:
        numbers = iter(self.log_probabilities([pair for pair in ids if pair.source]))
        for pair, pieces in zip(pairs, ids, strict=True):
            yield self._score(pair, pieces, next(numbers)) if pieces.source else None

    def _given_ids(self, pieces: Sequence[str], number: int) -> list[int]:
        try:
            return self._tokenizers.target.ids(pieces)
        except KeyError as error:
            raise DataError(
                f"translation {number}: the model has no target piece {error.args[0]!r}. The pieces are those of "
                "another model: leave them out, and the text is scored (`nmt score --texts`)."
            ) from None

    def _score(self, pair: Pair, ids: IdPair, log_probs: list[float]) -> Score:
        total = sum(log_probs)
        return Score(
            source=pair.source,
            target=one_line(pair.target),
            log_probability=total,
            mean=total / len(log_probs),
            score=float(self._normalization.score(total, len(log_probs))),
            pieces=self._tokenizers.target.turned(self._tokenizers.target.pieces(ids.target)),
            piece_log_probabilities=[*self._tokenizers.target.turned(log_probs[:-1]), log_probs[-1]],
        )

    def _batch(self, pairs: Sequence[IdPair]) -> list[list[float]]:
        return halving(self._log_probs, pairs, device=self._device, explain=_too_long)

    def _log_probs(self, pairs: Sequence[IdPair]) -> list[list[float]]:
        batch = pad_pairs(pairs)
        targets = torch.from_numpy(batch.target_output).to(self._device)
        columns: list[torch.Tensor] = []
        with torch.inference_mode(), autocast(self._device, self._dtype):
            for start, states, _ in decode_slices(self._network, batch, self._device):
                columns.append(self._pick(states, targets[:, start : start + states.shape[1]]))
        found: NDArray[np.float64] = torch.cat(columns, dim=1).double().cpu().numpy()
        rows = [row[:length].tolist() for row, length in zip(found, batch.target_lengths, strict=True)]
        if any(np.isnan(row).any() for row in rows):
            raise CheckpointError("The model gives undefined probabilities (NaN): its weights are damaged.")
        return rows

    def _pick(self, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities of `targets` [B, T'] at `states` [B, T', O]."""
        rows = max(1, LOGITS // self._tokenizers.target.size)
        flat, wanted = states.flatten(0, 1), targets.reshape(-1, 1)
        picked = [
            self._network.output(flat[start : start + rows]).gather(1, wanted[start : start + rows])
            for start in range(0, len(flat), rows)
        ]
        return torch.cat(picked).view_as(targets)


def _too_long(pair: IdPair) -> str:
    return (
        f"There is not enough memory to score a line of {len(pair.source)} pieces with a translation of "
        f"{len(pair.target)}. Cut it into sentences, or use --device cpu."
    )


class _LongLines:
    """Tells about lines that a translator would translate in parts: the first one at once, how many at the end."""

    def __init__(self, longest: int | None) -> None:
        self._longest = longest
        self._count = 0

    def note(self, pairs: Sequence[IdPair], before: int) -> None:
        """Look at pairs, which `before` pairs have preceded."""
        if self._longest is None:
            return
        for number, pair in enumerate(pairs, before + 1):
            if len(pair.source) > self._longest:
                self._count += 1
                if self._count == 1:
                    logger.warning(
                        "pair %d: a line of %d pieces, more than the model was trained on, is scored whole",
                        number,
                        len(pair.source),
                    )

    def summarize(self) -> None:
        if self._count > 1:
            logger.warning("%d over-long lines were scored whole", self._count)
