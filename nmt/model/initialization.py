"""Weights before training."""

from __future__ import annotations

import torch
from torch import nn

from nmt.config.schema import InitializationConfig
from nmt.model.cells import LSTM, Cell, LayerNormLSTM
from nmt.model.layers import PAD
from nmt.model.seq2seq import Seq2Seq


@torch.no_grad()
def initialize(model: Seq2Seq, options: InitializationConfig) -> None:
    """Draw all weights anew: matrices from the chosen distribution, gains one, biases zero but for forget gates."""
    if next(model.parameters()).is_meta:
        return
    tables = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    rows = [*tables, model.output.weight, model.output.lexical_weight]
    for parameter in model.parameters():
        if parameter.dim() < 2:
            nn.init.zeros_(parameter)
        elif options.kind == "uniform":
            nn.init.uniform_(parameter, -options.scale, options.scale)
        elif options.kind == "normal":
            nn.init.normal_(parameter, std=options.scale)
        elif any(parameter is row for row in rows):
            # Xavier's scale would shrink with the vocabulary; rows of unit length suit input and tied output alike.
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
        else:
            nn.init.xavier_uniform_(parameter)
    for table in tables:
        table[PAD].zero_()
    for module in model.modules():
        if isinstance(module, Cell):
            _initialize_cell(module, options)


def _initialize_cell(cell: Cell, options: InitializationConfig) -> None:
    """Treat the gates, which are stacked in one matrix, one by one."""
    size = cell.hidden_size
    for name, parameter in cell.named_parameters():
        if parameter.dim() == 2 and options.kind == "xavier":
            for gate in parameter.chunk(len(parameter) // size):
                nn.init.xavier_uniform_(gate) if name.startswith("weight_ih") else nn.init.orthogonal_(gate)
        elif name.endswith("_gain"):
            nn.init.ones_(parameter)
    forget = slice(size, 2 * size)  # Gates are in the order input, forget, new, output.
    if isinstance(cell, LSTM):
        cell.bias_ih_l0[forget].fill_(options.forget_bias)
    elif isinstance(cell, LayerNormLSTM):
        cell.gate_bias[forget].fill_(options.forget_bias)
