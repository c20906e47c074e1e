"""How fast several processes train together: one process beside several, with all cores or GPUs, in turns.

All settings make the same updates of `BATCHES` batches. `python -m benchmark.scaling` is one of the processes.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmark.clock import interleaved, medians
from benchmark.options import Options
from benchmark.processes import with_toolkit
from benchmark.shapes import configuration, network, shape_of
from benchmark.trainees import make_data
from nmt.cores import available_threads
from nmt.data.batching import Position
from nmt.device import choose_device, choose_dtype, keep_freed_memory
from nmt.errors import NMTError
from nmt.training.learner import Learner
from nmt.training.ranks import Ranks, join_ranks

BATCHES = 8
"""Batches of an update, over all processes."""
WARM_UPDATES, UPDATES, QUICK_UPDATES = 2, 12, 1
PRECISION = "fp32"


class Setting(NamedTuple):
    """Processes and threads."""

    processes: int
    threads: int


def settings(device: torch.device) -> list[Setting]:
    """Return the settings of this machine: powers of two of processes up to the number of its cores or GPUs."""
    if device.type == "cuda":
        return [Setting(1 << power, 1) for power in range(4) if 1 << power <= torch.cuda.device_count()]
    cores = available_threads()
    several = [Setting(1 << power, cores >> power) for power in range(1, 4) if 1 << power <= cores]
    return list(dict.fromkeys([Setting(1, 1), Setting(1, cores), *several]))


def measure_scaling(options: Options, device: torch.device) -> list[dict[str, Any]]:
    """Return a row for each shape and setting: target pieces a second, the median over rounds in turns."""
    rows = []
    for shape in options.shapes:
        chosen = settings(device)
        print(f"scaling: {shape}, {len(chosen)} settings in {options.rounds} rounds", file=sys.stderr)
        tasks = {setting: partial(_run, setting, shape, device, options) for setting in chosen}
        speeds = medians(interleaved(tasks, rounds=options.rounds))
        rows += [
            {
                "shape": shape,
                **setting._asdict(),
                "target_tokens_per_second": round(speed, 1),
                "over_first": round(speed / speeds[chosen[0]], 2),
            }
            for setting, speed in speeds.items()
        ]
    return rows


def _run(setting: Setting, shape: str, device: torch.device, options: Options) -> float:
    """Train in processes of their own, and return target pieces a second."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    arguments = [shape, device.type, str(setting.threads), str(options.seed), str(int(options.quick))]
    common = {"WORLD_SIZE": str(setting.processes), "LOCAL_WORLD_SIZE": str(setting.processes)}
    common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": str(setting.threads)}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmark.scaling", *arguments],
            env={**with_toolkit(), **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(setting.processes)
    ]
    outputs = [process.communicate() for process in started]
    if any(process.returncode for process in started):
        raise NMTError(f"{setting} failed:\n" + "".join(errors for _, errors in outputs))
    return float(json.loads(outputs[0][0]))


def main(name: str, kind: str, threads: str, seed: str, quick: str) -> None:
    """Be one of the processes. The first one prints target pieces a second."""
    torch.set_num_threads(int(threads))
    keep_freed_memory()
    several = int(with_toolkit()["WORLD_SIZE"]) > 1
    with join_ranks() if several else nullcontext(Ranks()) as ranks, tempfile.TemporaryDirectory() as folder:
        device = choose_device(kind, number=ranks.local_rank if several else None)
        ranks.connect(device)
        shape = shape_of(name, quick=bool(int(quick)))
        config = configuration(shape, placement="top", input_feeding=False, seed=int(seed), max_updates=10**6)
        torch.manual_seed(int(seed))
        learner = Learner(
            model=network(config, shape).to(device),
            options=config.training,
            total_updates=10**6,
            device=device,
            dtype=choose_dtype(PRECISION, device),
            ranks=ranks,
        )
        data = make_data(Path(folder), shape, quick=bool(int(quick)), seed=int(seed))
        shares = data.batches.shares(Position(0, 0, 0), batches=BATCHES, rank=ranks.rank, processes=ranks.size)
        for number in range(1, WARM_UPDATES + 1):
            learner.update(next(shares)[0], number)
        ready = [next(shares)[0] for _ in range(QUICK_UPDATES if int(quick) else UPDATES)]
        ranks.gather(None)
        began = time.perf_counter()
        tokens = sum(learner.update(share, WARM_UPDATES + number).tokens for number, share in enumerate(ready, 1))
        seconds = time.perf_counter() - began  # an update ends with a sum over all processes, which waits for the GPU
        if ranks.is_first:
            print(json.dumps(tokens / seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
