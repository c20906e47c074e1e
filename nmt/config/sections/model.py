"""The network."""

from __future__ import annotations

from typing import Literal

from nmt.config.sections.base import Count, Positive, Section, Share

Cell = Literal["rnn", "gru", "lstm", "layer_norm_lstm"]


class Encoder(Section):
    """Reads the source sentence."""

    cell: Cell = "lstm"
    """What a layer computes at each position: tanh RNN (Elman 1990), GRU (Cho et al. 2014), LSTM (Hochreiter &
    Schmidhuber 1997), or LSTM with each gate normalised (RNMT+, Chen et al. 2018; takes about twice as long)."""
    layers: Count = 1
    """Number of recurrent layers."""
    hidden_size: Count = 256
    """Units of each layer, in each direction."""
    bidirectional: bool = True
    """Read the sentence in both directions; the memory then has twice `hidden_size` features."""
    bidirectional_layers: Count | None = None
    """How many of the first layers read both ways, the others only one (GNMT, Wu et al. 2016: 1); by default all."""
    alternating: bool = False
    """Every second layer that reads one way reads it from the other end (Zhou et al. 2016)."""
    residual_from: Count | None = None
    """The first layer to whose output its input is added, counted from 1 (Wu et al. 2016); by default none."""
    reversed: bool = False
    """Read the sentence from its end, the end mark still last (Sutskever et al. 2014)."""


class Decoder(Section):
    """Writes the target sentence."""

    cell: Cell = "lstm"
    """What a layer computes at each position; as for the encoder, and chosen apart from it."""
    layers: Count = 1
    """Number of recurrent layers."""
    hidden_size: Count = 512
    """Units of each layer."""
    residual_from: Count | None = None
    """The first layer to whose output its input is added, counted from 1 (Wu et al. 2016); by default none."""
    bridge: Literal["zero", "last", "last_with_cells", "mean", "learned_last", "learned_mean"] = "learned_mean"
    """Initial state: zeros, the encoder's last hidden state, that with its memory cell, the mean of its outputs, or a
    tanh layer over the last one or the mean."""
    output: Literal["attentional", "deep", "linear"] = "attentional"
    """What the output layer reads, with context c, state h, embedding e: tanh(W[c;h]) (Luong et al. 2015), deep:
    tanh(W[c;h;e]+b) (Bahdanau et al. 2015, as in Nematus), or W[c;h]."""


class Attention(Section):
    """Lets each target position look at every source position."""

    score: Literal["none", "dot", "scaled_dot", "general", "concat", "additive"] = "dot"
    """How query and key are compared: not at all, q.k, q.k/sqrt(size) (Vaswani et al. 2017), q.Wk or v.tanh(W[q;k])
    (Luong et al. 2015), or v.tanh(Wq+Uk+b) (Bahdanau et al. 2015)."""
    heads: Count = 1
    """How many attentions look side by side, each at its share of the features (Vaswani et al. 2017)."""
    scope: Literal["global", "local_m", "local_p"] = "global"
    """Look at every position, or at a window around the target's own position (local_m) or around a predicted one
    (local_p, Luong et al. 2015)."""
    window: Count = 10
    """Positions on either side of a local window's centre."""
    coverage: bool = False
    """Let the score see how much attention each position has had so far (Tu et al. 2016, See et al. 2017)."""
    placement: Literal["top", "bottom", "conditional"] = "top"
    """Query from the top decoder layer (Luong), from the bottom one with the context passed on to the upper layers
    and the output (GNMT, RNMT+), or between two transitions of the bottom layer (Bahdanau, Nematus; slower)."""
    input_feeding: bool = False
    """Feed the last attentional state with the next piece (Luong et al. 2015); training is slower, as positions can
    then only run one after the other."""
    context_gate: bool = False
    """Weigh context against state, feature by feature, where the two are combined (Tu et al. 2017, both sides)."""
    size: Count | None = None
    """Features of the tanh layer of additive and concat, and of what several heads of dot and scaled_dot compare; by
    default the decoder's hidden size."""


class Dropout(Section):
    """Probabilities of leaving things out during training."""

    embedding: Share = 0.2
    """Features of the embeddings."""
    layers: Share = 0.2
    """Features between recurrent layers, and of the encoder's output."""
    recurrent: Share = 0.0
    """Features of the state that a layer carries to the next position, the same ones at every position of a sentence
    (Gal & Ghahramani 2016); training is slower, as no fused kernel does this."""
    attention: Share = 0.0
    """Attention weights."""
    output: Share = 0.2
    """Features of the attentional state, before the output layer."""
    variational: bool = False
    """Leave out the same features of embeddings, layers and output at every position of a sentence (Gal & Ghahramani
    2016)."""
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
    source_embeddings: str | None = None
    """Text file of vectors (a word and `embedding_size` numbers a line, as of fastText and GloVe) that replace the
    random embeddings of the source pieces that spell a whole word of it."""
    target_embeddings: str | None = None
    """The same for the target pieces."""


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
    lexical_model: bool = False
    """Add to the output what the attended source embeddings alone say of the next piece (Nguyen & Chiang 2018)."""
    tying: Literal["none", "two_way", "three_way"] = "two_way"
    """Share the target embedding with the output layer (Press & Wolf 2017); three_way: with the source's too."""
    dropout: Dropout = Dropout()
    """Probabilities of leaving things out during training."""
    initialization: Initialization = Initialization()
    """Values before training."""
