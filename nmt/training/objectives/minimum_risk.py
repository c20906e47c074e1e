"""Minimum risk training: translations that score well become more probable (Shen et al. 2016).

B sentences, C candidates of all of them, K candidates of one, T target length, S source length.

With candidates S(x), drawn from the model, each once, the objective is the mean over sentences of

    risk(x) = sum_{y in S(x)} Q(y|x) (1 - score(y)),   Q(y|x) = p(y|x)^a / sum_{y' in S(x)} p(y'|x)^a.

Candidates are drawn without dropout and scored with it, as one batch whose rows share the encoded sentences. Their
gradient goes through Q; that they were drawn is taken as given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nmt.config.schema import Config, MinimumRiskConfig
from nmt.data.batching import Batch, make_batch
from nmt.data.shuffle import make_key
from nmt.data.tokenizer import SubwordModel
from nmt.device import autocast
from nmt.metrics.sentence import SentenceMetric, make_sentence_metric
from nmt.model import Seq2Seq
from nmt.search.sampling import sample
from nmt.training.batch_tensors import TensorBatch, to_tensors
from nmt.training.log_probs import picked_log_probs
from nmt.training.objectives.base import LossComponent, LossOutput

MAX_RISK = 1.0


class SentenceScorer(NamedTuple):
    """What scores candidates, and what their random streams start from."""

    tokenizer: SubwordModel
    """Of the target."""
    metric: SentenceMetric
    seed: int


def make_sentence_scorer(config: Config, tokenizer: SubwordModel) -> SentenceScorer:
    """Return the judge of candidates that `tokenizer` decodes.

    Raises:
        NMTError: If the tokenizer that BLEU needs is not installed.
    """
    metric = make_sentence_metric(
        config.training.minimum_risk.metric,
        bleu_tokenizer=config.evaluation.bleu_tokenizer,
        lowercase=config.evaluation.lowercase,
        target_language=config.data.target_language,
    )
    return SentenceScorer(tokenizer, metric, config.seed)


class SampledCandidates(NamedTuple):
    """The candidates of all sentences, those of one sentence one after another."""

    ids: list[list[int]]
    sentences: Tensor
    """The sentence of each [C]."""
    risks: Tensor
    """1 - score of each [C]; float32."""
    counted: Tensor
    """Whether it takes part in the expected risk [C]: all do but a reference that is not meant to."""
    references: Tensor
    """Which candidate is each sentence's reference [B]."""


def expected_risks(
    log_probs: Tensor, risks: Tensor, sentences: Tensor, counted: Tensor, *, count: int, sharpness: float
) -> Tensor:
    """Return sum_y Q(y) risk(y) of each of `count` sentences [B].

    Args:
        log_probs: Of the candidates [C].
        risks: Theirs [C].
        sentences: The sentence of each [C].
        counted: Which candidates take part [C].
        count: B.
        sharpness: The exponent a.
    """
    scaled = (sharpness * log_probs).masked_fill(~counted, float("-inf"))
    highest = scaled.detach().new_full((count,), float("-inf")).scatter_reduce(0, sentences, scaled.detach(), "amax")
    unnormalized = torch.exp(scaled - highest[sentences])
    sums = unnormalized.new_zeros(count).index_add(0, sentences, unnormalized)
    weighted = unnormalized.new_zeros(count).index_add(0, sentences, unnormalized * risks.to(unnormalized.dtype))
    return weighted / sums


