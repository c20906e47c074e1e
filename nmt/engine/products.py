"""Matrix products with weights that are laid out for the number of rows that they are multiplied with.

R rows, I input features, O output features, C columns of a block.

A search multiplies the same matrix again and again: with 5 rows for one sentence and a beam of 5, with 320 rows for a
batch of 64 sentences. OpenBLAS, which numpy uses, copies the matrix into its own layout in each call. With many rows
the copy costs little, and is fastest from a matrix [O, I]. With 2 to 16 rows it takes longer than the product.
OpenBLAS has kernels that do not copy, for matrices [I, O] and at most a million multiplications. They are 2 to 3 times
as fast, if the matrix is cut into blocks of columns that are small enough.

So a matrix is laid out when it is multiplied for the first time, for the number of rows of that time. A process that
translates single lines has one layout, a process that translates files has the other, and a server may have both.

The first column of a matrix is the bias, which is multiplied by ones. That saves a pass over the results.

Threads that have nothing else to do may help with the blocks of a large matrix, see `helped_by`. Each block is one
product as before, so the results are equal to the bit.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmt.arrays import Array, namespace
from nmt.engine.weights import Weights

if TYPE_CHECKING:
    from concurrent.futures import Executor

SMALL_PRODUCT = 1_000_000
"""Multiplications of the largest product that OpenBLAS computes without a copy."""
FEW_ROWS = 16
"""Greatest number of rows for which small products are faster."""
TYPICAL_ROWS = 5
"""Number of rows for which a block is one small product."""
ALIGNMENT = 16
"""Columns are cut at multiples of a vector register's float32 numbers."""
PATIENCE = 100
"""Number of products with the slower layout before the other one is made."""
SHARE = 750_000
"""Elements of a matrix for each thread. To wake a thread takes as long as a product with a quarter of them."""

PORTIONS = 2
"""Parts of a shared product for each thread. With more parts, threads wait for Python more often."""

_helpers: contextvars.ContextVar[tuple[Callable[[], Executor], int] | None] = contextvars.ContextVar(
    "helpers", default=None
)


@contextlib.contextmanager
def helped_by(executor: Callable[[], Executor], count: int) -> Iterator[None]:
    """Return a context in which up to `count` threads help with large products of few rows.

    Args:
        executor: Returns what runs the threads, when it is needed.
        count: Number of threads.
    """
    token = _helpers.set((executor, count))
    try:
        yield
    finally:
        _helpers.reset(token)


class RowBlock(NamedTuple):
    """Adjacent rows of a parameter, which become the next rows of a matrix."""

    start: int
    stop: int
    factor: float = 1.0
    """What they are multiplied with."""


def arrange_rows(values: Array, order: tuple[RowBlock, ...], start: int = 0, stop: int | None = None) -> Array:
    """Return the rows from `start` to `stop` of a matrix whose rows are those of `values` [O, ...] in an order.

    Without an order, the result shares memory with `values`.
    """
    stop = len(values) if stop is None else min(stop, len(values))
    if not order:
        return values[start:stop]
    pieces, place = [], 0
    for block in order:
        first, last = max(start, place), min(stop, place + block.stop - block.start)
        if first < last:
            piece = values[first - place + block.start : last - place + block.start]
            pieces.append(piece if block.factor == 1 else piece * block.factor)
        place += block.stop - block.start
    return pieces[0] if len(pieces) == 1 else namespace(values).concat(pieces, axis=0)


class MatrixProduct:
    """W x + b, where x may be a concatenation of several inputs. Threads may share it."""

    def __init__(
        self,
        weights: Weights,
        *readers: Callable[[], Array],
        outputs: int,
        bias: Callable[[], Array] | None = None,
        order: tuple[RowBlock, ...] = (),
        once: bool = False,
    ) -> None:
        """Take functions that return the parts of the matrix, which are called when it is laid out.

        Args:
            weights: Where they read from.
            readers: Return the parts [O, I'] of W, float32, one for each part of the inputs.
            outputs: O.
            bias: Returns b [O], float32. None: no bias.
            order: The order of the outputs, if it is another one than that of the parameters.
            once: Whether there is one product for each batch. The matrix is then kept from the second batch on, so that
                it takes no memory in a process that translates one line.
        """
        self.output_size = outputs
        self._xp = weights.namespace
        self._release = weights.release
        self._readers = readers
        self._bias = bias
        self._order = order
        self._keeps = not once or weights.namespace is not np
        self._whole: Array | None = None  # [O, 1 + I]
        self._blocks: _Blocks | None = None
        self._slower = 0

    def __call__(self, *inputs: Array, out: Array | None = None) -> Array:
        """Return the products [R, O] of `inputs` [R, I'] each, which are concatenated; in `out` if it is given."""
        xp = self._xp
        parts = list(inputs)
        if self._bias is not None:
            parts.insert(0, xp.ones((len(parts[0]), 1), dtype=parts[0].dtype, device=parts[0].device))
        rows = parts[0] if len(parts) == 1 else xp.concat(parts, axis=1)  # [R, 1 + I]
        if out is None:
            out = xp.empty((len(rows), self.output_size), dtype=rows.dtype, device=rows.device)
        if self._prefers_blocks(len(rows)):
            _multiply_blocks(rows, self._in_blocks(), out)
        else:
            xp.matmul(rows, self._as_whole().T, out=out)
        self._keeps = True
        return out

    def _in_blocks(self) -> _Blocks:
        """Return the matrix in blocks."""
        if self._blocks is not None:
            return self._blocks
        blocks = _cut(self._parts(), self._order, self._release)
        if self._keeps:
            self._blocks = blocks
        return blocks

    def _as_whole(self) -> Array:
        """Return the matrix [O, 1 + I]."""
        if self._whole is not None:
            return self._whole
        parts = [arrange_rows(part, self._order) for part in self._parts()]
        whole = parts[0] if len(parts) == 1 else self._xp.concat(parts, axis=1)
        if self._keeps:
            self._whole = whole
        self._release()
        return whole

    def _prefers_blocks(self, rows: int) -> bool:
        """Return whether to use the blocks: for few rows, or if only they exist."""
        few = rows <= FEW_ROWS and self._xp is np
        wanted, other = (self._blocks, self._whole) if few else (self._whole, self._blocks)
        if wanted is not None or other is None:
            return few
        self._slower += rows > 1  # one row is as fast in both layouts
        return few == (self._slower > PATIENCE)

    def _parts(self) -> list[Array]:
        """Return the bias [O, 1], if there is one, and the parts of W [O, I'], in the order of the parameters."""
        bias = [] if self._bias is None else [self._bias()[:, None]]
        return bias + [read() for read in self._readers]


