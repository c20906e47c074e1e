"""Summaries of configurations and models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.terminal import on_one_line

if TYPE_CHECKING:
    from nmt.config import Config
    from nmt.config.load import Loaded
    from nmt.config.schema import PairConfig
    from nmt.inference.model_file import ModelFile

CELLS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM", "layer_norm_lstm": "LSTM with layer normalisation"}
PLACEMENTS = {"top": "top layer", "bottom": "bottom layer", "conditional": "between two transitions"}


def describe_config(loaded: Loaded) -> Iterator[tuple[str, str]]:
    """Yield names and values that summarise a configuration. Files are named as the configuration names them."""
    from nmt.config.inheritance import recipe_name
    from nmt.data.languages import shown_code

    config, data = loaded.config, loaded.config.data
    for index, base in enumerate(loaded.bases):
        yield "base" if index == 0 else "", recipe_name(base) or base
    yield "run", f"runs/{config.name}"
    yield "languages", f"{shown_code(data.source_language)} to {shown_code(data.target_language)}"
    for index, corpus in enumerate(data.train):
        weight = "" if corpus.weight == 1 else f" (weight {corpus.weight:g})"
        yield "training" if index == 0 else "", _files(corpus) + weight
    yield "validation", _files(data.valid)
    for index, test in enumerate(data.test):
        yield "test" if index == 0 else "", f"{test.name}: {_files(test)}"
    for index, folder in enumerate(dict.fromkeys(loaded.file_folders.values())):
        yield "paths" if index == 0 else "", f"relative to {folder}, the folder of the configuration"
    yield from _network(config).items()


def describe_model(path: Path, model: ModelFile) -> dict[str, Any]:
    """Return facts about a model file, as JSON values."""
    from nmt.inference.model_file import METADATA

    data = model.config.data
    stored = dict(sorted(model.metadata.items()))
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "format_version": model.format_version,
        "name": model.config.name,
        "source_language": data.source_language,
        "target_language": data.target_language,
        "source_pieces": model.tokenizers.source.size,
        "target_pieces": model.tokenizers.target.size,
        "network": _network(model.config),
        "engine": "numpy" if model.graphs is None else f"ONNX Runtime, {model.graphs.precision}",
        "parameters": model.num_parameters,
        "shortlist": _shortlist(model),
        "metadata_bytes": {key: len(value.encode()) for key, value in stored.items()},
        "other_metadata": {key: value for key, value in stored.items() if key not in METADATA},
        "provenance": model.provenance,
        "config": model.stored_config().model_dump(mode="json"),
    }


def _shortlist(model: ModelFile) -> str:
    if model.shortlist is None:
        return "none"
    translations, frequent = model.shortlist.translations.shape[1] - 1, len(model.shortlist.frequent)
    return f"{translations} translations of each piece, {frequent} frequent pieces"


def _network(config: Config) -> dict[str, str]:
    encoder, decoder, attention = config.model.encoder, config.model.decoder, config.model.attention
    direction = "bidirectional" if encoder.bidirectional else "backward" if encoder.reversed else "forward"
    if encoder.bidirectional_layers is not None:
        direction = f"(the first {encoder.bidirectional_layers} bidirectional)"
    return {
        "encoder": f"{encoder.layers} x {encoder.hidden_size} {direction} {CELLS[encoder.cell]}",
        "decoder": f"{decoder.layers} x {decoder.hidden_size} {CELLS[decoder.cell]}, bridge {decoder.bridge}",
        "attention": "none" if attention.score == "none" else f"{attention.score}, {PLACEMENTS[attention.placement]}",
    }


def _files(pair: PairConfig) -> str:
    from nmt.config.schema import PAIR_FILES

    files = [file for file in (getattr(pair, key) for key in PAIR_FILES) if file is not None]
    return " + ".join(files)


def lines_of(facts: dict[str, Any], margin: str = "") -> Iterator[str]:
    """Yield one line of text per fact. Nested facts are indented."""
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        label = on_one_line(name.replace("_", " "))
        if isinstance(value, dict):
            yield f"{margin}{label}"
            yield from lines_of(value, f"{margin}  ")
        else:
            yield f"{margin}{label:<{width}}  {_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000:
        return f"{value:,}"
    return on_one_line(" ".join(map(str, value)) if isinstance(value, list) else str(value))
