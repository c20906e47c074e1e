"""Validation: the loss of the references, and metrics of real translations."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.config.schema import Config
from nmt.data.batching import Batch
from nmt.data.tokenizer import Tokenizers
from nmt.device import autocast
from nmt.errors import TrainingError
from nmt.inference.packing import ready_to_search
from nmt.inference.segmentation import max_segment_pieces, sentence_separator
from nmt.inference.translator import LongLines, Translator
from nmt.log import logger
from nmt.metrics.corpus import score
from nmt.model import Seq2Seq
from nmt.training.batch_tensors import TensorBatch, to_tensors
from nmt.training.reporter import perplexity

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
    ) -> None:
        self.config = config
        self.options = config.training.validation
        self.batches = batches
        self.tokenizers = tokenizers
        self.device = device
        self.dtype = dtype
        translated = pairs[: self.options.max_sentences]
        self.sources = [source for source, _ in translated]
        self.references = [reference for _, reference in translated]
        self._long_lines: LongLines | None = None

    def validate(self, model: Seq2Seq) -> ValidationResult:
        """Validate `model` and leave it in evaluation mode."""
        began = time.monotonic()
        model.eval()
        loss = self._loss(model)
        scores = {"loss": loss, "perplexity": perplexity(loss)}
        translations = self._translate(model) if self.options.metrics else []
        if translations:
            results = score(
                translations,
                self.references,
                metrics=self.options.metrics,
                bleu_tokenizer=self.config.evaluation.bleu_tokenizer,
                lowercase=self.config.evaluation.lowercase,
                target_language=self.config.data.target_language,
            )
            scores |= {name: result.value for name, result in results.items()}
            self._log_samples(translations)
        return ValidationResult(scores, translations, time.monotonic() - began)

    @torch.no_grad()
    def _loss(self, model: Seq2Seq) -> float:
        total, count = 0.0, 0
        for batch in self.batches:
            tensors: TensorBatch = to_tensors(batch, self.device)
            with autocast(self.device, self.dtype):
                log_probs, _ = model(tensors.source, tensors.source_lengths, tensors.target_input)
            of_targets = log_probs.gather(2, tensors.target_output.unsqueeze(2)).squeeze(2)  # [B, T]
            total -= float(of_targets[tensors.target_mask].sum())
            count += batch.target_tokens
        return total / max(count, 1)

    def _translate(self, model: Seq2Seq) -> list[str]:
        decoding = self.config.decoding.model_copy(update={"beam_size": self.options.beam_size, "n_best": 1})
        translator = Translator(
            ready_to_search(model, decoding.precision, self.device),
            self.tokenizers,
            decoding=decoding,
            device=self.device,
            max_source_pieces=max_segment_pieces([self.config], {}),
            separator=sentence_separator(self.config.data.target_language, self.tokenizers.target),
        )
        is_first = self._long_lines is None
        self._long_lines = self._long_lines or LongLines("validation set")
        translations = list(translator.translate(self.sources, long_lines=self._long_lines))
        if is_first:
            self._long_lines.summarize()  # Only once: the lines are the same in each validation.
        return [translation.text for translation in translations]

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
        path.write_text("".join(line + "\n" for line in translations), encoding="utf-8", newline="\n")
    except OSError as error:
        raise TrainingError(f"cannot write {path}: {error}") from error
