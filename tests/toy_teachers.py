"""Models of random weights that know the pieces of the toy experiments: made in a moment, they write nonsense."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any

import sentencepiece
import torch

from nmt.data.lines import read_lines, write_lines
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.inference.model_file import save_model
from nmt.model import build_model
from tiny_translator import tiny_config
from toy_experiments import toy_pairs, write_toy_experiment

EOS = 3


@functools.cache
def toy_subwords(size: int) -> SubwordModel:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(side for pair in toy_pairs(200, seed=1) for side in pair),
        model_writer=model,
        vocab_size=size,
        model_type="bpe",
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=EOS,
        minloglevel=2,
    )
    return SubwordModel(model.getvalue())


def save_teacher(
    path: Path, *, languages: tuple[str, str] = ("en", "de"), seed: int = 8, size: int = 80, **model: Any
) -> None:
    """Write a model file; `model` are options of its network, and `size` is that of its subword model."""
    config = tiny_config(**model)
    names = dict(zip(("source_language", "target_language"), languages, strict=True))
    config = config.model_copy(update={"data": config.data.model_copy(update=names)})
    subwords = toy_subwords(size)
    network = build_model(config.model, source_size=subwords.size, target_size=subwords.size)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)
        network.output.bias[EOS] += 0.5
    save_model(
        path,
        weights=dict(network.named_parameters()),
        config=config,
        tokenizers=Tokenizers(subwords, subwords),
        provenance={},
    )


def write_small_experiment(folder: Path) -> None:
    """Write a toy experiment whose validation set is translated at once."""
    write_toy_experiment(folder, pairs=60)
    for file in (folder / "valid.en", folder / "valid.de"):
        write_lines(file, list(read_lines(file, keep_broken=False))[:5])
