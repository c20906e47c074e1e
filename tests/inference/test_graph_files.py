"""The folder that `nmt export onnx` writes is a model: it does all that the model file does, and explains what not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmt
from nmt.data.shortlist_table import ShortlistTable
from nmt.engine.onnx_runtime import OnnxOutputLayer
from nmt.errors import CheckpointError, NMTError, UsageError
from nmt.inference.attention import AttentionExtractor
from nmt.inference.find_model import find_model
from nmt.inference.model_file import ModelFile, load_model, save_model
from nmt.inference.results import SentencePair
from nmt.inference.scorer import Scorer
from nmt.inference.steps import StepRecorder
from nmt.inference.streaming import SourceLine
from nmt.inference.translator import Translator
from tiny_translator import WORDS, save_tiny_model

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

LINES = [" ".join(WORDS.split()[(3 * i + j) % 19] for j in range(1 + i % 7)) for i in range(9)]
OPTIONS: dict[str, dict[str, Any]] = {
    "beam": {"beam_size": 4, "n_best": 3},
    "many rows": {"beam_size": 8},
    "greedy": {"beam_size": 1},
    "shortlist": {"shortlist": True, "beam_size": 4},
    "greedy, shortlist": {"shortlist": True, "beam_size": 1},
    "sampling": {"sampling": True, "top_k": 5, "n_best": 2, "beam_size": 1},
    "groups": {"beam_size": 4, "beam_groups": 2, "diversity": 0.5},
    "penalties": {"coverage_penalty": 0.4, "repetition_penalty": 1.2, "no_repeat_ngram": 2, "min_length": 3},
    "average": {"length_normalization": "average", "stopping": "fast"},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelFile]:
    """A model file with a shortlist, and its folders of graphs."""
    from nmt.export.onnx_files import export_onnx

    folder = tmp_path_factory.mktemp("models")
    save_tiny_model(
        folder / "tiny.safetensors", attention={"score": "additive", "coverage": True, "input_feeding": True}
    )
    tiny = load_model(folder / "tiny.safetensors")
    sizes = tiny.tokenizers.source.size, tiny.tokenizers.target.size
    table = ShortlistTable(
        np.random.default_rng(1).integers(4, sizes[1], (sizes[0], 6)).astype(np.int32),
        np.arange(4, 20, dtype=np.int32),
    )
    save_model(
        folder / "tiny.safetensors",
        weights=tiny.tensors,
        config=tiny.config,
        tokenizers=tiny.tokenizers,
        provenance=tiny.provenance,
        shortlist=table,
    )
    plain = load_model(folder / "tiny.safetensors")
    for name in ("fp32", "int8"):
        export_onnx(plain, folder / name, int8=name == "int8")
    return {"plain": plain, **{name: load_model(find_model(folder / name)) for name in ("fp32", "int8")}}


def translations(models: list[ModelFile], lines: list[Any], **options: Any) -> list[Any]:
    decoding = {"threads": 1, "device": "cpu", **options}
    return list(Translator.from_models(models, decoding=decoding).translate(lines))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_all_searches_find_the_hypotheses_of_the_model_file(
    models: dict[str, ModelFile], options: dict[str, Any]
) -> None:
    expected, found = (translations([models[name]], LINES, **options) for name in ("plain", "fp32"))
    for one, other in zip(expected, found, strict=True):
        assert [each.text for each in other.hypotheses] == [each.text for each in one.hypotheses]
        scores = [[each.score for each in translation.hypotheses] for translation in (one, other)]
        np.testing.assert_allclose(scores[1], scores[0], rtol=1e-4, atol=1e-4)


def test_constraints_and_terms_are_met(models: dict[str, ModelFile]) -> None:
    lines = [SourceLine(text, "the", ("dog",), number) for number, text in enumerate(LINES, 1)]
    expected, found = (translations([models[name]], lines, beam_size=4) for name in ("plain", "fp32"))
    assert [each.text for each in found] == [each.text for each in expected]


def test_ensembles_mix_engines(models: dict[str, ModelFile]) -> None:
    plain, fp32 = models["plain"], models["fp32"]
    for shortlist in (False, True):
        options = {"beam_size": 4, "shortlist": shortlist}
        expected, found = (translations(each, LINES, **options) for each in ([plain, plain], [plain, fp32]))
        assert [each.text for each in found] == [each.text for each in expected]


def test_scores_and_attention_are_those_of_the_model_file(models: dict[str, ModelFile]) -> None:
    pairs = [SentencePair(line, "the dog sees a cat .") for line in LINES]
    expected, found = (
        [each.piece_log_probabilities for each in Scorer.from_models([models[name]]).score(pairs) if each]
        for name in ("plain", "fp32")
    )
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4)
    first, second = (
        [each.pieces.weights for each in AttentionExtractor(models[name], decoding={}).attend(LINES) if each]
        for name in ("plain", "fp32")
    )
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-4)


def test_scores_in_8_bits_are_those_of_its_search_and_near_those_of_the_model_file(
    models: dict[str, ModelFile],
) -> None:
    found = translations([models["int8"]], LINES, beam_size=4)
    pairs = [SentencePair(line, "", each.hypotheses[0].pieces) for line, each in zip(LINES, found, strict=True)]
    own, exact = (Scorer.from_models([models[name]]).score(pairs) for name in ("int8", "plain"))
    for translation, score, reference in zip(found, own, exact, strict=True):
        assert score is not None
        assert reference is not None
        best = translation.hypotheses[0]
        np.testing.assert_allclose(score.log_probability, best.log_probability, rtol=1e-4, atol=1e-4)
        assert abs(score.log_probability - reference.log_probability) < 0.1 * len(score.piece_log_probabilities)


@pytest.mark.parametrize("shortlist", [False, True])
def test_8_bits_do_not_depend_on_the_batch(models: dict[str, ModelFile], shortlist: bool) -> None:
    together, alone = (
        translations([models["int8"]], LINES, beam_size=4, shortlist=shortlist, batch_sentences=size)
        for size in (64, 1)
    )
    for one, other in zip(together, alone, strict=True):
        assert one.text == other.text
        np.testing.assert_allclose(one.hypotheses[0].score, other.hypotheses[0].score, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("beam_size", [1, 4])
@pytest.mark.parametrize("batch_sentences", [1, 64])
def test_graphs_of_earlier_exports_find_the_same_with_a_shortlist(
    models: dict[str, ModelFile], monkeypatch: pytest.MonkeyPatch, beam_size: int, batch_sentences: int
) -> None:
    options = {"shortlist": True, "beam_size": beam_size, "batch_sentences": batch_sentences}
    found = translations([models["int8"]], LINES, **options)
    monkeypatch.setattr(OnnxOutputLayer, "own_logits", lambda *_: None)
    for one, other in zip(translations([models["int8"]], LINES, **options), found, strict=True):
        assert one.text == other.text
        assert one.hypotheses[0].score == other.hypotheses[0].score


def test_the_folder_is_loaded_by_name_and_translates_in_several_threads(models: dict[str, ModelFile]) -> None:
    folder = models["int8"].path.parent
    expected = [each.text for each in translations([models["int8"]], LINES)]
    assert [each.text for each in nmt.load(folder, threads=2).translate(LINES)] == expected
    assert [each.text for each in nmt.load(folder / "best.safetensors", threads=1).translate(LINES)] == expected


def test_the_identity_depends_on_the_graphs(models: dict[str, ModelFile]) -> None:
    assert len({model.identity for model in models.values()}) == 3
    assert all(model.has_checksums for model in models.values())
    assert len({model.num_parameters for model in models.values()}) == 1


def copy_of(folder: Path, target: Path) -> Path:
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


@pytest.mark.parametrize("name", ["encoder.onnx", "step.onnx", "output.onnx", "best.safetensors"])
def test_a_damaged_file_of_the_folder_is_refused(models: dict[str, ModelFile], name: str, tmp_path: Path) -> None:
    folder = copy_of(models["fp32"].path.parent, tmp_path / "copy")
    content = bytearray((folder / name).read_bytes())
    content[-5] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(folder / "best.safetensors")


def test_a_missing_or_foreign_graph_is_named(models: dict[str, ModelFile], tmp_path: Path) -> None:
    folder = copy_of(models["fp32"].path.parent, tmp_path / "copy")
    (folder / "step.onnx").write_bytes((models["int8"].path.parent / "step.onnx").read_bytes())
    with pytest.raises(CheckpointError, match=r"step\.onnx.*another model"):
        load_model(folder / "best.safetensors")
    (folder / "step.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"step\.onnx.*No such file.*whole folder"):
        load_model(folder / "best.safetensors")
    (folder / "best.safetensors").unlink()
    with pytest.raises(UsageError, match="best"):
        find_model(folder)


def test_without_onnx_runtime_the_error_names_the_extra(
    models: dict[str, ModelFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else real(name))
    with pytest.raises(UsageError, match=r'pip install "attention-nmt\[fast\]"'):
        translations([models["fp32"]], LINES)


def test_commands_that_need_weights_say_so(models: dict[str, ModelFile], tmp_path: Path) -> None:
    from nmt.export.onnx_files import export_onnx
    from nmt.inference.model_file import write_model

    graphs = models["fp32"]
    for action in (
        lambda: write_model(graphs, tmp_path / "new.safetensors"),
        lambda: graphs.weights,
        lambda: export_onnx(graphs, tmp_path / "again"),
        lambda: StepRecorder(graphs, decoding={}),
    ):
        with pytest.raises(NMTError, match="model file from which"):
            action()
    assert not (tmp_path / "new.safetensors").exists()
    assert not (tmp_path / "again").exists()
