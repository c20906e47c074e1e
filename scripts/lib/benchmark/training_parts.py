"""Where the time of training goes, and how much memory it takes: one variant in a process of its own.

`python -m benchmark.training_parts JSON` makes a few updates with a stopwatch around each part and prints the figures.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmark.launcher import KILOBYTE
from benchmark.options import Options
from benchmark.processes import MEGABYTE, python

UPDATES = 2
PARTS = ("data", "encoder", "decoder", "attention", "output+loss", "backward", "optimiser")


class PartTimer:
    """Times nested parts; the time of an inner part does not count for the outer one."""

    def __init__(self, synchronize: Callable[[], None], clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._synchronize = synchronize
        self._clock = clock
        self._open: list[str] = []
        self._since = clock()

    def enter(self, part: str) -> None:
        """Begin `part`."""
        self._settle()
        self._open.append(part)

    def leave(self) -> None:
        """End the part that was begun last."""
        self._settle()
        self._open.pop()

    def _settle(self) -> None:
        self._synchronize()
        now = self._clock()
        if self._open:
            part = self._open[-1]
            self.seconds[part] = self.seconds.get(part, 0.0) + now - self._since
        self._since = now

    def wrap(self, owner: Any, attribute: str, part: str) -> None:
        """Put a stopwatch for `part` around the function `attribute` of `owner`."""
        function = getattr(owner, attribute)

        def timed(*arguments: Any, **keywords: Any) -> Any:
            self.enter(part)
            try:
                return function(*arguments, **keywords)
            finally:
                self.leave()

        setattr(owner, attribute, timed)


# As `nmt train` asks of oneDNN, which must know before torch is loaded; see nmt/cli/environment.py.
SOME_SHAPES = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128", "LRU_CACHE_CAPACITY": "8"}


def in_a_process(shape: str, variant: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """Return the peak memory of training a variant, and the milliseconds an update spends in each part."""
    request = {
        "shape": shape,
        "variant": dict(variant),
        "quick": options.quick,
        "seed": options.seed,
        "device": options.device,
    }
    ran = python("-m", "benchmark.training_parts", json.dumps(request), environment=SOME_SHAPES)
    figures: dict[str, Any] = json.loads(ran.output)
    imported = figures.pop("imported_bytes")
    return {
        "peak_memory_mb": round(ran.peak_bytes / MEGABYTE),
        "peak_memory_over_import_mb": round((ran.peak_bytes - imported) / MEGABYTE),
        **figures,
    }


def main() -> None:
    from benchmark.clock import wait
    from benchmark.options import set_up
    from benchmark.shapes import shape_of
    from benchmark.trainees import Ours, Variant, make_data, make_trainee

    request = json.loads(sys.argv[1])
    imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE
    device = set_up(request["device"])
    shape = shape_of(request["shape"], quick=request["quick"])
    timer = PartTimer(lambda: wait(device))
    with tempfile.TemporaryDirectory() as folder:
        data = make_data(Path(folder), shape, quick=request["quick"], seed=request["seed"])
        trainee = make_trainee(Variant(**request["variant"]), shape, data, device=device, seed=request["seed"])
        trainee.update(trainee.batch())  # warm-up
        if isinstance(trainee, Ours):
            watch_ours(trainee, timer)
        else:
            watch_textbook(trainee, timer)
        for _ in range(UPDATES):
            trainee.update(trainee.batch())
    milliseconds = {
        part: round(1000 * timer.seconds[part] / UPDATES, 2) if part in timer.seconds else None for part in PARTS
    }
    print(json.dumps({"imported_bytes": imported, "milliseconds_per_update": milliseconds}))


def watch_ours(trainee: Any, timer: PartTimer) -> None:
    """Time the parts of the toolkit's training. Attention that is fused into the decoder counts as decoder."""
    import torch

    learner, model = trainee.learner, trainee.model
    timer.wrap(trainee, "batch", "data")
    timer.wrap(model, "encode", "encoder")
    timer.wrap(model, "decode", "decoder")
    for function in ("keys_and_values", "forward"):
        timer.wrap(model.decoder.attention, function, "attention")
    timer.wrap(learner.objective, "loss", "output+loss")
    timer.wrap(torch.autograd, "backward", "backward")
    timer.wrap(trainee, "update", "optimiser")


def watch_textbook(trainee: Any, timer: PartTimer) -> None:
    """Time the parts of the textbook's training."""
    import torch

    trainer, model = trainee.trainer, trainee.trainer.model
    timer.wrap(trainee, "batch", "data")
    timer.wrap(model, "encode", "encoder")
    timer.wrap(model, "decode", "decoder")
    timer.wrap(model, "attend", "attention")
    timer.wrap(trainer, "loss", "output+loss")
    timer.wrap(torch.autograd, "backward", "backward")
    timer.wrap(trainee, "update", "optimiser")


if __name__ == "__main__":
    main()
