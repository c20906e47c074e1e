"""Tensors of torch in safetensors files: the weights of model files and the parts of checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nmt.config.schema import ModelConfig
from nmt.data.tensor_file import ChecksumReport, RawTensor, map_tensors
from nmt.engine.weights import weight_problems
from nmt.errors import CheckpointError
from nmt.model import Seq2Seq, build_model

_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_TORCH_TYPES = {name: dtype for dtype, name in _DTYPES.items()}


class TensorFile(NamedTuple):
    """The content of a safetensors file."""

    tensors: dict[str, Tensor]
    """On the CPU, mapped from the file."""
    metadata: dict[str, str]
    checked: ChecksumReport


def read_tensors(path: Path) -> TensorFile:
    """Check and read a safetensors file.

    Raises:
        CheckpointError: The file is missing, damaged, incomplete or of another kind.
    """
    mapped = map_tensors(path)
    return TensorFile(torch_tensors(mapped.tensors), mapped.metadata, mapped.checked)


def torch_tensors(tensors: Mapping[str, RawTensor]) -> dict[str, Tensor]:
    """Return stored tensors as tensors of torch, which share their memory."""
    return {name: _torch_tensor(raw) for name, raw in tensors.items()}


def _torch_tensor(raw: RawTensor) -> Tensor:
    dtype = _TORCH_TYPES[raw.dtype]
    if not raw.data.nbytes:
        return torch.empty(raw.shape, dtype=dtype)
    return torch.frombuffer(raw.data, dtype=dtype).view(raw.shape)


def raw_tensors(tensors: Mapping[str, Tensor]) -> dict[str, RawTensor]:
    """Return tensors as bytes for `write_tensors`, without copying those that are contiguous and on the CPU."""
    raw = {}
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        data = value.reshape(-1).view(torch.uint8).numpy().data  # [bytes]
        raw[name] = RawTensor(_DTYPES[value.dtype], tuple(value.shape), data)
    return raw


def without_copies(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `weights` on the CPU, without tensors that share the memory of an earlier one."""
    seen: set[tuple[int, torch.Size, tuple[int, ...]]] = set()
    unique = {}
    for name, value in weights.items():
        key = (value.data_ptr(), value.shape, value.stride())
        if key not in seen or value.numel() == 0:
            unique[name] = value.detach().cpu().contiguous()
        seen.add(key)
    return unique


def load_network(
    config: ModelConfig, weights: Mapping[str, Tensor], *, source_size: int, target_size: int, device: torch.device
) -> Seq2Seq:
    """Return the network with copies of `weights` on `device`, in evaluation mode.

    Raises:
        CheckpointError: The weights do not fit the network that the configuration describes.
    """
    with torch.device("meta"), _NoInitialization():
        model = build_model(config, source_size=source_size, target_size=target_size)
    _check_weights(model, weights)
    loaded = {
        id(parameter): nn.Parameter(weights[name].to(device, torch.float32, copy=True))
        for name, parameter in model.named_parameters()
    }
    every = model.named_parameters(remove_duplicate=False)
    model.load_state_dict({name: loaded[id(parameter)] for name, parameter in every}, assign=True)
    return model.eval()


class _NoInitialization(TorchFunctionMode):
    """Skips the random initialization of new layers, whose weights come from the file.

    Initialization on the meta device imports torch._dynamo, which takes a second.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def _check_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    expected = dict(model.named_parameters())
    known = dict(model.named_parameters(remove_duplicate=False))
    missing = [name for name in expected if name not in weights]
    unexpected = [name for name in weights if name not in known]
    reshaped = [
        f"{name} {list(weights[name].shape)} instead of {list(value.shape)}"
        for name, value in expected.items()
        if name in weights and weights[name].shape != value.shape
    ]
    problem = weight_problems(missing, unexpected, reshaped)
    if problem:
        raise CheckpointError(problem)
