"""Bad configurations: every mistake is told at once, with file, line, key path and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bad_configurations import CASES, GOOD
from nmt.config import load_config
from nmt.errors import ConfigError
from nmt.terminal import visible

TEXTS = ("train.en", "train.de", "valid.en", "valid.de", "test.en", "test.de")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in TEXTS:
        (tmp_path / name).write_text("a line\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def errors(text: str | bytes, *overrides: str) -> str:
    """What loading complains about; nothing may be written meanwhile."""
    Path("bad.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    before = sorted(Path().rglob("*"))
    with pytest.raises(ConfigError) as caught:
        load_config(Path("bad.yaml"), overrides)
    assert sorted(Path().rglob("*")) == before
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize("name", CASES)
def test_bad_configuration_is_explained(name: str, folder: Path) -> None:
    case = CASES[name]
    message = errors(case.text)
    assert message.startswith(f"bad.yaml:{case.line}: " if case.line else "bad.yaml: "), message
    assert not case.key or f" {case.key}: " in message
    assert case.says in message
    assert case.hint in message
    assert "hint: " in message or not case.hint
    assert "Traceback" not in message
    assert message.count("\n") <= 1, "one mistake is one problem"


def test_there_are_at_least_forty_cases() -> None:
    assert len(CASES) >= 40


def test_all_problems_are_reported_at_once(folder: Path) -> None:
    text = GOOD.replace("train.de", "nowhere.de") + "seed: x\nmodel: {tyng: none}\ndecoding: {n_best: 9}\nseed: 2\n"
    message = errors(text, "training.max_epochs=0", "evaluation.metrics=[ter, ter]", "nonsense")
    lines = [line for line in message.split("\n") if "hint: " not in line]
    assert lines[0] == "8 problems in bad.yaml:"
    places = [re.match(r"  (bad\.yaml:\d+|override '[^']*'): (\S+)", line).groups() for line in lines[1:]]  # type: ignore[union-attr]
    assert places == [
        ("bad.yaml:6", "data.train.0.target:"),
        ("bad.yaml:10", "seed:"),
        ("bad.yaml:11", "model.tyng:"),
        ("bad.yaml:12", "decoding.n_best:"),
        ("bad.yaml:13", "seed:"),
        ("override 'training.max_epochs=0'", "training.max_epochs:"),
        ("override 'evaluation.metrics=[ter, ter]'", "evaluation.metrics:"),
        ("override 'nonsense'", "expected"),
    ]


def test_a_wrong_value_brings_no_second_complaint(folder: Path) -> None:
    message = errors(GOOD + "model:\n  decoder: {hidden_size: big}\n  encoder: {hidden_size: 100}\n")
    assert "model.decoder.hidden_size" in message
    assert "dot attention" not in message
    message = errors(GOOD.replace("      target: train.de", "      trgt: train.de"))
    assert "given without" not in message


def test_missing_files_of_every_part_are_named(folder: Path) -> None:
    text = GOOD + "  test:\n    - {name: one, source: one.en, target: one.de.gz}\n    - {name: two, tsv: two.tsv}\n"
    for name in ("train.en", "valid.de"):
        (folder / name).unlink()
    message = errors(text)
    for name in ("train.en", "valid.de", "one.en", "one.de.gz", "two.tsv"):
        assert f'no such file: "{name}"' in message


@pytest.mark.parametrize(
    ("name", "says", "hint"),
    [
        ("experimnt.yaml", "no such file", "did you mean experiment.yaml?"),
        ("nowhere/x.yaml", "no such file", "nmt config init"),
        (".", "a folder, expected a YAML file", "hint: "),
        ("train.en/x.yaml", "cannot be read", "hint: "),
    ],
)
def test_a_file_that_cannot_be_read(name: str, says: str, hint: str, folder: Path) -> None:
    (folder / "experiment.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(Path(name))
    assert name in str(caught.value)
    assert says in str(caught.value)
    assert hint in str(caught.value)


words = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="="), max_size=12)
keys = st.one_of(
    words,
    st.sampled_from(["data", "train", "0", "1", "-1", "valid", "source", "model", "training", "optimizer", "metrics"]),
)


@settings(max_examples=100)
@given(path=st.lists(keys, min_size=1, max_size=5), value=words)
def test_any_override_is_taken_or_refused_and_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, path: list[str], value: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "good.yaml"
    file.write_text(GOOD, encoding="utf-8")
    override = f"{'.'.join(path)}={value}"
    try:
        message = load_config(file, [override], check_files=False) and ""
    except ConfigError as error:
        message = str(error)
    assert not message or visible(f"override '{override}'") in message


@settings(max_examples=100)
@given(path=st.lists(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), min_size=1, max_size=4))
def test_an_unknown_dotted_key_is_an_error(tmp_path_factory: pytest.TempPathFactory, path: list[str]) -> None:
    file = tmp_path_factory.getbasetemp() / "good.yaml"
    file.write_text(GOOD, encoding="utf-8")
    key = ".".join([*path, "zzz"])
    with pytest.raises(ConfigError, match=r"override '.*zzz=1'") as caught:
        load_config(file, [f"{key}=1"], check_files=False)
    assert "hint: " in str(caught.value)


@settings(max_examples=100)
@given(
    content=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
)
def test_any_bytes_are_an_error_that_names_the_file(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"any\.yaml"):
        load_config(file)
