"""Validation: the loss of the references, and metrics of real translations."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.config.schema import Config, DecodingConfig
from nmt.data.atomic_file import write_file
from nmt.data.batching import Batch
from nmt.data.tokenizer import Tokenizers
from nmt.device import autocast
from nmt.engine import InferenceNetwork
from nmt.errors import TrainingError
from nmt.inference.hardware import Hardware, Processor, torch_hardware
from nmt.inference.networks import TranslationNetwork
from nmt.inference.segmentation import max_segment_pieces, sentence_separator
from nmt.inference.streaming import SourceLine
from nmt.inference.torch_network import TorchNetwork
from nmt.inference.translator import LongLines, Translator
from nmt.log import logger
from nmt.metrics.corpus import MetricScore, clear_tokenizer_caches, score
from nmt.model import Seq2Seq
from nmt.training.batch_tensors import TensorBatch, to_tensors
from nmt.training.improvement import SIGNIFICANT, Mark, ScoreNoise, score_noise
from nmt.training.ranks import Ranks
from nmt.training.reporter import perplexity

_SEVERAL = ("n_best", "beam_groups", "diversity", "sampling", "temperature", "top_k", "top_p")
"""Decoding options for several translations of a line. Validation needs one."""
HIGHER_IS_BETTER = {"loss": False, "perplexity": False, "bleu": True, "chrf": True}


def maximized(metric: str, scores: dict[str, float]) -> float:
    """Return the score of `metric`, negated if lower is better. An undefined score becomes minus infinity.

    Translations that score 0 are ranked by the loss: they get the negated loss, which is below all other scores.
    """
    value = scores[metric]
    if math.isnan(value):
        return -math.inf
    if HIGHER_IS_BETTER[metric]:
        return value if value > 0 else maximized("loss", {"loss": 0.0, **scores})
    return -value


def make_mark(metric: str, result: ValidationResult) -> Mark:
    """Return a validation in the form in which later ones are compared with it."""
    value, loss = maximized(metric, result.scores), result.scores["loss"]
    loss = math.inf if math.isnan(loss) else loss
    if result.noise is None:
        return Mark(value, loss)
    significant = value - result.noise.chance > SIGNIFICANT * result.noise.error
    return Mark(value, loss, result.noise.error, significant)


def validation_digest(config: Config, pairs: Sequence[tuple[str, str]]) -> str:
    """Hash the validation set and the options that its scores depend on."""
    options = config.training.validation
    facts: list[Any] = [options.metric, options.max_sentences, options.beam_size, list(pairs)]
    facts += [config.evaluation.bleu_tokenizer, config.evaluation.lowercase]
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()


def unigram_loss(counts: NDArray[np.int64], batches: Sequence[Batch]) -> float:
    """Return the loss of a unigram model of the target pieces of `batches`, in nats per piece.

    Args:
        counts: Count of each piece in the training text [V], with one EOS per sentence. One is added to each.
        batches: The batches of the validation set.
    """
    losses = -np.log((counts + 1) / (counts + 1).sum())  # [V]
    total = 0.0
    for batch in batches:
        mask = np.arange(batch.target_output.shape[1]) < batch.target_lengths[:, None]  # [B, T]
        total += float(losses[batch.target_output][mask].sum())
    return total / max(1, sum(batch.target_tokens for batch in batches))


class ValidationResult(NamedTuple):
    """The result of one validation."""

    scores: dict[str, float]
    """`loss` (nats per piece), `perplexity`, and the metrics of the translations."""
    translations: list[str]
    """Empty without metrics."""
    seconds: float
    noise: ScoreNoise | None = None
    """The precision of the score that selects the best model; None if that is the loss or the perplexity."""
    signatures: dict[str, str] | None = None
    """sacreBLEU's signature of each metric of the translations."""


