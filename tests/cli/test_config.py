"""`nmt config`: check, show, schema, init."""

from __future__ import annotations

import gzip
import json
from itertools import chain
from pathlib import Path

import pytest

from bad_configurations import GOOD
from cli_tools import assert_explained, contents, nmt
from nmt.config import load_config


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("train.en", "train.de", "valid.en", "valid.de"):
        Path(name).write_text("a line\n", encoding="utf-8")
    Path("good.yaml").write_text(GOOD, encoding="utf-8")
    return tmp_path


def test_check_says_what_a_configuration_would_do(folder: Path) -> None:
    before = contents(folder)
    outcome = nmt("config", "check", "good.yaml", "model.attention.score=general", "data.train.0.weight=2")
    assert outcome.code == 0
    assert outcome.stderr == ""
    for part in ("ok: good.yaml", "runs/good", "en to de", "train.en + train.de (weight 2)", "general, top layer"):
        assert part in outcome.stdout
    assert contents(folder) == before


def test_check_names_bases_as_they_are_written(folder: Path) -> None:
    (folder / "sub").mkdir()
    Path("middle.yaml").write_text(GOOD + "base: low-resource-cpu\n", encoding="utf-8")
    Path("sub/mine.yaml").write_text("base: ../middle.yaml\n", encoding="utf-8")
    outcome = nmt("config", "check", "sub/mine.yaml")
    assert outcome.code == 0, outcome.stderr
    bases = [line.removeprefix("  base").strip() for line in outcome.stdout.splitlines()[1:4]]
    assert bases == ["middle.yaml", "low-resource-cpu", "low-resource"]
    assert str(folder) not in outcome.stdout


def test_check_needs_the_files_show_does_not(folder: Path) -> None:
    (folder / "valid.de").unlink()
    assert_explained(
        nmt("config", "check", "good.yaml"), "error: good.yaml:9: data.valid.target: no such file", codes=(2,)
    )
    assert nmt("config", "show", "good.yaml").code == 0


@pytest.mark.parametrize("options", [[], ["--comments"]])
def test_show_prints_a_configuration_that_means_the_same(options: list[str]) -> None:
    outcome = nmt("config", "show", "good.yaml", "training.max_epochs=7", *options)
    assert outcome.code == 0
    Path("again.yaml").write_text(outcome.stdout, encoding="utf-8")
    assert load_config(Path("again.yaml")) == load_config(Path("good.yaml"), ["training.max_epochs=7"])


def test_schema_is_json() -> None:
    outcome = nmt("config", "schema")
    assert outcome.code == 0
    assert json.loads(outcome.stdout)["properties"]["training"]


# ------------------------------------------------------------------------------------------------------------ init


def write_pairs(source: str, target: str, count: int) -> None:
    for name in (source, target):
        content = "".join(f"{name} {number}\n" for number in range(count)).encode()
        Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def read(name: str) -> list[str]:
    content = Path(name).read_bytes()
    return (gzip.decompress(content) if name.endswith(".gz") else content).decode().splitlines()


def test_init_finds_validation_and_test_beside_the_training_text() -> None:
    for name in ("test_2016.en", "test_2016.de", "test_2017.en", "test_2017.de", "test_2018.en"):
        Path(name).write_text("a line\n", encoding="utf-8")
    outcome = nmt("config", "init", "--source", "train.en", "--target", "train.de", "-o", "new.yaml")
    assert (outcome.code, outcome.stdout) == (0, "")
    config = load_config(Path("new.yaml"))
    assert (config.data.source_language, config.data.target_language) == ("en", "de")
    assert config.data.valid.source == "valid.en"
    assert [test.name for test in config.data.test] == ["test_2016", "test_2017"]
    assert nmt("config", "check", "new.yaml").code == 0


def test_init_finds_texts_packed_or_not() -> None:
    write_pairs("our train.en.gz", "our train.de.gz", 3)
    for name in ("our dev.en", "our dev.de.gz", "our test.en.gz", "our test.de", "our test-b.en.gz"):
        write_pairs(name, name, 2)
    files = ("--source", "our train.en.gz", "--target", "our train.de.gz")
    outcome = nmt("config", "init", *files, "-o", "new.yaml")
    assert outcome.code == 0, outcome
    data = load_config(Path("new.yaml")).data
    assert (data.valid.source, data.valid.target) == ("our dev.en", "our dev.de.gz")
    assert [(test.name, test.source, test.target) for test in data.test] == [("test", "our test.en.gz", "our test.de")]


