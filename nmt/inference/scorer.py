"""How probable a model finds given translations.

The number of a piece is log p(piece | source, pieces before it), that of a translation their sum, EOS included: the
same, but for rounding, that a search reports for the same pieces. Several models say together what an ensemble of them
says (see `networks/ensemble.py`): each runs the translation by itself, and of every piece the mean is taken. Four
things to know:

    PAD, UNK and BOS are never generated, but hold their share of the probability, here as in a search.
    What a search does to probabilities (temperature, top-k, repetition penalty, blocking, constraints) decides what it
    finds, but is in no log-probability that it reports. Its score is another thing: see `Score.score`.
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

from nmt.config.decoding_overrides import override_decoding
from nmt.config.schema import DecodingConfig
from nmt.data.batch import Batch
from nmt.data.tokenizer import Tokenizers
from nmt.device import autocast, choose_device, choose_dtype, set_threads
from nmt.errors import CheckpointError, DataError
from nmt.inference.ensemble import EnsembleMember, check_compatible, checked_weights, mean, shares
from nmt.inference.forced_decoding import IdPair, collate, decode_slices, length_batches
from nmt.inference.model_file import ModelFile, find_model, load_model
from nmt.inference.results import SentencePair, TranslationScore
from nmt.inference.segmentation import clean, max_segment_tokens, one_line
from nmt.inference.streaming import window_size, windows
from nmt.inference.workers import count_workers, halve_on_oom, map_in_threads
from nmt.log import logger
from nmt.model import Seq2Seq
from nmt.search import make_length_normalization

LOGITS = 4_000_000
"""Logits held at once (N x V)."""


class Scorer:
    """Scores translations with one model or several. Threads may share it; it keeps nothing between calls."""

    def __init__(
        self,
        networks: Sequence[Seq2Seq],
        tokenizers: Tokenizers,
        *,
        decoding: DecodingConfig,
        device: torch.device,
        weights: Sequence[float] | None = None,
        max_source_pieces: int | None = None,
    ) -> None:
        """Keeps what it is given.

        Args:
            networks: At least one, in evaluation mode on `device`; all with the same subword models.
            tokenizers: The subword models of the two sides.
            decoding: How a search would rank, what several networks average; batch and precision (int8, which is for
                searches, counts as fp32).
            device: Where to compute.
            weights: How much each network counts, above zero; None: all the same.
            max_source_pieces: Longer lines are warned about, for a translator translates them in parts. None: none are.
        """
        self._networks = tuple(networks)
        self._weights = shares(weights or [1.0] * len(networks))
        self._average = decoding.ensemble_average
        self._tokenizers = tokenizers
        self._batch_sentences = decoding.batch_sentences
        self._normalization = make_length_normalization(decoding.length_normalization, decoding.alpha)
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
        """Make a scorer of a model file that has been read; see `from_members`."""
        return cls.from_members([EnsembleMember("the model", file)], decoding=decoding)

    @classmethod
    def from_members(
        cls, members: Sequence[EnsembleMember], *, weights: Sequence[float] | None = None, decoding: Mapping[str, Any]
    ) -> Scorer:
        """Make a scorer of model files that have been read, which says what these models say together.

        Args:
            members: The models, at least one.
            weights: How much each counts, above zero; None: all the same.
            decoding: Options in place of those of the first model; see `Translator.load`.

        Raises:
            UsageError: The models do not go together, the weights are not theirs, or options cannot be used.
            CheckpointError: Weights of a network do not fit its configuration.
        """
        check_compatible(members)
        counts = checked_weights(weights, members)
        files = [member.file for member in members]
        options = override_decoding(files[0].config.decoding, decoding)
        if options.threads is not None:
            set_threads(options.threads)
        device = choose_device(options.device)
        return cls(
            [file.network(device) for file in files],
            files[0].tokenizers,
            decoding=options,
            device=device,
            weights=counts,
            max_source_pieces=max_segment_tokens([file.config for file in files], decoding),
        )

    def score(self, pairs: Iterable[SentencePair]) -> Iterator[TranslationScore | None]:
        """Score pairs: one result for each, in order; None where the source is blank, which no model is asked about.

        Pairs are taken in windows as in `Translator.translate`. A pair longer than the model was trained on is scored
        whole, and warned about: `nmt translate` translates such a line in parts, whose numbers differ.

        Raises:
            DataError: A pair has pieces that the model does not have.
            NMTError: Not even a single pair fits into the machine's memory.
        """
        size = window_size(self._batch_sentences)
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
        chosen = list(length_batches(pairs, min(self._batch_sentences, max(1, -(-len(pairs) // workers)))))
        batches = [[pairs[index] for index in indices] for indices in chosen]
        found: list[list[float]] = [[]] * len(pairs)
        for indices, rows in zip(chosen, map_in_threads(self._batch, batches, workers), strict=True):
            for index, row in zip(indices, rows, strict=True):
                found[index] = row
        return found

    def _encode(self, pairs: Sequence[SentencePair], before: int) -> list[IdPair]:
        """Return the ids of pairs, which `before` pairs have preceded."""
        sources = self._tokenizers.source.encode([clean(pair.source) for pair in pairs])
        targets = self._tokenizers.target.encode(["" if pair.pieces else clean(pair.target) for pair in pairs])
        ids = []
        for number, (pair, source, target) in enumerate(zip(pairs, sources, targets, strict=True), before + 1):
            ids.append(IdPair(source, target if pair.pieces is None else self._given_ids(pair.pieces, number)))
        return ids

    def _window(self, pairs: Sequence[SentencePair], ids: Sequence[IdPair]) -> Iterator[TranslationScore | None]:
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

    def _score(self, pair: SentencePair, ids: IdPair, log_probs: list[float]) -> TranslationScore:
        total = sum(log_probs)
        return TranslationScore(
            source=pair.source,
            target=one_line(pair.target),
            log_probability=total,
            mean=total / len(log_probs),
            score=float(self._normalization.score(total, len(log_probs))),
            pieces=self._tokenizers.target.turned(self._tokenizers.target.pieces(ids.target)),
            piece_log_probabilities=[*self._tokenizers.target.turned(log_probs[:-1]), log_probs[-1]],
        )

    def _batch(self, pairs: Sequence[IdPair]) -> list[list[float]]:
        return halve_on_oom(self._log_probs, pairs, device=self._device, explain=_too_long)

    def _log_probs(self, pairs: Sequence[IdPair]) -> list[list[float]]:
        batch = collate(pairs)
        with torch.inference_mode(), autocast(self._device, self._dtype):
            every = [self._of(network, batch) for network in self._networks]
            own = every[0] if len(every) == 1 else mean(every, weights=self._weights, average=self._average)
        found: NDArray[np.float64] = own.double().cpu().numpy()
        rows = [row[:length].tolist() for row, length in zip(found, batch.target_lengths, strict=True)]
        if any(np.isnan(row).any() for row in rows):
            raise CheckpointError("The model gives undefined probabilities (NaN): its weights are damaged.")
        return rows

    def _of(self, network: Seq2Seq, batch: Batch) -> torch.Tensor:
        """Return the log-probabilities that a network gives the targets of a batch [B, T]."""
        targets = torch.from_numpy(batch.target_output).to(self._device)
        columns = [
            _pick(network, states, targets[:, start : start + states.shape[1]])
            for start, states, _ in decode_slices(network, batch, self._device)
        ]
        return torch.cat(columns, dim=1)


def _pick(network: Seq2Seq, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the log-probabilities of `targets` [B, T'] at `states` [B, T', O]."""
    rows = max(1, LOGITS // len(network.output.bias))
    flat, wanted = states.flatten(0, 1), targets.reshape(-1, 1)
    picked = [
        network.output(flat[start : start + rows]).gather(1, wanted[start : start + rows])
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
