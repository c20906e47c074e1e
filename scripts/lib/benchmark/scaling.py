"""How fast several processes train together: one process beside several, with all cores or GPUs, in turns.

All settings make the same updates, of a batch for each process of the largest setting. `python -m benchmark.scaling` is
one of the processes.
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
from benchmark.processes import MEGABYTE, with_toolkit
from benchmark.shapes import configuration, network, shape_of
from benchmark.trainees import make_data
from nmt.cores import available_threads
from nmt.data.batching import Position
from nmt.device import choose_device, choose_dtype, keep_freed_memory
from nmt.errors import NMTError
from nmt.training.learner import Learner
from nmt.training.ranks import Ranks, join_ranks

WARM_UPDATES = 1
SECONDS, QUICK_SECONDS = 4.0, 0.0
"""A setting makes updates for at least so long in each round, and at least one."""
PRECISION = "fp32"
FLOAT_BYTES = 4


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


def exchanged_bytes(parameters: int, processes: int) -> float:
    """Return the bytes that each process sends, and receives, in an update: its fp32 gradients are summed in a ring.

    Each process passes on all blocks but one of `processes`, once to sum them and once to spread the sums.
    """
    return 2 * (processes - 1) / processes * FLOAT_BYTES * parameters


def measure_scaling(options: Options, device: torch.device) -> list[dict[str, Any]]:
    """Return a row for each shape and setting: target pieces a second, the median over rounds in turns.

    Each figure is also printed on standard error when it is there.
    """
    rows = []
    for name in options.shapes:
        chosen = settings(device)
        batches = max(setting.processes for setting in chosen)
        print(f"scaling: {name}, {len(chosen)} settings in {options.rounds} rounds", file=sys.stderr)
        shape = shape_of(name, quick=options.quick)
        with torch.device("meta"):
            model = network(configuration(shape, seed=options.seed), shape)
        parameters = sum(weight.numel() for weight in model.parameters())
        tasks = {setting: partial(_run, setting, name, batches, device, options) for setting in chosen}
        speeds = medians(interleaved(tasks, rounds=options.rounds))
        rows += [
            {
                "shape": name,
                **setting._asdict(),
                "batches_per_update": batches,
                "target_tokens_per_second": round(speed, 1),
                "over_first": round(speed / speeds[chosen[0]], 2),
                "sent_mb_per_update": round(exchanged_bytes(parameters, setting.processes) / MEGABYTE, 1),
            }
            for setting, speed in speeds.items()
        ]
    return rows


def _run(setting: Setting, shape: str, batches: int, device: torch.device, options: Options) -> float:
    """Train in processes of their own, and return target pieces a second."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    numbers = (batches, setting.threads, options.seed, int(options.quick))
    arguments = [shape, device.type, *map(str, numbers)]
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
    speed = float(json.loads(outputs[0][0]))
    print(
        f"  {shape}: {setting.processes} x {setting.threads} threads, {speed:,.0f} target pieces/s",
        file=sys.stderr,
        flush=True,
    )
    return speed


def main(name: str, kind: str, batches: str, threads: str, seed: str, quick: str) -> None:
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
        shares = data.batches.shares(Position(0, 0, 0), batches=int(batches), rank=ranks.rank, processes=ranks.size)
        for number in range(1, WARM_UPDATES + 1):
            learner.update(next(shares)[0], number)
        ranks.gather(None)
        began, tokens, seconds = time.perf_counter(), 0, 0.0
        for number, (share, _) in enumerate(shares, WARM_UPDATES + 1):
            tokens += learner.update(share, number).tokens  # ends with a sum over all processes, which waits for a GPU
            # All processes stop at the same update, by the mean of their clocks.
            seconds = ranks.sum([time.perf_counter() - began])[0] / ranks.size
            if seconds >= (QUICK_SECONDS if int(quick) else SECONDS):
                break
        if ranks.is_first:
            print(json.dumps(tokens / seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
