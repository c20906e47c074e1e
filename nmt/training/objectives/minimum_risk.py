"""Minimum risk training: the expected risk of sampled translations (Shen et al. 2016).

B sentences, C candidates of all sentences, T target length, S source length, N target pieces, O output size.

The objective is the mean over sentences of

    risk(x) = sum_{y in S(x)} Q(y|x) (1 - score(y)),   Q(y|x) = p(y|x)^a / sum_{y' in S(x)} p(y'|x)^a,

where S(x) is the set of candidates sampled from the model. Candidates are sampled without dropout. Their probabilities
are computed with dropout, as one batch whose rows share the encoded sentences. The gradient flows through Q only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nmt.config.schema import Config, MinimumRiskConfig
from nmt.data.batching import BatchSize, make_batch
from nmt.data.shuffle import make_key
from nmt.data.tokenizer import SubwordModel
from nmt.device import autocast
from nmt.metrics.sentence import SentenceMetric, make_sentence_metric
from nmt.model import Seq2Seq
from nmt.search.sampling import sample
from nmt.training.batch_tensors import TensorBatch, to_tensors
from nmt.training.log_probs import target_log_probs
from nmt.training.objectives.base import LossComponent, LossOutput

MAX_RISK = 1.0
"""Risk of a candidate whose score is 0."""


class SentenceScorer(NamedTuple):
    """Scores sampled translations against a reference."""

    tokenizer: SubwordModel
    """The target tokenizer."""
    metric: SentenceMetric
    seed: int
    """Seed of the samples."""


def make_sentence_scorer(config: Config, tokenizer: SubwordModel) -> SentenceScorer:
    """Return the scorer of `training.minimum_risk.metric` for translations that `tokenizer` decodes.

    Raises:
        NMTError: The tokenizer that BLEU requires is not installed.
    """
    metric = make_sentence_metric(
        config.training.minimum_risk.metric,
        bleu_tokenizer=config.evaluation.bleu_tokenizer,
        lowercase=config.evaluation.lowercase,
        target_language=config.data.target_language,
    )
    return SentenceScorer(tokenizer, metric, config.seed)


class SampledCandidates(NamedTuple):
    """The candidates of all sentences, grouped by sentence. The first of each sentence is its reference."""

    ids: list[list[int]]
    """Pieces of each candidate, without EOS."""
    sentences: Tensor
    """The sentence of each candidate [C]."""
    risks: Tensor
    """1 - score of each candidate [C]; float32."""
    included: Tensor
    """True for candidates in the expected risk [C]. A reference is left out unless it was sampled, or the option
    `reference` includes it."""
    references: Tensor
    """Index of each sentence's reference among the candidates [B]."""


def expected_risks(
    log_probs: Tensor, risks: Tensor, sentences: Tensor, included: Tensor, *, count: int, sharpness: float
) -> Tensor:
    """Return the expected risk sum_y Q(y) (1 - score(y)) of each sentence [B].

    Args:
        log_probs: log p of each candidate [C].
        risks: 1 - score of each candidate [C].
        sentences: The sentence of each candidate [C].
        included: True for candidates in the sum [C].
        count: Number of sentences B.
        sharpness: The exponent a.
    """
    scaled = (sharpness * log_probs).masked_fill(~included, float("-inf"))  # [C]
    # A softmax over the candidates of each sentence, which are a varying number.
    lowest = scaled.detach().new_full((count,), float("-inf"))  # [B]
    highest = lowest.scatter_reduce(0, sentences, scaled.detach(), "amax")  # [B]
    unnormalized = torch.exp(scaled - highest[sentences])  # [C]
    sums = unnormalized.new_zeros(count).index_add(0, sentences, unnormalized)  # [B]
    weighted = unnormalized * risks.to(unnormalized.dtype)  # [C]
    return weighted.new_zeros(count).index_add(0, sentences, weighted) / sums


