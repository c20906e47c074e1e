"""`nmt average`: means of weights, from checkpoints and model files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cli_tools import assert_explained, contents, nmt
from nmt.inference.model_file import load_model
from tiny_translator import save_tiny_model
from toy_experiments import write_toy_experiment

RUN = Path("runs/toy")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of four checkpoints, and a text that was not learnt from."""
    folder = tmp_path_factory.mktemp("trained")
    config = write_toy_experiment(folder, pairs=100)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        outcome = nmt("train", config.name, "training.max_epochs=4", "training.keep_checkpoints=4")
        assert outcome.code == 0, outcome.stderr
    return folder


@pytest.fixture(autouse=True)
def _there(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)


def checkpoints() -> list[Path]:
    return sorted((RUN / "checkpoints").iterdir(), key=lambda path: int(path.name.split("-")[1]))


def assert_mean(model: Path, folders: list[Path]) -> None:
    found = load_model(model).weights
    parts = [load_file(folder / "weights.safetensors") for folder in folders]
    assert found.keys() == parts[0].keys()
    for name, value in found.items():
        torch.testing.assert_close(value, torch.stack([part[name].double() for part in parts]).mean(0).float())


def test_the_last_checkpoints_of_a_run(tmp_path: Path) -> None:
    output = tmp_path / "mean.safetensors"
    outcome = nmt("average", str(RUN), "--last", "3", "-o", str(output))
    assert outcome.code == 0, outcome.stderr
    assert_mean(output, checkpoints()[-3:])
    lines = outcome.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["BLEU", "before", "averaged", "on"]
    file, base = load_model(output), load_model(RUN / "best.safetensors")
    assert file.shortlist is not None
    assert base.shortlist is not None
    assert (file.shortlist.translations == base.shortlist.translations).all()
    assert file.config == base.config
    assert [Path(name).name for name in file.provenance["averaged"]] == [path.name for path in checkpoints()[-3:]]
    scored = nmt("evaluate", "--model", str(RUN), "--source", "valid.en", "--reference", "valid.de", "--json")
    assert json.loads(scored.stdout)[0]["signatures"]["bleu"] == base.provenance["validation_signatures"]["bleu"]
    assert "validation_signatures" not in file.provenance
    scored = nmt("evaluate", "--model", str(output), "--source", "valid.en", "--reference", "valid.de", "--json")
    assert f"{json.loads(scored.stdout)[0]['bleu']:.2f}" == lines[2].split()[1]


def test_the_best_checkpoints_are_those_that_were_validated_best(tmp_path: Path) -> None:
    records = [json.loads(line) for line in (RUN / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    bleu = {record["update"]: record["bleu"] for record in records if record["kind"] == "valid"}
    best = sorted(sorted(bleu, key=lambda update: -bleu[update])[:2])
    output = tmp_path / "mean.safetensors"
    assert nmt("average", str(RUN), "--best", "2", "-o", str(output), "--no-validate").code == 0
    assert_mean(output, [RUN / "checkpoints" / f"update-{update:06d}" for update in best])


def test_the_loss_ranks_checkpoints_whose_scores_are_noise(tmp_path: Path) -> None:
    run = tmp_path / "noisy"
    shutil.copytree(RUN, run, symlinks=True)
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    valid = [record for record in records if record["kind"] == "valid"]
    for number, record in enumerate(valid):
        record |= {"bleu": 1.0 + number, "loss": 1.0 + number, "significant": False}
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    output = tmp_path / "mean.safetensors"
    assert nmt("average", str(run), "--best", "2", "-o", str(output), "--no-validate").code == 0
    kept = [record["update"] for record in valid if (run / "checkpoints" / f"update-{record['update']:06d}").exists()]
    assert_mean(output, [RUN / "checkpoints" / f"update-{update:06d}" for update in kept[:2]])


def test_by_default_all_checkpoints_into_the_run(trained: Path) -> None:
    outcome = nmt("average", str(RUN), "--no-validate")
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout == ""
    assert_mean(RUN / "averaged.safetensors", checkpoints())
    assert_explained(nmt("average", str(RUN)), "exists already", codes=(2,))
    (RUN / "averaged.safetensors").unlink()


def test_listed_checkpoints_and_the_mean_of_equals(tmp_path: Path) -> None:
    first, last = checkpoints()[0], checkpoints()[-1]
    output = tmp_path / "mean.safetensors"
    assert nmt("average", str(first), str(last), "-o", str(output), "--no-validate").code == 0
    assert_mean(output, [first, last])
    same = tmp_path / "same.safetensors"
    assert nmt("average", str(RUN / "best.safetensors"), str(RUN), "-o", str(same), "--no-validate").code == 0
    expected = load_model(RUN / "best.safetensors").weights
    assert all(torch.equal(value, expected[name]) for name, value in load_model(same).weights.items())


def test_what_has_no_mean_is_refused_and_nothing_written(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "a.safetensors")
    save_tiny_model(tmp_path / "b.safetensors", embedding_size=20)
    output = str(tmp_path / "mean.safetensors")
    before = contents(tmp_path)
    models = (str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors"))
    common = ("-o", output, "--no-validate")
    assert_explained(nmt("average", *models, *common), "networks are different", codes=(2,))
    assert_explained(nmt("average", models[0], str(RUN), *common), "tokenizers are different", codes=(2,))
    assert_explained(nmt("average", models[0], *common), "at least two", codes=(2,))
    assert_explained(nmt("average", *models), "-o FILE", codes=(2,))
    assert_explained(nmt("average", *models, "--last", "2", *common), "a single run folder", codes=(2,))
    assert_explained(nmt("average", str(RUN), "--last", "9", *common), "has 4 checkpoints", codes=(2,))
    assert_explained(nmt("average", str(RUN), "--last", "2", "--best", "2", *common), "--best", codes=(2,))
    assert_explained(nmt("average", "nowhere", *common), "nowhere", codes=(2,))
    assert contents(tmp_path) == before
