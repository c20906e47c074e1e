"""Good configurations: what is read, overridden, filled in, written out and read again."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from nmt.config import Config, dump_yaml, json_schema, load_config
from nmt.config.dump import one_line
from nmt.config.introspection import find, walk
from nmt.config.problems import dotted
from nmt.config.yaml_document import CoreLoader

GOOD = """\
data:
  source_language: en
  target_language: no
  train:
    - {source: train.en, target: train.no}
  valid: {tsv: valid.tsv}
"""


def load(text: str, *overrides: str, name: str = "experiment.yaml") -> Config:
    Path(name).write_text(text, encoding="utf-8")
    return load_config(Path(name), overrides, check_files=False)


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# --------------------------------------------------------------------------------------------------------- YAML


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-4", 1e-4),
        ("1E+2", 100.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0", 0),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("+3", 3),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("nothing", "nothing"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2024-01-31", "2024-01-31"),
        ("1e-4x", "1e-4x"),
        ('"1e-4"', "1e-4"),
        ("'no'", "no"),
        ("!!str 5", "5"),
        ("=", "="),
        ("[1, no, 1e3]", [1, "no", 1000.0]),
        ("{a: {b: c}}", {"a": {"b": "c"}}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written: str, value: Any) -> None:
    from nmt.config.yaml_document import read_document

    Path("x.yaml").write_text(f"key: {written}\n", encoding="utf-8")
    document = read_document(Path("x.yaml"))
    assert document.problems == []
    assert document.data == {"key": value}
    assert type(document.data["key"]) is type(value)


def test_norwegian_is_a_language_and_1e4_a_number() -> None:
    config = load(GOOD + "training: {optimizer: {learning_rate: 1e-4}}\n")
    assert config.data.target_language == "no"
    assert config.training.optimizer.learning_rate == 1e-4


def test_a_whole_number_is_fine_where_any_number_is() -> None:
    config = load(GOOD + "training: {clip_norm: 5}\nmodel: {dropout: {embedding: 0}}\n")
    assert config.training.clip_norm == 5
    assert config.model.dropout.embedding == 0


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        "---\n" + GOOD + "...\n",
        "%YAML 1.2\n---\n" + GOOD,
        GOOD.replace("valid: {tsv: valid.tsv}", "valid: &v {tsv: valid.tsv}\n  test:\n    - {name: x, tsv: y}"),
        GOOD.replace("{source: train.en, target: train.no}", "&a {tsv: a}\n    - *a"),
        json.dumps(yaml.load(GOOD, Loader=CoreLoader)),
    ],
    ids=["byte order mark", "CRLF", "document marks", "directive", "anchor", "alias", "JSON"],
)
def test_other_spellings_of_a_file(content: str) -> None:
    Path("x.yaml").write_bytes(content.encode())
    config = load_config(Path("x.yaml"), check_files=False)
    assert config.data.target_language == "no"


def test_a_path_with_spaces_and_other_scripts() -> None:
    folder = Path("my 한국어 folder")
    folder.mkdir()
    config = load(GOOD, name=f"{folder}/first experiment.v2.yaml")
    assert config.name == "first experiment.v2"


# --------------------------------------------------------------------------------------------- defaults, overrides


def test_the_run_is_named_after_the_file_unless_it_has_a_name() -> None:
    assert load(GOOD).name == "experiment"
    assert load(GOOD + "name: other\n").name == "other"
    assert load(GOOD + "name: other\n", "name=third").name == "third"
    assert load(GOOD + "name: other\n", "name=").name == "experiment"


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("seed=7", "seed", 7),
        ("training.max_epochs=3", "training.max_epochs", 3),
        ("training.optimizer.learning_rate=1e-4", "training.optimizer.learning_rate", 1e-4),
        ("training.clip_norm=null", "training.clip_norm", None),
        ("training.validation.patience=", "training.validation.patience", None),
        ("data.train.0.weight=2", "data.train.0.weight", 2.0),
        ("data.train.1.tsv=more.tsv", "data.train.1.tsv", "more.tsv"),
        ("data.train.1={tsv: more.tsv, weight: 0.5}", "data.train.1.weight", 0.5),
        ("data.test.0.tsv=test.tsv", "data.test.0.name", "test"),
        ("data.valid={source: a, target: b}", "data.valid.tsv", None),
        ("evaluation.metrics=[ter, chrf]", "evaluation.metrics", ["ter", "chrf"]),
        ("model.attention={score: general}", "model.attention.score", "general"),
        ("tokenizer.user_symbols=['<a>', \"<b>\"]", "tokenizer.user_symbols", ["<a>", "<b>"]),
        ("name=a=b", "name", "a=b"),
        (" seed = 7", "seed", 7),
        ("data.source_language=no", "data.source_language", "no"),
    ],
)
def test_overrides_win_over_the_file(override: str, path: str, value: Any) -> None:
    changed: Any = load(GOOD + "seed: 3\ntraining: {max_epochs: 9}\n", override).model_dump()
    for part in path.split("."):
        changed = changed[int(part)] if isinstance(changed, list) else changed[part]
    assert changed == value


def test_later_overrides_win() -> None:
    assert load(GOOD, "seed=1", "seed=2").seed == 2


def test_an_override_can_mend_what_the_file_says_wrong() -> None:
    assert load(GOOD + "seed: x\nmodel:\n", "seed=2", "model.tying=none").seed == 2


def test_every_option_can_be_overridden_with_its_default() -> None:
    """Each in its turn, so that no option is out of reach of the command line."""
    Path("x.yaml").write_text(GOOD, encoding="utf-8")
    config = load_config(Path("x.yaml"), check_files=False)
    overrides = []
    for path, option in walk(Config):
        value: Any = config
        for part in path:
            if isinstance(part, int) and not value:
                break
            value = value[part] if isinstance(part, int) else getattr(value, part)
        else:
            if not option.section and not (option.item and option.item.section):
                overrides.append(f"{dotted(path)}={one_line(value)}")
    assert len(overrides) > 80
    assert load_config(Path("x.yaml"), overrides, check_files=False) == config


# ---------------------------------------------------------------------------------------------------- round trips


def test_the_resolved_configuration_is_read_as_the_same() -> None:
    config = load(
        GOOD
        + "tokenizer: {user_symbols: ['no', '1e-4', '<a>', \"é#'\", '0x1F', '~', '12:30:45', '=', ':']}\n"
        "training: {optimizer: {learning_rate: 3e-5, epsilon: 1e-12}, averaging: {kind: best, count: 3}}\n"
        "data2: 1\n".replace("data2: 1\n", "")
    )
    for comments in (False, True):
        assert load(dump_yaml(config, comments=comments), name="again.yaml") == config
    assert yaml.safe_load(dump_yaml(config)) == config.model_dump(mode="json"), "readers of YAML 1.1 see the same"
    assert Config.model_validate(config.model_dump(mode="json")) == config


@settings(max_examples=200)
@given(text=st.text(st.characters(exclude_categories=("Cs",))))
def test_any_text_survives_being_written_on_one_line(text: str) -> None:
    written = f"key: {one_line(text)}\nother: {one_line([text, text])}\n"
    assert written.count("\n") == 2
    assert yaml.load(written, Loader=CoreLoader) == {"key": text, "other": [text, text]}
    assert yaml.safe_load(written) == {"key": text, "other": [text, text]}


@settings(max_examples=100)
@given(value=st.floats(allow_nan=False, allow_infinity=False, min_value=1e-300, max_value=1e300))
def test_any_number_survives_being_written(value: float) -> None:
    assert yaml.load(one_line(value), Loader=CoreLoader) == value
    assert yaml.safe_load(one_line(value)) == value


def test_comments_explain_every_option() -> None:
    config = load(GOOD)
    commented = dump_yaml(config, comments=True)
    assert commented.count("\n") > 150
    uncommented = re.sub(r"\n *# ", " ", commented)
    assert max(len(line.lstrip()) for line in commented.splitlines() if "#" in line) <= 100
    for path, option in walk():
        assert option.doc, f"{dotted(path)} has no documentation"
        if 0 not in path and path != ("base",):
            assert option.doc in uncommented


def test_the_json_schema_knows_every_option() -> None:
    schema = json_schema()
    json.dumps(schema)
    definitions = schema["$defs"]
    assert definitions["OptimizerConfig"]["properties"]["kind"]["enum"] == ["adam", "adamw", "sgd"]
    assert schema["else"]["properties"]["data"]["required"] == ["source_language", "target_language", "train", "valid"]
    for section in (schema, *definitions.values()):
        assert section["additionalProperties"] is False
        for name, key in section["properties"].items():
            assert key["description"], name


def test_every_option_says_what_it_expects() -> None:
    for path, option in walk():
        assert option.expected, dotted(path)
        assert find(path) == option
    assert find(("training", "max_updates")).expected == "a whole number of at least 1 or null"  # type: ignore[union-attr]
    assert find(("model", "dropout", "output")).expected == "a number of at least 0 and below 1"  # type: ignore[union-attr]


def test_sections_cannot_be_changed_or_extended() -> None:
    config = load(GOOD)
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3  # type: ignore[misc]
    assert isinstance(config, BaseModel)


# --------------------------------------------------------------------------------------------------------- remarks


def test_a_plateau_that_never_comes_is_remarked(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="nmt"):
        load(GOOD)
        assert not caplog.records
        load(GOOD, "training.validation.patience=2")
        load(GOOD, "training.validation.patience=2", "training.schedule.kind=constant")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "before the learning rate falls" in caplog.text
