"""Threads in each rank that end the run if another rank has died, hangs or has failed.

A rank that waits in a sum cannot see why it waits. So each rank counts in the store of torch once a second, and looks
at the counters of the others. The counter of a rank goes on in a long validation or while a checkpoint is written. It
stands still if the process is stopped, the machine has gone, or the network is broken. A rank that has ended on the
same machine is seen at once.

The first rank that sees a failure writes it into the store and prints it. All others end silently.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from nmt import log
from nmt.data.atomic_file import is_alive
from nmt.errors import TrainingError
from nmt.log import logger

TICK_SECONDS = 1.0
HANGS_SECONDS = 12.0
"""Seconds without a sign of life after which a rank counts as hanging."""
GRACE_SECONDS = 3.0
"""Seconds in which a rank may end after the failure of another one."""
STORE_SECONDS = 10.0
"""Longest wait for an answer of the store."""
RESUME = "The last checkpoint is intact. Resume the run with --resume"


class Failure(NamedTuple):
    """The reason why a run ends."""

    rank: int
    """The rank that has failed, or has seen the failure first."""
    code: int
    """Exit code of all ranks."""
    text: str


class Peer(NamedTuple):
    """The process of a rank."""

    process: int
    host: str
    place: str
    """Differs between machines and containers, whose numbers of processes mean different processes."""

    @classmethod
    def this(cls) -> Peer:
        """Return this process."""
        facts = [socket.gethostname()]
        with contextlib.suppress(OSError):
            facts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
            facts.append(os.readlink("/proc/self/ns/pid"))
        return cls(os.getpid(), facts[0], " ".join(facts))


class Keys:
    """The values that all ranks share.

    Attributes:
        survives: Whether the store survives the end of rank 0.
        peers: The process of each rank. Empty until all have started.
        finished: Whether the training has ended, so that ranks may leave.
        signal: Returns the stop signal that this rank got, if any.
    """

    def __init__(self, store: Any, *, survives: bool) -> None:
        self.store = store
        self.survives = survives
        self.peers: list[Peer] = []
        self.finished = False
        self.signal: Callable[[], int | None] = lambda: None

    def has(self, name: str) -> bool:
        """Return whether a value is there."""
        return bool(self.store.check([name]))

    def get(self, name: str) -> str:
        """Return a value that is there."""
        return str(self.store.get(name).decode())

    def set(self, name: str, value: str) -> None:
        """Store a value."""
        self.store.set(name, value)


def connect(*, rank: int, size: int) -> Keys:
    """Connect to the store that torchrun names in the environment. Without torchrun, rank 0 makes it.

    Raises:
        TrainingError: The store cannot be reached.
    """
    survives = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        return Keys(_open(host, port, size, serve=rank == 0 and not survives), survives=survives)
    except (RuntimeError, OSError) as error:
        raise TrainingError(
            f"rank {rank} on {socket.gethostname()} cannot connect to {host}:{port} (MASTER_ADDR and MASTER_PORT). "
            "Check that the machines reach each other and that the port is free"
        ) from error


def _open(host: str, port: int, size: int, *, serve: bool = False, seconds: float = 300.0) -> Any:
    store = TCPStore(host, port, size, serve, timedelta(seconds=seconds), wait_for_workers=False)
    # Torchrun keeps the store when it starts all ranks again.
    return PrefixStore(f"nmt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


class Watcher:
    """Watches the other ranks in two threads."""

    def __init__(self, keys: Keys, *, rank: int) -> None:
        self._keys = keys
        self._rank = rank
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        # A connection of its own: calls through one connection wait for each other.
        self._store = _open(host, port, int(os.environ["WORLD_SIZE"]), seconds=STORE_SECONDS)
        self._count = 0
        self._seen: dict[int, tuple[bytes, float]] = {}
        self._last = time.monotonic()
        self._failure: Failure | None = None
        self._failed = threading.Event()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._here = Peer.this()
        self._lost = False
        """Whether the store cannot be used."""
        self._ticked = time.monotonic()
        self._threads = [
            threading.Thread(target=work, name="nmt-ranks", daemon=True) for work in (self._run, self._guard)
        ]

    def start(self) -> None:
        """Give the first sign of life, so that the others notice a hang from now on, and start the threads."""
        with contextlib.suppress(RuntimeError):
            self._store.set(f"alive/{self._rank}", "0")
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the threads, if the training has ended. After a failure they go on, and end a process that hangs."""
        if self._keys.finished:
            self._stopped.set()
            for thread in self._threads:
                thread.join()

    def claim(self, failure: Failure, *, show: bool = False) -> Failure:
        """Write `failure` into the store, if no other failure is there. Return what is there.

        Args:
            failure: The failure.
            show: Print it if it is the first one.
        """
        with self._lock:
            if self._failure is None:
                self._failure = self._write(failure)
                if show and self._failure == failure:
                    log.speak()
                    logger.error("%s", failure.text)
                self._failed.set()
            return self._failure

    def _write(self, failure: Failure) -> Failure:
        """Write a failure into the store. If the store has gone, the first rank that needs no store prints."""
        if not self._lost:
            try:
                return Failure(*json.loads(self._store.compare_set("failure", "", json.dumps(failure)).decode()))
            except RuntimeError:
                self._lost = True
        return failure._replace(rank=0 if self._keys.survives else 1)

    def wait_for_others(self) -> None:
        """Wait some seconds until the others have seen a failure, if the store ends with this rank."""
        if self._rank > 0 or self._keys.survives:
            return
        names = [f"left/{rank}" for rank in range(1, len(self._keys.peers))]
        end = time.monotonic() + GRACE_SECONDS + 2 * TICK_SECONDS
        with contextlib.suppress(RuntimeError):
            while names and time.monotonic() < end and not self._store.check(names):
                time.sleep(TICK_SECONDS / 10)

    def leave(self) -> None:
        """Tell the others that this rank ends."""
        if not self._lost:
            with contextlib.suppress(RuntimeError):
                self._store.set(f"left/{self._rank}", "")

    def wait_for_failure(self, seconds: float | None = HANGS_SECONDS + 3) -> Failure | None:
        """Wait for a failure that another rank or the thread reports. None: wait as long as the others are alive."""
        self._failed.wait(seconds)
        return self._failure

    def look(self) -> None:
        """Look for ranks that have died on this machine, now. If there are any, this process ends with a message."""
        with contextlib.suppress(RuntimeError):
            self._check_processes()

    def _run(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            if self._keys.finished:
                continue
            try:
                self._tick()
                self._ticked = time.monotonic()
            except (RuntimeError, OSError):
                if not self._keys.finished and not self._stopped.is_set():
                    self._lose_store("has ended")

    def _guard(self) -> None:
        """Watch the thread that watches: it waits for ever if the process with the store is stopped."""
        last = self._ticked = time.monotonic()
        while not self._stopped.wait(TICK_SECONDS):
            now = time.monotonic()
            if now - last > HANGS_SECONDS / 2 or self._keys.finished:  # this process was stopped
                self._ticked = now
            last = now
            if now - self._ticked > HANGS_SECONDS + 2 * TICK_SECONDS:
                self._lose_store("does not answer")

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._last > HANGS_SECONDS / 2:
            self._seen = {}  # this process was stopped, and has not seen the others meanwhile
        self._last = now
        self._count += 1
        self._store.set(f"alive/{self._rank}", str(self._count))
        if self._store.check(["failure"]):
            self._leave(self.claim(Failure(self._rank, 1, "")))
        self._share_signal()
        self._check_processes()
        self._check_counters(now)

    def _share_signal(self) -> None:
        own = self._keys.signal()
        if own is not None:
            self._store.set("signal", str(own))
        elif self._store.check(["signal"]):
            os.kill(os.getpid(), int(self._store.get("signal")))

    def _check_processes(self) -> None:
        """Find ranks of this machine whose process has ended."""
        if self._keys.finished:
            return
        for rank, peer in enumerate(self._keys.peers):
            if rank != self._rank and peer.place == self._here.place and has_ended(peer.process):
                if self._store.check(["failure"]):  # it has said why
                    self._leave(self.claim(Failure(self._rank, 1, "")))
                if self._keys.finished or self._store.check([f"left/{rank}"]):
                    continue
                self._speak(
                    f"rank {rank} on {peer.host} (process {peer.process}) has died, perhaps killed for lack of memory. "
                    f"{RESUME}"
                )

    def _check_counters(self, now: float) -> None:
        """Find ranks whose counter stands still."""
        peers = self._keys.peers
        others = [rank for rank in range(len(peers)) if rank != self._rank]
        names = [f"alive/{rank}" for rank in others]
        if not others or not self._store.check(names):
            return
        for rank, count in zip(others, self._store.multi_get(names), strict=True):
            old, since = self._seen.get(rank, (b"", now))
            self._seen[rank] = (count, since if count == old else now)
            if now - self._seen[rank][1] > HANGS_SECONDS and not self._store.check([f"left/{rank}"]):
                peer = peers[rank]
                self._kill(rank)
                self._speak(
                    f"rank {rank} on {peer.host} (process {peer.process}) has not answered for "
                    f"{now - self._seen[rank][1]:.0f} seconds: it is stopped, or its machine or network is down. "
                    f"{RESUME}"
                )

    def _lose_store(self, text: str) -> NoReturn:
        if self._failure is not None:
            self._leave(self._failure)
        self._lost = True
        if self._keys.survives:
            self._speak(f"the process that started the ranks {text}. {RESUME}")
        self._kill(0)
        self._speak(f"rank 0 {text}. {RESUME}")

    def _kill(self, rank: int) -> None:
        """Kill a rank of this machine that hangs."""
        peers = self._keys.peers
        if rank < len(peers) and rank != self._rank and peers[rank].place == self._here.place:
            with contextlib.suppress(OSError):
                os.kill(peers[rank].process, signal.SIGKILL)

    def _speak(self, text: str) -> NoReturn:
        """Print the reason, if no other rank has done so, and end the process."""
        self._leave(self.claim(Failure(self._rank, TrainingError.exit_code, text), show=True))

    def _leave(self, failure: Failure) -> NoReturn:
        """End the process after a failure, in which the main thread has some seconds to end by itself."""
        time.sleep(GRACE_SECONDS)
        self.leave()
        _exit(failure.code)


def has_ended(process: int) -> bool:
    """Return whether a process of this machine has ended, also if its parent has not noticed."""
    if not is_alive(process):
        return True
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def _exit(code: int) -> NoReturn:
    """End the process now. The main thread may wait for a rank that has gone."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)
