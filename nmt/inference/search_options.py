"""Assembles a search from the decoding options and the constraints of each sentence.

B sentences, S source length, U pieces allowed by a shortlist, P prefix length. The order of the components:

    repetition penalty → n-gram blocking → minimum length → avoided phrases → temperature → top-k → top-p → prefix
    → the selector: top-k continuations, or a beam allocated to required phrases; both optionally in diverse groups

Under a shortlist all components work with indices of the allowed pieces in place of ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.arrays import Array, from_host, namespace, to_host
from nmt.config.schema import DecodingConfig
from nmt.data.special_tokens import PAD
from nmt.errors import UsageError
from nmt.inference.constraints import ConstraintCompiler, Constraints
from nmt.inference.shortlist import Shortlist
from nmt.search import LengthNormalization, StepModel, TokenHypothesis, beam_search, greedy_search
from nmt.search.constraints import AvoidedPhraseProcessor, RequiredPhraseSelector
from nmt.search.coverage_penalty import CoveragePenalty
from nmt.search.phrase_automaton import Automaton
from nmt.search.processed_model import LogitsProcessor, Prefix, ProcessedModel, Selector, TopK
from nmt.search.processors import (
    MinimumLength,
    NgramBlocking,
    RepetitionPenalty,
    Temperature,
    TopKFilter,
    TopPFilter,
)


class SearchBatch(NamedTuple):
    """Sentences that are searched together."""

    source: Array
    """Source ids [B, S] with EOS, padded to the right."""
    lengths: Array
    """[B]."""
    max_lengths: NDArray[np.int64]
    """Length limit of each translation [B], on the host."""
    constraints: Sequence[Constraints]
    allowed: NDArray[np.int64] | None = None
    """The ids of the pieces that the model's indices stand for [U]. None: indices are ids."""


