"""Conflicts between the options of training and evaluation."""

from __future__ import annotations

from collections.abc import Iterator

from nmt.config.conflicts.base import Check, Conflict, OnlyUsedWith, ignored_options, key, value_at
from nmt.config.schema import Config


def schedules(config: Config) -> Iterator[Conflict]:
    """Check that warmup ends before training and precedes a decay."""
    training, schedule = config.training, config.training.schedule
    warmup = key("training.schedule.warmup")
    if training.max_updates is not None and schedule.warmup >= training.max_updates:
        message = f"warmup takes {schedule.warmup} updates, but training ends after {training.max_updates}"
        yield Conflict((warmup, key("training.max_updates")), message, "lower warmup, or increase training.max_updates")
    if schedule.kind == "inverse_sqrt" and schedule.warmup == 0:
        message = "inverse_sqrt decays from the end of warmup, but warmup is 0"
        hint = "write `warmup: 4000`, or the number of updates over which the learning rate should rise"
        yield Conflict((key("training.schedule.kind"), warmup), message, hint)


def measures(config: Config) -> Iterator[Conflict]:
    """Check that metrics are computed where they are used."""
    validation = config.training.validation
    path = key("training.validation.metric")
    listed = key("training.validation.metrics")
    if validation.metric in ("bleu", "chrf") and validation.metric not in validation.metrics:
        message = f"{validation.metric} is not computed: metrics is [{', '.join(validation.metrics)}]"
        other = validation.metrics[0] if validation.metrics else "loss"
        yield Conflict((path, listed), message, f"add {validation.metric} to metrics, or write `metric: {other}`")
    for where in (listed, key("evaluation.metrics")):
        metrics = value_at(config, where)
        if len(set(metrics)) != len(metrics):
            yield Conflict((where,), f"found [{', '.join(metrics)}], the same metric twice", "remove one of the two")
    if not config.evaluation.metrics:
        yield Conflict((key("evaluation.metrics"),), "found an empty list", "name at least one metric, such as bleu")
    if config.evaluation.bleu_tokenizer != "auto" and "bleu" not in config.evaluation.metrics:
        path = key("evaluation.bleu_tokenizer")
        message = f"found {config.evaluation.bleu_tokenizer}, but evaluation.metrics has no bleu"
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
    """Yield options that another option makes ineffective."""
    return ignored_options(config, ONLY_USED_WITH)


def warnings(config: Config) -> Iterator[str]:
    """Yield warnings about valid options that are probably a mistake."""
    schedule, patience = config.training.schedule, config.training.validation.patience
    if schedule.kind == "plateau" and patience is not None and patience <= schedule.patience:
        yield (
            f"training stops after {patience} validations without improvement (training.validation.patience), before "
            f"the learning rate falls (training.schedule.patience {schedule.patience}). Increase the first, or lower "
            "the second."
        )
    guided = config.training.guided_alignment
    if guided.weight == 0 and not guided.final_weight and any(corpus.alignment for corpus in config.data.train):
        yield "data.train has alignments, but they are not used: training.guided_alignment.weight is 0"
    attention = config.model.attention
    if config.training.cuda_graphs and not attention.input_feeding and attention.placement != "conditional":
        yield (
            "training.cuda_graphs has no effect: the decoder computes all positions at once. The option is for "
            "model.attention.input_feeding and `placement: conditional`."
        )
    elif config.training.cuda_graphs and config.model.dropout.attention > 0:
        yield "training.cuda_graphs has no effect with model.dropout.attention above 0"


CHECKS: tuple[Check, ...] = (ignored, schedules, measures)
