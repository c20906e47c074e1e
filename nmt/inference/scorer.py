"""Scores given translations by their log-probability under a model.

The log-probability of a piece is log p(piece | source, pieces before it). That of a translation is their sum, EOS
included, which equals the search's number for the same pieces up to rounding. Several models score as an ensemble (see
`ensemble.py`): each runs the translation, and the mean is taken for every piece. Four details:

    PAD, UNK and BOS are never generated, but have a share of the probability, here as in a search.
    Logits processors and constraints of a search affect which translations it finds, not the log-probabilities that it
    reports. They do affect its score, see `TranslationScore.score`.
    A text is scored in its best segmentation. A search often finds the same text in other pieces with another number,
    above all if training sampled segmentations. Pieces that are given, as in JSON Lines, are scored as they are.
    Probabilities are over the whole vocabulary. A search with a shortlist distributes them over fewer pieces, and
    reports higher numbers.

B pairs, T target length with EOS, T' positions of a slice, O output size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.arrays import Array, gather, namespace, to_host
from nmt.config.decoding_overrides import override_decoding
from nmt.config.schema import DecodingConfig
from nmt.data.batch import Batch
from nmt.data.tokenizer import Tokenizers
from nmt.errors import CheckpointError, DataError
from nmt.inference.ensemble import check_compatible, checked_weights, mean, normalize_weights
from nmt.inference.forced_decoding import IdPair, collate, decode_slices, length_batches
from nmt.inference.hardware import Hardware, choose_hardware
from nmt.inference.model_file import ModelFile, load_models
from nmt.inference.networks import TranslationNetwork
from nmt.inference.results import SentencePair, TranslationScore
from nmt.inference.segmentation import clean, max_segment_pieces, one_line
from nmt.inference.streaming import WHOLE_TEXT, Windowing, window_size, windows
from nmt.inference.workers import run_in_batches
from nmt.log import logger
from nmt.search import make_length_normalization

MAX_LOGITS = 4_000_000
"""Logits in memory at once (positions x V)."""


class Scorer:
    """Scores translations with one model or an ensemble. Threads may share it."""

    def __init__(
        self,
        networks: Sequence[TranslationNetwork],
        tokenizers: Tokenizers,
        *,
        decoding: DecodingConfig,
        hardware: Hardware,
        weights: Sequence[float] | None = None,
        max_source_pieces: int | None = None,
    ) -> None:
        """Take the networks.

        Args:
            networks: At least one; all with the same subword models.
            tokenizers: The subword models of both sides.
            decoding: Length normalization, ensemble mean and batch size.
            hardware: The hardware of the networks.
            weights: The weight of each network, above zero. None: equal weights.
            max_source_pieces: Longer lines cause a warning, because a translator splits them. None: no limit.
        """
        self._networks = tuple(networks)
        self._weights = normalize_weights(weights or [1.0] * len(networks))
        self._average = decoding.ensemble_average
        self._tokenizers = tokenizers
        self._batch_sentences = decoding.batch_sentences
        self._normalization = make_length_normalization(decoding.length_normalization, decoding.alpha)
        self._hardware = hardware
        self._max_source_pieces = max_source_pieces

    @classmethod
    def load(cls, path: Path | str | None, *, decoding: Mapping[str, Any] | None = None) -> Scorer:
        """Load a scorer from a model file or the folder of a run; see `Translator.load`."""
        return cls.from_models(load_models(None if path is None else [path]), decoding=decoding)

    @classmethod
    def from_models(
        cls,
        models: Sequence[ModelFile],
        *,
        weights: Sequence[float] | None = None,
        decoding: Mapping[str, Any] | None = None,
    ) -> Scorer:
        """Make a scorer of one model, or of an ensemble of several.

        Args:
            models: At least one.
            weights: The weight of each model, above zero. None: equal weights.
            decoding: Options that override those of the first model; see `Translator.from_models`.

        Raises:
            UsageError: The models are not compatible, or an option cannot be used.
            CheckpointError: The weights of a model do not fit its configuration.
        """
        check_compatible(models)
        checked = checked_weights(weights, models)
        options = override_decoding(models[0].config.decoding, decoding or {})
        hardware = choose_hardware(options)
        return cls(
            [model.network(hardware) for model in models],
            models[0].tokenizers,
            decoding=options,
            hardware=hardware,
            weights=checked,
            max_source_pieces=max_segment_pieces([model.config for model in models], decoding or {}),
        )

    def score(
        self, pairs: Iterable[SentencePair], *, windowing: Windowing = WHOLE_TEXT
    ) -> Iterator[TranslationScore | None]:
        """Score pairs: one result for each, in order; None if the source is blank.

        Pairs are processed in windows as in `Translator.translate`. A pair longer than the model was trained on is
        scored whole, with a warning: `nmt translate` splits such a line into segments, which gives other numbers.

        Raises:
            DataError: A pair has pieces that are not in the vocabulary.
            NMTError: A single pair does not fit into memory.
        """
        long_lines = _LongPairs(self._max_source_pieces)
        numbers = count(1)
        for window in windows(pairs, window_size(self._batch_sentences), windowing):
            yield from self._score_window([(next(numbers), pair) for pair in window], long_lines)
        long_lines.summarize()

    def log_probabilities(self, pairs: Sequence[IdPair]) -> list[list[float]]:
        """Return, for each pair of ids, the log-probability of each target piece and of EOS.

        Raises:
            CheckpointError: The model computes undefined probabilities.
            NMTError: A single pair does not fit into memory.
        """
        return run_in_batches(
            pairs,
            work=self._log_probs,
            make_batches=length_batches,
            batch_size=self._batch_sentences,
            hardware=self._hardware,
            explain=_out_of_memory,
        )

    def _score_window(
        self, numbered: Sequence[tuple[int, SentencePair]], long_lines: _LongPairs
    ) -> Iterator[TranslationScore | None]:
        pairs = [pair for _, pair in numbered]
        sources = self._tokenizers.source.encode([clean(pair.source) for pair in pairs])
        targets = self._tokenizers.target.encode(["" if pair.pieces else clean(pair.target) for pair in pairs])
        ids = []
        for (number, pair), source, target in zip(numbered, sources, targets, strict=True):
            ids.append(IdPair(source, target if pair.pieces is None else self._piece_ids(pair.pieces, number)))
            long_lines.report(number, len(source))
        log_probs = iter(self.log_probabilities([each for each in ids if each.source]))
        for pair, each in zip(pairs, ids, strict=True):
            yield self._score(pair, each, next(log_probs)) if each.source else None

    def _piece_ids(self, pieces: Sequence[str], number: int) -> list[int]:
        try:
            return self._tokenizers.target.ids(pieces)
        except KeyError as error:
            raise DataError(
                f"translation {number}: the target vocabulary has no piece {error.args[0]!r}. The pieces are from "
                "another model. Score the text instead with `nmt score --texts`."
            ) from None

    def _score(self, pair: SentencePair, ids: IdPair, log_probs: list[float]) -> TranslationScore:
        total = sum(log_probs)
        return TranslationScore(
            source=pair.source,
            target=one_line(pair.target),
            log_probability=total,
            mean=total / len(log_probs),
            score=float(self._normalization.score(total, len(log_probs))),
            pieces=self._tokenizers.target.in_text_order(self._tokenizers.target.pieces(ids.target)),
            piece_log_probabilities=[*self._tokenizers.target.in_text_order(log_probs[:-1]), log_probs[-1]],
        )

    def _log_probs(self, pairs: Sequence[IdPair]) -> list[list[float]]:
        batch = collate(pairs)
        with self._hardware.computing():
            of_models = [self._target_log_probs(network, batch) for network in self._networks]
            log_probs = of_models[0]
            if len(of_models) > 1:
                log_probs = mean(of_models, weights=self._weights, average=self._average)  # [B, T]
        values: NDArray[np.float64] = to_host(log_probs).astype(np.float64)
        rows = [row[:length].tolist() for row, length in zip(values, batch.target_lengths, strict=True)]
        if any(np.isnan(row).any() for row in rows):
            raise CheckpointError("The model computes undefined probabilities (NaN): its weights are damaged.")
        return rows

    def _target_log_probs(self, network: TranslationNetwork, batch: Batch) -> Array:
        """Return the log-probabilities of the targets of a batch under a network [B, T]."""
        targets = self._hardware.array(batch.target_output)  # [B, T]
        columns = [
            _gather_log_probs(network, states, targets[:, start : start + states.shape[1]])
            for start, states, _ in decode_slices(network, batch, self._hardware)
        ]
        return namespace(targets).concat(columns, axis=1)  # [B, T]


def _gather_log_probs(network: TranslationNetwork, states: Array, targets: Array) -> Array:
    """Return the log-probabilities of `targets` [B, T'] at `states` [B, T', O], in blocks of MAX_LOGITS."""
    xp = namespace(targets)
    rows = max(1, MAX_LOGITS // network.target_size)
    flat_states = xp.reshape(states, (-1, states.shape[2]))  # [B * T', O]
    flat_targets = xp.reshape(targets, (-1, 1))  # [B * T', 1]
    blocks = [
        gather(network.log_probs(flat_states[start : start + rows]), flat_targets[start : start + rows])
        for start in range(0, len(flat_states), rows)
    ]
    return xp.reshape(xp.concat(blocks, axis=0), targets.shape)  # [B, T']


def _out_of_memory(pair: IdPair) -> str:
    return (
        f"There is not enough memory to score a line of {len(pair.source)} pieces with a translation of "
        f"{len(pair.target)}. Split the line into sentences, or use --device cpu."
    )


class _LongPairs:
    """Warns of lines that a translator would split into segments: of the first at once, of all in a summary."""

    def __init__(self, max_pieces: int | None) -> None:
        self._max_pieces = max_pieces
        self._count = 0

    def report(self, number: int, pieces: int) -> None:
        """Record the source length of pair `number`."""
        if self._max_pieces is None or pieces <= self._max_pieces:
            return
        self._count += 1
        if self._count == 1:
            logger.warning(
                "pair %d: a line of %d pieces, more than the model was trained on, is scored whole", number, pieces
            )

    def summarize(self) -> None:
        if self._count > 1:
            logger.warning("%d long lines were scored whole", self._count)