def linear(
    weights: Weights, name: str, outputs: int, inputs: int, *, bias: bool = False, once: bool = False
) -> MatrixProduct:
    """Return the product with the parameter `name`.weight [O, I], and with `name`.bias [O]; see `MatrixProduct`."""
    return MatrixProduct(
        weights,
        weights.reader(f"{name}.weight", outputs, inputs),
        outputs=outputs,
        bias=weights.reader(f"{name}.bias", outputs) if bias else None,
        once=once,
    )


class _Blocks(NamedTuple):
    """A matrix in blocks of columns."""

    stack: Array
    """Blocks of equal size [N, 1 + I, C]."""
    rest: Array
    """The last columns, fewer than C [1 + I, C'']."""


def _cut(parts: list[Array], order: tuple[RowBlock, ...], release: Callable[[], None]) -> _Blocks:
    """Return the rows of parts [O, I'], which are concatenated, as columns in blocks.

    `release` is called after each block, so that no more than a block is in memory twice.
    """
    outputs, size = len(parts[0]), sum(part.shape[1] for part in parts)
    count = -(-outputs // max(ALIGNMENT, SMALL_PRODUCT // (TYPICAL_ROWS * size)))
    width = -(-outputs // count // ALIGNMENT) * ALIGNMENT
    whole = outputs // width
    stack = np.empty((whole, size, width), parts[0].dtype)
    rest = np.empty((size, outputs - whole * width), parts[0].dtype)
    for start, block in zip(range(0, outputs, width), [*stack, rest], strict=False):
        columns = [arrange_rows(part, order, start, start + width) for part in parts]  # [C, I'] each
        np.concatenate([part.T for part in columns], axis=0, out=block)
        release()
    return _Blocks(stack, rest)


def _multiply_blocks(rows: Array, blocks: _Blocks, out: Array) -> None:
    """Multiply `rows` [R, 1 + I] with each block, in small products if there are few rows."""
    count, size = rows.shape
    number, _, width = blocks.stack.shape
    most = width
    if 1 < count <= FEW_ROWS:
        most = max(ALIGNMENT, SMALL_PRODUCT // (count * size) // ALIGNMENT * ALIGNMENT)
    covered = out[:, : number * width].reshape(count, number, width).transpose(1, 0, 2)  # [N, R, C], a view
    helpers = _helpers.get()
    threads = 1 if helpers is None or count > FEW_ROWS else min(helpers[1] + 1, size * out.shape[1] // SHARE)
    at_once = max(1, number if threads <= 1 else -(-number // (PORTIONS * threads)))
    products = [
        (
            blocks.stack[start : start + at_once, :, first : first + most],
            covered[start : start + at_once, :, first : first + most],
        )
        for first in range(0, width, most)
        for start in range(0, number, at_once)
    ]  # [N', 1 + I, C'] and [N', R, C'] each
    rest = out[:, number * width :]  # [R, C']
    products += [
        (blocks.rest[:, first : first + most], rest[:, first : first + most]) for first in range(0, rest.shape[1], most)
    ]
    if helpers is None or threads <= 1:
        _multiply(rows, iter(products))
    else:
        _multiply_together(rows, iter(products), helpers[0](), threads - 1)


def _multiply(rows: Array, products: Iterator[tuple[Array, Array]]) -> None:
    """Write the product of `rows` [R, 1 + I] with each matrix [..., 1 + I, C'] to the array beside it [..., R, C']."""
    for columns, part in products:
        np.matmul(rows, columns, out=part)


def _multiply_together(rows: Array, products: Iterator[tuple[Array, Array]], executor: Executor, helpers: int) -> None:
    """Share products among threads. Each takes the next one, so that nobody waits for a thread that is not awake."""
    helping = [
        executor.submit(contextvars.copy_context().run, _multiply, rows, products)  # the context has numpy's settings
        for _ in range(helpers)
    ]
    try:
        _multiply(rows, products)
    finally:
        for future in helping:
            if not future.cancel():
                future.result()
