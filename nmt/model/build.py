"""Build a network from a configuration. No other module of `nmt.model` reads the model section."""

from __future__ import annotations

from nmt.config.schema import ModelConfig
from nmt.model.attention import Attention, build_attention
from nmt.model.decoder import Decoder
from nmt.model.encoder import Encoder
from nmt.model.initialization import initialize
from nmt.model.layers import Dropout, Embeddings, LexicalModel, OutputLayer
from nmt.model.seq2seq import Bridge, Seq2Seq


def build_model(config: ModelConfig, *, source_size: int, target_size: int) -> Seq2Seq:
    """Build the network for vocabularies of `source_size` and `target_size` pieces, with random weights."""
    target_embeddings = _embeddings(config, target_size, config.dropout.target_words)
    source_embeddings = _embeddings(config, source_size, config.dropout.source_words)
    if config.tying == "three_way":
        source_embeddings.table = target_embeddings.table
    encoder = _encoder(config, source_embeddings)
    tied = config.tying != "none"
    output_size = config.embedding_size if tied else config.decoder.hidden_size
    decoder = _decoder(config, target_embeddings, memory_size=encoder.output_size, output_size=output_size)
    bridge = Bridge(
        kind=config.decoder.bridge,
        memory_size=encoder.output_size,
        hidden_size=config.decoder.hidden_size,
        layers=config.decoder.layers,
    )
    lexical = config.lexical_model and decoder.attention is not None
    output = OutputLayer(
        vocabulary_size=target_size,
        size=output_size,
        tied_to=target_embeddings.table if tied else None,
        lexical_size=config.embedding_size if lexical else 0,
    )
    model = Seq2Seq(
        encoder=encoder,
        bridge=bridge,
        decoder=decoder,
        lexical_model=LexicalModel(embedding_size=config.embedding_size) if lexical else None,
        output=output,
        output_dropout=Dropout(config.dropout.output, variational=config.dropout.variational),
    )
    initialize(model, config.initialization)
    return model


def _encoder(config: ModelConfig, embeddings: Embeddings) -> Encoder:
    options = config.encoder
    both = options.bidirectional_layers or options.layers
    return Encoder(
        embeddings=embeddings,
        embedding_size=config.embedding_size,
        cell=options.cell,
        hidden_size=options.hidden_size,
        layers=options.layers,
        bidirectional_layers=both if options.bidirectional else 0,
        alternating=options.alternating,
        residual_from=options.residual_from,
        read_reversed=options.reversed,
        dropout=config.dropout.layers,
        recurrent_dropout=config.dropout.recurrent,
        variational=config.dropout.variational,
        final_cells=config.decoder.bridge == "last_with_cells",
    )


def _decoder(config: ModelConfig, embeddings: Embeddings, *, memory_size: int, output_size: int) -> Decoder:
    options = config.decoder
    attention = _attention(config, memory_size)
    has_attention = attention is not None
    return Decoder(
        embeddings=embeddings,
        embedding_size=config.embedding_size,
        cell=options.cell,
        hidden_size=options.hidden_size,
        layers=options.layers,
        residual_from=options.residual_from,
        output_size=output_size,
        output=options.output,
        attention=attention,
        placement=config.attention.placement if has_attention else "top",
        input_feeding=has_attention and config.attention.input_feeding,
        context_gate=has_attention and config.attention.context_gate,
        dropout=config.dropout.layers,
        recurrent_dropout=config.dropout.recurrent,
        variational=config.dropout.variational,
    )


def _embeddings(config: ModelConfig, vocabulary_size: int, word_dropout: float) -> Embeddings:
    return Embeddings(
        vocabulary_size=vocabulary_size,
        size=config.embedding_size,
        scale=config.embedding_size**0.5 if config.scale_embeddings else 1.0,
        dropout=config.dropout.embedding,
        variational=config.dropout.variational,
        word_dropout=word_dropout,
    )


def _attention(config: ModelConfig, memory_size: int) -> Attention | None:
    if config.attention.score == "none":
        return None
    return build_attention(
        score=config.attention.score,
        scope=config.attention.scope,
        heads=config.attention.heads,
        window=config.attention.window,
        coverage=config.attention.coverage,
        query_size=config.decoder.hidden_size,
        memory_size=memory_size,
        size=config.attention.size or config.decoder.hidden_size,
        dropout=config.dropout.attention,
    )
