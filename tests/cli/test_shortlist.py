"""`nmt shortlist` and `--shortlist`, from text to a smaller vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_tools import assert_explained, contents, nmt
from nmt.inference.model_file import load_model
from toy_experiments import write_toy_experiment


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run whose model has a table, and one whose model has none."""
    folder = tmp_path_factory.mktemp("trained")
    config = write_toy_experiment(folder, pairs=100)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        short = ("training.max_epochs=1", "data.shortlist.frequent=4")
        assert nmt("train", config.name, *short).code == 0
        assert (
            nmt("train", config.name, "name=bare", "training.max_epochs=1", "data.shortlist.translations=0").code == 0
        )
    return folder


@pytest.fixture(autouse=True)
def _there(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)


def test_training_gives_the_model_a_table_that_works_in_an_empty_folder(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, model = trained / "test.en", trained / "runs" / "toy" / "best.safetensors"
    monkeypatch.chdir(tmp_path)
    printed = nmt("translate", "--model", str(model), "--shortlist", str(text))
    assert printed.code == 0, printed.stderr
    assert len(printed.stdout.splitlines()) == 30
    assert "20 translations of each piece, 4 frequent pieces" in nmt("info", str(model)).stdout
    scored = nmt("evaluate", "--model", str(model), "--shortlist", "--source", str(text), "--reference", str(text))
    assert scored.code == 0, scored.stderr


def test_the_same_training_pairs_serve_both_runs(trained: Path) -> None:
    with_table, without = (load_model(Path(f"runs/{name}/best.safetensors")) for name in ("toy", "bare"))
    assert with_table.shortlist is not None
    assert without.shortlist is None
    assert with_table.provenance["data_fingerprint"] == without.provenance["data_fingerprint"]
    assert all((with_table.weights[name] == value).all() for name, value in without.weights.items())


def test_without_a_table_the_error_says_what_to_do() -> None:
    outcome = nmt("translate", "--model", "runs/bare", "--shortlist", "test.en")
    assert_explained(outcome, "has no shortlist", "nmt shortlist MODEL", codes=(2,))


def test_a_model_gets_a_table_later(trained: Path, tmp_path: Path) -> None:
    output = tmp_path / "new.safetensors"
    before = contents(trained / "runs" / "bare")
    made = nmt("shortlist", "runs/bare", "-o", str(output), "--translations", "7", "--frequent", "5")
    assert made.code == 0, made.stderr
    assert made.stdout == ""
    assert contents(trained / "runs" / "bare") == before
    file = load_model(output)
    assert file.shortlist is not None
    assert file.shortlist.translations.shape[1] == 8
    assert file.config.data.shortlist.translations == 7
    printed = nmt("translate", "--model", str(output), "--shortlist", "test.en")
    assert printed.code == 0
    again = nmt("shortlist", "runs/bare", "-o", str(output))
    assert_explained(again, "exists already", codes=(2,))


def test_by_default_the_model_itself_gets_it(trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(Path("runs/toy/best.safetensors").read_bytes())
    assert nmt("shortlist", str(copy)).code == 0
    assert copy.read_bytes() == Path("runs/toy/best.safetensors").read_bytes()


def test_without_the_training_data_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(Path("runs/bare/best.safetensors").read_bytes())
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    assert_explained(nmt("shortlist", str(copy)), "preprocessed training data", "nmt preprocess", codes=(2,))
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("data", "override", "named"),
    [("", "decoding.shortlist=true", "decoding.shortlist"), (", frequent: 5", "seed=2", "data.shortlist.frequent")],
)
def test_options_that_need_a_table_need_one(trained: Path, data: str, override: str, named: str) -> None:
    text = Path("toy.yaml").read_text(encoding="utf-8")
    without = text.replace("data:\n", f"data:\n  shortlist: {{translations: 0{data}}}\n")
    (trained / "without.yaml").write_text(without, encoding="utf-8")
    assert_explained(nmt("config", "check", "without.yaml", override), named, codes=(2,))


def test_a_run_may_be_resumed_with_another_table() -> None:
    assert nmt("train", "toy.yaml", "training.max_epochs=2", "data.shortlist.translations=3", "--resume").code == 0
    shortlist = load_model(Path("runs/toy/best.safetensors")).shortlist
    assert shortlist is not None
    assert shortlist.translations.shape[1] == 4