class Risk:
    """The expected risk of sampled translations, and with `likelihood_weight` the likelihood of the references."""

    def __init__(
        self,
        *,
        model: Seq2Seq,
        options: MinimumRiskConfig,
        batch_tokens: int,
        judge: SentenceScorer,
        dtype: torch.dtype,
    ) -> None:
        self.model = model
        self.options = options
        self.batch_tokens = batch_tokens
        self.judge = judge
        self.dtype = dtype

    def units(self, batch: Batch) -> int:
        """Sentences."""
        return len(batch)

    def split(self, batch: TensorBatch) -> Sequence[TensorBatch]:
        """Cut `batch` so that the candidates of a part, were they as long as its references, are no larger a batch."""
        width = max(batch.source.shape[1], batch.target_input.shape[1]) * (self.options.samples + 1)
        return batch.split(max(1, self.batch_tokens // width))

    def loss(self, batch: TensorBatch, update: int) -> LossOutput:
        candidates = self._candidates(batch, update)
        log_probs, pieces = self._score(batch, candidates)
        count = len(batch.source)
        risks = expected_risks(
            log_probs,
            candidates.risks,
            candidates.sentences,
            candidates.counted,
            count=count,
            sharpness=self.options.sharpness,
        )
        reference = -log_probs[candidates.references]
        loss = risks.sum()
        if self.options.likelihood_weight > 0:
            loss = loss + self.options.likelihood_weight * (reference / pieces[candidates.references]).sum()
        return LossOutput(loss, reference.detach().sum(), {"risk": LossComponent(risks.detach().sum(), count)})

    # ------------------------------------------------------------------------------------------------- candidates

    def _candidates(self, batch: TensorBatch, update: int) -> SampledCandidates:
        """Draw candidates of each sentence, score them, and put the reference first."""
        lengths = batch.target_mask.sum(1).tolist()
        references = [ids[: length - 1] for ids, length in zip(batch.target_output.tolist(), lengths, strict=True)]
        ids: list[list[int]] = []
        sentences, risks, counted, firsts = [], [], [], []
        for sentence, (reference, drawn) in enumerate(zip(references, self._draw(batch, update), strict=True)):
            unique = list(dict.fromkeys([tuple(reference), *map(tuple, drawn)]))
            known = self.options.reference or reference in drawn
            firsts.append(len(ids))
            ids += [list(candidate) for candidate in unique]
            sentences += [sentence] * len(unique)
            risks += self._risks(unique)
            counted += [known] + [True] * (len(unique) - 1)
        device = batch.source.device
        return SampledCandidates(
            ids,
            torch.tensor(sentences, device=device),
            torch.tensor(risks, device=device),
            torch.tensor(counted, device=device),
            torch.tensor(firsts, device=device),
        )

    def _draw(self, batch: TensorBatch, update: int) -> list[list[list[int]]]:
        """Draw from the model as it translates, without dropout: the same for the same sentence and update."""
        options = self.options
        rows = zip(batch.source.tolist(), batch.source_lengths.tolist(), strict=True)
        sources = [ids[:length] for ids, length in rows]
        seeds = np.array([make_key(self.judge.seed, update, *ids) for ids in sources], dtype=np.uint64)
        pieces = batch.target_mask.sum(1) - 1
        longest = (pieces * options.max_length_ratio).long() + options.max_length_constant
        training = self.model.training
        self.model.eval()
        try:
            with autocast(batch.source.device, self.dtype):
                return sample(
                    self.model,
                    batch.source,
                    batch.source_lengths,
                    samples=options.samples,
                    max_lengths=longest,
                    seeds=seeds,
                )
        finally:
            self.model.train(training)

    def _risks(self, candidates: Sequence[tuple[int, ...]]) -> list[float]:
        """1 - score of each candidate against the first one, the reference."""
        reference, *others = self.judge.tokenizer.decode(candidates)
        return [0.0] + [MAX_RISK - self.judge.metric(text, reference) for text in others]

    # ---------------------------------------------------------------------------------------------------- scoring

    def _score(self, batch: TensorBatch, candidates: SampledCandidates) -> tuple[Tensor, Tensor]:
        """Return log p of each candidate [C], differentiable, and its pieces [C], EOS included."""
        device = batch.source.device
        targets = to_tensors(make_batch([[]] * len(candidates.ids), candidates.ids), device)
        with autocast(device, self.dtype):
            memory = self.model.encode(batch.source, batch.source_lengths)
            states, _ = self.model.decode(targets.target_input, memory.select(candidates.sentences))
        output = self.model.output
        log_probs = picked_log_probs(
            states[targets.target_mask],
            output.joint_weight(),
            output.bias,
            targets.target_output[targets.target_mask],
            dtype=self.dtype,
        )
        rows = targets.target_mask.nonzero()[:, 0]
        sums = log_probs.new_zeros(len(candidates.ids)).index_add(0, rows, log_probs)
        return sums, targets.target_mask.sum(1)
