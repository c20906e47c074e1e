"""Diagnosis of a run from its validations: what is wrong, and which options may help.

All functions are pure functions of the validations so far. Each finding has a text with its numbers and the options to
try. A finding does not end a run; the trainer ends a run that has diverged.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nmt.config.schema import ScheduleConfig
from nmt.training.reporter import perplexity

IDENTICAL, BLANK, REPEATING = 0.5, 0.3, 0.5
"""Collapse: maximum shares of translations that are identical, blank or repetitive."""
SHORT, LONG = 0.5, 2.0
"""Collapse: bounds of the characters of all translations over those of all references."""
FEWEST_TRANSLATIONS = 5
"""Minimum number of translations for text facts."""
REPEATED_UNITS = 9
"""Minimum number of words (in scripts without spaces, pairs of characters) of a repetitive line."""
RISING = 3
"""Overfitting: validations without a lower loss and without a better score."""
RISE = 1.05
"""Factor of perplexity that counts as a rise, or as a fast fall."""
FALL = 0.01
"""Decrease of the training loss that counts as a fall, in nats per piece."""
MEMORIZED_PERPLEXITY, MEMORIZED_RATIO = 3.0, 4.0
"""Memorizing: perplexity of the training text under dropout below which it is memorized, and the perplexity of the
validation text over it."""
STALLED = 5
"""Stalled: validations without a better score and without a lower loss, at a high learning rate."""
HIGH, SPENT = 0.75, 0.02
"""Learning rate over its peak that is high, and that no longer changes the model."""


@dataclass(frozen=True)
class TextFacts:
    """Form of the translations compared with the references."""

    identical: float
    """Share of the most frequent translation, minus that of the most frequent reference."""
    blank: float
    """Share of blank translations whose reference is not blank."""
    repeating: float
    """Share of repetitive translations whose reference is not repetitive."""
    length_ratio: float
    """Characters of all translations over those of all references."""


@dataclass(frozen=True)
class ValidationRecord:
    """One validation, with the training since the previous one."""

    update: int
    train_loss: float
    """Mean training loss since the previous validation, in nats per piece."""
    loss: float
    """Validation loss, in nats per piece; infinite if undefined."""
    score: float
    """Score that selects the best model, negated if lower is better."""
    learning_rate: float
    text: TextFacts | None
    """None without translations."""


class DiagnosisContext(NamedTuple):
    """Facts about a run that its validations are compared with."""

    metric: str
    """Metric that selects the best model."""
    peak: float
    """Highest learning rate."""
    schedule: ScheduleConfig
    unigram_loss: float
    """Validation loss of a unigram model, in nats per piece."""


class Finding(NamedTuple):
    """A problem of a run."""

    name: str
    """collapse, divergence, overfitting, memorizing, stalled or spent."""
    text: str
    """What was observed, and what to try."""


def diagnose(history: Sequence[ValidationRecord], context: DiagnosisContext) -> list[Finding]:
    """Return the findings of the last validation of `history`, which is not empty."""
    findings = [
        *_collapse(history, context),
        *_divergence(history, context),
        *_overfitting(history, context),
        *_learning_rate(history, context),
    ]
    # Advice on overfitting or the learning rate does not help a broken run.
    broken = [finding for finding in findings if finding.name in ("collapse", "divergence")]
    return broken or findings


def text_facts(translations: Sequence[str], references: Sequence[str]) -> TextFacts | None:
    """Compare translations with their references; None if there are too few translations."""
    count = len(translations)
    if count < FEWEST_TRANSLATIONS:
        return None
    pairs = list(zip(translations, references, strict=True))
    return TextFacts(
        identical=max(0.0, _most_frequent(translations) - _most_frequent(references)),
        blank=sum(not line.strip() and bool(reference.strip()) for line, reference in pairs) / count,
        repeating=sum(_is_repetitive(line) and not _is_repetitive(reference) for line, reference in pairs) / count,
        length_ratio=sum(map(len, translations)) / max(1, sum(map(len, references))),
    )


def _most_frequent(lines: Sequence[str]) -> float:
    return Counter(lines).most_common(1)[0][1] / len(lines)


def _is_repetitive(line: str) -> bool:
    units = line.split()
    if len(units) < 4:
        units = [line[index : index + 2] for index in range(len(line) - 1)]
    return len(units) >= REPEATED_UNITS and 3 * len(set(units)) <= len(units)


# ------------------------------------------------------------------------------------------------------- findings


def _collapse(history: Sequence[ValidationRecord], context: DiagnosisContext) -> Iterator[Finding]:
    """Find outputs that are not translations, although the loss no longer falls fast."""
    *earlier, last = history
    problem = _text_problem(last.text)
    if problem is None or not earlier or earlier[-1].loss - last.loss >= math.log(RISE):
        return  # A model that has just begun to learn, and learns fast, often gives one output for all inputs.
    # Varied outputs with a lower score do not count as translations: the first outputs are little more than noise.
    good = [
        record
        for record in earlier
        if record.text is not None and _text_problem(record.text) is None and record.score > last.score
    ]
    if good:
        best = max(good, key=lambda record: record.score)
        yield Finding(
            "collapse",
            f"validation outputs have collapsed: {problem}. At update {best.update} they were translations "
            f"({context.metric} {abs(best.score):.2f}). Try a lower training.optimizer.learning_rate, a lower "
            f"training.clip_norm or a longer training.schedule.warmup",
        )
    elif last.update > context.schedule.warmup:
        yield Finding(
            "collapse",
            f"validation outputs are not translations: {problem}. The model does not use the source yet. If this "
            f"continues, check that source and target lines correspond, set model.attention.score, and try another "
            f"training.optimizer.learning_rate or less model.dropout",
        )


def useless_output(history: Sequence[ValidationRecord], best_update: int) -> str | None:
    """Return why the outputs of the best model are not translations; None if they may be translations."""
    record = next((record for record in reversed(history) if record.update == best_update), None)
    problem = _text_problem(record.text) if record is not None else None
    if problem is None:
        return None
    return (
        f"The model cannot be used yet. Of its validation outputs, {problem}. Train longer or on more text. If that "
        "does not help, check that source and target lines correspond"
    )


def _text_problem(text: TextFacts | None) -> str | None:
    """Describe why outputs are not translations; None if they may be translations."""
    if text is None:
        return None
    if text.blank > BLANK:
        return f"{text.blank:.0%} are empty"
    if text.identical > IDENTICAL:
        return f"{text.identical:.0%} are identical"
    if text.repeating > REPEATING:
        return f"{text.repeating:.0%} repeat the same words"
    if not SHORT <= text.length_ratio <= LONG:
        return f"their length is {text.length_ratio:.0%} of that of the references"
    return None


def _divergence(history: Sequence[ValidationRecord], context: DiagnosisContext) -> Iterator[Finding]:
    """Find a loss above that of a unigram model, after a lower loss or late in training."""
    *earlier, last = history
    losses = (("validation", last.loss), ("training", last.train_loss))
    above = [(side, loss) for side, loss in losses if loss > context.unigram_loss]
    if above and (math.isinf(last.loss) or _has_stopped_learning(earlier, last, context)):
        side, loss = above[0]
        yield Finding(
            "divergence",
            f"the {side} loss is {loss:.2f} nats per piece, higher than the {context.unigram_loss:.2f} of a unigram "
            f"model. Try another training.optimizer.learning_rate (most often a lower one), a longer "
            f"training.schedule.warmup or a lower training.clip_norm",
        )


def _has_stopped_learning(
    earlier: Sequence[ValidationRecord], last: ValidationRecord, context: DiagnosisContext
) -> bool:
    """Whether the training loss has risen, or has stopped falling before it was below that of a unigram model.

    While the training loss falls, a high loss has other reasons: the first updates in its mean, or overfitting.
    """
    if not earlier:
        return False
    lowest = min(record.train_loss for record in earlier)
    if min(lowest, *(record.loss for record in earlier)) < context.unigram_loss:
        return last.train_loss - lowest >= math.log(RISE)
    late = len(earlier) >= RISING and last.update > context.schedule.warmup
    return late and lowest - last.train_loss < FALL


def _overfitting(history: Sequence[ValidationRecord], context: DiagnosisContext) -> Iterator[Finding]:
    """Find a validation loss that rises while the training loss falls and the score does not improve.

    Otherwise find a memorized training text, even if the score still improves.
    """
    last = history[-1]
    since = _since_lowest_loss(history)
    lowest = history[-1 - since]
    if (
        since >= RISING
        and _stale(history) >= RISING
        and last.loss - lowest.loss >= math.log(RISE)
        and lowest.train_loss - last.train_loss >= FALL
    ):
        yield Finding(
            "overfitting",
            f"validation perplexity has risen from {perplexity(lowest.loss):.2f} (update {lowest.update}) to "
            f"{perplexity(last.loss):.2f} in {since} validations, while the training loss fell from "
            f"{lowest.train_loss:.2f} to {last.train_loss:.2f}. {context.metric} has not improved: the model memorizes "
            f"the training text. Try more model.dropout (also source_words and target_words), tokenizer.sampling, "
            f"training.r_drop or a smaller model. Set training.validation.patience to end such a run automatically",
        )
    elif last.train_loss <= math.log(MEMORIZED_PERPLEXITY) and last.loss - last.train_loss >= math.log(MEMORIZED_RATIO):
        yield Finding(
            "memorizing",
            f"the model has memorized the training text: perplexity {perplexity(last.train_loss):.2f} on the training "
            f"text, {perplexity(last.loss):.2f} on the validation text. It may still improve, but would improve more "
            f"with more model.dropout, tokenizer.sampling, training.r_drop or more text",
        )


def _learning_rate(history: Sequence[ValidationRecord], context: DiagnosisContext) -> Iterator[Finding]:
    """Find a learning rate that is still too high, or too low to change the model."""
    stale, rate, kind = _stale(history), history[-1].learning_rate, context.schedule.kind
    share = rate / context.peak
    if history[-1].update <= context.schedule.warmup:
        return
    no_progress = f"{context.metric} has not improved for {stale} validations"
    if min(stale, _since_lowest_loss(history)) >= STALLED and share >= HIGH:
        option = "a lower training.schedule.patience" if kind == "plateau" else "training.schedule.kind: plateau"
        yield Finding(
            "stalled",
            f"{no_progress}, and the learning rate is still {rate:.2g}, which may be too high for further progress. "
            f"Try a lower training.optimizer.learning_rate, or {option}",
        )
    elif stale >= RISING and share <= SPENT and kind not in ("linear", "cosine"):
        schedule = "training.schedule"
        option = f"{schedule}.patience or {schedule}.final" if kind == "plateau" else f"{schedule}.warmup"
        yield Finding(
            "spent",
            f"{no_progress}, and the learning rate has fallen to {rate:.2g}, {share:.1%} of its peak. More updates "
            f"will hardly change the model. If the learning rate fell too soon, try a higher {option}",
        )


def still_improving(history: Sequence[ValidationRecord], context: DiagnosisContext) -> str | None:
    """Return advice for a run that ends while the score still improves; None if it does not improve.

    With a learning rate below a tenth of its peak, an improvement at the end is expected, and there is no advice.
    """
    if len(history) < 2 or _stale(history) > 0 or history[-1].learning_rate < context.peak / 10:
        return None
    return (
        f"the last validation was the best one: {context.metric} has improved from {abs(history[-2].score):.2f} to "
        f"{abs(history[-1].score):.2f}. To train longer, raise the limit that ended training (training.max_epochs, "
        f"max_updates or max_minutes) and use --resume"
    )


def _since_lowest_loss(history: Sequence[ValidationRecord]) -> int:
    """Return the number of validations since that of the lowest loss."""
    lowest = min(range(len(history)), key=lambda index: history[index].loss)
    return len(history) - 1 - lowest


def _stale(history: Sequence[ValidationRecord]) -> int:
    """Return the number of validations since the best one."""
    best = max(range(len(history)), key=lambda index: (history[index].score, -index))
    return len(history) - 1 - best
