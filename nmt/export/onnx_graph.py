"""Writes an ONNX graph as expressions over its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
"""Version of the ONNX operators. Every version of ONNX Runtime from 1.12 on has them."""
IR_VERSION = 8
"""Version of the ONNX file format that belongs to the operators."""
RUNTIME_DOMAIN = "com.microsoft"
"""The domain of the operators of ONNX Runtime."""
TYPES = {
    "int8": TensorProto.INT8,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "float32": TensorProto.FLOAT,
    "bool": TensorProto.BOOL,
}


class Location(NamedTuple):
    """The place of a constant in a file beside the graph."""

    file: str
    offset: int


class Value:
    """A tensor that a graph computes. Arithmetic adds nodes to the graph."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph = graph
        self.name = name
        self.bound: NDArray[np.float32] | None = None
        """The greatest absolute value of each feature, the last axis; None: it is not known."""

    def __add__(self, other: Operand) -> Value:
        return self.graph.add("Add", self, other)

    def __sub__(self, other: Operand) -> Value:
        return self.graph.add("Sub", self, other)

    def __mul__(self, other: Operand) -> Value:
        return self.graph.add("Mul", self, other)

    def __truediv__(self, other: Operand) -> Value:
        return self.graph.add("Div", self, other)

    def __matmul__(self, other: Operand) -> Value:
        return self.graph.add("MatMul", self, other)

    def apply(self, operator: str, *others: Operand, **attributes: Any) -> Value:
        """Return the result of an operator whose first input is this value."""
        return self.graph.add(operator, self, *others, **attributes)

    def reshape(self, *shape: int) -> Value:
        """Return the value in another shape; 0 keeps a dimension, -1 is inferred."""
        return self.apply("Reshape", self.graph.integers(*shape))

    def transpose(self, *axes: int) -> Value:
        """Return the value with its axes in another order."""
        return self.apply("Transpose", perm=list(axes))

    def unsqueeze(self, *axes: int) -> Value:
        """Return the value with new axes of size 1."""
        return self.apply("Unsqueeze", self.graph.integers(*axes))

    def shape(self, start: int, end: int) -> Value:
        """Return some of the sizes of the value [end - start], int64."""
        return self.apply("Shape", start=start, end=end)

    def cast(self, kind: str) -> Value:
        """Return the value as another type."""
        return self.apply("Cast", to=TYPES[kind])

    def split(self, *sizes: int) -> list[Value]:
        """Return the parts of the last axis of these sizes."""
        return self.graph.add_all("Split", self, self.graph.integers(*sizes), outputs=len(sizes), axis=-1)


Operand = Value | NDArray[Any] | float
"""An input of an operator. A number is a constant in float32."""


