"""A model file of a stranger: nothing in it leads to a file that the user did not name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from cli_tools import assert_explained, contents, nmt
from nmt.config.file_names import name_problem, path_in, without_folders
from nmt.config.schema import Config
from nmt.errors import CheckpointError, UsageError
from nmt.inference.model_file import load_model, save_model
from tiny_translator import save_tiny_model, tiny_config

BAD_NAMES = [
    *("../x", "..", ".", "a/b", "/etc/x", "a\\b", "C:x", "", " ", "x.", ".hidden", "-x", "a\x1bb", "a\nb", "a\u202eb"),
    *("a\x85b", "a\ud800", "NUL.txt", "x" * 200, "é" * 100),
]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.safetensors"
    save_tiny_model(path)
    return path


def change(path: Path, key: str, how: Callable[[Any], None]) -> Path:
    """Write a model file with other metadata beside it."""
    with safe_open(path, framework="pt") as stream:
        weights = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        metadata = {name: value for name, value in stream.metadata().items() if not name.endswith("_crc32")}
    content = json.loads(metadata[key])
    how(content)
    metadata[key] = json.dumps(content)
    changed = path.with_name("changed.safetensors")
    save_file(weights, changed, metadata)
    return changed


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_never_becomes_a_path(name: str, model: Path) -> None:
    assert name_problem(name) is not None
    with pytest.raises(UsageError, match="cannot have this name"):
        path_in(Path("folder"), name)
    for key, value in (
        ("test", [{"name": name, "source": "a", "target": "b"}]),
        ("target_language", name),
        ("source_language", name),
    ):
        changed = change(model, "config", lambda config, key=key, value=value: config["data"].update({key: value}))
        with pytest.raises(CheckpointError, match="configuration"):
            load_model(changed)
    with pytest.raises(CheckpointError, match="configuration"):
        load_model(change(model, "config", lambda config: config.update(name=name)))


@pytest.mark.parametrize("name", ["baseline-1", "news 2024", "Прогон", "実験", "console", "a..b", "x" * 150])
def test_an_ordinary_name_is_a_file_in_the_folder(name: str) -> None:
    assert path_in(Path("folder"), name) == Path("folder", name)


def test_contradicting_options_in_a_model_are_explained(model: Path) -> None:
    changed = change(model, "config", lambda config: config["decoding"].update(n_best=50, beam_size=2))
    with pytest.raises(CheckpointError, match=r"changed\.safetensors: .*not valid.*n_best"):
        load_model(changed)
    many = change(model, "config", lambda config: config.update({f"key{number}" * 5: 1 for number in range(9999)}))
    with pytest.raises(CheckpointError, match="more") as caught:
        load_model(many)
    assert len(str(caught.value)) < 1000


def paths_of(config: Config) -> list[str]:
    data, initial = config.data, config.model.initialization
    pairs = [*data.train, data.valid, *data.test]
    found = [getattr(pair, side) for pair in pairs for side in ("source", "target", "tsv", "tmx")]
    found += [corpus.alignment for corpus in data.train]
    found += [data.preprocessed_folder, initial.source_embeddings, initial.target_embeddings]
    return [path for path in found if path is not None]


def with_paths(config: dict[str, Any]) -> None:
    config["data"] |= {
        "train": [
            {"source": "/home/me/c.en", "target": "/home/me/c.de", "alignment": "/home/me/c.align"},
            {"tmx": r"C:\Users\me\memory.tmx", "source_field": "en", "target_field": "de"},
            {"source": "/home/me/en/text", "target": "/home/me/de/text"},
        ],
        "valid": {"source": "../secret/v.en", "target": "../secret/v.de"},
        "test": [{"name": "t", "source": "/etc/passwd", "target": "/etc/group"}],
        "preprocessed_folder": "/var/me/preprocessed/",
    }
    config["model"]["initialization"]["source_embeddings"] = "/home/me/vectors.vec"


def test_a_model_has_names_of_files_and_no_folders(model: Path) -> None:
    changed = change(model, "config", with_paths)
    config = load_model(changed).config
    assert paths_of(config) == [
        *("c.en", "c.de", "memory.tmx", "source/text", "target/text", "v.en", "v.de", "passwd", "group", "c.align"),
        *("preprocessed", "vectors.vec"),
    ]
    assert without_folders(config) == config
    assert without_folders(tiny_config()) == tiny_config()
    assert load_model(changed).stored_config().data.test[0].source == "/etc/passwd"


def test_texts_that_a_model_names_are_read_only_on_request(model: Path) -> None:
    texts = model.parent / "texts"
    texts.mkdir()
    for side, line in (("en", "the dog runs ."), ("de", "der Hund rennt .")):
        (texts / f"t.{side}").write_text(f"{line}\n" * 3, encoding="utf-8")
    paths = {side: str(texts / f"t.{language}") for side, language in (("source", "en"), ("target", "de"))}
    changed = change(model, "config", lambda config: config["data"].update(test=[{"name": "t", **paths}], valid=paths))
    name = changed.name
    before = contents(model.parent)
    for command in (
        *(["evaluate", "-m", name], ["compare", name], ["tune", name, "--dry-run"], ["shortlist", name]),
        ["attention", "-m", name, "-", "--gold", "none"],
        ["average", name, name, "-o", "new.safetensors"],
    ):
        outcome = nmt(*command)
        assert_explained(outcome)
        assert str(texts) not in outcome.stderr
    assert contents(model.parent) == before
    asked = nmt("evaluate", "-m", name, "--tests", name, "-q", "-o", "out")
    assert asked.code == 0, asked.stderr
    assert [path.name for path in Path("out").iterdir()] == ["t.translated.de"]
    Path("tests.yaml").write_text(
        json.dumps({"data": {"source_language": "en", "target_language": "de", "train": [paths], "valid": paths}})
    )
    assert_explained(nmt("evaluate", "-m", name, "--tests", "tests.yaml"), "no test sets")


def test_the_folder_of_a_run_has_the_paths_of_its_own_configuration(model: Path) -> None:
    run = model.parent / "runs" / "own"
    (run / "models").mkdir(parents=True)
    for name in ("t.en", "t.de"):
        Path(name).write_text("the dog runs .\n", encoding="utf-8")
    pair = {"source": "t.en", "target": "t.de"}
    data = {"source_language": "en", "target_language": "de", "train": [pair], "valid": pair}
    data["test"] = [{"name": "own", **pair}]
    (run / "config.yaml").write_text(json.dumps({"data": data}), encoding="utf-8")
    for path in (run / "best.safetensors", run / "models" / "update-000001.safetensors"):
        path.write_bytes(model.read_bytes())
    for given in ([], ["-m", "runs/own"], ["-m", str(run / "models" / "update-000001.safetensors")]):
        outcome = nmt("evaluate", *given, "--json", "-q")
        assert [result["test"] for result in json.loads(outcome.stdout)] == ["own"], outcome.stderr


def test_a_new_model_tells_nothing_about_folders(model: Path) -> None:
    data = tiny_config().model_dump()
    with_paths(data)
    loaded = load_model(model)
    secret = {
        "command": ["nmt", "train", "/home/me/my.yaml", "data.valid.source=/home/me/v.en"],
        "averaged": ["/home/me/runs/a", r"C:\home\me\runs\b"],
        "parent": {"init_from": "/home/me/parent.safetensors", "command": ["nmt", "train", "/home/me/x.yaml"]},
        "validation": {"bleu": 1.0},
    }
    save_model(
        Path("new.safetensors"),
        weights=loaded.weights,
        config=Config.model_validate(data),
        tokenizers=loaded.tokenizers,
        provenance=secret,
    )
    content = Path("new.safetensors").read_bytes()
    for word in (b"home", b"secret", b"/etc", b"Users", b"/var", b"my.yaml"):
        assert word not in content
    assert load_model(Path("new.safetensors")).provenance == {
        "command": ["nmt", "train"],
        "averaged": ["a", "b"],
        "parent": {"init_from": "parent.safetensors", "command": ["nmt", "train"]},
        "validation": {"bleu": 1.0},
    }


def test_a_stripped_model_translates_as_before_and_tells_nothing(model: Path) -> None:
    def change_config(config: dict[str, Any]) -> None:
        with_paths(config)
        config["name"] = "secret-run"
        config["training"]["optimizer"]["learning_rate"] = 0.012345

    changed = change(model, "config", change_config)
    scripts = {"source_scripts": {"Latin": 1.0}, "target_scripts": {"Latin": 1.0}, "unknown_share": 0.1}
    changed = change(changed, "provenance", lambda found: found.update(training_text=scripts, command=["secret"]))
    Path("text").write_text("the red dog sleeps .\n\na cat sees the house .\nневідоме слово .\n", encoding="utf-8")
    stripped = Path("stripped.safetensors")
    outcome = nmt("info", changed.name, "--strip", "-o", str(stripped))
    assert outcome.code == 0, outcome.stderr
    content = stripped.read_bytes()
    for word in (b"secret", b"passwd", b"memory", b"vectors", b"0.012345", b"created"):
        assert word not in content
    for options in (["--format", "jsonl", "--n-best", "2"], ["--beam-size", "2", "--split-sentences"]):
        before, after = (nmt("translate", "-m", str(name), "text", *options) for name in (changed, stripped))
        assert before.code == 0
        assert before.stdout == after.stdout
    assert nmt("info", "--strip", "stripped.safetensors", "-o", "again.safetensors").code == 0
    assert Path("again.safetensors").read_bytes() == content
    for wrong in (["--strip"], ["-o", "new"], ["--strip", "-o", changed.name], ["--strip", "-o", "again.safetensors"]):
        assert_explained(nmt("info", changed.name, *wrong), codes=(2,))


def test_info_shows_all_that_is_inside(model: Path) -> None:
    changed = change(change(model, "config", with_paths), "provenance", lambda found: found.update(note="a note"))
    with safe_open(changed, framework="pt") as stream:
        weights = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        metadata = stream.metadata()
    metadata["hidden"] = "a message"
    save_file(weights, changed, metadata)
    facts = json.loads(nmt("info", changed.name, "--json").stdout)
    assert facts["other_metadata"] == {"hidden": "a message"}
    assert facts["metadata_bytes"] == {key: len(value.encode()) for key, value in metadata.items()}
    assert facts["config"]["data"]["test"][0]["source"] == "/etc/passwd"
    shown, whole = nmt("info", changed.name).stdout, nmt("info", changed.name, "--all").stdout
    assert whole.startswith(shown)
    assert "a message" in shown
    assert "a note" in shown
    assert "/etc/passwd" in whole
    assert "learning_rate" in whole