class _CollectedLongLines(LongLines):
    """Collects long lines, which are reported together with those of other ranks."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, int, int]] = []

    def report(self, number: int, *, pieces: int, segments: int) -> None:
        self.found.append((number, pieces, segments))


class Validator:
    """Measures a model on the validation set."""

    def __init__(
        self,
        *,
        config: Config,
        pairs: Sequence[tuple[str, str]],
        batches: Sequence[Batch],
        tokenizers: Tokenizers,
        device: torch.device,
        dtype: torch.dtype,
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks = ranks or Ranks()
        self.config = config
        self.options = config.training.validation
        self.batches = batches
        self.tokenizers = tokenizers
        self.device = device
        self.dtype = dtype
        translated = pairs[: self.options.max_sentences]
        self.sources = [source for source, _ in translated]
        self.references = [reference for _, reference in translated]
        self._reported = False

    def check(self, model: Seq2Seq) -> None:
        """Translate and score one line of the validation set, so that what only validation needs is known to be there.

        Raises:
            NMTError: The search or a metric cannot be used.
        """
        if not self.options.metrics:
            return
        model.eval()
        reference = self.references[0]
        self._score([translation.text for translation in self._translator(model).translate(self.sources[:1])])
        if reference.strip():
            self._score([reference])

    def validate(self, model: Seq2Seq) -> ValidationResult:
        """Validate `model` and leave it in evaluation mode.

        Each rank takes its share of the batches and lines. Rank 0 computes the scores, and all ranks get them.
        """
        began = time.monotonic()
        model.eval()
        loss = self._loss(model)
        translations = self._translate(model) if self.options.metrics else []
        found = self.ranks.from_first(lambda: self._result(loss, translations, began))
        scores, seconds, noise, signatures = found
        noise = None if noise is None else ScoreNoise(*noise)
        return ValidationResult(scores, translations, seconds, noise, signatures)

    def _result(self, loss: float, translations: list[str], began: float) -> Any:
        """Return the scores, the duration, the noise and the signatures."""
        scores = {"loss": loss, "perplexity": perplexity(loss)}
        noise, signatures = None, {}
        if translations:
            measured = self._score(translations)
            scores |= {name: each.value for name, each in measured.items()}
            signatures = {name: each.signature for name, each in measured.items()}
            self._log_samples(translations)
            metric = self.options.metric
            if metric in ("bleu", "chrf"):
                noise = score_noise(translations, self.references, metric=metric, **self._metric_options)
            clear_tokenizer_caches()
        return scores, time.monotonic() - began, noise, signatures

    def _score(self, translations: Sequence[str]) -> dict[str, MetricScore]:
        """Score the translations of the first lines."""
        references = self.references[: len(translations)]
        return score(translations, references, metrics=self.options.metrics, **self._metric_options)

    @property
    def _metric_options(self) -> dict[str, Any]:
        return {
            "bleu_tokenizer": self.config.evaluation.bleu_tokenizer,
            "lowercase": self.config.evaluation.lowercase,
            "target_language": self.config.data.target_language,
        }

    @torch.no_grad()
    def _loss(self, model: Seq2Seq) -> float:
        totals = []
        for batch in self.ranks.of_every(self.batches):
            tensors: TensorBatch = to_tensors(batch, self.device)
            with autocast(self.device, self.dtype):
                log_probs, _ = model(tensors.source, tensors.source_lengths, tensors.target_input)
            of_targets = log_probs.gather(2, tensors.target_output.unsqueeze(2)).squeeze(2)  # [B, T]
            totals.append(-float(of_targets[tensors.target_mask].sum()))
        total: float = sum(self.ranks.interleave(self.ranks.gather(totals)))
        return total / max(sum(batch.target_tokens for batch in self.batches), 1)

    def _translate(self, model: Seq2Seq) -> list[str]:
        translator = self._translator(model)
        lines = [SourceLine(text, number=number) for number, text in enumerate(self.sources, 1)]
        long_lines = _CollectedLongLines()
        translations = translator.translate(self.ranks.of_every(lines), long_lines=long_lines)
        shares = self.ranks.gather(([translation.text for translation in translations], long_lines.found))
        if not self._reported:  # Only once: the lines are the same in each validation.
            self._reported = True
            reported = LongLines("validation set")
            for number, pieces, segments in sorted(line for _, found in shares for line in found):
                reported.report(number, pieces=pieces, segments=segments)
            reported.summarize()
        return self.ranks.interleave([texts for texts, _ in shares])

    def _translator(self, model: Seq2Seq) -> Translator:
        """Return a translator that searches for one translation, also if `decoding` samples or searches for several."""
        defaults = DecodingConfig()
        single = {name: getattr(defaults, name) for name in _SEVERAL}
        decoding = self.config.decoding.model_copy(update={**single, "beam_size": self.options.beam_size})
        network, hardware = self._network(model)
        return Translator(
            network,
            self.tokenizers,
            decoding=decoding,
            hardware=hardware,
            max_source_pieces=max_segment_pieces([self.config], {}),
            separator=sentence_separator(self.config.data.target_language, self.tokenizers.target),
        )

    def _network(self, model: Seq2Seq) -> tuple[TranslationNetwork, Hardware]:
        """Return the network for inference with the weights of `model`."""
        if self.device.type != "cpu":
            hardware = torch_hardware(self.device, self.dtype, self.config.decoding)
            return TorchNetwork(model, hardware.graphs), hardware
        weights = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
        network = InferenceNetwork(
            self.config.model,
            weights,
            source_size=self.tokenizers.source.size,
            target_size=self.tokenizers.target.size,
        )
        return network, Processor(torch.get_num_threads())

    def _log_samples(self, translations: Sequence[str]) -> None:
        """Log a few translations, evenly spread over the set, of the same lines each time."""
        count = min(self.options.samples, len(translations))
        for number in range(count):
            index = number * len(translations) // count
            logger.info(
                "sample %d\n    source       %s\n    reference    %s\n    translation  %s",
                index + 1,
                self.sources[index],
                self.references[index],
                translations[index],
            )


def write_translations(path: Path, translations: Sequence[str]) -> None:
    """Write one translation per line.

    Raises:
        TrainingError: The file cannot be written.
    """
    try:
        write_file(path, "".join(line + "\n" for line in translations).encode())
    except OSError as error:
        raise TrainingError(f"cannot write {path}: {error}") from error