class Graph:
    """A graph under construction. Its inputs and outputs have names, types and shapes with names of dimensions."""

    def __init__(self, name: str, *, outer: Graph | None = None) -> None:
        """Begin a graph.

        Args:
            name: The name of the graph.
            outer: The graph whose node this graph is the body of, which has all constants. None: it is a whole graph.
        """
        self.name = name
        self.inputs: dict[str, tuple[str, list[int | str]]] = {}
        self.outputs: dict[str, tuple[str, list[int | str]]] = {}
        self._outer = outer
        self._nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._constants: dict[tuple[Any, ...], Value] = {}
        self._domains = {""}
        self._count = 0

    def input(self, name: str, kind: str, *shape: int | str) -> Value:
        """Declare an input."""
        self.inputs[name] = kind, list(shape)
        return Value(self, name)

    def output(self, value: Value, name: str, kind: str, *shape: int | str) -> None:
        """Declare an output: the value gets its name, or a copy of it if the value has a name already."""
        self.outputs[name] = kind, list(shape)
        maker = next((node for node in self._nodes if value.name in node.output), None)
        if maker is None or value.name in self.outputs:
            self._nodes.append(helper.make_node("Identity", [value.name], [name]))
            return
        for node in self._nodes:
            for names in (node.input, node.output):
                for index, each in enumerate(names):
                    if each == value.name:
                        names[index] = name
        value.name = name

    def add(self, operator: str, *inputs: Operand | None, **attributes: Any) -> Value:
        """Add a node with one output."""
        (value,) = self.add_all(operator, *inputs, outputs=1, **attributes)
        return value

    def add_all(self, operator: str, *inputs: Operand | None, outputs: int, **attributes: Any) -> list[Value]:
        """Add a node, and return its outputs. An input of None is left out."""
        names = ["" if each is None else self._value(each).name for each in inputs]
        self._use_domain(attributes.get("domain", ""))
        found = [Value(self, self._new_name(operator)) for _ in range(outputs)]
        self._nodes.append(helper.make_node(operator, names, [each.name for each in found], **attributes))
        return found

    def concat(self, *values: Operand, axis: int) -> Value:
        """Return a concatenation; a single value as it is."""
        return self._value(values[0]) if len(values) == 1 else self.add("Concat", *values, axis=axis)

    def integers(self, *values: int) -> Value:
        """Return a constant [n], int64."""
        return self.constant(np.array(values, dtype=np.int64))

    def constant(self, value: NDArray[Any]) -> Value:
        """Return a constant. Equal small constants, and uses of one array, are stored once."""
        if self._outer is not None:
            return self.outside(self._outer.constant(value))
        key: tuple[Any, ...] = (id(value),)
        if value.size <= 8:
            key = (value.tobytes(), value.dtype.str, value.shape)
        if key not in self._constants:
            name = self._new_name("constant")
            self._constants[key] = Value(self, name)
            self.constants[name] = value
        return self._constants[key]

    def linear(self, value: Value, weight: NDArray[Any], bias: NDArray[Any] | None = None) -> Value:
        """Return W x + b [R, O] of rows [R, I], with W [O, I] and b [O]."""
        inputs = (value, weight) if bias is None else (value, weight, bias)
        return self.add("Gemm", *inputs, transB=1)

    def scan(self, body: Graph, states: Sequence[Value], sequences: Sequence[Value]) -> list[Value]:
        """Run `body` for each element of the first axis of `sequences`.

        The inputs of the body are the states, then an element of each sequence. Its outputs are the next states, then
        one value, which is collected.

        Returns:
            The last states, then the collected values.
        """
        return self.add_all(
            "Scan",
            *states,
            *sequences,
            outputs=len(states) + 1,
            body=body._proto({}),
            num_scan_inputs=len(sequences),
        )

    def outside(self, value: Value) -> Value:
        """Return a value of the outer graph for use in this body."""
        seen = Value(self, value.name)
        seen.bound = value.bound
        return seen

    def choose(self, condition: Value, then: Graph, otherwise: Graph) -> list[Value]:
        """Run the first body if a condition [1] holds, else the second; they have as many outputs, of equal types."""
        return self.add_all(
            "If",
            condition,
            outputs=len(then.outputs),
            then_branch=then._proto({}),
            else_branch=otherwise._proto({}),
        )

    def model(self, producer: str, locations: Mapping[int, Location] | None = None) -> onnx.ModelProto:
        """Return the graph as a whole model.

        Args:
            producer: The name of the program that made it.
            locations: Where constants are stored outside of the graph, by the `id` of their arrays. The others are
                stored in the graph.
        """
        return helper.make_model(
            self._proto(locations or {}),
            producer_name=producer,
            opset_imports=[helper.make_opsetid(name, OPSET if name == "" else 1) for name in sorted(self._domains)],
            ir_version=IR_VERSION,
        )

    def _proto(self, locations: Mapping[int, Location]) -> onnx.GraphProto:
        inputs, outputs = (
            [helper.make_tensor_value_info(name, TYPES[kind], shape) for name, (kind, shape) in values.items()]
            for values in (self.inputs, self.outputs)
        )
        tensors = [_tensor(value, name, locations.get(id(value))) for name, value in self.constants.items()]
        return helper.make_graph(self._nodes, self.name, inputs, outputs, tensors)

    def _use_domain(self, domain: str) -> None:
        self._domains.add(domain)
        if self._outer is not None:
            self._outer._use_domain(domain)

    def _value(self, operand: Operand) -> Value:
        if isinstance(operand, Value):
            return operand
        return self.constant(operand if isinstance(operand, np.ndarray) else np.array(operand, dtype=np.float32))

    def _new_name(self, kind: str) -> str:
        self._count += 1
        return f"{self.name}_{kind}_{self._count}"


def _tensor(value: NDArray[Any], name: str, location: Location | None) -> onnx.TensorProto:
    """Return a constant: whole, or as its place in a file."""
    if location is None:
        return numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name)
    tensor = TensorProto(
        name=name,
        data_type=helper.np_dtype_to_tensor_dtype(value.dtype),
        dims=value.shape,
        data_location=TensorProto.EXTERNAL,
    )
    for key, text in (("location", location.file), ("offset", location.offset), ("length", value.nbytes)):
        tensor.external_data.add(key=key, value=str(text))
    return tensor