class MinimumRisk:
    """The expected risk of sampled translations, plus the likelihood of the references times `likelihood_weight`."""

    def __init__(
        self,
        *,
        model: Seq2Seq,
        options: MinimumRiskConfig,
        batch_tokens: int,
        scorer: SentenceScorer,
        dtype: torch.dtype,
    ) -> None:
        self.model = model
        self.options = options
        self.batch_tokens = batch_tokens
        self.scorer = scorer
        self.dtype = dtype

    def units(self, size: BatchSize) -> int:
        """Return the number of sentences."""
        return size.sentences

    def split(self, batch: TensorBatch) -> Sequence[TensorBatch]:
        """Split `batch` so that the candidates of a part, at the length of its references, fit `batch_tokens`."""
        width = max(batch.source.shape[1], batch.target_input.shape[1]) * (self.options.samples + 1)
        return batch.split(max(1, self.batch_tokens // width))

    def loss(self, batch: TensorBatch, update: int) -> LossOutput:
        candidates = self._candidates(batch, update)
        log_probs, lengths = self._log_probs(batch, candidates)
        count = len(batch.source)
        risks = expected_risks(
            log_probs,
            candidates.risks,
            candidates.sentences,
            candidates.included,
            count=count,
            sharpness=self.options.sharpness,
        )
        reference = -log_probs[candidates.references]  # [B]
        loss = risks.sum()
        if self.options.likelihood_weight > 0:
            loss = loss + self.options.likelihood_weight * (reference / lengths[candidates.references]).sum()
        return LossOutput(loss, reference.detach().sum(), {"expected_risk": LossComponent(risks.detach().sum(), count)})

    # ---------------------------------------------------------------------------------------------------- sampling

    def _candidates(self, batch: TensorBatch, update: int) -> SampledCandidates:
        """Sample candidates of each sentence, each once, score them, and put the reference first."""
        lengths = batch.target_mask.sum(1).tolist()
        references = [ids[: length - 1] for ids, length in zip(batch.target_output.tolist(), lengths, strict=True)]
        ids: list[list[int]] = []
        sentences, risks, included, firsts = [], [], [], []
        for sentence, (reference, samples) in enumerate(zip(references, self._sample(batch, update), strict=True)):
            unique = list(dict.fromkeys([tuple(reference), *map(tuple, samples)]))
            firsts.append(len(ids))
            ids += [list(candidate) for candidate in unique]
            sentences += [sentence] * len(unique)
            risks += self._risks(unique)
            included += [self.options.reference or reference in samples] + [True] * (len(unique) - 1)
        device = batch.source.device
        return SampledCandidates(
            ids,
            torch.tensor(sentences, device=device),
            torch.tensor(risks, device=device),
            torch.tensor(included, device=device),
            torch.tensor(firsts, device=device),
        )

    def _sample(self, batch: TensorBatch, update: int) -> list[list[list[int]]]:
        """Sample translations of each sentence without dropout; they depend on seed, update and sentence only."""
        options = self.options
        rows = zip(batch.source.tolist(), batch.source_lengths.tolist(), strict=True)
        sources = [ids[:length] for ids, length in rows]
        seeds = np.array([make_key(self.scorer.seed, update, *ids) for ids in sources], dtype=np.uint64)
        lengths = batch.target_mask.sum(1) - 1  # [B], without EOS
        max_lengths = (lengths * options.max_length_ratio).long() + options.max_length_constant  # [B]
        training = self.model.training
        self.model.eval()
        try:
            with autocast(batch.source.device, self.dtype):
                return sample(
                    self.model,
                    batch.source,
                    batch.source_lengths,
                    samples=options.samples,
                    max_lengths=max_lengths,
                    seeds=seeds,
                )
        finally:
            self.model.train(training)

    def _risks(self, candidates: Sequence[tuple[int, ...]]) -> list[float]:
        """Return 1 - score of each candidate against the first one, the reference."""
        reference, *others = self.scorer.tokenizer.decode(candidates)
        return [0.0] + [MAX_RISK - self.scorer.metric(text, reference) for text in others]

    # ----------------------------------------------------------------------------------------------- probabilities

    def _log_probs(self, batch: TensorBatch, candidates: SampledCandidates) -> tuple[Tensor, Tensor]:
        """Return log p of each candidate [C], differentiable, and its number of pieces [C], with EOS."""
        device = batch.source.device
        targets = to_tensors(make_batch([[]] * len(candidates.ids), candidates.ids), device)
        with autocast(device, self.dtype):
            memory = self.model.encode(batch.source, batch.source_lengths)
            states, _ = self.model.decode(targets.target_input, memory.select(candidates.sentences))  # [C, T, O]
        layer = self.model.output
        log_probs = target_log_probs(
            targets.at_targets(states),  # [N, O]
            layer.joint_weight(),
            layer.bias,
            targets.at_targets(targets.target_output),  # [N]
            dtype=self.dtype,
        )
        rows = targets.target_places // targets.target_mask.shape[1]  # [N]
        sums = log_probs.new_zeros(len(candidates.ids)).index_add(0, rows, log_probs)  # [C]
        return sums, targets.target_mask.sum(1)