def test_what_init_holds_out_is_never_blank() -> None:
    for name, blank in (("all.en", 0), ("all.de", 1)):
        lines = ("  " if number % 4 == blank else f"{name} {number}" for number in range(400))
        Path(name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    outcome = nmt("config", "init", "--source", "all.en", "--target", "all.de", "--hold-out", "20", "-o", "new.yaml")
    assert outcome.code == 0, outcome
    data = load_config(Path("new.yaml")).data
    parts = [data.train[0], data.valid, data.test[0]]
    assert [len(read(part.source or "")) for part in parts] == [len(read(part.target or "")) for part in parts]
    # Of 400 pairs 200 are whole, of which 40 leave; blank ones are equal to nothing that is held out, and stay.
    assert [len(read(part.target or "")) for part in parts] == [360, 20, 20]
    assert all(line.strip() for part in parts[1:] for side in (part.source, part.target) for line in read(side or ""))


def test_init_prints_what_it_would_write() -> None:
    arguments = ("config", "init", "--source", "train.en", "--target", "train.de")
    nmt(*arguments, "-o", "new.yaml")
    assert nmt(*arguments).stdout == Path("new.yaml").read_text(encoding="utf-8")


def test_init_takes_files_and_languages_as_they_are_given() -> None:
    for name in ("learn #1.txt", "lernen: 2.txt", "check.txt", "prüfen.txt", "t.txt", "u.txt"):
        Path(name).write_text("a line\n", encoding="utf-8")
    outcome = nmt(
        *("config", "init", "--source", "learn #1.txt", "--target", "lernen: 2.txt", "-o", "new.yaml"),
        *("--source-language", "no", "--target-language", "pt-BR", "--valid-source", "check.txt"),
        *("--valid-target", "prüfen.txt", "--test-source", "t.txt", "--test-target", "u.txt"),
    )
    assert outcome.code == 0, outcome
    config = load_config(Path("new.yaml"))
    assert (config.data.source_language, config.data.target_language) == ("no", "pt-BR")
    assert config.data.train[0].target == "lernen: 2.txt"
    assert config.data.valid.target == "prüfen.txt"
    assert config.data.test[0].source == "t.txt"


@pytest.mark.parametrize(("source", "target"), [("all.en", "all.de"), ("all.en.gz", "all.de.gz"), ("en", "de")])
def test_init_holds_text_out(source: str, target: str) -> None:
    write_pairs(source, target, 1003)
    languages = ("--source-language", "en", "--target-language", "de")
    outcome = nmt(
        "config", "init", "--source", source, "--target", target, "--hold-out", "50", "-o", "new.yaml", *languages
    )
    assert outcome.code == 0, outcome
    data = load_config(Path("new.yaml")).data
    parts = [data.train[0], data.valid, data.test[0]]
    sources = [read(part.source or "") for part in parts]
    targets = [read(part.target or "") for part in parts]
    assert [len(lines) for lines in sources] == [903, 50, 50]
    assert sorted(chain(*sources)) == sorted(read(source)), "nothing lost, nothing twice"
    for ours, theirs in zip(sources, targets, strict=True):
        assert [line.split()[1] for line in ours] == [line.split()[1] for line in theirs]
    assert nmt("config", "init", "--source", source, "--target", target, "--hold-out", "50", *languages).code == 2


def test_init_without_files_is_for_the_exercise_corpus() -> None:
    outcome = nmt("config", "init")
    assert outcome.code == 0
    Path("new.yaml").write_text(outcome.stdout, encoding="utf-8")
    assert load_config(Path("new.yaml"), check_files=False).data.valid.source == "data/exercise/valid.en"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--source", "train.en"], ["--source requires --target"]),
        (["--valid-source", "valid.en"], ["--valid-source requires --valid-target"]),
        (["--valid-source", "valid.en", "--valid-target", "valid.de"], ["--source and --target"]),
        (["--source", "lone.en", "--target", "lone.de"], ["no validation text", "--valid-source"]),
        (["--source", "train.en", "--target", "nowhere.de"], ["nowhere.de"]),
        (["--source", "train.en", "--target", ".", "--target-language", "de"], [".: is a folder"]),
        (["--source", "train.en", "--target", "long.de"], ["train.en has 1 line", "long.de has 9"]),
        (["--source", "text", "--target", "train.de"], ["text: the name has no language code", "--source-language"]),
        (["--source", "train.en", "--target", "train.de", "-o", "good.yaml"], ["good.yaml exists", "--overwrite"]),
        (["--source", "train.en", "--target", "train.de", "-o", "nowhere/x.yaml"], ["nowhere"]),
        (["--source", "train.en", "--target", "train.de", "--hold-out", "1"], ["train.en has 1 pairs, too few"]),
        (["--source", "long.en", "--target", "long.de", "--hold-out", "2"], ["long.valid.de exists already"]),
        (["--source", "long.en", "--target", "long.de", "--hold-out", "0"], ["--hold-out"]),
        (["--source", "latin.en", "--target", "latin.de", "--hold-out", "1"], ["latin.de", "line 2", "UTF-8"]),
    ],
)
def test_init_refuses_what_cannot_be_meant(arguments: list[str], says: list[str], folder: Path) -> None:
    for name, count in (("lone.en", 1), ("lone.de", 1), ("text", 1), ("long.en", 9), ("long.de", 9)):
        Path(name).write_text("a line\n" * count, encoding="utf-8")
    Path("long.valid.de").write_text("mine\n", encoding="utf-8")
    Path("latin.en").write_text("a line\n" * 9, encoding="utf-8")
    Path("latin.de").write_bytes(b"eine\n" + "grün\n".encode("latin-1") * 8)
    before = contents(folder)
    assert_explained(nmt("config", "init", *arguments), *says)
    assert contents(folder) == before


@pytest.mark.parametrize(("language", "module"), [("ja", "tokenizer_ja_mecab"), ("ko", "tokenizer_ko_mecab")])
def test_check_names_a_tokenizer_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, folder: Path, language: str, module: str
) -> None:
    """Not the first validation of a training."""
    monkeypatch.setattr(f"sacrebleu.tokenizers.{module}.MeCab", None)
    code = f"data.target_language={language}"
    result = nmt("config", "check", "good.yaml", code)
    assert result.code == 1
    assert f'pip install "sacrebleu[{language}]"' in result.stderr
    result = nmt(
        "config", "check", "good.yaml", code, "training.validation.metrics=[chrf]", "training.validation.metric=chrf"
    )
    assert result.code == 0
    assert f'pip install "sacrebleu[{language}]"' in result.stderr, "nmt evaluate needs it"
    assert nmt("config", "check", "good.yaml", code, "evaluation.bleu_tokenizer=char").code == 0
