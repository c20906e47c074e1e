"""Puts together what a search is made of, from the options and from what is wanted of each line.

B sentences. The one place that knows which pieces there are and in which order they work:

    repetition penalty → n-gram blocking → minimum length → avoided phrases → temperature → top-k → top-p → prefix
    → the choice: best continuations, or a beam shared out for required phrases; in groups that keep apart, or not

Under a shortlist all of them work with the numbers of the listed pieces in place of ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.config.schema import DecodingConfig
from nmt.data.shuffle import make_key
from nmt.data.special_tokens import PAD
from nmt.data.tokenizer import SubwordModel
from nmt.errors import UsageError
from nmt.inference.shortlist import Shortlist
from nmt.search import LengthNormalization, StepModel, TokenHypothesis, beam_search, greedy_search
from nmt.search.constraints import Avoided, Required, can_be_written, needed
from nmt.search.coverage_penalty import CoveragePenalty
from nmt.search.diverse import DiverseBeamSelector, merge_groups
from nmt.search.phrase_automaton import Automaton, Phrase, TokenSymbols, compile_phrases
from nmt.search.processed_model import LogitsProcessor, Prefix, ProcessedModel, Selector, TopK
from nmt.search.processors import (
    MinimumLength,
    NgramBlocking,
    RepetitionPenalty,
    Temperature,
    TopKFilter,
    TopPFilter,
)
from nmt.search.sampling import sample_hypotheses

MOST_ENTRIES = 100_000_000
"""Of the table of the avoided phrases: 400 megabytes."""
KEPT_AUTOMATA = 256


class Constraints(NamedTuple):
    """What is wanted of the translation of a sentence."""

    prefix: tuple[int, ...] = ()
    """The pieces that it starts with."""
    required: tuple[Phrase, ...] = ()
    """Phrases that it has."""
    pieces: tuple[int, ...] = ()
    """How these phrases are usually written; a shortlist has them beside those of its table."""


NO_CONSTRAINTS = Constraints()


class PhraseCompiler:
    """The phrases that translations must or must not have, ready for a search. Threads may share it."""

    def __init__(self, subwords: SubwordModel, avoid: Sequence[str]) -> None:
        """Read the pieces of the target side.

        Args:
            subwords: Of the target side.
            avoid: Phrases that no translation may have.

        Raises:
            UsageError: An avoided phrase is blank, or there are too many.
        """
        self._subwords = subwords
        self.avoided: Automaton | None = None
        if avoid:
            phrases = [self.phrase(text) for text in avoid]
            if sum(map(len, phrases)) * subwords.size > MOST_ENTRIES:
                raise UsageError(
                    f"{len(phrases)} phrases to avoid are more than there is memory for: give the most important ones"
                )
            self.avoided = compile_phrases(list(dict.fromkeys(phrases)), self._symbols)
        self.automaton = lru_cache(maxsize=KEPT_AUTOMATA)(self._compile)

    @cached_property
    def _symbols(self) -> TokenSymbols:
        return TokenSymbols(self._subwords)

    def phrase(self, text: str) -> Phrase:
        """Return the symbols of a phrase.

        Raises:
            UsageError: There is nothing in it.
        """
        phrase = self._symbols.phrase(text)
        if not phrase:
            raise UsageError(f"{text!r} is no phrase: nothing of it is left in the pieces of the model")
        return phrase

    def required(self, text: str) -> Phrase:
        """Return the symbols of a phrase that a translation must have.

        Raises:
            UsageError: There is nothing in it, or the model has no pieces for it.
        """
        phrase = self.phrase(text)
        if not can_be_written(self.automaton(phrase)):
            raise UsageError(f"{text!r} cannot be required: the model has no pieces to write it with")
        return phrase

    def _compile(self, phrase: Phrase) -> Automaton:
        return compile_phrases([phrase], self._symbols)


class SearchBatch(NamedTuple):
    """Sentences that are searched for together."""

    source: Tensor
    """[B, S], with EOS, padded to the right."""
    lengths: Tensor
    """[B]."""
    max_lengths: Tensor
    """Longest translations [B], on the host."""
    wishes: Sequence[Constraints]
    pieces: NDArray[np.int64] | None = None
    """The ids that the numbers of the model stand for [U]; None: they are ids."""


class SearchRunner:
    """Searches with all the options of decoding."""

    def __init__(
        self, decoding: DecodingConfig, normalization: LengthNormalization, phrases: PhraseCompiler | None
    ) -> None:
        """Keep what is given.

        Args:
            decoding: The options.
            normalization: Makes scores.
            phrases: Needed for wishes, and for avoided phrases. None: there are none.
        """
        self._decoding = decoding
        self._normalization = normalization
        self._phrases = phrases

    def search_listed(self, shortlist: Shortlist, batch: SearchBatch) -> list[list[TokenHypothesis]]:
        """Return the hypotheses of each sentence, written with the pieces of a shortlist; see `search`."""
        listed = shortlist.of(batch.source, list(map(self._wanted, batch.wishes)))
        found = self.search(shortlist.limit(listed), batch._replace(pieces=listed.pieces.cpu().numpy()))
        return listed.with_ids(found)

    def _wanted(self, wish: Constraints) -> list[int]:
        """Return the pieces that a wish needs."""
        ways = [int(piece) for automaton in self._automata(wish) for piece in automaton.nearest]
        return [*wish.prefix, *wish.pieces, *ways]

    def search(self, model: StepModel[Any, Any], batch: SearchBatch) -> list[list[TokenHypothesis]]:
        """Return the hypotheses of each sentence, best first; samples in the order in which they were drawn."""
        options = self._decoding
        batch = batch._replace(max_lengths=self._longest(batch))
        shapers = self._shapers(batch)
        if options.sampling:
            return self._sample(model, batch, shapers)
        if options.beam_groups > 1:
            return self._diverse(model, batch, shapers)
        coverage, prefix = self._coverage(batch), self._prefix(batch)
        if shapers or coverage or prefix or any(wish.required for wish in batch.wishes):
            chooser = self._chooser(batch)
            model = ProcessedModel(model, shapers=shapers, chooser=chooser, prefix=prefix, coverage=coverage)
        elif options.beam_size == 1:
            return greedy_search(
                model, batch.source, batch.lengths, max_lengths=batch.max_lengths, normalization=self._normalization
            )
        return self._beam(model, batch, beam_size=options.beam_size, n_best=self._kept(options.beam_size))

    def _kept(self, beam_size: int) -> int:
        """Return how many hypotheses to keep: of several, all that a beam has room for; many may be the same text."""
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

    def _diverse(
        self, model: StepModel[Any, Any], batch: SearchBatch, shapers: Sequence[LogitsProcessor]
    ) -> list[list[TokenHypothesis]]:
        groups, sentences = self._decoding.beam_groups, len(batch.lengths)
        repeated = SearchBatch(
            batch.source.repeat_interleave(groups, dim=0),
            batch.lengths.repeat_interleave(groups),
            batch.max_lengths.repeat_interleave(groups),
            [wish for wish in batch.wishes for _ in range(groups)],
            batch.pieces,
        )
        chooser = DiverseBeamSelector(
            self._chooser(repeated),
            sentences=sentences,
            groups=groups,
            strength=self._decoding.diversity,
            device=batch.source.device,
        )
        shaped = ProcessedModel(
            model,
            shapers=self._shapers(repeated),
            chooser=chooser,
            prefix=self._prefix(repeated),
            coverage=self._coverage(repeated),
        )
        size = self._decoding.beam_size // groups
        found = self._beam(shaped, repeated, beam_size=size, n_best=self._kept(size))
        return merge_groups(found, groups=groups, n_best=self._kept(self._decoding.beam_size))

    def _sample(
        self, model: StepModel[Any, Any], batch: SearchBatch, shapers: Sequence[LogitsProcessor]
    ) -> list[list[TokenHypothesis]]:
        if any(wish.required for wish in batch.wishes):
            raise UsageError(
                "sampling and required phrases (or terminology) do not go together: a sample is drawn piece by piece "
                "from what the model says, which knows nothing of phrases to come. Search with a beam instead; "
                "--beam-groups makes translations that differ"
            )
        # Of the sentence's pieces and nothing else, so that what is drawn does not depend on where it stands.
        sources = zip(batch.source.tolist(), batch.lengths.tolist(), strict=True)
        seeds = np.array([make_key(self._decoding.seed, *ids[:length]) for ids, length in sources], dtype=np.uint64)
        return sample_hypotheses(
            ProcessedModel(
                model,
                shapers=[*shapers, *self._truncation()],
                chooser=TopK(),
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

    def _longest(self, batch: SearchBatch) -> Tensor:
        """Return the length limits, no shorter than what is wanted of a translation needs."""
        limits = batch.max_lengths
        if self._decoding.max_length is not None:
            limits = limits.clamp_max(self._decoding.max_length)
        least = [len(wish.prefix) + needed(self._automata(wish)) for wish in batch.wishes]
        return torch.maximum(limits, torch.tensor(least, dtype=limits.dtype)) if any(least) else limits

    def _automata(self, wish: Constraints) -> list[Automaton]:
        assert self._phrases is not None or not wish.required
        return [self._phrases.automaton(phrase) for phrase in wish.required] if self._phrases is not None else []

    def _shapers(self, batch: SearchBatch) -> list[LogitsProcessor]:
        """Return what changes the probabilities, in order."""
        options, device = self._decoding, batch.source.device
        shapers: list[LogitsProcessor] = []
        if options.repetition_penalty > 1:
            shapers.append(RepetitionPenalty(options.repetition_penalty))
        if options.no_repeat_ngram is not None:
            shapers.append(NgramBlocking(options.no_repeat_ngram))
        if options.min_length or options.min_length_ratio:
            by_ratio = ((batch.lengths.cpu() - 1).double() * options.min_length_ratio).ceil().long()
            least = torch.minimum(by_ratio.clamp_min(options.min_length), batch.max_lengths)
            shapers.append(MinimumLength(least.to(device)))
        if self._phrases is not None and self._phrases.avoided is not None:
            shapers.append(Avoided(self._phrases.avoided, batch.max_lengths, device=device, pieces=batch.pieces))
        return shapers

    def _prefix(self, batch: SearchBatch) -> Prefix | None:
        width = max(len(wish.prefix) for wish in batch.wishes)
        if not width:
            return None
        rows = np.array([[*wish.prefix, *[PAD] * (width - len(wish.prefix))] for wish in batch.wishes])
        numbers = rows if batch.pieces is None else np.searchsorted(batch.pieces, rows)
        return Prefix(torch.from_numpy(numbers).to(batch.source.device))

    def _truncation(self) -> list[LogitsProcessor]:
        options = self._decoding
        shapers: list[LogitsProcessor] = []
        if options.temperature != 1:
            shapers.append(Temperature(options.temperature))
        if options.top_k is not None:
            shapers.append(TopKFilter(options.top_k))
        if options.top_p is not None:
            shapers.append(TopPFilter(options.top_p))
        return shapers

    def _chooser(self, batch: SearchBatch) -> Selector:
        if not any(wish.required for wish in batch.wishes):
            return TopK()
        automata = [self._automata(wish) for wish in batch.wishes]
        return Required(automata, batch.max_lengths, device=batch.source.device, pieces=batch.pieces)

    def _coverage(self, batch: SearchBatch) -> CoveragePenalty | None:
        beta = self._decoding.coverage_penalty
        if not beta:
            return None
        return CoveragePenalty(
            beta=beta, normalization=self._normalization, lengths=batch.lengths, width=batch.source.shape[1]
        )
