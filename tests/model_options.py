"""Networks of all kinds for tests: sizes that fit together, and a covering array over the options of the model."""

from __future__ import annotations

import functools
from typing import Any

import torch

from covering import Row, covering_rows
from nmt.config.conflicts import conflicts
from nmt.config.schema import Config, ModelConfig
from nmt.model import Seq2Seq, build_model
from tiny_translator import tiny_config

SIZE = 8
PIECES = 13
SOURCE = torch.tensor([[5, 9, 7, 4, 3], [8, 3, 0, 0, 0], [6, 4, 12, 3, 0], [3, 0, 0, 0, 0]])
LENGTHS = torch.tensor([5, 2, 4, 1])
TARGET = torch.tensor([[2, 7, 8, 9, 5], [2, 6, 0, 0, 0], [2, 4, 4, 5, 0], [2, 11, 0, 0, 0]])

CELLS = ("lstm", "rnn", "gru", "layer_norm_lstm")
VALUES: dict[str, tuple[Any, ...]] = {
    "encoder.cell": CELLS,
    "encoder.layers": (3, 2, 1),
    "encoder.directions": ("one", "both", "first", "alternating", "first, alternating"),
    "encoder.residual_from": (None, 1, 2, 3),
    "encoder.reversed": (False, True),
    "decoder.cell": CELLS,
    "decoder.layers": (3, 2, 1),
    "decoder.residual_from": (None, 1, 2),
    "decoder.bridge": ("learned_mean", "learned_last", "zero", "last", "last_with_cells", "mean"),
    "decoder.output": ("attentional", "deep", "linear"),
    "attention.score": ("additive", "dot", "scaled_dot", "general", "concat", "none"),
    "attention.heads": (1, 2),
    "attention.scope": ("global", "local_m", "local_p"),
    "attention.coverage": (False, True),
    "attention.placement": ("top", "bottom", "conditional"),
    "attention.input_feeding": (False, True),
    "attention.context_gate": (False, True),
    "lexical_model": (False, True),
    "tying": ("none", "two_way", "three_way"),
    "dropout": ("none", "plain", "variational", "recurrent", "attention"),
}

DROPOUT = {
    "none": {"embedding": 0.0, "layers": 0.0, "output": 0.0},
    "plain": {"embedding": 0.2, "layers": 0.2, "output": 0.2},
    "variational": {"variational": True, "recurrent": 0.2},
    "recurrent": {"recurrent": 0.3},
    "attention": {"attention": 0.3},
}


def model_options(row: Row) -> dict[str, Any]:
    """The section `model` of a configuration from the flat options of `row`, with sizes that fit."""
    model: dict[str, Any] = {"embedding_size": SIZE, "encoder": {}, "decoder": {"hidden_size": SIZE}, "attention": {}}
    for path, value in row.items():
        *section, name = path.split(".")
        if path == "dropout":
            model["dropout"] = DROPOUT[value]
        elif path == "encoder.directions":
            model["encoder"] |= {
                "bidirectional": value not in ("one", "alternating"),
                "bidirectional_layers": 1 if "first" in value else None,
                "alternating": "alternating" in value,
                "hidden_size": SIZE // 2 if value == "both" else SIZE,
            }
        else:
            (model[section[0]] if section else model)[name] = value
    if row.get("attention.scope", "global") != "global":
        model["attention"]["window"] = 2
    return model


@functools.cache
def _any_config() -> Config:
    return tiny_config()


def problems_of(model: dict[str, Any]) -> list[str]:
    """What a configuration with the section `model` is refused for."""
    config = _any_config().model_copy(update={"model": ModelConfig.model_validate(model)})
    return [f"{'.'.join(map(str, found.paths[0]))}: {found.text}; {found.hint}" for found in conflicts(config)]


@functools.cache
def rows() -> tuple[Row, ...]:
    """Rows of options in which every allowed pair of values stands together at least once."""
    base = {name: values[0] for name, values in VALUES.items()}
    return tuple(covering_rows(VALUES, lambda row: not problems_of(model_options(row)), base=base))


def make_model(options: dict[str, Any], *, dtype: torch.dtype = torch.float64, spread: float = 0.5) -> Seq2Seq:
    """A network in evaluation mode whose weights are so large that everything shows in the output."""
    torch.manual_seed(3)
    config = ModelConfig.model_validate(options)
    model = build_model(config, source_size=PIECES, target_size=PIECES).to(dtype)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(mean=1.0 if name.endswith("_gain") else 0.0, std=spread)
    return model.eval()


def make_row(row: Row, **more: Any) -> Seq2Seq:
    """The network of a row of the covering array."""
    return make_model(model_options(row), **more)
