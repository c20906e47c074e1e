"""Trainings in several processes for tests. A server that has imported torch forks them, so that they start at once."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from warm_processes import warm_context

SECONDS = 120.0


def free_port() -> int:
    """Return a port that no process uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class RankProcesses:
    """The ranks of one training.

    Attributes:
        processes: The processes, by rank.
    """

    def __init__(
        self,
        work: Callable[..., object],
        size: int,
        *arguments: Any,
        folder: Path,
        of_rank: Callable[[int], Sequence[Any]] = lambda rank: (),
        launcher: bool = False,
    ) -> None:
        """Start the ranks, each of which calls `work(*arguments, *of_rank(rank), ranks=...)` in `folder`.

        With `launcher`, this process does what torchrun does: it keeps the store, and sends SIGTERM to all ranks when
        one has failed. Otherwise rank 0 keeps the store.
        """
        context = warm_context()
        self.folder = folder
        self._store = _make_store() if launcher else None
        port = free_port() if self._store is None else self._store.port
        self.processes: list[BaseProcess] = [
            context.Process(target=_rank, args=(rank, size, port, folder, launcher, work, (*arguments, *of_rank(rank))))
            for rank in range(size)
        ]
        for process in self.processes:
            process.start()

    def wait(self, seconds: float = SECONDS) -> list[int | None]:
        """Return the exit codes, None for processes that still run after some time. These are killed."""
        end = time.monotonic() + seconds
        stopped = self._store is None
        while time.monotonic() < end and any(process.is_alive() for process in self.processes):
            wait_for([process.sentinel for process in self.processes if process.is_alive()], timeout=0.2)
            if not stopped and any(process.exitcode for process in self.processes):
                stopped = True
                for process in self.processes:
                    process.terminate()
        codes = [process.exitcode for process in self.processes]
        for process in self.processes:
            process.kill()
            process.join()
        return codes

    def errors(self, rank: int | None = None) -> str:
        """Return what a rank, or all of them, have written on standard error."""
        ranks = range(len(self.processes)) if rank is None else [rank]
        return "".join((self.folder / f"rank-{each}.txt").read_text(encoding="utf-8") for each in ranks)


def run_ranks(work: Callable[..., object], size: int, *arguments: Any, folder: Path, **options: Any) -> RankProcesses:
    """Run the ranks of one training, which must succeed."""
    ranks = RankProcesses(work, size, *arguments, folder=folder, **options)
    codes = ranks.wait()
    assert codes == [0] * size, (codes, ranks.errors())
    return ranks


def _make_store() -> Any:
    from torch.distributed import TCPStore

    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def _rank(
    rank: int,
    size: int,
    port: int,
    folder: Path,
    launcher: bool,
    work: Callable[..., object],
    arguments: Sequence[Any],
) -> None:
    """Be a rank, with the environment that torchrun makes and the exit codes of `nmt train`."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    os.environ |= {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "MASTER_PORT": str(port)}
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = str(launcher)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    os.chdir(folder)
    stream = open(f"rank-{rank}.txt", "w", encoding="utf-8")  # noqa: SIM115 (until the process ends)
    os.dup2(stream.fileno(), 2)
    sys.stderr = stream
    import torch

    from nmt import log
    from nmt.errors import NMTError
    from nmt.training.ranks import Ranks, join_ranks

    torch.set_num_threads(1)
    log.setup(level=logging.INFO)
    code = 0
    try:
        if size == 1:
            work(*arguments, ranks=Ranks())
        else:
            with join_ranks() as ranks:
                work(*arguments, ranks=ranks)
    except NMTError as error:
        log.logger.error("%s", error)
        code = error.exit_code
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 99
    stream.flush()
    if "RANK_TIMES" in os.environ:
        with open(os.environ["RANK_TIMES"], "a") as times:
            times.write(f"{time.process_time():.2f} {folder.name} {arguments}\n")
    os._exit(code)
