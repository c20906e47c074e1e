"""`base: FILE`: what is inherited, what wins, where everything comes from, and what can be wrong with it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bad_configurations import GOOD
from cli_tools import nmt
from nmt.config import dump_yaml, json_schema, load_config, load_with_origins
from nmt.config.introspection import find, unknown_key_hint
from nmt.config.schema import Config
from nmt.errors import ConfigError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("train.en", "train.de", "valid.en", "valid.de"):
        Path(name).write_text("a line\n", encoding="utf-8")
    return tmp_path


def write(**files: str) -> None:
    """Write files: `folder__name` is folder/name.yaml."""
    for name, text in files.items():
        path = Path(f"{name.replace('__', '/')}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def errors(file: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(Path(file), overrides)
    message = str(caught.value)
    assert "Traceback" not in message
    return message


# ------------------------------------------------------------------------------------------------------- inheriting


def test_a_file_says_only_what_differs() -> None:
    write(
        whole=GOOD + "seed: 7\nmodel:\n  embedding_size: 32\n  decoder: {layers: 2, hidden_size: 512}\n",
        small="base: whole.yaml\nmodel:\n  decoder: {layers: 3}\n",
    )
    config = load_config(Path("small.yaml"))
    assert config.data == load_config(Path("whole.yaml")).data
    assert (config.seed, config.model.embedding_size) == (7, 32)
    assert (config.model.decoder.layers, config.model.decoder.hidden_size) == (3, 512)


def test_bases_have_bases_and_the_nearest_wins() -> None:
    write(
        corpora__far=GOOD + "seed: 1\nmodel: {embedding_size: 10, tying: none}\ntraining: {max_epochs: 1}\n",
        middle="base: corpora/far.yaml\nseed: 2\nmodel: {embedding_size: 20}\n",
        papers__near="base: ../middle.yaml\nseed: 3\n",
    )
    loaded = load_with_origins(Path("papers/near.yaml"))
    assert loaded.bases == ["middle.yaml", "corpora/far.yaml"]
    config = loaded.config
    assert (config.seed, config.model.embedding_size, config.training.max_epochs) == (3, 20, 1)
    assert config.model.tying == "none"


def test_lists_are_replaced_as_a_whole() -> None:
    write(
        whole=GOOD + "evaluation: {metrics: [bleu, chrf]}\ntokenizer: {user_symbols: [a, b, c]}\n",
        other="base: whole.yaml\ntokenizer: {user_symbols: [d]}\ndata:\n  train:\n    - {tsv: other.tsv}\n",
    )
    config = load_config(Path("other.yaml"), check_files=False)
    assert config.tokenizer.user_symbols == ["d"]
    assert config.evaluation.metrics == ["bleu", "chrf"]
    assert [(corpus.tsv, corpus.source) for corpus in config.data.train] == [("other.tsv", None)]
    assert config.data.valid.source == "valid.en"


def test_null_replaces_too() -> None:
    write(whole=GOOD + "training: {max_minutes: 3}\n", other="base: whole.yaml\ntraining: {max_minutes: null}\n")
    assert load_config(Path("other.yaml")).training.max_minutes is None


def test_a_run_is_named_after_its_own_file() -> None:
    write(whole=GOOD + "name: mine\n", other="base: whole.yaml\n", named="base: whole.yaml\nname: its-own\n")
    assert load_config(Path("whole.yaml")).name == "mine"
    assert load_config(Path("other.yaml")).name == "other"
    assert load_config(Path("named.yaml")).name == "its-own"


def test_no_base_and_an_empty_one_are_the_same() -> None:
    write(whole=GOOD + "base:\n", none=GOOD + "base: null\nname: whole\n")
    assert load_config(Path("whole.yaml")) == load_config(Path("none.yaml"))


def test_the_resolved_configuration_needs_no_base() -> None:
    write(whole=GOOD, other="base: whole.yaml\nseed: 5\n")
    config = load_config(Path("other.yaml"))
    for text in (dump_yaml(config), dump_yaml(config, comments=True)):
        assert not re.search(r"^base:", text, flags=re.MULTILINE)
        write(resolved=text)
        assert load_config(Path("resolved.yaml")) == config
    assert "base" not in config.model_dump()


def test_a_symbolic_link_among_the_folders_is_followed(folder: Path) -> None:
    write(real__configs__papers__one="base: ../two.yaml\n", real__configs__two=GOOD)
    os.symlink(folder / "real/configs/papers", folder / "link", target_is_directory=True)
    assert load_with_origins(Path("link/one.yaml")).bases == ["link/../two.yaml"]


# -------------------------------------------------------------------------------------------------------- overrides


def test_the_command_line_chooses_another_base_relative_to_the_current_folder() -> None:
    write(
        corpora__one=GOOD + "seed: 1\nmodel: {embedding_size: 10}\n",
        corpora__two=GOOD + "seed: 2\nmodel: {embedding_size: 20}\n",
        papers__this="base: ../corpora/one.yaml\nmodel: {tying: none}\n",
    )
    this = Path("papers/this.yaml")
    config = load_config(this, ["base=corpora/two.yaml", "training.max_epochs=3"])
    assert (config.seed, config.model.embedding_size, config.model.tying) == (2, 20, "none")
    assert load_config(this, ["base=corpora/one.yaml", "base=corpora/two.yaml"]).seed == 2
    assert load_config(this, ["seed=9", "base=corpora/two.yaml"]).seed == 9
    assert load_with_origins(this, ["base=corpora/two.yaml"]).bases == ["corpora/two.yaml"]


def test_the_command_line_can_do_without_the_base() -> None:
    write(whole=GOOD + "seed: 5\n", other=GOOD + "base: whole.yaml\n")
    assert load_config(Path("other.yaml")).seed == 5
    assert load_config(Path("other.yaml"), ["base="]).seed == 1


def test_overrides_reach_into_what_is_inherited() -> None:
    write(whole=GOOD, other="base: whole.yaml\n")
    config = load_config(
        Path("other.yaml"), ["data.train.0.weight=2", "data.train.1={tsv: x.tsv}", "seed=4"], check_files=False
    )
    assert [corpus.weight for corpus in config.data.train] == [2.0, 1.0]
    assert config.seed == 4


def test_an_own_value_mends_a_wrong_one_of_the_base() -> None:
    write(whole=GOOD + "seed: x\n", other="base: whole.yaml\nseed: 2\n")
    assert load_config(Path("other.yaml")).seed == 2


# --------------------------------------------------------------------------------------- options that are switched off


def test_another_kind_clears_away_the_options_of_the_old_one() -> None:
    write(
        whole=GOOD + "model:\n  attention: {score: additive, size: 64, input_feeding: true}\n"
        "training:\n  averaging: {kind: ema, decay: 0.9}\n",
        other="base: whole.yaml\nmodel:\n  attention: {score: none}\ntraining:\n  averaging: {kind: none}\n",
    )
    for config in (
        load_config(Path("other.yaml")),
        load_config(Path("whole.yaml"), ["model.attention.score=none", "training.averaging.kind=none"]),
    ):
        assert (config.model.attention.size, config.model.attention.input_feeding) == (None, False)
        assert config.training.averaging.decay == 0.999
        write(resolved=dump_yaml(config))
        assert load_config(Path("resolved.yaml")) == config, "what is written out can be read again"


def test_a_contradiction_within_one_file_is_an_error() -> None:
    write(
        whole=GOOD,
        other="base: whole.yaml\nmodel:\n  attention:\n    score: dot\n    size: 64\n",
        reverse="base: half.yaml\nmodel:\n  attention:\n    size: 64\n",
        half=GOOD + "model: {attention: {score: dot}}\n",
    )
    assert errors("other.yaml").startswith("other.yaml:5: model.attention.size: found 64, but it has no effect")
    assert errors("reverse.yaml").startswith("reverse.yaml:4: model.attention.size: ")
    override = ("model.attention.score=dot", "model.attention.size=3")
    assert errors("whole.yaml", *override).startswith("override 'model.attention.size=3': model.attention.size: ")


# ----------------------------------------------------------------------------------------------------------- errors


def test_every_problem_names_its_file_and_line() -> None:
    write(
        far=GOOD.replace("train.de", "nowhere.de") + "seed: x\nmodel: {tyng: none}\n",
        middle="base: far.yaml\ntraining:\n  max_epochs: 0\n  max_epochs: 3\n",
        near="# first\nbase: middle.yaml\ndecoding:\n  n_best: 9\n",
    )
    message = errors("near.yaml", "training.clip_norm=-1")
    lines = [line for line in message.split("\n") if "hint: " not in line]
    assert lines[0] == "7 problems in near.yaml:"
    places = [re.match(r"  (\w+\.yaml:\d+|override '[^']*'): (\S+)", line).groups() for line in lines[1:]]  # type: ignore[union-attr]
    assert places == [
        ("near.yaml:4", "decoding.n_best:"),
        ("middle.yaml:3", "training.max_epochs:"),
        ("middle.yaml:4", "training.max_epochs:"),
        ("far.yaml:6", "data.train.0.target:"),
        ("far.yaml:10", "seed:"),
        ("far.yaml:11", "model.tyng:"),
        ("override 'training.clip_norm=-1'", "training.clip_norm:"),
    ]


def test_of_options_that_do_not_fit_the_nearest_is_pointed_at() -> None:
    write(
        whole=GOOD + "model:\n  encoder: {hidden_size: 64}\n  decoder: {hidden_size: 128}\n",
        other="base: whole.yaml\nmodel:\n  decoder:\n    hidden_size: 100\n",
    )
    message = errors("other.yaml")
    assert message.startswith("other.yaml:4: model.decoder.hidden_size: dot attention requires equal sizes")


def test_what_is_missing_everywhere_is_missing_in_the_file_itself() -> None:
    write(half="model: {tying: none}\n", other="seed: 3\nbase: half.yaml\n")
    assert errors("other.yaml").startswith("other.yaml:1: data: missing")


@pytest.mark.parametrize(
    ("chain", "says"),
    [
        ({"a": "a"}, "a.yaml:2: base: circular bases: a.yaml, a.yaml"),
        ({"a": "b", "b": "a"}, "b.yaml:2: base: circular bases: a.yaml, b.yaml, a.yaml"),
        ({"a": "b", "b": "c", "c": "b"}, "c.yaml:2: base: circular bases: a.yaml, b.yaml, c.yaml, b.yaml"),
        ({"a": "x/../b", "b": "./a"}, "b.yaml:2: base: circular bases: a.yaml, b.yaml, a.yaml"),
    ],
)
def test_circles_are_errors(chain: dict[str, str], says: str, folder: Path) -> None:
    (folder / "x").mkdir()
    write(**{name: f"seed: 1\nbase: {base}.yaml\n" for name, base in chain.items()})
    message = errors("a.yaml")
    assert message.startswith(says)
    assert "hint: " in message
    assert "missing" not in message, "what is not there may be in the base that was not read"


@pytest.mark.parametrize(
    ("base", "says", "hint"),
    [
        ("../corpora/on.yaml", "no such file: corpora/on.yaml", "did you mean ../corpora/one.yaml?"),
        ("corpora/one.yaml", "no such file: papers/corpora/one.yaml", "did you mean ../corpora/one.yaml?"),
        ("nowhere/x.yaml", "no such file: papers/nowhere/x.yaml", "relative to the folder of papers/a.yaml"),
        ("../corpora", "a folder, expected a YAML file: corpora", "did you mean ../corpora/one.yaml?"),
        ("../empty.yaml", "the file is empty: empty.yaml", "hint: "),
        ("7", "found 7, expected the path of a configuration file", "hint: "),
        ("[x.yaml, y.yaml]", "found a list, expected the path", "which may have a base too"),
        ("{file: x.yaml}", "found a section (file), expected the path", "hint: "),
        ("' '", 'found " ", expected the path', "leave it out"),
        (r'"\0"', "expected the path", "leave it out"),
        (r'"\uDC00.yaml"', "", "hint: "),
        ("!file x.yaml", "the tag !file", "hint: "),
        (f"{'x' * 300}.yaml", "cannot be read", "hint: "),
    ],
)
def test_a_base_that_cannot_be_read(base: str, says: str, hint: str) -> None:
    write(papers__a=f"sed: 1\nbase: {base}\n", corpora__one=GOOD, empty="")
    message = errors("papers/a.yaml")
    lines = message.split("\n")
    assert lines[0] == "2 problems in papers/a.yaml:"
    assert "papers/a.yaml:1: sed: unknown key" in message, "the file's own mistakes are told too"
    line = next(line for line in lines if ":2: base: " in line)
    assert says in line
    assert hint in message
    assert "missing" not in message


def test_a_base_of_the_command_line_that_cannot_be_read() -> None:
    write(papers__a=GOOD + "base: ../corpora/one.yaml\n", corpora__one=GOOD)
    message = errors("papers/a.yaml", "base=corpora/on.yaml")
    assert message.startswith("override 'base=corpora/on.yaml': base: no such file: corpora/on.yaml")
    assert "did you mean corpora/one.yaml? It is relative to the current folder" in message
    assert "did you mean corpora/one.yaml?" in errors("papers/a.yaml", "base=../corpora/one.yaml")
    assert "expected the path" in errors("papers/a.yaml", "base.x=1", "base=3")
    assert "base is a single value, it has no x" in errors("papers/a.yaml", "base.x=1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed: [1\n", "bad.yaml:1: not valid YAML"),
        ("a: 1\n- b\n", "bad.yaml:2: not valid YAML"),
        ("- a\n", "bad.yaml:1: found a list, expected sections"),
        ("seed: 1\n---\nseed: 2\n", "bad.yaml:2: not valid YAML"),
    ],
)
def test_broken_text_in_a_base_is_told_at_its_own_line(text: str, says: str) -> None:
    write(bad=text, other="base: bad.yaml\n")
    assert errors("other.yaml").startswith(says)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        (("bases",), "did you mean base?"),
        (("extends",), "did you mean base?"),
        (("model", "base"), "it belongs elsewhere: base"),
    ],
)
def test_keys_that_were_meant_to_be_base(path: tuple[str, ...], hint: str) -> None:
    assert unknown_key_hint(path) == hint


# -------------------------------------------------------------------------------------------------- what is told of it


def test_the_json_schema_knows_base() -> None:
    schema = json_schema()
    assert schema["properties"]["base"]["description"]
    assert "required" not in schema, "a file with a base need not be whole"
    assert "required" not in schema["$defs"]["DataConfig"]
    assert schema["if"] == {"required": ["base"]}
    assert schema["else"]["required"] == ["data"]
    assert find(("base",)) is not None
    assert "base" not in Config.model_fields


def test_check_names_the_bases() -> None:
    write(far=GOOD, middle="base: far.yaml\n", near="base: middle.yaml\n")
    outcome = nmt("config", "check", "near.yaml")
    assert outcome.code == 0
    assert re.search(r"^  base +middle\.yaml\n +far\.yaml\n  run ", outcome.stdout, flags=re.MULTILINE)


def test_show_says_where_each_value_comes_from() -> None:
    write(far=GOOD + "seed: 3\n", near="base: far.yaml\nmodel:\n  tying: none\n")
    arguments = ("config", "show", "near.yaml", "training.max_epochs=2")
    outcome = nmt(*arguments, "--origins")
    assert outcome.code == 0
    for line in (
        "seed: 3 # far.yaml:10",
        "    - source: train.en # far.yaml:5",
        "  tying: none # near.yaml:3",
        "  max_epochs: 2 # command line",
        "  embedding_size: 256",
    ):
        assert f"\n{line}\n" in outcome.stdout
    plain: Any = nmt(*arguments).stdout
    assert "#" not in plain
    assert yaml.safe_load(outcome.stdout) == yaml.safe_load(plain)
