"""Whether a validation is the best so far, and whether training still makes progress.

A score near zero, or of few sentences, differs from validation to validation by chance. Such a score decides nothing:
the validation loss decides instead, and the run goes on while the loss falls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from nmt.data.languages import with_detected_script
from nmt.evaluation.compare.significance import count
from nmt.metrics.corpus import make_metric

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

GROUPS = 20
"""Groups of sentences of the jackknife estimate of a standard error."""
SIGNIFICANT = 3.0
"""Standard errors by which a score must exceed the score by chance."""
LOSS_GAIN = 1e-3
"""Smallest decrease of the validation loss that counts as progress, in nats per piece."""


NOISE_RANK = -1000.0
"""Rank of a score that is noise, before its loss is subtracted. It is below all significant scores."""


class ScoreNoise(NamedTuple):
    """How precise the score of a validation is."""

    chance: float
    """Score of the translations against the references of other sentences."""
    error: float
    """Standard error of the score."""


@dataclass(frozen=True)
class Mark:
    """One validation, as later ones are compared with it."""

    score: float = -math.inf
    """Score that selects the best model, negated if lower is better."""
    loss: float = math.inf
    """Validation loss, in nats per piece."""
    error: float = 0.0
    """Standard error of the score. 0 for the loss and the perplexity."""
    significant: bool = True
    """Whether the score can be told from a score by chance."""

    @property
    def rank(self) -> float:
        """A number that is higher for better models, to sort several ones. Scores that are noise have the loss."""
        return self.score if self.significant else NOISE_RANK - self.loss

    def is_better_than(self, best: Mark) -> bool:
        """Return whether this model is better than the best one so far.

        The score decides. If it cannot be told from chance in both validations, or if both scores are equal, the loss
        decides.
        """
        if self.score == -math.inf:
            return False
        if best.score == -math.inf:
            return True
        if self.significant and best.significant:
            return self.score > best.score or (self.score == best.score and self.loss < best.loss - LOSS_GAIN)
        if self.significant != best.significant:
            return self.significant and (self.score > best.score or self.loss < best.loss)
        return self.loss < best.loss

    def is_progress_after(self, best: Mark, lowest_loss: float) -> bool:
        """Return whether training makes progress with this validation.

        A significant score makes progress if it is the best so far. So does a loss that is clearly lower than before,
        unless the score is significant and worse than the best one by more than its standard error.
        """
        if self.significant and self.is_better_than(best):
            return True
        if self.error == 0 and self.significant:
            return False
        tied = not self.significant or self.score >= best.score - max(self.error, best.error)
        return tied and self.loss < lowest_loss - LOSS_GAIN


def score_noise(
    translations: Sequence[str],
    references: Sequence[str],
    *,
    metric: str,
    bleu_tokenizer: str,
    lowercase: bool,
    target_language: str,
) -> ScoreNoise:
    """Estimate how precise the score of a set of translations is.

    Args:
        translations: The translations.
        references: Their references.
        metric: `bleu` or `chrf`.
        bleu_tokenizer: Tokenizer of BLEU.
        lowercase: Ignore case.
        target_language: Language code of both.
    """
    language = with_detected_script(target_language, references)
    measure = make_metric(metric, bleu_tokenizer=bleu_tokenizer, lowercase=lowercase, target_language=language)
    shift = len(references) // 2
    if shift == 0:
        return ScoreNoise(0.0, math.inf)
    _, error = _with_error(translations, references, measure)
    chance, chance_error = _with_error(translations, [*references[shift:], *references[:shift]], measure)
    return ScoreNoise(chance, math.hypot(error, chance_error))


def _with_error(translations: Sequence[str], references: Sequence[str], measure: Metric) -> tuple[float, float]:
    """Return a score and its standard error, by a jackknife over interleaved groups of sentences."""
    counts = count(measure, translations, references)
    number = len(translations)
    groups = min(GROUPS, number)
    every = counts.score_of(range(number)) or 0.0
    without = [
        counts.score_of(index for index in range(number) if index % groups != group) or 0.0 for group in range(groups)
    ]
    mean = sum(without) / groups
    variance = (groups - 1) / groups * sum((value - mean) ** 2 for value in without)
    return every, math.sqrt(variance)
