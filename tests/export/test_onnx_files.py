"""The folder of an exported model translates as the model does, by the search in its README."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path

import pytest

from cli_tools import nmt
from nmt.errors import UsageError
from nmt.inference.model_file import load_model
from nmt.inference.translator import Translator
from tiny_translator import WORDS, save_tiny_model

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_tiny_model(path)
    return path


def run_readme(folder: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The output of the program in the README, as it is written."""
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text("utf-8"), flags=re.DOTALL)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "README.md", "exec"), {})
    return output.getvalue().splitlines()


def test_the_search_of_the_readme_translates_as_the_toolkit_does(
    model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmt.export.onnx_files import export_onnx

    model = load_model(model_path)
    assert export_onnx(model, tmp_path / "out")["max"] < 1e-4
    words = WORDS.split()
    lines = [" ".join(words[(3 * i + j) % len(words)] for j in range(1 + i % 9)) for i in range(20)]
    lines += ["", "  ", "a\tre\u00add house", "caf\u0065\u0301 x"]
    expected = [each.text for each in Translator.from_models([model]).translate(lines)]
    assert run_readme(tmp_path / "out", lines, monkeypatch) == expected


def test_the_folder_names_no_path_and_keeps_the_origin(model_path: Path, tmp_path: Path) -> None:
    from nmt.export.onnx_files import export_onnx

    export_onnx(load_model(model_path), tmp_path / "out")
    text = (tmp_path / "out/translation.json").read_text("utf-8")
    assert str(tmp_path) not in text
    options = json.loads(text)
    assert options["model"]["provenance"]["note"] == "prüfung"
    assert set(options["state"]) | set(options["memory"]) == set(options["graphs"]["encoder"]["outputs"])


def test_a_folder_with_other_files_is_never_replaced(model_path: Path, tmp_path: Path) -> None:
    from nmt.export.onnx_files import export_onnx

    model, folder = load_model(model_path), tmp_path / "out"
    folder.mkdir()
    (folder / "precious").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="not an export"):
            export_onnx(model, folder, overwrite=overwrite)
    (folder / "precious").unlink()
    export_onnx(model, folder)
    with pytest.raises(UsageError, match="--overwrite"):
        export_onnx(model, folder)
    export_onnx(model, folder, overwrite=True, int8=True)
    assert json.loads((folder / "translation.json").read_text("utf-8"))["precision"] == "int8"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_the_command_exports_a_folder_that_translates(model_path: Path, tmp_path: Path) -> None:
    folder, text = tmp_path / "out", tmp_path / "text"
    text.write_text("the dog sees\n\na cat .\n", "utf-8")
    exported = nmt("export", "onnx", str(model_path), "-o", str(folder), "--int8")
    assert exported.code == 0
    assert "difference of log-probabilities: at most" in exported.stdout
    assert "README.md" in exported.stderr
    translated = nmt("translate", "-m", str(folder), str(text))
    model = load_model(folder / "best.safetensors")
    expected = [each.text for each in Translator.from_models([model]).translate(text.read_text("utf-8").splitlines())]
    assert translated.stdout.splitlines() == expected
    assert "ONNX Runtime, int8" in nmt("info", str(folder)).stdout
    refused = nmt("export", "onnx", str(model_path), "-o", str(folder))
    assert refused.code == 2
    assert "--overwrite" in refused.stderr


def test_commands_that_change_weights_need_the_model_file(model_path: Path, tmp_path: Path) -> None:
    folder, written = tmp_path / "out", tmp_path / "x"
    nmt("export", "onnx", str(model_path), "-o", str(folder))
    (tmp_path / "text").write_text("the dog\n", "utf-8")
    texts = ["--source", str(tmp_path / "text"), "--reference", str(tmp_path / "text")]
    for command in ("tune", "shortlist", "average", "export onnx", "export hub", "export web"):
        given = [str(folder)] * (2 if command == "average" else 1) + texts * (command == "average")
        outcome = nmt(*command.split(), *given, "-o", str(written))
        assert outcome.code == 2, command
        assert "model file from which" in outcome.stderr, command
        assert not written.exists()
