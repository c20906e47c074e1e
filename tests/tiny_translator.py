"""A translator of random weights, made in a moment, for the tests of inference."""

from __future__ import annotations

import copy
import functools
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import sentencepiece
import torch

from nmt.config.schema import Config
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.engine import InferenceNetwork
from nmt.inference.hardware import Processor
from nmt.inference.model_file import ModelFile, save_model
from nmt.inference.torch_tensors import load_network
from nmt.inference.translator import Translator
from nmt.model import Seq2Seq, build_model

WORDS = "the a red green house dog cat sees hears big small old man woman runs sleeps and or not ."


def tiny_config(*, languages: tuple[str, str] = ("en", "de"), **model: Any) -> Config:
    return Config.model_validate(
        {
            "data": {
                "source_language": languages[0],
                "target_language": languages[1],
                "train": [{"source": "a", "target": "b"}],
                "valid": {"source": "c", "target": "d"},
                "filters": {"max_pieces": 40},
            },
            "model": {
                "embedding_size": 16,
                "scale_embeddings": False,
                "encoder": {"hidden_size": 12},
                "decoder": {"hidden_size": 24},
                **model,
            },
            "decoding": {"batch_sentences": 8, "max_length_ratio": 1.5, "max_length_constant": 4},
        }
    )


@functools.cache
def tiny_subword_model(size: int = 300) -> SubwordModel:
    words = WORDS.split()
    sentences = [" ".join(words[(3 * i + j * (i % 5 + 1)) % len(words)] for j in range(5 + i % 9)) for i in range(200)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=size,
        hard_vocab_limit=False,
        byte_fallback=True,
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        minloglevel=2,
    )
    return SubwordModel(model.getvalue())


def tiny_network(config: Config) -> Seq2Seq:
    """Random weights, drawn so large that the output depends on the input, and with an inclination to end.

    Not larger, though: a chaotic network makes a visible difference out of the last bit.
    """
    size = tiny_subword_model().size
    network = build_model(config.model, source_size=size, target_size=size)
    torch.manual_seed(8)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)
        network.output.bias[3] += 2.0
    return network.eval()


def for_inference(network: Seq2Seq, config: Config) -> InferenceNetwork:
    """The network for inference with the weights of `network`, in numpy."""
    weights = {name: parameter.detach().numpy() for name, parameter in network.named_parameters()}
    sizes = {
        "source_size": len(network.encoder.embeddings.table.weight),
        "target_size": len(network.output.bias),
    }
    return InferenceNetwork(config.model, weights, **sizes)  # type: ignore[arg-type]


def tiny_inference(config: Config) -> InferenceNetwork:
    return for_inference(tiny_network(config), config)


def tiny_tokenizers() -> Tokenizers:
    return Tokenizers(tiny_subword_model(), tiny_subword_model())


@functools.cache
def tiny_translator(*, max_source_pieces: int | None = 40, **decoding: Any) -> Translator:
    config = tiny_config()
    options = config.decoding.model_copy(update={"device": "cpu", **decoding})
    return Translator(
        tiny_inference(config),
        tiny_tokenizers(),
        decoding=options,
        hardware=Processor(1),
        max_source_pieces=max_source_pieces,
    )


def save_tiny_model(path: Path, *, languages: tuple[str, str] = ("en", "de"), **model: Any) -> Seq2Seq:
    """Write a model file, whose bytes are made once, and return its network."""
    content, network = _tiny_model(json.dumps([languages, model], sort_keys=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # a program that has loaded the old file keeps it
    path.write_bytes(content)
    return copy.deepcopy(network)


@functools.cache
def _tiny_model(options: str) -> tuple[bytes, Seq2Seq]:
    languages, model = json.loads(options)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        network = make_tiny_model(path, languages=tuple(languages), **model)
        return path.read_bytes(), network


def make_tiny_model(path: Path, *, languages: tuple[str, str] = ("en", "de"), **model: Any) -> Seq2Seq:
    """Make a model and save it as the toolkit does."""
    config = tiny_config(languages=languages, **model)
    network = tiny_network(config)
    save_model(
        path,
        weights=dict(network.named_parameters()),
        config=config,
        tokenizers=tiny_tokenizers(),
        provenance={"scores": {"bleu": 1.5}, "note": "prüfung"},
    )
    return network


def load_training_network(model: ModelFile) -> Seq2Seq:
    """The network of a model file as training has it."""
    sizes = {"source_size": model.tokenizers.source.size, "target_size": model.tokenizers.target.size}
    return load_network(model.config.model, model.weights, device=torch.device("cpu"), **sizes)
