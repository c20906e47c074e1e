"""What is wrong with a run, as far as its validations show it, and what to try.

Pure functions of the validations so far. Each finding is a sentence with the numbers that it rests on and the options
that may help. None of them ends a run: what cannot go on at all is stopped by the trainer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nmt.config.schema import ScheduleConfig
from nmt.training.reporter import perplexity

SAME, BLANK, REPEATING = 0.5, 0.3, 0.5
"""Shares of translations that are one and the same, blank, or repeat themselves: more than that is no translating."""
SHORT, LONG = 0.5, 2.0
"""Characters of all translations over those of all references."""
FEWEST_TRANSLATIONS = 5
"""Fewer of them say nothing."""
REPEATED_UNITS = 9
"""Words (in scripts without spaces, pairs of characters) from which a line can be said to repeat itself."""
RISING = 3
"""Validations for which perplexity must be above its lowest, and the score no better."""
RISE = 1.05
"""Perplexity over its lowest, from which it has risen; and over the next one, from which it is falling fast."""
FALL = 0.01
"""Nats a piece by which the training loss must have fallen meanwhile."""
KNOWN, UNKNOWN = 3.0, 4.0
"""Perplexity of the training text that, with dropout, no real text has unless it is known by heart; and how many times
as much the validation text must have."""
STALLED = 5
"""Validations without a better score or a lower loss, at a learning rate that is still high."""
HIGH, SPENT = 0.75, 0.02
"""Learning rates over their peak that are still high, and that change nothing any more."""


@dataclass(frozen=True)
class TextFacts:
    """What translations are like beside their references, whatever they say."""

    same: float
    """Share of the commonest translation, less that of the commonest reference."""
    blank: float
    """Share of blank translations of what is not blank."""
    repeating: float
    """Share of translations that repeat themselves where the reference does not."""
    length: float
    """Characters of all translations over those of all references."""


@dataclass(frozen=True)
class ValidationRecord:
    """One validation, and the training since the one before."""

    update: int
    train_loss: float
    """Nats a piece, mean of the training since the last validation."""
    loss: float
    """Nats a piece, of the validation set; infinite where undefined."""
    worth: float
    """The score that chooses the best model, turned so that larger is better."""
    learning_rate: float
    text: TextFacts | None
    """None where nothing was translated."""


class DiagnosisContext(NamedTuple):
    """What the validations of a run are measured by."""

    metric: str
    """Name of the score that chooses the best model."""
    peak: float
    """Highest learning rate."""
    schedule: ScheduleConfig
    by_frequency: float
    """Nats a piece that guessing each piece of the validation set by its frequency costs."""


class Finding(NamedTuple):
    """Something to be said about a run."""

    name: str
    """collapse, divergence, overfitting, memorizing, stalled or spent."""
    text: str


def diagnose(history: Sequence[ValidationRecord], yardstick: DiagnosisContext) -> list[Finding]:
    """Return what is wrong at the last validation of `history`, which has at least one."""
    findings = [
        *_collapse(history, yardstick),
        *_divergence(history, yardstick),
        *_overfitting(history, yardstick),
        *_learning_rate(history, yardstick),
    ]
    # What has fallen apart has no learning rate to fine-tune.
    broken = [finding for finding in findings if finding.name in ("collapse", "divergence")]
    return broken or findings


def text_facts(translations: Sequence[str], references: Sequence[str]) -> TextFacts | None:
    """Compare translations with their references; None if there are too few to tell."""
    count = len(translations)
    if count < FEWEST_TRANSLATIONS:
        return None
    pairs = list(zip(translations, references, strict=True))
    return TextFacts(
        same=max(0.0, _commonest(translations) - _commonest(references)),
        blank=sum(not line.strip() and bool(reference.strip()) for line, reference in pairs) / count,
        repeating=sum(_repeats(line) and not _repeats(reference) for line, reference in pairs) / count,
        length=sum(map(len, translations)) / max(1, sum(map(len, references))),
    )


def _commonest(lines: Sequence[str]) -> float:
    return Counter(lines).most_common(1)[0][1] / len(lines)


def _repeats(line: str) -> bool:
    units = line.split()
    if len(units) < 4:
        units = [line[place : place + 2] for place in range(len(line) - 1)]
    return len(units) >= REPEATED_UNITS and 3 * len(set(units)) <= len(units)


# ------------------------------------------------------------------------------------------------------- findings


def _collapse(history: Sequence[ValidationRecord], yardstick: DiagnosisContext) -> Iterator[Finding]:
    """Translations that are none, though learning has slowed down: after some that were, or without any."""
    *earlier, now = history
    what = _broken(now.text)
    if what is None or not earlier or earlier[-1].loss - now.loss >= math.log(RISE):
        return  # Who has just begun to learn, and learns fast, may well say the same of everything.
    # What was no better is no translation either, however varied: the first outputs are little more than noise.
    good = [seen for seen in earlier if seen.text is not None and _broken(seen.text) is None and seen.worth > now.worth]
    if good:
        best = max(good, key=lambda seen: seen.worth)
        yield Finding(
            "collapse",
            f"validation outputs have collapsed: {what}. At update {best.update} they had not "
            f"({yardstick.metric} {abs(best.worth):.2f}). Try a lower training.optimizer.learning_rate or "
            f"training.clip_norm, or a longer training.schedule.warmup",
        )
    elif now.update > yardstick.schedule.warmup:
        yield Finding(
            "collapse",
            f"validation outputs are no translations: {what}. The model does not use its source yet. If that does not "
            f"change, see whether the lines of source and target belong together, choose a score under "
            f"model.attention, and try another training.optimizer.learning_rate or less model.dropout",
        )


def _broken(text: TextFacts | None) -> str | None:
    """What makes translations none, in words; None if nothing does."""
    if text is None:
        return None
    if text.blank > BLANK:
        return f"{text.blank:.0%} are empty"
    if text.same > SAME:
        return f"{text.same:.0%} are one and the same text"
    if text.repeating > REPEATING:
        return f"{text.repeating:.0%} repeat the same words over and over"
    if not SHORT <= text.length <= LONG:
        return f"they have {text.length:.0%} of the length of the references"
    return None


def _divergence(history: Sequence[ValidationRecord], yardstick: DiagnosisContext) -> Iterator[Finding]:
    """A loss above that of the frequencies alone: after a lower one, or when it should long have been lower."""
    *earlier, now = history
    sides = (("validation", now.loss), ("training", now.train_loss))
    above = [(side, loss) for side, loss in sides if loss > yardstick.by_frequency]
    if above and (math.isinf(now.loss) or _learns_no_more(earlier, now, yardstick)):
        side, loss = above[0]
        yield Finding(
            "divergence",
            f"the {side} loss is {loss:.2f} nats a piece, where guessing pieces by their frequency costs "
            f"{yardstick.by_frequency:.2f}. Try another training.optimizer.learning_rate (most often a lower one), a "
            f"longer training.schedule.warmup or a smaller training.clip_norm",
        )


def _learns_no_more(earlier: Sequence[ValidationRecord], now: ValidationRecord, yardstick: DiagnosisContext) -> bool:
    """Whether the training loss has risen; or has stopped falling before anything was learnt.

    While it falls, a high loss has other reasons: the first updates, which its mean holds, or overfitting.
    """
    if not earlier:
        return False
    lowest = min(seen.train_loss for seen in earlier)
    if min(lowest, *(seen.loss for seen in earlier)) < yardstick.by_frequency:
        return now.train_loss - lowest >= math.log(RISE)
    late = len(earlier) >= RISING and now.update > yardstick.schedule.warmup
    return late and lowest - now.train_loss < FALL


def _overfitting(history: Sequence[ValidationRecord], yardstick: DiagnosisContext) -> Iterator[Finding]:
    """Perplexity that rises on what is new, falls on what is known, and a score that is no better.

    Or, though the score may still get better, a training text that is known by heart.
    """
    now = history[-1]
    since = _since_lowest_loss(history)
    then = history[-1 - since]
    if (
        since >= RISING
        and _stale(history) >= RISING
        and now.loss - then.loss >= math.log(RISE)
        and then.train_loss - now.train_loss >= FALL
    ):
        yield Finding(
            "overfitting",
            f"validation perplexity has risen from {perplexity(then.loss):.2f} (update {then.update}) to "
            f"{perplexity(now.loss):.2f} in {since} validations, while the training loss fell from "
            f"{then.train_loss:.2f} to {now.train_loss:.2f}, and {yardstick.metric} is no better: the model learns "
            f"the training text by heart. Try more model.dropout (source_words and target_words too), "
            f"tokenizer.sampling, training.r_drop or a smaller model; training.validation.patience ends such a run by "
            f"itself",
        )
    elif now.train_loss <= math.log(KNOWN) and now.loss - now.train_loss >= math.log(UNKNOWN):
        yield Finding(
            "memorizing",
            f"the model knows the training text by heart: perplexity {perplexity(now.train_loss):.2f} there, "
            f"{perplexity(now.loss):.2f} on the validation text. It may still get better, but would get further with "
            f"more model.dropout, tokenizer.sampling, training.r_drop, or more text",
        )


def _learning_rate(history: Sequence[ValidationRecord], yardstick: DiagnosisContext) -> Iterator[Finding]:
    """A learning rate that has stopped helping: still too high, or down to nothing."""
    stale, rate, kind = _stale(history), history[-1].learning_rate, yardstick.schedule.kind
    share = rate / yardstick.peak
    if history[-1].update <= yardstick.schedule.warmup:
        return  # It is on its way up.
    nothing = f"{yardstick.metric} has not improved for {stale} validations"
    if min(stale, _since_lowest_loss(history)) >= STALLED and share >= HIGH:
        way = "a smaller training.schedule.patience" if kind == "plateau" else "training.schedule.kind: plateau"
        yield Finding(
            "stalled",
            f"{nothing}, and the learning rate is still {rate:.2g}: it may be too high to get any further. Try a lower "
            f"training.optimizer.learning_rate, or {way}",
        )
    elif stale >= RISING and share <= SPENT and kind not in ("linear", "cosine"):
        schedule = "training.schedule"
        way = f"{schedule}.patience or {schedule}.final" if kind == "plateau" else f"{schedule}.warmup"
        yield Finding(
            "spent",
            f"{nothing}, and the learning rate has fallen to {rate:.2g}, {share:.1%} of its peak: updates hardly "
            f"change the model any more, and more of them will not help. If it fell too soon, try a larger {way}",
        )


def still_improving(history: Sequence[ValidationRecord], yardstick: DiagnosisContext) -> str | None:
    """What to say at the end of a run that was still getting better, apart from what a falling rate brings anyway."""
    if len(history) < 2 or _stale(history) > 0 or history[-1].learning_rate < yardstick.peak / 10:
        return None
    return (
        f"the last validation was the best one: the model was still getting better. To go on, raise "
        f"training.max_epochs (or max_updates or max_minutes, whichever ended training) and use --resume: "
        f"{yardstick.metric} went from {abs(history[-2].worth):.2f} to {abs(history[-1].worth):.2f}"
    )


def _since_lowest_loss(history: Sequence[ValidationRecord]) -> int:
    """Validations since the one of the lowest loss."""
    lowest = min(range(len(history)), key=lambda place: history[place].loss)
    return len(history) - 1 - lowest


def _stale(history: Sequence[ValidationRecord]) -> int:
    """Validations since the best one."""
    best = max(range(len(history)), key=lambda place: (history[place].worth, -place))
    return len(history) - 1 - best
