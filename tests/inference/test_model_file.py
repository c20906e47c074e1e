"""The model file: everything in one file, nothing in it that runs, every damage told."""

from __future__ import annotations

import base64
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from damaged_files import flip
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.errors import CheckpointError, UsageError
from nmt.inference.find_model import find_model
from nmt.inference.hardware import Processor, TorchHardware
from nmt.inference.model_file import FORMAT_VERSION, load_model, save_model
from tiny_translator import save_tiny_model, tiny_config, tiny_network, tiny_subword_model, tiny_tokenizers

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    save_tiny_model(path)
    return path


@pytest.mark.parametrize(
    ("tying", "score"), [("none", "dot"), ("two_way", "none"), ("two_way", "additive"), ("three_way", "general")]
)
def test_a_saved_model_is_loaded_unchanged(tmp_path: Path, tying: str, score: str) -> None:
    path = tmp_path / "new folder" / "model.safetensors"
    network = save_tiny_model(path, tying=tying, attention={"score": score})
    file = load_model(path)
    assert file.config == tiny_config(tying=tying, attention={"score": score})
    assert file.provenance == {"scores": {"bleu": 1.5}, "note": "prüfung"}
    assert file.format_version == FORMAT_VERSION
    assert file.tokenizers.source is file.tokenizers.target
    assert file.tokenizers.source.model_bytes == tiny_tokenizers().source.model_bytes
    loaded: Any = file.network(TorchHardware(CPU))
    loaded = loaded._network
    assert not loaded.training
    source, lengths, target = torch.tensor([[9, 8, 7, 3]]), torch.tensor([4]), torch.tensor([[2, 5, 6]])
    with torch.inference_mode():
        expected = network(source, lengths, target)[0]
        assert torch.equal(loaded(source, lengths, target)[0], expected)
    assert (loaded.output.weight is loaded.decoder.embeddings.table.weight) == (tying != "none")
    assert (loaded.encoder.embeddings.table.weight is loaded.decoder.embeddings.table.weight) == (tying == "three_way")
    engine = file.network(Processor(1))
    memory = engine.encode(source.numpy(), lengths.numpy())
    outputs, _, _ = engine.forced(target.numpy(), engine.init_state(memory), memory)
    np.testing.assert_allclose(engine.log_probs(outputs[0]), expected[0].numpy(), rtol=1e-4, atol=1e-4)


def test_shared_weights_are_stored_once(tmp_path: Path) -> None:
    network = tiny_network(tiny_config(tying="three_way"))
    for name, weights in (("unique", dict(network.named_parameters())), ("all", network.state_dict())):
        save_model(
            tmp_path / name,
            weights=weights,
            config=tiny_config(tying="three_way"),
            tokenizers=tiny_tokenizers(),
            provenance={},
        )
    assert (tmp_path / "all").read_bytes() == (tmp_path / "unique").read_bytes()
    saved = load_model(tmp_path / "all").weights
    assert sum(value.numel() for value in saved.values()) == sum(value.numel() for value in network.parameters())


def test_two_tokenizers_stay_two(tmp_path: Path) -> None:
    source = tiny_tokenizers().source
    target = tiny_subword_model(size=290)
    network = tiny_network(tiny_config(tying="none"))
    save_model(
        tmp_path / "model",
        weights=dict(network.named_parameters()),
        config=tiny_config(tying="none"),
        tokenizers=Tokenizers(source, SubwordModel(target.model_bytes)),
        provenance={},
    )
    loaded = load_model(tmp_path / "model")
    assert loaded.tokenizers.source.model_bytes == source.model_bytes
    assert loaded.tokenizers.target.model_bytes == target.model_bytes


