"""The networks that are measured: the shapes S and M, and what can be varied about them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from nmt.config.schema import Config
from nmt.data.batching import Batch
from nmt.model import Seq2Seq, build_model

DROPOUT = 0.3
VOCABULARY = 8000


class Shape(NamedTuple):
    """Sizes of a network. The encoder reads both ways, with `encoder_size` units each way."""

    embedding: int
    encoder_layers: int
    encoder_size: int
    decoder_layers: int
    decoder_size: int
    vocabulary: int
    """Of each side; the two embedding tables and the output layer are not tied."""


SHAPES = {"S": Shape(256, 1, 128, 1, 256, VOCABULARY), "M": Shape(512, 2, 256, 2, 512, VOCABULARY)}
QUICK_SHAPES = {"S": Shape(16, 1, 8, 1, 16, 400), "M": Shape(16, 2, 8, 2, 16, 400)}


def shape_of(name: str, *, quick: bool) -> Shape:
    """Return the shape `name`, or its tiny stand-in."""
    return (QUICK_SHAPES if quick else SHAPES)[name]


def configuration(
    shape: Shape,
    *,
    placement: str = "top",
    input_feeding: bool = False,
    bridge: str = "last",
    seed: int = 1,
    **training: Any,
) -> Config:
    """Return the configuration of `shape`: general attention, dropout 0.3, no averaging of weights.

    Args:
        shape: The sizes.
        placement: Of attention: "top" or "bottom".
        input_feeding: Whether the decoder is fed the last attentional state.
        bridge: How the decoder's first state comes from the encoder.
        seed: Of everything random.
        training: Options of the section `training`.
    """
    return Config.model_validate(
        {
            "seed": seed,
            "data": {
                "source_language": "en",
                "target_language": "de",
                "train": [{"source": "made-up.en", "target": "made-up.de"}],
                "valid": {"source": "made-up.en", "target": "made-up.de"},
            },
            "tokenizer": {"vocabulary_size": shape.vocabulary},
            "model": {
                "embedding_size": shape.embedding,
                "scale_embeddings": False,
                "tying": "none",
                "encoder": {"layers": shape.encoder_layers, "hidden_size": shape.encoder_size},
                "decoder": {"layers": shape.decoder_layers, "hidden_size": shape.decoder_size, "bridge": bridge},
                "attention": {"score": "general", "placement": placement, "input_feeding": input_feeding},
                "dropout": {"embedding": DROPOUT, "layers": DROPOUT, "output": DROPOUT},
            },
            "training": {"averaging": {"kind": "none"}, "schedule": {"kind": "constant"}, **training},
        }
    )


def network(config: Config, shape: Shape) -> Seq2Seq:
    """Return the network of `config` with random weights, the same for the same seed."""
    torch.manual_seed(config.seed)
    return build_model(config.model, source_size=shape.vocabulary, target_size=shape.vocabulary)


def useful_operations(model: Seq2Seq, batch: Batch) -> int:
    """Return the operations of `batch` forwards and backwards: 6 for each weight and real position it is applied to.

    Embedding tables are looked up, not multiplied; the output layer is a multiplication even where it is tied. The
    products of attention itself, element-wise work and padding are not counted.
    """
    sources = int(batch.source_lengths.sum())
    tables = {id(model.encoder.embeddings.table.weight), id(model.decoder.embeddings.table.weight)}
    encoder = sum(weight.numel() for weight in model.encoder.parameters() if id(weight) not in tables)
    decoder = sum(weight.numel() for weight in model.decoder.parameters() if id(weight) not in tables)
    return 6 * (encoder * sources + (decoder + model.output.weight.numel()) * batch.target_tokens)
