"""Parallel trainings, each in a process of its own.

On a processor with few cores, several trainings with one thread each process more text than one after another with all
threads: a small network does not keep two threads busy.

Ctrl-C reaches the command alone, which asks each training once to save and end. The trainings also save and end when
the command is killed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import NamedTuple

from nmt.config import Config
from nmt.errors import Interrupted
from nmt.sweep.worker import Train, work
from nmt.training.signals import StopRequest

POLL_SECONDS = 0.5
"""Time between checks for a signal."""
SAVE_SECONDS = 60.0
"""Time that a training may take to save before it is killed."""


class _Running(NamedTuple):
    config: Config
    process: SpawnProcess
    stop: Connection
    """Closing it asks the process to stop."""


def train_in_parallel(configs: Iterable[Config], train: Train, *, parallel: int) -> Iterator[tuple[Config, int]]:
    """Train runs and yield each with the exit code of its process as soon as it has ended.

    Args:
        configs: The runs; the next one is taken when a process ends.
        train: Trains a run in a process of its own, which logs its errors.
        parallel: Number of processes.

    Raises:
        Interrupted: After a signal, when all trainings have saved and ended.
    """
    waiting = iter(configs)
    running: dict[int, _Running] = {}
    with StopRequest() as stop:
        try:
            while True:
                while stop.signal is None and len(running) < parallel and (config := next(waiting, None)) is not None:
                    started = _start(config, train)
                    running[started.process.sentinel] = started
                if stop.signal is not None:
                    _ask_to_stop(running.values())
                if not running:
                    break
                for sentinel in wait(list(running), timeout=POLL_SECONDS):
                    assert isinstance(sentinel, int)
                    ended = running.pop(sentinel)
                    ended.process.join()
                    yield ended.config, ended.process.exitcode or 0
        except KeyboardInterrupt:  # the second one: at once
            for one in running.values():
                one.process.terminate()
            raise
        finally:
            _end(running.values())
        if stop.signal is not None:
            raise Interrupted("interrupted, everything is saved. The same command resumes", signal_number=stop.signal)


def _start(config: Config, train: Train) -> _Running:
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(train, config, theirs), name=config.name)
    # A new process inherits the mask: Ctrl-C does not reach it before it has left the terminal's group.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    theirs.close()
    return _Running(config, process, ours)


def _ask_to_stop(running: Iterable[_Running]) -> None:
    for one in running:
        with contextlib.suppress(OSError):  # it has ended, or was asked earlier
            one.stop.close()


def _end(running: Iterable[_Running]) -> None:
    running = list(running)
    _ask_to_stop(running)
    for one in running:
        one.process.join(SAVE_SECONDS)
        if one.process.is_alive():
            one.process.kill()
            one.process.join()
