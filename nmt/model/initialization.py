"""Random initialization of all weights."""

from __future__ import annotations

import torch
from torch import nn

from nmt.config.schema import InitializationConfig
from nmt.data.special_tokens import PAD
from nmt.model.cells import LSTM, Cell, LayerNormLSTM
from nmt.model.seq2seq import Seq2Seq


@torch.no_grad()
def initialize(model: Seq2Seq, options: InitializationConfig) -> None:
    """Draw all weights: matrices from the distribution of `options`, gains 1, biases 0 except those of forget gates.

    Xavier initialization (Glorot & Bengio 2010) treats the stacked gates of a cell one by one, and draws orthogonal
    recurrent matrices (Saxe et al. 2014). The biases of forget gates start at `options.forget_bias` (Jozefowicz et al.
    2015).
    """
    if next(model.parameters()).is_meta:
        return
    tables = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    by_piece = [*tables, model.output.weight, model.output.lexical_weight]
    for parameter in model.parameters():
        if parameter.dim() < 2:
            nn.init.zeros_(parameter)
        elif options.kind == "uniform":
            nn.init.uniform_(parameter, -options.scale, options.scale)
        elif options.kind == "normal":
            nn.init.normal_(parameter, std=options.scale)
        elif any(parameter is table for table in by_piece):
            # Xavier's scale would shrink with the vocabulary. Rows of length 1 suit both input and tied output.
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
        else:
            nn.init.xavier_uniform_(parameter)
    for table in tables:
        table[PAD].zero_()
    for module in model.modules():
        if isinstance(module, Cell):
            _initialize_cell(module, options)


def _initialize_cell(cell: Cell, options: InitializationConfig) -> None:
    """Initialize each gate of the stacked matrices separately, and the gains and the forget bias."""
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