def test_the_same_model_makes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        save_tiny_model(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == (tmp_path / "three").read_bytes()


def test_other_programs_can_read_it(model_path: Path) -> None:
    with safe_open(model_path, framework="pt") as stream:
        metadata = stream.metadata()
        assert metadata["format_version"] == str(FORMAT_VERSION)
        assert json.loads(metadata["config"])["data"]["target_language"] == "de"
        assert base64.b64decode(metadata["source_tokenizer"]) == tiny_tokenizers().source.model_bytes
        assert "decoder.attentional_layer.weight" in stream.keys()  # noqa: SIM118


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model"
    save_tiny_model(path)
    before = path.read_bytes()

    def full_disk(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(CheckpointError, match="No space left on device"):
        save_tiny_model(path, tying="none")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def rewritten(source: Path, target: Path, change: Callable[[dict[str, torch.Tensor], dict[str, str]], None]) -> Path:
    """A model file with other weights or metadata, and without checksums, like one of an earlier version."""
    with safe_open(source, framework="pt") as stream:
        weights = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        metadata = {key: value for key, value in stream.metadata().items() if not key.endswith("_crc32")}
    change(weights, metadata)
    save_file(weights, target, metadata)
    return target


def set_option(metadata: dict[str, str]) -> None:
    config = json.loads(metadata["config"])
    config["model"]["telepathy"] = True
    metadata["config"] = json.dumps(config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights, metadata: metadata.clear(), "not a model file of nmt"),
        (lambda weights, metadata: metadata.update(format_version="2"), "format version 2.*Update nmt"),
        (lambda weights, metadata: metadata.update(format_version="0"), "format version 0"),
        (lambda weights, metadata: metadata.pop("config"), "has no config"),
        (lambda weights, metadata: metadata.pop("source_tokenizer"), "has no source_tokenizer"),
        (lambda weights, metadata: metadata.update(source_tokenizer="!!"), "damaged"),
        (lambda weights, metadata: metadata.update(source_tokenizer="QUJD"), "damaged"),
        (lambda weights, metadata: metadata.update(config="{"), "damaged"),
        (lambda weights, metadata: metadata.update(provenance="nothing"), "damaged"),
        (lambda weights, metadata: set_option(metadata), "options that this version.*model.telepathy"),
        (lambda weights, metadata: weights.pop("output.bias"), "Missing: output.bias"),
        (lambda weights, metadata: weights.update(extra=torch.zeros(2)), "Unexpected: extra"),
        (
            lambda weights, metadata: weights.update({"output.bias": torch.zeros(2)}),
            r"Of another shape: output.bias \[2\] instead of \[\d+\]",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    model_path: Path, tmp_path: Path, change: Callable[..., None], message: str
) -> None:
    path = rewritten(model_path, tmp_path / "changed.safetensors", change)
    with pytest.raises(CheckpointError, match=message):
        load_model(path).network(Processor(1))


def test_a_truncated_file_is_refused(model_path: Path, tmp_path: Path) -> None:
    content = model_path.read_bytes()
    path = tmp_path / "cut.safetensors"
    for length in (0, 1, 8, 9, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"cut\.safetensors"):
            load_model(path)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="incomplete"):
        load_model(path)


def test_flipped_bits_are_refused(model_path: Path, tmp_path: Path) -> None:
    content = model_path.read_bytes()
    path = tmp_path / "flipped.safetensors"
    for bit in range(0, 8 * len(content), 8 * len(content) // 150):
        path.write_bytes(flip(content, bit))
        with pytest.raises(CheckpointError, match=r"flipped\.safetensors"):
            load_model(path)


def test_a_copy_with_an_empty_end_is_refused(model_path: Path, tmp_path: Path) -> None:
    content = model_path.read_bytes()
    path = tmp_path / "copy.safetensors"
    path.write_bytes(content[: -len(content) // 10].ljust(len(content), b"\0"))
    with pytest.raises(CheckpointError, match=r"copy\.safetensors: the file is damaged.*[Cc]opy"):
        load_model(path)


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    proof = tmp_path / "executed"
    plain, packed, old = tmp_path / "a.safetensors", tmp_path / "b.pt", tmp_path / "c.pt"
    plain.write_bytes(pickle.dumps(Malicious(proof)))
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Malicious(proof)))
    torch.save({"model": Malicious(proof)}, old, _use_new_zipfile_serialization=False)
    for path in (plain, packed, old):
        with pytest.raises(CheckpointError, match="could run code"):
            load_model(path)
    assert not proof.exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.safetensors"
    text.write_text("This is only a text, but a long one.\n" * 50)
    for path, message in (
        (text, "not a model file"),
        (tmp_path / "none", "no such file"),
        (tmp_path, "found a folder"),
    ):
        with pytest.raises(CheckpointError, match=message):
            load_model(path)


# ------------------------------------------------------------------------------------------------------- finding


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NMT_MODEL", raising=False)
    for run in ("old", "new", "without"):
        (tmp_path / "runs" / run).mkdir(parents=True)
    for age, run in ((2000, "old"), (1000, "new")):
        model = tmp_path / "runs" / run / "best.safetensors"
        model.touch()
        os.utime(model, (1_000_000_000 - age, 1_000_000_000 - age))
    return tmp_path / "runs"


def test_a_given_model_is_a_file_or_a_run(runs: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert find_model(runs / "old") == runs / "old" / "best.safetensors"
    assert find_model(runs / "new" / "best.safetensors") == runs / "new" / "best.safetensors"
    assert not caplog.records


def test_the_default_model_is_the_newest_and_is_logged(runs: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert find_model(None) == Path("runs/new/best.safetensors")
    assert "runs/new/best.safetensors" in caplog.text.replace("\\", "/")


def test_the_link_to_the_latest_run_wins(runs: Path) -> None:
    (runs / "latest").symlink_to("old")
    assert find_model(None) == Path("runs/old/best.safetensors")
    (runs / "latest").unlink()
    (runs / "latest").symlink_to("without")  # just begun: nothing to translate with yet
    assert find_model(None) == Path("runs/new/best.safetensors")


def test_the_environment_comes_before_the_runs(
    runs: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setenv("NMT_MODEL", "runs/old")
    assert find_model(None) == Path("runs/old/best.safetensors")
    assert "NMT_MODEL" in caplog.text
    monkeypatch.setenv("NMT_MODEL", "nowhere")
    with pytest.raises(UsageError, match=r"nowhere \(NMT_MODEL\)"):
        find_model(None)


def test_a_missing_model_is_a_usage_error(
    runs: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no such model"):
        find_model(Path("nothing"))
    with pytest.raises(UsageError, match=r"no best\.safetensors"):
        find_model(runs / "without")
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    with pytest.raises(UsageError, match="nmt train"):
        find_model(None)
