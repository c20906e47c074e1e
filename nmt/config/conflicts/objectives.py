"""Conflicts between the options of training objectives."""

from __future__ import annotations

from collections.abc import Iterator

from nmt.config.conflicts.base import Check, Conflict, OnlyUsedWith, ignored_options, ignored_without, key
from nmt.config.schema import Config, MinimumRiskConfig

OBJECTIVE = "training.objective"
ONLY_USED_WITH = tuple(
    OnlyUsedWith(f"training.minimum_risk.{name}", OBJECTIVE, ("minimum_risk",))
    for name in MinimumRiskConfig.model_fields
) + tuple(
    OnlyUsedWith(f"training.{name}", OBJECTIVE, ("likelihood",))
    for name in (
        "r_drop",
        "coverage_loss",
        "guided_alignment.weight",
        "guided_alignment.final_weight",
        "scheduled_sampling.probability",
    )
)


def ignored(config: Config) -> Iterator[Conflict]:
    """Yield options that another option makes ineffective."""
    return ignored_options(config, ONLY_USED_WITH)


def scheduled_sampling(config: Config) -> Iterator[Conflict]:
    """Check that the ramp of scheduled sampling has an effect."""
    training, options = config.training, config.training.scheduled_sampling
    section = "training.scheduled_sampling"
    yield from ignored_without(config, section, "probability")
    start, ramp = key(f"{section}.start_updates"), key(f"{section}.ramp_updates")
    if options.probability > 0 and options.ramp != "linear" and options.ramp_updates == 0:
        form = key(f"{section}.ramp")
        message = f"found {options.ramp}, but it has no effect with ramp_updates 0"
        yield Conflict((form, ramp), message, "leave it out, or set ramp_updates above 0")
    if options.probability > 0 and training.max_updates is not None and options.start_updates >= training.max_updates:
        message = f"found {options.start_updates}, but training ends after {training.max_updates} updates"
        yield Conflict((start, key("training.max_updates")), message, "lower start_updates, or increase max_updates")


def r_drop(config: Config) -> Iterator[Conflict]:
    """Check that R-Drop has dropout, in which its two passes differ."""
    dropout = config.model.dropout
    rates = [name for name, value in dropout if isinstance(value, float)]
    if config.training.r_drop > 0 and not any(getattr(dropout, name) > 0 for name in rates):
        paths = (key("training.r_drop"), *(key(f"model.dropout.{name}") for name in rates))
        message = "r_drop compares two passes with different dropout, but every model.dropout is 0"
        yield Conflict(paths, message, "write `output: 0.2` or another one under model.dropout, or leave r_drop out")


def attention_terms(config: Config) -> Iterator[Conflict]:
    """Check that losses of attention weights have attention, and that guided alignment has alignments."""
    training, guided = config.training, config.training.guided_alignment
    weight, final = key("training.guided_alignment.weight"), key("training.guided_alignment.final_weight")
    updates, score = key("training.guided_alignment.decay_updates"), key("model.attention.score")
    links = guided.weight > 0 or (guided.final_weight or 0.0) > 0
    if config.model.attention.score == "none":
        for path, enabled in ((key("training.coverage_loss"), training.coverage_loss > 0), (weight, links)):
            if enabled:
                message = f"{path[-1] if len(path) == 2 else path[-2]} requires attention, but attention.score is none"
                yield Conflict((path, score), message, "leave it out, or choose a score under model.attention")
    if links and not any(corpus.alignment is not None for corpus in config.data.train):
        message = "guided_alignment has a weight, but no corpus of data.train has an alignment"
        paths = (weight, key("data.train"))
        yield Conflict(paths, message, "name the file of links with `alignment:` beside source and target")
    if (guided.final_weight is None) != (guided.decay_updates is None):
        given, missing = (updates, final) if guided.final_weight is None else (final, updates)
        message = f"{given[-1]} requires {missing[-1]}"
        yield Conflict((given, missing), message, "set both, or leave both out for a constant weight")
    elif guided.final_weight is not None and guided.final_weight == guided.weight:
        message = f"found {guided.final_weight:g}, which is also the value of weight"
        yield Conflict((final, weight), message, "leave out final_weight and decay_updates")


def embeddings(config: Config) -> Iterator[Conflict]:
    """Check that one embedding table is not initialised from two files."""
    given = config.model.initialization
    if (
        config.model.tying == "three_way"
        and given.source_embeddings is not None
        and given.target_embeddings is not None
    ):
        paths = tuple(key(f"model.initialization.{side}_embeddings") for side in ("target", "source"))
        message = "three_way tying shares one table between both sides, but each has a file of vectors"
        hint = "put the vectors of both languages into one file, and set source_embeddings to it"
        yield Conflict((*paths, key("model.tying")), message, hint)


def frozen(config: Config) -> Iterator[Conflict]:
    """Check that name patterns of frozen parameters are not empty."""
    for index, pattern in enumerate(config.training.frozen):
        if not pattern.strip():
            path = key(f"training.frozen.{index}")
            yield Conflict((path,), "found an empty name", "write the name of a parameter, such as encoder.*")


CHECKS: tuple[Check, ...] = (ignored, scheduled_sampling, r_drop, attention_terms, embeddings, frozen)
