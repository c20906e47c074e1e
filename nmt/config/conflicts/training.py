"""Contradictions among the options of training and evaluation."""

from __future__ import annotations

from collections.abc import Iterator

from nmt.config.conflicts.base import Check, Conflict, OnlyUsedWith, key, value_at, without_effect
from nmt.config.schema import Config


def schedules(config: Config) -> Iterator[Conflict]:
    """A schedule must get where it goes."""
    training, schedule = config.training, config.training.schedule
    warmup = key("training.schedule.warmup")
    if training.max_updates is not None and schedule.warmup >= training.max_updates:
        message = f"warmup takes {schedule.warmup} updates, but training ends after {training.max_updates}"
        yield Conflict((warmup, key("training.max_updates")), message, "lower warmup or raise training.max_updates")
    if schedule.kind == "inverse_sqrt" and schedule.warmup == 0:
        message = "inverse_sqrt falls from the end of warmup, and there is no warmup"
        hint = "write `warmup: 4000`, or the number of updates over which the learning rate should rise"
        yield Conflict((key("training.schedule.kind"), warmup), message, hint)


def measures(config: Config) -> Iterator[Conflict]:
    """What chooses the best model must be measured."""
    validation = config.training.validation
    path = key("training.validation.metric")
    listed = key("training.validation.metrics")
    if validation.metric in ("bleu", "chrf") and validation.metric not in validation.metrics:
        message = f"{validation.metric} is not measured: metrics is [{', '.join(validation.metrics)}]"
        other = validation.metrics[0] if validation.metrics else "loss"
        yield Conflict((path, listed), message, f"add {validation.metric} to metrics, or write `metric: {other}`")
    for where in (listed, key("evaluation.metrics")):
        metrics = value_at(config, where)
        if len(set(metrics)) != len(metrics):
            yield Conflict((where,), f"found [{', '.join(metrics)}], the same metric twice", "name each once")
    if not config.evaluation.metrics:
        yield Conflict((key("evaluation.metrics"),), "found an empty list", "name at least one metric, such as bleu")
    if config.evaluation.bleu_tokenizer != "auto" and "bleu" not in config.evaluation.metrics:
        path = key("evaluation.bleu_tokenizer")
        message = "a tokenizer of BLEU, but evaluation.metrics has no bleu"
        yield Conflict((path, key("evaluation.metrics")), message, "leave it out, or add bleu to metrics")


ONLY_USED_WITH = (
    OnlyUsedWith("training.optimizer.momentum", "training.optimizer.kind", ("sgd",)),
    OnlyUsedWith("training.optimizer.beta1", "training.optimizer.kind", ("adam", "adamw")),
    OnlyUsedWith("training.optimizer.beta2", "training.optimizer.kind", ("adam", "adamw")),
    OnlyUsedWith("training.optimizer.epsilon", "training.optimizer.kind", ("adam", "adamw")),
    OnlyUsedWith("training.schedule.factor", "training.schedule.kind", ("plateau",)),
    OnlyUsedWith("training.schedule.patience", "training.schedule.kind", ("plateau",)),
    OnlyUsedWith("training.schedule.restart", "training.schedule.kind", ("plateau",)),
    OnlyUsedWith("training.schedule.final", "training.schedule.kind", ("plateau", "linear", "cosine")),
    OnlyUsedWith("training.averaging.decay", "training.averaging.kind", ("ema",)),
    OnlyUsedWith("training.averaging.count", "training.averaging.kind", ("last", "best")),
)


def ignored(config: Config) -> Iterator[Conflict]:
    """Options that were changed and that another option switches off."""
    return without_effect(config, ONLY_USED_WITH)


def warnings(config: Config) -> Iterator[str]:
    """What is allowed and probably not meant, in words for a warning."""
    schedule, patience = config.training.schedule, config.training.validation.patience
    if schedule.kind == "plateau" and patience is not None and patience <= schedule.patience:
        yield (
            f"training stops after {patience} validations without improvement (training.validation.patience), before "
            f"the learning rate falls (training.schedule.patience {schedule.patience}); raise the first or lower "
            "the second"
        )
    guided = config.training.guided_alignment
    if guided.weight == 0 and not guided.final_weight and any(corpus.alignment for corpus in config.data.train):
        yield "data.train has alignments, but training.guided_alignment.weight is 0: nothing is learnt from them"


CHECKS: tuple[Check, ...] = (ignored, schedules, measures)
