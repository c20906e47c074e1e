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
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nmt.arrays import Array
from nmt.engine.weights import Weights

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


class MatrixProduct:
    """W x + b, where x may be a concatenation of several inputs. Threads may share it."""

    def __init__(
        self,
        weights: Weights,
        *readers: Callable[[], Array],
        outputs: int,
        bias: Callable[[], Array] | None = None,
    ) -> None:
        """Take functions that make the parts of the matrix, which are called when it is laid out.

        Args:
            weights: Where they read from.
            readers: Return the parts [O, I'] of W, float32, one for each part of the inputs.
            outputs: O.
            bias: Returns b [O], float32. None: no bias.
        """
        self.output_size = outputs
        self._xp = weights.namespace
        self._release = weights.release
        self._readers = readers
        self._bias = bias
        self._whole: Array | None = None  # [O, 1 + I]
        self._blocks: list[Array] | None = None  # [1 + I, C] each
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
            if self._blocks is None:
                self._blocks = _cut(self._parts(), self._release)
            _multiply_blocks(rows, self._blocks, out)
        else:
            if self._whole is None:
                parts = self._parts()
                self._whole = parts[0] if len(parts) == 1 else xp.concat(parts, axis=1)  # [O, 1 + I]
                self._release()
            xp.matmul(rows, self._whole.T, out=out)
        return out

    def _prefers_blocks(self, rows: int) -> bool:
        """Return whether to use the blocks: for few rows, or if only they exist."""
        few = rows <= FEW_ROWS and self._xp is np
        wanted, other = (self._blocks, self._whole) if few else (self._whole, self._blocks)
        if wanted is not None or other is None:
            return few
        self._slower += rows > 1  # one row is as fast in both layouts
        return few == (self._slower > PATIENCE)

    def _parts(self) -> list[Array]:
        """Return the bias [O, 1], if there is one, and the parts of W [O, I']."""
        bias = [] if self._bias is None else [self._bias()[:, None]]
        return bias + [read() for read in self._readers]


def linear(weights: Weights, name: str, outputs: int, inputs: int, *, bias: bool = False) -> MatrixProduct:
    """Return the product with the parameter `name`.weight [O, I], and with `name`.bias [O]."""
    return MatrixProduct(
        weights,
        weights.reader(f"{name}.weight", outputs, inputs),
        outputs=outputs,
        bias=weights.reader(f"{name}.bias", outputs) if bias else None,
    )


def _cut(parts: list[Array], release: Callable[[], None]) -> list[Array]:
    """Return the columns of parts [O, I'], which are concatenated, in blocks [1 + I, C].

    `release` is called after each block, so that no more than a block is in memory twice.
    """
    outputs, size = len(parts[0]), sum(part.shape[1] for part in parts)
    count = -(-outputs // max(ALIGNMENT, SMALL_PRODUCT // (TYPICAL_ROWS * size)))
    width = -(-outputs // count // ALIGNMENT) * ALIGNMENT
    blocks = []
    for start in range(0, outputs, width):
        columns = [part[start : start + width] for part in parts]  # [C, I'] each
        block = np.empty((size, len(columns[0])), columns[0].dtype)
        np.concatenate([part.T for part in columns], axis=0, out=block)
        blocks.append(block)
        release()
    return blocks


def _multiply_blocks(rows: Array, blocks: list[Array], out: Array) -> None:
    """Multiply `rows` [R, 1 + I] with each block, in small products if there are few rows."""
    count, size = rows.shape
    most = out.shape[1]
    if 1 < count <= FEW_ROWS:
        most = max(ALIGNMENT, SMALL_PRODUCT // (count * size) // ALIGNMENT * ALIGNMENT)
    start = 0
    for block in blocks:
        for first in range(0, block.shape[1], most):
            columns = block[:, first : first + most]  # [1 + I, C']
            stop = start + columns.shape[1]
            np.matmul(rows, columns, out=out[:, start:stop])
            start = stop
