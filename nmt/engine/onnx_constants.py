"""Makes inputs of an ONNX graph constants, which ONNX Runtime lays out for its kernels when it loads the graph.

An ONNX file is a message of protocol buffers: a sequence of fields, each with a number, a type and a value. The value
of a field may be a message. Two functions for this format take less time than the import of the package onnx, which is
half a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRAPH = 7
"""Field of a model: the graph."""
INITIALIZER, INPUT = 5, 11
"""Fields of a graph: a constant, and the description of an input."""
NAME = 1
"""Field of the description of an input."""
DIMENSION, DATA_TYPE, TENSOR_NAME, RAW_DATA = 1, 2, 8, 9
"""Fields of a constant."""
TYPES = {"float32": 1, "int8": 3}
NUMBER, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
"""Types of a field."""


def with_constants(model: bytes, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return an ONNX model whose inputs with the names of `arrays` are constants.

    Raises:
        ValueError: The model is damaged.
    """
    others, graph = [], []
    for number, value, field in _fields(model):
        if number != GRAPH:
            others.append(field)
            continue
        for inner, content, part in _fields(value):
            if inner != INPUT or _name(content) not in arrays:
                graph.append(part)
    graph += [_bytes_field(INITIALIZER, _tensor(name, array)) for name, array in arrays.items()]
    return b"".join([*others, _bytes_field(GRAPH, b"".join(graph))])


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the number of each field, its value, and the whole field."""
    position = 0
    while position < len(message):
        start = position
        key, position = _read_number(message, position)
        first = position
        if key & 7 == NUMBER:
            _, position = _read_number(message, position)
        elif key & 7 == BYTES:
            length, first = _read_number(message, position)
            position = first + length
        elif key & 7 in (EIGHT_BYTES, FOUR_BYTES):
            position += 8 if key & 7 == EIGHT_BYTES else 4
        else:
            raise ValueError("a field of an unknown type")
        if position > len(message):
            raise ValueError("a field that is cut off")
        yield key >> 3, message[first:position], message[start:position]


def _read_number(message: bytes, position: int) -> tuple[int, int]:
    """Return the number at a position, and the position after it. Each byte has 7 bits, the lowest first."""
    number, shift = 0, 0
    while True:
        if position >= len(message):
            raise ValueError("a number that is cut off")
        byte = message[position]
        number |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return number, position


def _name(description: bytes) -> str:
    return next((value.decode() for number, value, _ in _fields(description) if number == NAME), "")


def _tensor(name: str, array: NDArray[Any]) -> bytes:
    """Return a constant as a message."""
    dimensions = [_number_field(DIMENSION, size) for size in array.shape]
    values = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return b"".join(
        [
            *dimensions,
            _number_field(DATA_TYPE, TYPES[str(array.dtype)]),
            _bytes_field(TENSOR_NAME, name.encode()),
            _bytes_field(RAW_DATA, values.tobytes()),
        ]
    )


def _number_field(number: int, value: int) -> bytes:
    return _number(number << 3 | NUMBER) + _number(value)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _number(number << 3 | BYTES) + _number(len(value)) + value


def _number(value: int) -> bytes:
    """Return a number as bytes of 7 bits, the lowest first."""
    found = bytearray()
    while value >= 128:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
