"""Array operations for code that runs unchanged in numpy and in torch.

Such code takes the namespace of its arrays once, and calls the functions of the Python array API standard in it. This
module has the operations that the standard lacks, or that need another algorithm in each library to be fast.

The namespace of numpy is numpy itself. That of torch is array-api-compat's. Neither torch nor array-api-compat is
imported before a torch tensor is passed in.

B sentences, K rows per sentence, R rows, W columns, N blocks, C elements to find.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = Any
"""An array of numpy or of torch. The arrays of one model have the same namespace and device."""

NUMPY_BLOCK_SIZE = 32
TORCH_BLOCK_SIZE = 64
BUFFER_ELEMENTS = 65_536
"""Size of the buffer of `logsumexp`, which stays in cache."""
SMALLEST_SUM = 1e-26
"""A row with a greater and finite sum of exponentials needs no shift: float32 holds the terms that count."""
NARROW = 512
"""Up to this number of columns, numpy searches all sums faster than blocks of them."""
FEW_GREATEST = 16
"""Up to this number of elements, repeated `argmax` is faster than `argpartition`."""
MAX_LOOP = 8
"""Up to this number of sentences, a loop over sentences is faster in numpy than operations on the whole batch."""


def namespace(array: Array) -> Any:
    """Return the module with the functions of the array API standard for `array`."""
    if isinstance(array, np.ndarray):
        return np
    from array_api_compat import torch as torch_namespace  # numpy does not need it

    return torch_namespace


def inference(like: Array) -> contextlib.AbstractContextManager[Any]:
    """Return a context for a search over arrays like `like`: no gradients, and no warnings about infinities."""
    if isinstance(like, np.ndarray):
        return np.errstate(invalid="ignore", divide="ignore")
    context: contextlib.AbstractContextManager[Any] = sys.modules["torch"].inference_mode()
    return context


def to_host(values: Array) -> NDArray[Any]:
    """Return `values` as a numpy array; waits for the device."""
    if isinstance(values, np.ndarray):
        return values
    array: NDArray[Any] = values.cpu().numpy()
    return array


def from_host(values: NDArray[Any], like: Array) -> Array:
    """Return a numpy array in the namespace and on the device of `like`; may share memory."""
    if isinstance(like, np.ndarray):
        return values
    return sys.modules["torch"].from_numpy(values).to(like.device)


def log_softmax(values: Array) -> Array:
    """Normalize log-probabilities over the last axis."""
    if isinstance(values, np.ndarray):
        return values - logsumexp(values)[..., np.newaxis]
    return values.log_softmax(-1)


def logsumexp(values: Array) -> Array:
    """Return the logarithm of the sum of exponentials over the last axis; -inf if all values are -inf."""
    if not isinstance(values, np.ndarray):
        return values.logsumexp(-1)
    flat = values.reshape(-1, values.shape[-1])  # [R, W]
    sums = _sums_of_exponentials(flat, None)
    if np.all((sums > SMALLEST_SUM) & (sums < np.inf)):
        return np.log(sums, out=sums).reshape(values.shape[:-1])
    shifts = np.maximum(flat.max(axis=1, keepdims=True), np.finfo(values.dtype).min)  # -inf minus -inf would be NaN
    sums = _sums_of_exponentials(flat, shifts)
    return (np.log(sums, out=sums) + shifts[:, 0]).reshape(values.shape[:-1])


def _sums_of_exponentials(values: NDArray[Any], shifts: NDArray[Any] | None) -> NDArray[Any]:
    """Return the sum over each row of exp(values - shifts) [R], for `values` [R, W] and `shifts` [R, 1]."""
    sums = np.empty(len(values), dtype=values.dtype)
    count = max(1, BUFFER_ELEMENTS // values.shape[1])
    buffer = np.empty((min(count, len(values)), values.shape[1]), dtype=values.dtype)
    ones = np.ones(values.shape[1], dtype=values.dtype)  # numpy computes products faster than sums
    with np.errstate(over="ignore"):
        for start in range(0, len(values), count):
            part = values[start : start + count]
            powers = buffer[: len(part)]
            np.exp(part if shifts is None else np.subtract(part, shifts[start : start + count], out=powers), out=powers)
            np.matmul(powers, ones, out=sums[start : start + count])
    return sums


def take_rows(values: Array, rows: Array) -> Array:
    """Return `rows` (indices [R']) of `values` [R, ...], as take does with axis 0, but faster."""
    return values.take(rows, axis=0) if isinstance(values, np.ndarray) else values.index_select(0, rows)


def gather(values: Array, indices: Array) -> Array:
    """Return the elements of each row of `values` [R, W] at `indices` [R, n], as take_along_axis does, but faster."""
    if isinstance(values, np.ndarray):
        return values[np.arange(len(values))[:, np.newaxis], indices]
    return values.gather(1, indices)


def put(values: Array, indices: Array, updates: Array) -> Array:
    """Return a copy of `values` [R, W] with `updates` (an array [R, n] or a number) at `indices` [R, n] of each row."""
    if isinstance(values, np.ndarray):
        copy = values.copy()
        copy[np.arange(len(values))[:, np.newaxis], indices] = updates
        return copy
    return values.scatter(1, indices, updates)


def add_at(values: Array, rows: Array, columns: Array, updates: Array) -> None:
    """Add `updates` to `values` [R, W] in place, once for each pair of `rows` and `columns`; shapes are broadcast."""
    if isinstance(values, np.ndarray):
        np.add.at(values, (rows, columns), updates)
    else:
        values.index_put_((rows, columns), updates, accumulate=True)


def kth_greatest(values: Array, count: int) -> Array:
    """Return the greatest value of each row of `values` [R, W] but count - 1 of them [R, 1]."""
    if isinstance(values, np.ndarray):
        place = values.shape[1] - count
        return np.partition(values, place, axis=1)[:, place : place + 1]
    return values.topk(count, dim=1).values[:, -1:]


def top_k_of_sums(values: Array, totals: Array, count: int, *, start: int) -> tuple[Array, Array, Array]:
    """Find the greatest sums ``totals[b, k] + values[b * K + k, w]`` of each sentence b, with w from `start`.

    Among equal sums, numpy prefers the first k, then the first w. In both libraries the choice depends on the sentence
    alone. NaN is found as if it were the greatest value.

    Args:
        values: [R, W].
        totals: [B, K], of the type of `values`.
        count: C; fewer are returned if fewer exist.
        start: The first column that counts.

    Returns:
        The elements of `values` in the sums, k, and w, greatest sum first [B, C] each. An element is -inf if fewer than
        C sums are finite; then its k and w are arbitrary indices.
    """
    count = min(count, totals.shape[1] * (values.shape[1] - start))
    if not isinstance(values, np.ndarray):
        return _torch_block_search(values, totals, count, start)
    if count == totals.shape[1] == 1:
        columns = values[:, start:].argmax(axis=1)[:, np.newaxis] + start  # [B, 1]
        return values[np.arange(len(values))[:, np.newaxis], columns], np.zeros_like(columns), columns
    by_sentence = values[:, start:].reshape(*totals.shape, -1)  # [B, K, W']
    if len(totals) > MAX_LOOP:
        elements, rows, columns, unsure = _numpy_block_search(by_sentence, totals, count)
        sentences = np.flatnonzero(unsure).tolist()
    else:
        elements = np.empty((len(totals), count), values.dtype)
        rows, columns = np.empty((2, len(totals), count), np.int64)
        sentences = range(len(totals))
    for sentence in sentences:
        found = elements[sentence], rows[sentence], columns[sentence]
        _numpy_one_by_one(by_sentence[sentence], totals[sentence], *found)
    return elements, rows, columns + start


def _numpy_one_by_one(
    values: NDArray[Any], totals: NDArray[Any], elements: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any]
) -> None:
    """Write the greatest sums of `values` [K, W] and `totals` [K] to `elements`, `rows` and `columns` [C].

    It is fast for a few sentences: numpy computes `argmax` at the speed of the memory.
    """
    best = values.argmax(axis=1)  # [K]
    sums = values[np.arange(len(values)), best] + totals  # [K]
    remaining: dict[int, NDArray[Any]] = {}
    for place in range(len(elements)):
        row = int(sums.argmax())
        if row not in remaining:
            remaining[row] = values[row].copy()  # [W]
        left = remaining[row]
        column = best[row]
        elements[place], rows[place], columns[place] = left[column], row, column
        left[column] = -np.inf
        best[row] = column = left.argmax()
        sums[row] = left[column] + totals[row]


def _numpy_block_search(
    values: NDArray[Any], totals: NDArray[Any], count: int
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Find the greatest sums of `values` [B, K, W] and `totals` [B, K] among those of a few blocks of columns.

    The C greatest sums lie in the C blocks with the greatest maxima, and maxima are cheap. Block n has the columns n,
    n + N, n + 2N and so on, because numpy computes maxima fastest over adjacent columns.

    Returns:
        See `top_k_of_sums`, then whether equal sums make the choice arbitrary [B].
    """
    sentences, rows, width = values.shape
    index = np.arange(sentences)[:, np.newaxis]  # [B, 1]
    if width <= NARROW:
        sums = (values + totals[..., np.newaxis]).reshape(sentences, -1)  # [B, K * W]
        chosen, lost, unsure = _greatest(sums, count)
        row, columns = np.divmod(chosen, width)  # [B, C] each
        elements = values[index, row, columns]  # [B, C]
        elements[lost] = -np.inf
        return *_best_first(elements, row, columns, totals), unsure
    blocks = -(-width // NUMPY_BLOCK_SIZE)
    whole = width // blocks * blocks
    maxima = values[..., :whole].reshape(sentences, rows, -1, blocks).max(axis=2)  # [B, K, N]
    rest = width - whole
    np.maximum(maxima[..., :rest], values[..., whole:], out=maxima[..., :rest])
    sums = (maxima + totals[..., np.newaxis]).reshape(sentences, -1)  # [B, K * N]
    chosen, lost, unsure = _greatest(sums, count)
    row, block = np.divmod(chosen, blocks)  # [B, C] each
    columns = block[..., np.newaxis] + np.arange(0, width, blocks)  # [B, C, n]; some are outside the last block
    outside = columns >= width
    columns[outside] = width - 1
    elements = values[index[..., np.newaxis], row[..., np.newaxis], columns]  # [B, C, n]
    elements[outside] = -np.inf
    elements[lost] = -np.inf
    sums = (elements + totals[index, row][..., np.newaxis]).reshape(sentences, -1)  # [B, C * n]
    chosen, lost, unsure_too = _greatest(sums, count)
    row = row[index, chosen // columns.shape[2]]  # [B, C]
    columns, elements = (each.reshape(sentences, -1)[index, chosen] for each in (columns, elements))  # [B, C] each
    elements[lost] = -np.inf
    return *_best_first(elements, row, columns, totals), unsure | unsure_too


def _best_first(
    elements: NDArray[Any], rows: NDArray[np.int64], columns: NDArray[np.int64], totals: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """Sort the chosen elements of each sentence, and their rows and columns [B, C] each; see `top_k_of_sums`."""
    index = np.arange(len(totals))[:, np.newaxis]  # [B, 1]
    order = index, np.lexsort((columns, rows, -(elements + totals[index, rows])), axis=1)
    return elements[order], rows[order], columns[order]


def _greatest(sums: NDArray[Any], count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Find the `count` greatest elements of each row, which may be overwritten.

    Returns:
        Their indices [B, C], which of them are -inf [B, C], and whether equal ones are left out [B]. The indices of
        elements that are -inf are arbitrary, and may be those of other elements.
    """
    sentences, width = sums.shape
    index = np.arange(sentences)
    if count > FEW_GREATEST or count >= width:
        chosen = np.argpartition(sums, width - min(count, width), axis=1)[:, -count:]  # [B, C], the smallest first
        values = gather(sums, chosen)  # [B, C]
        smallest = values[:, 0]  # [B]
        unsure = ((sums >= smallest[:, np.newaxis]).sum(axis=1) > count) & (smallest > -np.inf)
        return chosen, values == -np.inf, unsure
    chosen, values = np.empty((sentences, count), np.int64), np.empty((sentences, count), sums.dtype)
    for place in range(count):
        best = chosen[:, place] = sums.argmax(axis=1)  # [B]
        values[:, place] = sums[index, best]
        sums[index, best] = -np.inf
    smallest = values[:, -1]  # [B]
    return chosen, values == -np.inf, (sums.max(axis=1) >= smallest) & (smallest > -np.inf)


def _torch_block_search(values: Array, totals: Array, count: int, start: int) -> tuple[Array, Array, Array]:
    """See `top_k_of_sums` and `_numpy_block_search`. A block has adjacent columns, which is fastest in torch."""
    torch = sys.modules["torch"]
    sentences, rows = totals.shape
    width = values.shape[1] - start
    counted = values[:, start:]  # [R, W']
    whole = width // TORCH_BLOCK_SIZE * TORCH_BLOCK_SIZE
    maxima = counted[:, :whole].view(len(values), whole // TORCH_BLOCK_SIZE, TORCH_BLOCK_SIZE).amax(2)  # [R, N or less]
    if whole < width:
        maxima = torch.cat([maxima, counted[:, whole:].amax(1, keepdim=True)], dim=1)  # [R, N]
    blocks = maxima.shape[1]
    by_block = (maxima.view(sentences, rows, blocks) + totals.unsqueeze(2)).view(sentences, rows * blocks)  # [B, K * N]
    best_blocks = by_block.topk(min(count, rows * blocks), dim=1).indices.unsqueeze(2)  # [B, C, 1]
    offsets = torch.arange(TORCH_BLOCK_SIZE, device=values.device)  # [64]
    columns = best_blocks % blocks * TORCH_BLOCK_SIZE + offsets  # [B, C, 64], counted from `start`
    row = torch.div(best_blocks, blocks, rounding_mode="floor")  # [B, C, 1]
    places = (row * values.shape[1] + start + columns.clamp(max=width - 1)).flatten(1)  # [B, C * 64], in [0, K * W)
    elements = values.view(sentences, -1).gather(1, places)  # [B, C * 64]
    elements = elements.masked_fill((columns >= width).flatten(1), -torch.inf)  # the last block may be incomplete
    sums = elements + totals.gather(1, row.squeeze(2)).repeat_interleave(TORCH_BLOCK_SIZE, dim=1)  # [B, C * 64]
    best = sums.topk(count, dim=1).indices  # [B, C]
    place = places.gather(1, best)  # [B, C]
    best_rows = torch.div(place, values.shape[1], rounding_mode="floor")  # [B, C]
    return elements.gather(1, best), best_rows, place % values.shape[1]
