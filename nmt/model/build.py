"""From configuration to network: the only place where the model room reads options."""

from __future__ import annotations

import torch
from torch import nn

from nmt.config.schema import Initialization, Model
from nmt.model.attention import Attention, make_score
from nmt.model.bridge import Bridge
from nmt.model.decoder import Decoder
from nmt.model.embeddings import PAD, Embeddings
from nmt.model.encoder import Encoder
from nmt.model.output import OutputLayer
from nmt.model.seq2seq import Seq2Seq


def build_model(config: Model, *, source_size: int, target_size: int) -> Seq2Seq:
    """Build the network for vocabularies of `source_size` and `target_size` pieces, with random weights."""
    target_embeddings = _embeddings(config, target_size, config.dropout.target_words)
    source_embeddings = _embeddings(config, source_size, config.dropout.source_words)
    if config.tying == "three_way":
        source_embeddings.table = target_embeddings.table
    encoder = Encoder(
        embeddings=source_embeddings,
        embedding_size=config.embedding_size,
        hidden_size=config.encoder.hidden_size,
        layers=config.encoder.layers,
        bidirectional=config.encoder.bidirectional,
        dropout=config.dropout.layers,
    )
    tied = config.tying != "none"
    output_size = config.embedding_size if tied else config.decoder.hidden_size
    decoder = Decoder(
        embeddings=target_embeddings,
        embedding_size=config.embedding_size,
        hidden_size=config.decoder.hidden_size,
        layers=config.decoder.layers,
        memory_size=encoder.output_size,
        output_size=output_size,
        attention=_attention(config, encoder.output_size),
        attend_at_bottom=config.attention.placement == "bottom",
        dropout=config.dropout.layers,
    )
    bridge = Bridge(
        kind=config.decoder.bridge,
        memory_size=encoder.output_size,
        hidden_size=config.decoder.hidden_size,
        layers=config.decoder.layers,
    )
    output = OutputLayer(
        vocabulary_size=target_size, size=output_size, tied_to=target_embeddings.table if tied else None
    )
    model = Seq2Seq(
        encoder=encoder, bridge=bridge, decoder=decoder, output=output, output_dropout=config.dropout.output
    )
    initialize(model, config.initialization)
    return model


def _embeddings(config: Model, vocabulary_size: int, word_dropout: float) -> Embeddings:
    return Embeddings(
        vocabulary_size=vocabulary_size,
        size=config.embedding_size,
        scale=config.embedding_size**0.5 if config.scale_embeddings else 1.0,
        dropout=config.dropout.embedding,
        word_dropout=word_dropout,
    )


def _attention(config: Model, memory_size: int) -> Attention | None:
    if config.attention.score == "none":
        return None
    score = make_score(
        config.attention.score,
        query_size=config.decoder.hidden_size,
        memory_size=memory_size,
        size=config.attention.size or config.decoder.hidden_size,
    )
    return Attention(score)


@torch.no_grad()
def initialize(model: Seq2Seq, options: Initialization) -> None:
    """Draw all weights anew: matrices from the chosen distribution, biases zero but for the forget gates."""
    if next(model.parameters()).is_meta:
        return
    tables = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    for parameter in model.parameters():
        if parameter.dim() < 2:
            nn.init.zeros_(parameter)
        elif options.kind == "uniform":
            nn.init.uniform_(parameter, -options.scale, options.scale)
        elif options.kind == "normal":
            nn.init.normal_(parameter, std=options.scale)
        elif any(parameter is table for table in tables) or parameter is model.output.weight:
            # Xavier's scale would shrink with the vocabulary; rows of unit length suit input and tied output alike.
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
        else:
            nn.init.xavier_uniform_(parameter)
    for table in tables:
        table[PAD].zero_()
    for module in model.modules():
        if isinstance(module, nn.LSTM):
            _initialize_lstm(module, options)


def _initialize_lstm(layer: nn.LSTM, options: Initialization) -> None:
    """Treat the four gates, stacked in one matrix in the order input, forget, cell, output, one by one."""
    size = layer.hidden_size
    for name, parameter in layer.named_parameters():
        if parameter.dim() == 2 and options.kind == "xavier":
            for gate in parameter.chunk(4):
                nn.init.xavier_uniform_(gate) if name.startswith("weight_ih") else nn.init.orthogonal_(gate)
        if name.startswith("bias_ih"):
            parameter[size : 2 * size].fill_(options.forget_bias)
