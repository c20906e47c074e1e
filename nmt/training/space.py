"""The disk space of a run: an estimate before it starts, from the sizes of its checkpoints and models."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from nmt.config.schema import TrainingConfig
from nmt.data.disk import file_system_risk, free_bytes, show_bytes, size_of
from nmt.errors import TrainingError
from nmt.log import logger
from nmt.training.run_folder import RunFolder

BYTES = 4
"""Of a weight: weights, averages and optimizer states are stored in fp32."""
OVERHEAD = 20_000
"""Bytes of the header and the counters of a checkpoint."""


class SpaceEstimate(NamedTuple):
    """The size of a run, in bytes."""

    checkpoint: int
    model: int
    least: int
    """One checkpoint and one model. With less the run cannot end."""
    usual: int
    """All checkpoints and models that are kept, and one more of each while it replaces an older one."""


def estimate_space(model: nn.Module, options: TrainingConfig, *, other: int, has_parent: bool) -> SpaceEstimate:
    """Estimate the size of a run.

    Args:
        model: The network.
        options: The training section of the configuration.
        other: Bytes of subword models and tables in a model file.
        has_parent: Whether the run keeps the model that it started from.
    """
    weights = BYTES * sum(parameter.numel() for parameter in model.parameters())
    trained = BYTES * sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    copies = {"adam": 2, "adamw": 2, "sgd": int(options.optimizer.momentum > 0)}[options.optimizer.kind]
    averages = {"none": 0, "ema": 1, "last": options.averaging.count, "best": options.averaging.count}
    checkpoint = weights * (1 + averages[options.averaging.kind]) + trained * copies + OVERHEAD
    file = weights + other + OVERHEAD
    kept = 1 + (options.keep_best if options.keep_best > 1 else 0) + int(has_parent)
    return SpaceEstimate(
        checkpoint, file, checkpoint + file, checkpoint * (options.keep_checkpoints + 1) + file * (kept + 1)
    )


def check_space(run: RunFolder, estimate: SpaceEstimate) -> None:
    """Compare the free space with an estimate, and warn of a file system that may lose a run.

    The files of the run count as free, because they are replaced.

    Raises:
        TrainingError: Not even one checkpoint and one model fit.
    """
    risk = file_system_risk(run.path)
    if risk is not None:
        logger.warning("%s: %s.", run.path, risk)
    free = free_bytes(run.path)
    if free is None:
        return
    free += size_of(run.path)
    sizes = f"a checkpoint has about {show_bytes(estimate.checkpoint)}, a model {show_bytes(estimate.model)}"
    if free < estimate.least:
        raise TrainingError(
            f"{run.path}: the disk has {show_bytes(free)} free, but {sizes}. Free disk space, or train on another disk."
        )
    if free < estimate.usual:
        logger.warning(
            "%s: the disk has %s free, but the run needs about %s (%s). Free disk space, or lower "
            "training.keep_checkpoints or training.keep_best.",
            *(run.path, show_bytes(free), show_bytes(estimate.usual), sizes),
        )
