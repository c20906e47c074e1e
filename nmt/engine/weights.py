"""The parameters of a model file, taken one by one with the shapes that the configuration implies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from nmt.arrays import Array, namespace
from nmt.config.problems import shorten
from nmt.errors import CheckpointError

SHOWN_NAMES = 8


class Reader(Protocol):
    """Returns a parameter in float32: all of it, or the rows with some indices."""

    def __call__(self, rows: Array | None = None, /) -> Array: ...


class Weights:
    """Parameters by name. Parameters that are missing or of another shape are reported together, by `check`."""

    def __init__(self, tensors: Mapping[str, Array], release: Callable[[], None] | None = None) -> None:
        """Take the parameters.

        Args:
            tensors: The arrays, all of one namespace and device, in any float type.
            release: Called when a parameter has been copied: frees memory from which a file is read. None: nothing.
        """
        self._tensors = tensors
        self.release = release or _do_nothing
        self._used: set[str] = set()
        self._missing: list[str] = []
        self._reshaped: list[str] = []
        self.namespace = namespace(next(iter(tensors.values()), None))

    def take(self, name: str, *shape: int) -> Array:
        """Return the parameter `name` of `shape` in float32."""
        return self.reader(name, *shape)()

    def reader(self, name: str, *shape: int) -> Reader:
        """Return a function that returns the parameter `name` of `shape` in float32, when it is needed."""
        xp = self.namespace
        self._used.add(name)
        value = self._tensors.get(name)
        if value is None:
            self._missing.append(name)
            return lambda rows=None: xp.zeros(shape, dtype=xp.float32)
        if tuple(value.shape) != shape:
            self._reshaped.append(f"{name} {list(value.shape)} instead of {list(shape)}")
            return lambda rows=None: xp.zeros(shape, dtype=xp.float32)

        def read(rows: Array | None = None) -> Array:
            wanted = value if rows is None else xp.take(value, rows, axis=0)
            return xp.astype(wanted, xp.float32, copy=False)

        return read

    def allow(self, name: str) -> None:
        """Accept a parameter that is stored besides the one that it equals."""
        self._used.add(name)

    def check(self) -> None:
        """Make sure that every parameter that was taken existed, and that none is left.

        Raises:
            CheckpointError: The weights do not fit the configuration.
        """
        unexpected = [name for name in self._tensors if name not in self._used]
        problem = weight_problems(self._missing, unexpected, self._reshaped)
        if problem:
            raise CheckpointError(problem)


def weight_problems(missing: Sequence[str], unexpected: Sequence[str], reshaped: Sequence[str]) -> str:
    """Describe parameters that do not fit a network; empty if all fit."""
    problems = [
        f"{what}: {some_names(names)}."
        for what, names in (("Missing", missing), ("Unexpected", unexpected), ("Of another shape", reshaped))
        if names
    ]
    return " ".join(["The weights do not fit the model's configuration.", *problems]) if problems else ""


def some_names(names: Sequence[str]) -> str:
    """Return a list of names as a message shows it."""
    more = f" and {len(names) - SHOWN_NAMES:,} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(shorten(name) for name in names[:SHOWN_NAMES]) + more


def _do_nothing() -> None:
    pass
