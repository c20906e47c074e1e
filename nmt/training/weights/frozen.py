"""Frozen parts of a network: parameters that training leaves as they are."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from torch import nn

from nmt.errors import ConfigError


class Frozen(NamedTuple):
    """What was frozen."""

    names: list[str]
    """Of the parameters, each once."""
    parameters: int
    """Numbers in them."""


def freeze(model: nn.Module, patterns: Sequence[str]) -> Frozen:
    """Freeze the parameters whose names match one of `patterns` (`*` and `?` as in file names).

    A parameter that several layers share is frozen if any of its names matches.

    Raises:
        ConfigError: A pattern matches nothing, or nothing is left to train.
    """
    named = list(model.named_parameters(remove_duplicate=False))
    for pattern in patterns:
        matching = [parameter for name, parameter in named if fnmatchcase(name, pattern)]
        if not matching:
            raise ConfigError(f"training.frozen: no parameter is called {pattern!r}; {_hint(pattern, named)}")
        for parameter in matching:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError("training.frozen: it names all parameters of the model, and leaves nothing to train")
    unique = [(name, parameter) for name, parameter in model.named_parameters() if not parameter.requires_grad]
    return Frozen([name for name, _ in unique], sum(parameter.numel() for _, parameter in unique))


def _hint(pattern: str, named: Sequence[tuple[str, nn.Parameter]]) -> str:
    """The names nearest to `pattern`, and the groups of names that can be frozen."""
    names = [name for name, _ in named]
    parts = {".".join(name.split(".")[:depth]) + ".*" for name in names for depth in (1, 2)}
    near = difflib.get_close_matches(pattern, [*names, *sorted(parts)], n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    groups = sorted({name.split(".")[0] + ".*" for name in names})
    return f"write the name of a parameter, or a group such as {', '.join(groups)}"
