"""Files of format 1, made once and committed, can be read by every later version, with the same results.

If one of these tests fails, the change that made it fail breaks the files of users: change the code, not the files.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors import safe_open

from cli_tools import ROOT, Outcome, contents, nmt
from frozen_formats import (
    EXPECTED,
    EXPERIMENT,
    FOLDER,
    MODEL,
    PARAMETERS,
    PREPROCESSED,
    RESUMED,
    ROUNDING,
    RUN,
    SEARCHES,
    SIZE,
    UPDATES,
    parameters,
    read_lines,
    read_metrics,
    results,
    resumed_losses,
    single_changes,
)
from nmt.inference.model_file import load_model
from nmt.plots.run_records import read_records
from nmt.training.run_folder import content_digest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the frozen files, which is the current folder."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / EXPECTED).read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    sources, targets = (read_lines(FOLDER / f"valid.{language}") for language in ("en", "de"))
    return results(FOLDER / MODEL, sources, targets)


def succeed(*arguments: str) -> Outcome:
    outcome = nmt(*arguments)
    assert outcome.code == 0, outcome.stderr
    return outcome


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a nested structure by path."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, f"{path}.{key}")
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from leaves(value, f"{path}.{number}")
    else:
        yield path, tree


@pytest.mark.parametrize("search", SEARCHES)
def test_the_model_file_translates_the_same(search: str, expected: dict[str, Any], now: dict[str, Any]) -> None:
    assert [one["text"] for one in now[search]] == [one["text"] for one in expected[search]]
    for one, other in zip(now[search], expected[search], strict=True):
        assert one["log_probabilities"] == pytest.approx(other["log_probabilities"], rel=ROUNDING, abs=ROUNDING)


def test_the_model_file_scores_the_same(expected: dict[str, Any], now: dict[str, Any]) -> None:
    assert now["scores"] == pytest.approx(expected["scores"], rel=ROUNDING, abs=ROUNDING)


def test_the_model_file_says_where_it_comes_from() -> None:
    file = load_model(FOLDER / MODEL)
    assert file.provenance["update"] == UPDATES
    assert file.provenance["versions"]["nmt"] == "0.1.0"
    assert file.shortlist is not None


def test_the_run_is_found_by_its_folder(folder: Path) -> None:
    lines = (folder / "valid.en").read_bytes()
    assert succeed("translate", "--model", str(RUN), "valid.en", "--threads", "1").stdout.count("\n") == lines.count(
        b"\n"
    )
    assert "frozen" in succeed("info", str(RUN)).stdout


def test_the_configuration_means_the_same(folder: Path) -> None:
    written = dict(leaves(yaml.safe_load((folder / RUN / "config.yaml").read_text(encoding="utf-8"))))
    for file in (EXPERIMENT, str(RUN / "config.yaml")):
        outcome = succeed("config", "show", file)
        assert "warning" not in outcome.stderr
        shown = dict(leaves(yaml.safe_load(outcome.stdout)))
        # Training determines the limits of lengths that the experiment leaves open.
        fixed = {path: value for path, value in written.items() if not path.startswith(".decoding.max_")}
        assert {path: shown.get(path) for path in fixed} == fixed


def test_preprocessed_data_is_kept_and_made_again(folder: Path) -> None:
    """Filters and normalisation have changed since, but not for this text: the new data is equal."""
    before = contents(folder / PREPROCESSED)
    (frozen,) = (folder / PREPROCESSED).iterdir()
    outcome = succeed("preprocess", EXPERIMENT)
    assert f"An earlier version of preprocessing made the data in preprocessed/{frozen.name}" in outcome.stderr
    after = contents(folder / PREPROCESSED)
    assert before.items() <= after.items()
    (new,) = (path for path in (folder / PREPROCESSED).iterdir() if path != frozen)
    assert content_digest(new) == content_digest(frozen)
    outcome = succeed("preprocess", EXPERIMENT)
    assert "up to date" in outcome.stderr
    assert contents(folder / PREPROCESSED) == after


def test_the_run_is_resumed_with_the_same_losses(folder: Path, expected: dict[str, Any]) -> None:
    frozen = read_metrics(folder / RUN)
    prepared = contents(folder / PREPROCESSED)
    outcome = succeed("train", EXPERIMENT, "--resume", *RESUMED)
    assert "The run keeps the data in preprocessed/" in outcome.stderr
    assert contents(folder / PREPROCESSED) == prepared
    assert read_metrics(folder / RUN)[: len(frozen)] == frozen
    assert resumed_losses(folder / RUN) == pytest.approx(expected["resumed"], rel=1e-4)


def test_metrics_keep_their_keys(folder: Path) -> None:
    """A new record has every key of the frozen one of its kind, so that programs that read them go on working."""
    frozen = {record["kind"]: record.keys() for record in read_metrics(folder / RUN)}
    succeed("train", EXPERIMENT, "--resume", *RESUMED)
    new = {record["kind"]: record.keys() for record in read_metrics(folder / RUN) if record["update"] > UPDATES}
    assert frozen.keys() == new.keys() == {"train", "valid"}
    for kind, keys in frozen.items():
        assert keys <= new[kind]
    records = read_records(folder / RUN / "metrics.jsonl")
    assert {"loss", "perplexity", "learning_rate"} <= records.train.keys()
    assert {"loss", "perplexity", "bleu", "chrf"} <= records.valid.keys()


def test_a_new_run_starts_from_the_frozen_model(folder: Path) -> None:
    succeed("train", EXPERIMENT, "name=child", "--init-from", str(MODEL), "training.max_updates=1")
    (first,) = (record for record in read_metrics(folder / "runs/child") if record["kind"] == "valid")
    last = [record for record in read_metrics(folder / RUN) if record["kind"] == "valid"][-1]
    assert first["loss"] == pytest.approx(last["loss"], abs=0.2)


def test_parameters_keep_their_names_and_shapes() -> None:
    table = json.loads((FOLDER / PARAMETERS).read_text(encoding="utf-8"))
    assert table.pop("size") == SIZE
    default = table.pop("default")
    rows = dict(single_changes())
    assert parameters(rows["default"]) == default
    for name, change in table.items():
        kept = {key: shape for key, shape in default.items() if key not in change["removed"]}
        assert parameters(rows[name]) == {**kept, **change["added"]}, name


def test_the_reference_names_every_key() -> None:
    page = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    with safe_open(FOLDER / MODEL, framework="pt") as file:
        keys = set(file.metadata())
        keys |= {name for name in file.keys() if name.startswith("shortlist.")}  # noqa: SIM118 (not a dict)
    provenance = load_model(FOLDER / MODEL).provenance
    keys |= provenance.keys() | provenance["versions"].keys()
    keys |= {key for record in read_metrics(FOLDER / RUN) for key in record}
    (checkpoint,) = (FOLDER / RUN / "checkpoints").iterdir()
    keys |= json.loads((checkpoint / "state.json").read_text(encoding="utf-8")).keys()
    keys |= {path.name for path in (FOLDER / RUN).iterdir() if path.is_file()}
    assert {key for key in keys if f"`{key}`" not in page} == set()