class SearchRunner:
    """Runs the search that the decoding options describe."""

    def __init__(
        self, decoding: DecodingConfig, normalization: LengthNormalization, compiler: ConstraintCompiler | None
    ) -> None:
        """Configure the search.

        Args:
            decoding: The options.
            normalization: Computes scores from log-probabilities.
            compiler: Has the automata of required and avoided phrases. None: there are no phrases.
        """
        self._decoding = decoding
        self._normalization = normalization
        self._compiler = compiler

    def search_with_shortlist(self, shortlist: Shortlist, batch: SearchBatch) -> list[list[TokenHypothesis]]:
        """Return the hypotheses of each sentence, with the pieces of a shortlist; see `search`."""
        allowed = shortlist.allowed_tokens(batch.source, list(map(self._required_tokens, batch.constraints)))
        restricted = batch._replace(allowed=to_host(allowed.ids))
        return allowed.with_ids(self.search(shortlist.restrict(allowed), restricted))

    def _required_tokens(self, constraints: Constraints) -> list[int]:
        """Return the ids without which constraints cannot be met."""
        nearest = [int(piece) for automaton in self._automata(constraints) for piece in automaton.nearest]
        return [*constraints.prefix, *constraints.usual_pieces, *nearest]

    def search(self, model: StepModel[Any, Any], batch: SearchBatch) -> list[list[TokenHypothesis]]:
        """Return the hypotheses of each sentence, best first; samples in the order in which they were drawn."""
        options = self._decoding
        batch = batch._replace(max_lengths=self._max_lengths(batch))
        processors = self._processors(batch)
        if options.sampling:
            return self._sample(model, batch, processors)
        if options.beam_groups > 1:
            return self._diverse(model, batch)
        coverage, prefix = self._coverage(batch), self._prefix(batch)
        if processors or coverage or prefix or any(each.required for each in batch.constraints):
            selector = self._selector(batch)
            model = ProcessedModel(model, processors=processors, selector=selector, prefix=prefix, coverage=coverage)
        elif options.beam_size == 1:
            return greedy_search(
                model, batch.source, batch.lengths, max_lengths=batch.max_lengths, normalization=self._normalization
            )
        return self._beam(model, batch, beam_size=options.beam_size, n_best=self._kept(options.beam_size))

    def _kept(self, beam_size: int) -> int:
        """Return how many hypotheses the beam keeps: all for an n-best list, because several may have the same text."""
        return 1 if self._decoding.n_best == 1 else beam_size

    def _beam(
        self, model: StepModel[Any, Any], batch: SearchBatch, *, beam_size: int, n_best: int
    ) -> list[list[TokenHypothesis]]:
        return beam_search(
            model,
            batch.source,
            batch.lengths,
            beam_size=beam_size,
            n_best=n_best,
            max_lengths=batch.max_lengths,
            normalization=self._normalization,
            stopping=self._decoding.stopping,
        )

    def _diverse(self, model: StepModel[Any, Any], batch: SearchBatch) -> list[list[TokenHypothesis]]:
        from nmt.search.diverse import DiverseBeamSelector, merge_groups  # a plain search does not need it

        groups, sentences, xp = self._decoding.beam_groups, len(batch.lengths), namespace(batch.source)
        repeated = SearchBatch(
            xp.repeat(batch.source, groups, axis=0),  # [B * G, S]
            xp.repeat(batch.lengths, groups),  # [B * G]
            np.repeat(batch.max_lengths, groups),  # [B * G]
            [constraints for constraints in batch.constraints for _ in range(groups)],
            batch.allowed,
        )
        selector = DiverseBeamSelector(
            self._selector(repeated),
            sentences=sentences,
            groups=groups,
            strength=self._decoding.diversity,
            like=batch.source,
        )
        processed = ProcessedModel(
            model,
            processors=self._processors(repeated),
            selector=selector,
            prefix=self._prefix(repeated),
            coverage=self._coverage(repeated),
        )
        size = self._decoding.beam_size // groups
        hypotheses = self._beam(processed, repeated, beam_size=size, n_best=self._kept(size))
        return merge_groups(hypotheses, groups=groups, n_best=self._kept(self._decoding.beam_size))

    def _sample(
        self, model: StepModel[Any, Any], batch: SearchBatch, processors: Sequence[LogitsProcessor]
    ) -> list[list[TokenHypothesis]]:
        from nmt.data.shuffle import make_key
        from nmt.search.sampling import sample_hypotheses  # a plain search does not need it

        if any(constraints.required for constraints in batch.constraints):
            raise UsageError(
                "sampling cannot be combined with required phrases or terminology, because a sample is drawn piece by "
                "piece without a plan. Use beam search, with --beam-groups for diverse translations."
            )
        # The seed depends on the sentence alone, so that its samples do not depend on its position.
        sources = zip(batch.source.tolist(), batch.lengths.tolist(), strict=True)
        seeds = np.array([make_key(self._decoding.seed, *ids[:length]) for ids, length in sources], dtype=np.uint64)
        return sample_hypotheses(
            ProcessedModel(
                model,
                processors=[*processors, *self._sampling_processors()],
                selector=TopK(),
                prefix=self._prefix(batch),
                coverage=None,
            ),
            batch.source,
            batch.lengths,
            samples=self._decoding.n_best,
            max_lengths=batch.max_lengths,
            seeds=seeds,
            normalization=self._normalization,
        )

    def _max_lengths(self, batch: SearchBatch) -> NDArray[np.int64]:
        """Return the length limits [B], raised to what the constraints require."""
        limits = batch.max_lengths
        if self._decoding.max_length is not None:
            limits = np.minimum(limits, self._decoding.max_length)
        if not any(each.prefix or each.required for each in batch.constraints):
            return limits
        required = [
            len(each.prefix) + sum(automaton.required_length for automaton in self._automata(each))
            for each in batch.constraints
        ]
        return np.maximum(limits, required)  # [B]

    def _automata(self, constraints: Constraints) -> list[Automaton]:
        assert self._compiler is not None or not constraints.required
        return [] if self._compiler is None else [self._compiler.automaton(phrase) for phrase in constraints.required]

    def _processors(self, batch: SearchBatch) -> list[LogitsProcessor]:
        """Return the processors of any search, in order."""
        options = self._decoding
        processors: list[LogitsProcessor] = []
        if options.repetition_penalty > 1:
            processors.append(RepetitionPenalty(options.repetition_penalty))
        if options.no_repeat_ngram is not None:
            processors.append(NgramBlocking(options.no_repeat_ngram))
        if options.min_length or options.min_length_ratio:
            by_ratio = np.ceil((to_host(batch.lengths) - 1) * options.min_length_ratio).astype(np.int64)  # [B]
            minimum = np.minimum(np.maximum(by_ratio, options.min_length), batch.max_lengths)  # [B]
            processors.append(MinimumLength(from_host(minimum, batch.source)))
        if self._compiler is not None and self._compiler.avoided is not None:
            avoided = self._compiler.avoided
            processors.append(
                AvoidedPhraseProcessor(avoided, batch.max_lengths, like=batch.source, allowed=batch.allowed)
            )
        return processors

    def _sampling_processors(self) -> list[LogitsProcessor]:
        options = self._decoding
        processors: list[LogitsProcessor] = []
        if options.temperature != 1:
            processors.append(Temperature(options.temperature))
        if options.top_k is not None:
            processors.append(TopKFilter(options.top_k))
        if options.top_p is not None:
            processors.append(TopPFilter(options.top_p))
        return processors

    def _prefix(self, batch: SearchBatch) -> Prefix | None:
        width = max(len(constraints.prefix) for constraints in batch.constraints)
        if not width:
            return None
        ids = np.array([[*each.prefix, *[PAD] * (width - len(each.prefix))] for each in batch.constraints])  # [B, P]
        pieces = ids if batch.allowed is None else np.searchsorted(batch.allowed, ids)  # [B, P]
        return Prefix(from_host(pieces, batch.source))

    def _selector(self, batch: SearchBatch) -> Selector:
        if not any(constraints.required for constraints in batch.constraints):
            return TopK()
        automata = [self._automata(constraints) for constraints in batch.constraints]
        return RequiredPhraseSelector(automata, batch.max_lengths, like=batch.source, allowed=batch.allowed)

    def _coverage(self, batch: SearchBatch) -> CoveragePenalty | None:
        beta = self._decoding.coverage_penalty
        if not beta:
            return None
        return CoveragePenalty(
            beta=beta, normalization=self._normalization, lengths=batch.lengths, width=batch.source.shape[1]
        )
