"""Contradictions among the options of what training improves."""

from __future__ import annotations

from collections.abc import Iterator

from nmt.config.conflicts.base import Check, Conflict, OnlyUsedWith, key, without_amount, without_effect
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
    """Options that were changed and that another option switches off."""
    return without_effect(config, ONLY_USED_WITH)


def scheduled_sampling(config: Config) -> Iterator[Conflict]:
    """A share of nothing has no ramp, a ramp of no updates no form, and one after the end of training no effect."""
    training, options = config.training, config.training.scheduled_sampling
    section = "training.scheduled_sampling"
    yield from without_amount(config, section, "probability")
    start, ramp = key(f"{section}.start_updates"), key(f"{section}.ramp_updates")
    if options.probability > 0 and options.ramp != "linear" and options.ramp_updates == 0:
        form = key(f"{section}.ramp")
        message = f"a ramp {options.ramp}, but ramp_updates is 0: the share is there at once"
        yield Conflict((form, ramp), message, "give ramp_updates, or leave ramp out")
    if options.probability > 0 and training.max_updates is not None and options.start_updates >= training.max_updates:
        message = f"begins after {options.start_updates} updates, but training ends after {training.max_updates}"
        yield Conflict((start, key("training.max_updates")), message, "lower start_updates or raise max_updates")


def r_drop(config: Config) -> Iterator[Conflict]:
    """Two passes differ by nothing but dropout."""
    dropout = config.model.dropout
    rates = [name for name, value in dropout if isinstance(value, float)]
    if config.training.r_drop > 0 and not any(getattr(dropout, name) > 0 for name in rates):
        paths = (key("training.r_drop"), *(key(f"model.dropout.{name}") for name in rates))
        message = "r_drop compares two passes with different dropout, but every model.dropout is 0"
        yield Conflict(paths, message, "write `output: 0.2` or another one under model.dropout, or leave r_drop out")


def attention_terms(config: Config) -> Iterator[Conflict]:
    """What reads attention weights needs some, and links need a file."""
    training, guided = config.training, config.training.guided_alignment
    weight, final = key("training.guided_alignment.weight"), key("training.guided_alignment.final_weight")
    updates, score = key("training.guided_alignment.decay_updates"), key("model.attention.score")
    links = guided.weight > 0 or (guided.final_weight or 0.0) > 0
    if config.model.attention.score == "none":
        for path, wanted in ((key("training.coverage_loss"), training.coverage_loss > 0), (weight, links)):
            if wanted:
                message = f"{path[-1] if len(path) == 2 else path[-2]} reads attention weights, but score is none"
                yield Conflict((path, score), message, "leave it out, or choose a score under model.attention")
    if links and not any(corpus.alignment is not None for corpus in config.data.train):
        message = "guided_alignment has a weight, but no corpus of data.train has an alignment"
        paths = (weight, key("data.train"))
        yield Conflict(paths, message, "name the file of links with `alignment:` beside source and target")
    if (guided.final_weight is None) != (guided.decay_updates is None):
        given, missing = (updates, final) if guided.final_weight is None else (final, updates)
        message = f"{given[-1]} given without {missing[-1]}"
        yield Conflict((given, missing), message, "give both, or leave both out for a weight that stays")
    elif guided.final_weight is not None and guided.final_weight == guided.weight:
        message = f"final_weight is {guided.final_weight:g}, as weight is: nothing would change"
        yield Conflict((final, weight), message, "leave out final_weight and decay_updates")


def embeddings(config: Config) -> Iterator[Conflict]:
    """One table cannot be filled from two files."""
    given = config.model.initialization
    if (
        config.model.tying == "three_way"
        and given.source_embeddings is not None
        and given.target_embeddings is not None
    ):
        paths = tuple(key(f"model.initialization.{side}_embeddings") for side in ("target", "source"))
        message = "three_way tying shares one table between both sides, but each has a file of vectors"
        hint = "put the vectors of both languages into one file, and name that as source_embeddings"
        yield Conflict((*paths, key("model.tying")), message, hint)


def frozen(config: Config) -> Iterator[Conflict]:
    """A pattern is the name of something."""
    for index, pattern in enumerate(config.training.frozen):
        if not pattern.strip():
            path = key(f"training.frozen.{index}")
            yield Conflict((path,), "found an empty name", "write the name of a parameter, such as encoder.*")


CHECKS: tuple[Check, ...] = (ignored, scheduled_sampling, r_drop, attention_terms, embeddings, frozen)
