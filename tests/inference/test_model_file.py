"""The model file: everything in one file, nothing in it that runs, every damage told."""

from __future__ import annotations

import base64
import json
import math
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
from nmt.data.tokenizer import FORM_FIELD, SubwordModel, Tokenizers
from nmt.errors import CheckpointError, UsageError
from nmt.inference.find_model import find_model
from nmt.inference.hardware import Processor, TorchHardware
from nmt.inference.model_file import FORMAT_VERSION, load_model, save_model
from nmt.inference.output.quality_flags import find_flags
from nmt.inference.translator import Translator
from tiny_translator import (
    make_tiny_model,
    save_tiny_model,
    tiny_config,
    tiny_network,
    tiny_subword_model,
    tiny_tokenizers,
)

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
    network = make_tiny_model(path, tying=tying, attention={"score": score})
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
        make_tiny_model(tmp_path / name)
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
        make_tiny_model(path, tying="none")
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


def changed(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., None]:
    """A change of one tensor."""
    return lambda weights, metadata: weights.update({name: change(weights[name])})


def options(**values: Any) -> Callable[..., None]:
    """A change of options, by key path with two underscores."""

    def change(weights: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
        config = json.loads(metadata["config"])
        for path, value in values.items():
            *sections, key = path.split("__")
            section = config
            for name in sections:
                section = section[name]
            section[key] = value
        metadata["config"] = json.dumps(config)

    return change


def with_form(form: str) -> Callable[..., None]:
    """A change of the form of text in the subword model."""
    value = form.encode()
    size = bytes([len(value) & 127 | 128, len(value) >> 7]) if len(value) > 127 else bytes([len(value)])
    model = base64.b64encode(tiny_tokenizers().source.model_bytes + FORM_FIELD + size + value).decode()
    return lambda weights, metadata: metadata.update(source_tokenizer=model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("output.bias", torch.Tensor.long), "output.bias has the type I64"),
        (changed("output.bias", torch.Tensor.bool), "output.bias has the type BOOL"),
        (changed("output.bias", lambda value: value.to(torch.complex64)), "output.bias has the type C64"),
        (changed("output.bias", lambda value: value.to(torch.float8_e4m3fn)), "output.bias has the type F8_E4M3"),
        (changed("output.bias", lambda value: value * math.nan), "output.bias has infinite or undefined"),
        (changed("output.bias", lambda value: value[0]), r"output.bias \[\]"),
        (lambda weights, metadata: weights.update({"x" * 90_000: torch.zeros(1)}), "Unexpected: xxx"),
        (lambda weights, metadata: weights.update({"shortlist.frequent": torch.zeros(1)}), "shortlist.translations"),
        (
            lambda weights, metadata: weights.update(
                {"shortlist.frequent": torch.zeros(1), "shortlist.translations": torch.zeros(3, 2)}
            ),
            "wrong types",
        ),
        (lambda weights, metadata: metadata.update(config='{"a":' * 90_000), "not JSON"),
        (lambda weights, metadata: metadata.update(provenance='{"a":' * 90_000), "nested"),
        (lambda weights, metadata: metadata.update(provenance="[1]"), "not an object"),
        (options(model__encoder__layers=10**7), "model.encoder.layers"),
        (options(model__encoder__hidden_size=2**31 - 1, model__decoder__hidden_size=2**31 - 1), "shape|built|valid"),
        (options(decoding__beam_size=10**9), "decoding.beam_size"),
        (options(decoding__n_best=10**9), "decoding.n_best"),
        (options(decoding__max_length_constant=10**9), "decoding.max_length_constant"),
        (options(decoding__max_length_ratio=math.inf), "decoding.max_length_ratio"),
        (options(decoding__alpha=math.nan), "decoding.alpha"),
        (options(decoding__beam_groups=7), "beam_groups"),
        (with_form('{"form": "NFC", "spelling": {"": "x"}}'), "form of text"),
        (with_form('{"form": "NFC", "spelling": 3}'), "form of text"),
        (with_form('{"form": ' + "[" * 9_000), "nested"),
        (with_form('{"form": "NFC", "form": "NFD", "spelling": {}}'), "twice"),
    ],
)
def test_a_hostile_file_is_refused_in_a_sentence(
    model_path: Path, tmp_path: Path, change: Callable[..., None], message: str
) -> None:
    path = rewritten(model_path, tmp_path / "hostile.safetensors", change)
    with pytest.raises(CheckpointError, match=message) as error:
        load_model(path).network(Processor(1))
    assert "hostile.safetensors" in str(error.value)
    assert len(str(error.value)) < 700


@pytest.mark.parametrize(
    "text",
    [3, [], {"source_scripts": 3}, {"source_scripts": {"Latin": "x"}}, {"source_scripts": {}, "unknown_share": []}],
)
def test_damaged_facts_about_the_training_text_count_as_unknown(model_path: Path, tmp_path: Path, text: object) -> None:
    def change(weights: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
        metadata["provenance"] = json.dumps({"training_text": text})

    path = rewritten(model_path, tmp_path / "model.safetensors", change)
    (translation,) = Translator.from_models([load_model(path)]).translate(["the dog — Ωώ sees ."])
    assert isinstance(find_flags(translation), list)


def test_half_precision_is_computed_in_full(model_path: Path, tmp_path: Path) -> None:
    half = rewritten(model_path, tmp_path / "half", changed("output.bias", torch.Tensor.half))
    full = rewritten(model_path, tmp_path / "full", changed("output.bias", lambda value: value.half().float()))
    texts = [[one.text for one in Translator.load(path).translate(["the red dog", "a cat"])] for path in (half, full)]
    assert texts[0] == texts[1]


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
