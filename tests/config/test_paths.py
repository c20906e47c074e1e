"""Paths in a configuration: where files are looked for, and what `~` and variables stand for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli_tools import nmt
from nmt.config import Config, dump_yaml, load_config
from nmt.errors import ConfigError

FILES = ("train.en", "train.de", "valid.en", "valid.de")
TEXT = """\
data:
  source_language: en
  target_language: de
  train:
    - {source: train.en, target: train.de}
  valid: {source: valid.en, target: valid.de}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder `here`, beside a folder `there` with a configuration and its text."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_text(Path("../there"))
    Path("../there/my.yaml").write_text(TEXT, encoding="utf-8")
    return tmp_path


def write_text(folder: Path) -> None:
    for name in FILES:
        (folder / name).write_text("a b c\n", encoding="utf-8")


def files(config: Config) -> list[str | None]:
    train, valid = config.data.train[0], config.data.valid
    return [train.source, train.target, valid.source, valid.target]


def test_files_are_found_in_the_folder_of_the_configuration(folder: Path) -> None:
    assert files(load_config(Path("../there/my.yaml"))) == [f"../there/{name}" for name in FILES]
    assert load_config(Path("../there/my.yaml")).data.preprocessed_folder == "preprocessed"
    absolute = load_config((folder / "there" / "my.yaml").resolve())
    assert files(absolute) == [str((folder / "there" / name).resolve()) for name in FILES]


def test_files_of_the_current_folder_keep_the_paths_as_written(folder: Path) -> None:
    write_text(Path())
    for name in FILES:
        Path("../there", name).unlink()
    assert files(load_config(Path("../there/my.yaml"))) == list(FILES)


def test_two_files_are_refused_and_one_under_two_names_is_not(folder: Path) -> None:
    write_text(Path())
    with pytest.raises(ConfigError) as caught:
        load_config(Path("../there/my.yaml"))
    message = str(caught.value)
    assert message.count("two files fit") == 4
    assert (
        '../there/my.yaml:5: data.train.0.source: two files fit "train.en": "train.en" and "../there/train.en"'
        in message
    )
    assert "write an absolute path. The first file is $PWD/train.en" in message
    for name in FILES:
        Path(name).unlink()
        os.link(f"../there/{name}", name)
    assert files(load_config(Path("../there/my.yaml"))) == list(FILES)


def test_the_advice_against_two_files_works(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(Path())
    monkeypatch.setenv("PWD", str(Path.cwd()))
    text = TEXT.replace(": train", ": $PWD/train").replace(": valid", f": {folder}/there/valid")
    Path("../there/my.yaml").write_text(text, encoding="utf-8")
    found = files(load_config(Path("../there/my.yaml")))
    assert found == [str(Path.cwd() / name) for name in FILES[:2]] + [f"{folder}/there/{name}" for name in FILES[2:]]


def test_the_command_line_is_relative_to_the_current_folder(folder: Path) -> None:
    write_text(Path())
    Path("../there/train.en").unlink()
    options = [f"data.{key}={name}" for key, name in zip(("train.0.source", "train.0.target"), FILES, strict=False)]
    valid = "data.valid={source: ../there/valid.en, target: valid.de}"
    config = load_config(Path("../there/my.yaml"), [*options, valid])
    assert files(config) == ["train.en", "train.de", "../there/valid.en", "valid.de"]


def test_a_base_is_relative_to_its_own_folder_and_so_is_its_text(folder: Path) -> None:
    Path("deep").mkdir()
    Path("deep/mine.yaml").write_text("base: ../../there/my.yaml\n", encoding="utf-8")
    assert files(load_config(Path("deep/mine.yaml"))) == [f"../there/{name}" for name in FILES]


def test_home_and_variables_are_understood_in_every_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("TEXTS", str(folder / "there"))
    monkeypatch.setenv("KIND", "en")
    text = """\
base: $TEXTS/my.yaml
data:
  train:
    - {source: ~/there/train.en, target: "${TEXTS}/train.de", alignment: ~/there/train.$KIND}
  valid: {source: $TEXTS/valid.$KIND, target: valid.de}
  preprocessed_folder: ~/made
model:
  initialization: {source_embeddings: $TEXTS/train.de}
"""
    Path("mine.yaml").write_text(text, encoding="utf-8")
    options = ["data.valid.target=~/there/valid.de", "data.test=[{name: a, tsv: $TEXTS/valid.en}]"]
    config = load_config(Path("mine.yaml"), options)
    assert files(config) == [f"{folder}/there/{name}" for name in FILES]
    assert config.data.train[0].alignment == config.data.train[0].source
    assert config.data.test[0].tsv == config.data.valid.source
    assert config.data.preprocessed_folder == f"{folder}/made"
    assert config.model.initialization.source_embeddings == f"{folder}/there/train.de"


def test_a_variable_that_is_not_set_is_named_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    Path("../there/my.yaml").write_text(TEXT.replace(": valid.en", ": $NOWHERE/valid.en"), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(Path("../there/my.yaml"))
    assert str(caught.value) == (
        "../there/my.yaml:6: data.valid.source: the environment variable NOWHERE is not set\n"
        "    hint: set NOWHERE, or write the path without it"
    )
    with pytest.raises(ConfigError, match="NOWHERE is not set"):
        load_config(Path("../there/my.yaml"), ["base=$NOWHERE/x.yaml"])


def test_a_file_with_a_dollar_in_its_name_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("en", raising=False)
    Path("../there/train.en").rename("train.$en")
    text = TEXT.replace("train.en", "train.$en").replace("valid.en", '"5$.en"')
    Path("../there/valid.en").rename("5$.en")
    Path("../there/my.yaml").write_text(text, encoding="utf-8")
    assert files(load_config(Path("../there/my.yaml")))[::2] == ["train.$en", "5$.en"]


def test_a_missing_file_names_both_folders(folder: Path) -> None:
    Path("../there/train.en").unlink()
    with pytest.raises(ConfigError) as caught:
        load_config(Path("../there/my.yaml"))
    assert 'no such file: "train.en"' in str(caught.value)
    assert "did you mean ../there/train.de?" in str(caught.value)
    Path("../there/my.yaml").write_text(TEXT.replace("train.en", "corpus/other"), encoding="utf-8")
    with pytest.raises(
        ConfigError,
        match=r"no such folder: corpus. Paths are looked for in the current folder, .*here and in .*\.\./there",
    ):
        load_config(Path("../there/my.yaml"))


def test_config_check_shows_the_files_and_says_where_they_are(folder: Path) -> None:
    outcome = nmt("config", "check", "../there/my.yaml")
    assert outcome.code == 0, outcome.stderr
    assert "  training     ../there/train.en + ../there/train.de" in outcome.stdout
    assert "  paths        relative to ../there, the folder of the configuration" in outcome.stdout
    write_text(Path())
    for name in FILES:
        Path("../there", name).unlink()
    assert "paths " not in nmt("config", "check", "../there/my.yaml").stdout


def test_a_resumed_run_finds_its_text(folder: Path) -> None:
    """The configuration that a run keeps leads to the same files."""
    loaded = load_config(Path("../there/my.yaml"))
    Path("runs/my").mkdir(parents=True)
    Path("runs/my/config.yaml").write_text(dump_yaml(loaded), encoding="utf-8")
    assert load_config(Path("runs/my/config.yaml")) == loaded
