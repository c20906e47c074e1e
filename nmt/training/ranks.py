"""The processes of a distributed training: what they exchange, and how they end together.

Every process (rank) has a copy of the weights and computes its share of the batches of each update. The gradients are
summed by torch's DistributedDataParallel while the backward pass runs. Everything else is a function of the seed and of
values that all ranks have, so all ranks decide the same. What depends on the clock, on files or on signals is decided
by rank 0 or summed over all ranks.

Small values travel through a store of torch (a dictionary in the process that started the ranks). Waiting for them
stays in Python, so that signals are handled.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed import PrefixStore  # type: ignore[attr-defined]

from nmt import log
from nmt.errors import Interrupted, NMTError, TrainingError, UsageError
from nmt.training.signals import STOPS
from nmt.training.watcher import Failure, Keys, Peer, Watcher, connect

T = TypeVar("T")

COLLECTIVE_TIMEOUT = timedelta(hours=6)
"""Longest wait for another rank in a sum. The watcher ends the run much earlier if a rank has died or hangs."""
START_SECONDS = 300.0
"""Longest wait for a rank that has not started."""
POLL_SECONDS = 0.02
SHOWN_KEYS = 3
SHOWN_CHARACTERS = 40
CHUNK_CHARACTERS = 1 << 22
"""Longest value of the store. It takes at most 8 MiB."""
LAST_RANK = 30.0
"""Longest wait of rank 0 for the last rank at the end of a training."""
SLOWER_RANKS = 5.0
"""Seconds that a rank with an error waits for the same error of rank 0, whose message names no rank."""


class Ranks:
    """The processes of a training. This class is a single process; see `ProcessRanks` for several."""

    rank = 0
    size = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    @property
    def local_rank(self) -> int:
        """Number of this process on its machine."""
        return 0

    @property
    def local_size(self) -> int:
        """Number of processes on this machine."""
        return 1

    def connect(self, device: torch.device) -> None:
        """Prepare sums over all ranks. Each rank computes on its `device`."""

    def synchronized(self, loss: nn.Module, device: torch.device) -> nn.Module:
        """Return `loss`, whose backward pass averages the gradients over all ranks."""
        return loss

    def sum(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all ranks, in float64. All ranks get the same bits."""
        return list(values)

    def gather(self, value: Any) -> list[Any]:
        """Return the JSON values of all ranks, by rank."""
        return [value]

    def from_first(self, make: Callable[[], T]) -> T:
        """Return a JSON value that rank 0 computes."""
        return make()

    def first_before_others(self, make: Callable[[], T]) -> T:
        """Call a function in rank 0, then in the others."""
        return make()

    def latest_signal(self, number: int | None) -> int | None:
        """Return a signal that a rank has handed over. All ranks must call this, whatever they have skipped before."""
        return number

    def copy_from_first(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace the values of `tensors` by those of rank 0."""

    def report_signal(self, signal: Callable[[], int | None]) -> None:
        """Tell other ranks of a stop signal that this rank got, and send theirs to this process."""

    def of_every(self, items: Sequence[T]) -> Sequence[T]:
        """Return the share of this rank: every `size`-th item."""
        return items[self.rank :: self.size]

    def interleave(self, shares: Sequence[Sequence[T]]) -> list[T]:
        """Return the items from the shares of all ranks, in the order before `of_every`."""
        total = sum(map(len, shares))
        return [shares[number % self.size][number // self.size] for number in range(total)]


class ProcessRanks(Ranks):
    """One of several processes that torchrun or `nmt train --devices` has started."""

    def __init__(self, keys: Keys, *, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size
        self._keys = keys
        self._rounds = 0
        self._votes = 0
        self._connected = False

    @property
    def local_rank(self) -> int:
        return int(os.environ.get("LOCAL_RANK", 0))

    @property
    def local_size(self) -> int:
        return int(os.environ.get("LOCAL_WORLD_SIZE", 1))

    def connect(self, device: torch.device) -> None:
        if self._connected:
            return
        self._connected = True
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
            store=PrefixStore("group", self._keys.store),
            rank=self.rank,
            world_size=self.size,
            timeout=COLLECTIVE_TIMEOUT,
            device_id=device if device.type == "cuda" else None,
        )

    def synchronized(self, loss: nn.Module, device: torch.device) -> nn.Module:
        devices = [device] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(loss, device_ids=devices)

    def sum(self, values: Sequence[float]) -> list[float]:
        total = torch.tensor(values, dtype=torch.float64)  # by Gloo, without a wait for the device
        distributed.all_reduce(total)
        return [float(value) for value in total.tolist()]

    def gather(self, value: Any) -> list[Any]:
        self._rounds += 1
        return self._exchange(f"round-{self._rounds}", value)

    def from_first(self, make: Callable[[], T]) -> T:
        self._rounds += 1
        name = f"first-{self._rounds}"
        if self.is_first:
            value = make()
            self._put(name, value)
            return value
        return self._take(name)  # type: ignore[no-any-return]

    def first_before_others(self, make: Callable[[], T]) -> T:
        if self.is_first:
            made = make()
            self.from_first(lambda: None)
            return made
        self.from_first(lambda: None)
        return make()

    def latest_signal(self, number: int | None) -> int | None:
        self._votes += 1
        return max(self._exchange(f"vote-{self._votes}", number or 0)) or None

    def copy_from_first(self, tensors: Mapping[str, Tensor]) -> None:
        for value in tensors.values():
            distributed.broadcast(value, 0)

    def report_signal(self, signal: Callable[[], int | None]) -> None:
        self._keys.signal = signal

    def start(self) -> None:
        """Wait until all ranks have started.

        Raises:
            TrainingError: A rank has not started within some minutes.
        """
        self._put(f"peer/{self.rank}", Peer.this())
        late = time.monotonic() + START_SECONDS
        for rank in range(self.size):
            while not self._keys.has(f"peer/{rank}/0"):
                if time.monotonic() > late:
                    raise TrainingError(
                        f"rank {rank} of {self.size} has not started within {START_SECONDS / 60:.0f} minutes. Start "
                        "the same command on all machines, and check that they reach each other"
                    )
                time.sleep(POLL_SECONDS)
        self._keys.peers = [Peer(*self._take(f"peer/{rank}")) for rank in range(self.size)]

    def finish(self) -> None:
        """Wait for all ranks at the end of a training, and disconnect."""
        self.gather(None)
        self._keys.finished = True
        self._keys.set(f"left/{self.rank}", "")  # before the end of this process, which slower ranks may see first
        if self.is_first and not self._keys.survives:  # the store ends with rank 0
            end = time.monotonic() + LAST_RANK
            while time.monotonic() < end and not all(self._keys.has(f"left/{rank}") for rank in range(1, self.size)):
                time.sleep(POLL_SECONDS)
        if self._connected:
            distributed.destroy_process_group()

    def _exchange(self, name: str, value: Any) -> list[Any]:
        self._put(f"{name}/{self.rank}", value)
        return [value if rank == self.rank else self._take(f"{name}/{rank}") for rank in range(self.size)]

    def _put(self, name: str, value: Any) -> None:
        """Store a JSON value, in parts that the store takes. The first part is stored last."""
        text = json.dumps(value)
        parts = [text[start : start + CHUNK_CHARACTERS] for start in range(0, len(text), CHUNK_CHARACTERS)]
        for number, part in reversed(list(enumerate(parts))):
            self._keys.set(f"{name}/{number}", (f"{len(parts)} " if number == 0 else "") + part)

    def _take(self, name: str) -> Any:
        """Wait for a value of another rank, and return it."""
        seconds = POLL_SECONDS / 10
        while not self._keys.has(f"{name}/0"):
            time.sleep(seconds)
            seconds = min(POLL_SECONDS, 1.2 * seconds)
        count, _, text = self._keys.get(f"{name}/0").partition(" ")
        return json.loads(text + "".join(self._keys.get(f"{name}/{number}") for number in range(1, int(count))))


def check_same(ranks: Ranks, what: str, values: Mapping[str, Any], *, but: Sequence[str] = ()) -> None:
    """Check that all ranks have the same values.

    Args:
        ranks: The ranks.
        what: The name of the values in messages.
        values: JSON values by key.
        but: Keys that are not compared.

    Raises:
        UsageError: A rank has other values than rank 0. The text names the rank and the first keys with both values.
    """
    if ranks.size == 1:
        return
    first, *others = ranks.gather({key: value for key, value in values.items() if key not in but})
    for rank, other in enumerate(others, 1):
        keys = [key for key in sorted(first.keys() | other.keys()) if first.get(key) != other.get(key)]
        if keys:
            shown = "; ".join(
                f"{key} is {_cut(other.get(key))} instead of {_cut(first.get(key))}" for key in keys[:SHOWN_KEYS]
            )
            raise UsageError(
                f"rank {rank} has another {what} than rank 0: {shown}. Use the same files and versions on all machines"
            )


def check_equal_weights(ranks: Ranks, weights: Mapping[str, Tensor], update: int) -> None:
    """Check that all ranks have the same bits in their weights, with which they have made the same updates.

    Each tensor is reduced to a sum of integers, its bits. No order of addition changes that, so all devices compute the
    same.

    Args:
        ranks: The ranks.
        weights: The weights by name, on one device.
        update: The last update, for the message.

    Raises:
        TrainingError: Some ranks have other weights than most, or than rank 0 if there is no majority.
    """
    if ranks.size == 1 or not weights:
        return
    sums = torch.stack([_sum_of_bits(value) for value in weights.values()]).tolist()
    found = ranks.gather([socket.gethostname(), sums])
    counts = Counter(tuple(each) for _, each in found)
    usual = max(counts, key=counts.__getitem__)  # the first of equal counts, which is that of rank 0
    others = [(rank, host, each) for rank, (host, each) in enumerate(found) if tuple(each) != usual]
    if others:
        rank, host, each = others[0]
        names = [name for name, own, same in zip(weights, each, usual, strict=True) if own != same]
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        raise TrainingError(
            f"rank {rank} on {host}{more} has other weights than {'most ranks' if ranks.size > 2 else 'rank 0'} after "
            f"update {update}: {len(names)} of {len(weights)} tensors differ, first {names[0]}. A device or its memory "
            "may be faulty. Checkpoints since the previous validation may be affected. Resume the run with --resume"
        )


def _sum_of_bits(value: Tensor) -> Tensor:
    """Return the sum of the bits, read as integers of at most four bytes, on the device []."""
    kind = {1: torch.int8, 2: torch.int16}.get(value.element_size(), torch.int32)
    return value.detach().reshape(-1).view(kind).sum(dtype=torch.int64)


def _cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."


@contextmanager
def join_ranks() -> Iterator[Ranks]:
    """Yield the ranks of this training, whose processes torchrun has started.

    If the block fails in one rank, all ranks end. One of them prints one message, which names the rank if it is not
    rank 0.

    Raises:
        NMTError: The error of this rank, if no other rank has failed before.
        SystemExit: Another rank has failed, and has printed the reason.
    """
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if rank > 0:
        log.silence()
    keys = connect(rank=rank, size=size)
    ranks = ProcessRanks(keys, rank=rank, size=size)
    watcher = Watcher(keys, rank=rank)
    watcher.start()
    try:
        ranks.start()
        yield ranks
        ranks.finish()
    except BaseException as error:
        shown = _end(error, ranks, watcher)
        watcher.leave()
        watcher.wait_for_others()
        raise shown from error.__cause__
    finally:
        watcher.stop()


def _end(error: BaseException, ranks: ProcessRanks, watcher: Watcher) -> BaseException:
    """Return what this rank raises after an error, of its own or of another rank.

    That is the error if no other rank has failed before. Otherwise it is the exit code that all ranks have.
    """
    for number in STOPS:  # torchrun sends SIGTERM to all ranks when one has ended
        signal.signal(number, signal.SIG_IGN)
    known = watcher.wait_for_failure() if _of_another_rank(error) else None
    watcher.look()
    if known is None and not ranks.is_first and not isinstance(error, SystemExit | KeyboardInterrupt):
        known = watcher.wait_for_failure(None if isinstance(error, Interrupted) else SLOWER_RANKS)
    if known is None:
        shown = _explain(error, ranks)
        own = Failure(ranks.rank, _exit_code(shown), str(shown))
        known = watcher.claim(own)
        if known == own:
            log.speak()
            return shown
    return SystemExit(known.code)


def _exit_code(error: BaseException) -> int:
    """Return the exit code of `nmt train` after an error."""
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return error.exit_code if isinstance(error, NMTError) else 1


def _of_another_rank(error: BaseException) -> bool:
    """Return whether an error of torch says that another rank has gone."""
    text = str(error).lower()
    return isinstance(error, distributed.DistError) or (
        isinstance(error, RuntimeError) and any(name in text for name in ("gloo", "nccl", "connection closed"))
    )


def _explain(error: BaseException, ranks: Ranks) -> BaseException:
    """Return the error with the name of the rank, and lack of memory as a sentence."""
    host = socket.gethostname()
    name = f"rank {ranks.rank} on {host}"
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "memory" in str(error).lower()
    ):
        return TrainingError(
            f"{name} has not enough memory. The last checkpoint is intact. Lower training.batch_tokens or the sizes in "
            "the model section, or use fewer processes on a machine"
        )
    if isinstance(error, NMTError) and not ranks.is_first:
        error.args = (f"{name}: {error}",)
    return error
