"""The network."""

from __future__ import annotations

from typing import Literal

from nmt.config.sections.base import Count, Positive, Section, Share


class Encoder(Section):
    """Reads the source sentence."""

    layers: Count = 1
    """Number of LSTM layers."""
    hidden_size: Count = 256
    """Units of each layer, in each direction."""
    bidirectional: bool = True
    """Read the sentence in both directions; the memory then has twice `hidden_size` features."""


class Decoder(Section):
    """Writes the target sentence."""

    layers: Count = 1
    """Number of LSTM layers."""
    hidden_size: Count = 512
    """Units of each layer."""
    bridge: Literal["zero", "last", "mean", "learned_last", "learned_mean"] = "learned_mean"
    """Initial state: zeros, the encoder's last state, the mean of its outputs, or a tanh layer over either."""


class Attention(Section):
    """Lets each target position look at every source position."""

    score: Literal["none", "dot", "general", "additive"] = "dot"
    """How query and key are compared: not at all, q.k, q.Wk (Luong et al. 2015), or v.tanh(Wq+Uk) (Bahdanau et al.
    2015)."""
    placement: Literal["top", "bottom"] = "top"
    """Query from the top decoder layer (Luong), or from the bottom one with the context passed on to the upper
    layers and the output (GNMT, RNMT+)."""
    size: Count | None = None
    """Features of the additive score's tanh layer; by default the decoder's hidden size."""


class Dropout(Section):
    """Probabilities of leaving things out during training."""

    embedding: Share = 0.2
    """Features of the embeddings."""
    layers: Share = 0.2
    """Features between recurrent layers, and of the encoder's output."""
    output: Share = 0.2
    """Features of the attentional state, before the output layer."""
    source_words: Share = 0.0
    """Whole source embeddings (word dropout, Gal & Ghahramani 2016)."""
    target_words: Share = 0.0
    """Whole target embeddings that the decoder is fed."""


class Initialization(Section):
    """Values before training."""

    kind: Literal["uniform", "normal", "xavier"] = "xavier"
    """Distribution of the weight matrices; `xavier` picks its own scale."""
    scale: Positive = 0.1
    """Half-width of `uniform`, standard deviation of `normal`."""
    forget_bias: float = 1.0
    """Initial bias of the LSTM forget gates (Jozefowicz et al. 2015)."""


class Model(Section):
    """The network."""

    embedding_size: Count = 256
    """Features of a piece's embedding, on both sides."""
    scale_embeddings: bool = True
    """Multiply embeddings by sqrt(embedding_size), so that a table that suits the output layer suits the input too
    (Vaswani et al. 2017)."""
    encoder: Encoder = Encoder()
    """Reads the source sentence."""
    decoder: Decoder = Decoder()
    """Writes the target sentence."""
    attention: Attention = Attention()
    """Lets each target position look at every source position."""
    tying: Literal["none", "two_way", "three_way"] = "two_way"
    """Share the target embedding with the output layer (Press & Wolf 2017); three_way: with the source's too."""
    dropout: Dropout = Dropout()
    """Probabilities of leaving things out during training."""
    initialization: Initialization = Initialization()
    """Values before training."""
