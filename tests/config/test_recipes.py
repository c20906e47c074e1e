"""Recipes: each can be the base of a configuration, is found by name, and says why; docs/guide/recipes.md fits them."""

from __future__ import annotations

import importlib.resources
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli_tools import ROOT, nmt
from nmt.cli.init.yaml_text import recipe_entries
from nmt.config import inheritance as recipes_module
from nmt.config import load_config, load_with_origins
from nmt.config.inheritance import recipe_file, recipe_names
from nmt.config.introspection import find
from nmt.config.yaml_document import CoreLoader
from nmt.errors import ConfigError
from nmt.training import diagnosis

NAMES = ("large", "low-resource", "low-resource-cpu", "medium", "small-cpu")
FOLDER = ROOT / "configs" / "recipes"
DATA = """\
data:
  source_language: en
  target_language: de
  train:
    - source: train.en
      target: train.de
  valid:
    source: valid.en
    target: valid.de
"""
PAGE = ROOT / "docs" / "guide" / "recipes.md"
TEXT = PAGE.read_text("utf-8")
SHOWN = re.sub(r"<!--.*?-->", "", TEXT, flags=re.DOTALL)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("train.en", "train.de", "valid.en", "valid.de"):
        Path(name).write_text("a line\n", encoding="utf-8")
    return tmp_path


def based_on(base: str, more: str = "", file: str = "mine.yaml") -> Path:
    Path(file).write_text(f"base: {base}\n{DATA}{more}", "utf-8")
    return Path(file)


def errors(base: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(based_on(base))
    return str(caught.value)


def leaves(values: dict[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for key, value in values.items():
        found |= leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
    return found


# ----------------------------------------------------------------------------------------------------------- loading


def test_these_are_the_recipes() -> None:
    assert tuple(recipe_names()) == NAMES
    assert recipe_file("nothing") is None
    assert recipe_file("") is None
    assert recipe_file("../recipes/large") is None, "a name is no path"


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_and_text_are_a_whole_configuration(name: str) -> None:
    outcome = nmt("config", "check", str(based_on(name)))
    assert (outcome.code, outcome.stderr) == (0, ""), "neither problems nor warnings"
    loaded = load_with_origins(Path("mine.yaml"))
    assert loaded.config.name == "mine", "a run is not called like its recipe"
    file = recipe_file(name)
    assert file is not None
    assert str(file) in loaded.bases
    for path, value in leaves(yaml.load(file.read_text("utf-8"), CoreLoader)).items():
        if path != ("base",):
            found: Any = loaded.config
            for key in path:
                found = getattr(found, key)
            assert found == value, path


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_has_no_text_of_its_own(name: str) -> None:
    values = yaml.load((FOLDER / f"{name}.yaml").read_text("utf-8"), CoreLoader)
    assert not {"data", "name", "seed"} & values.keys()
    outcome = nmt("config", "check", str(FOLDER / f"{name}.yaml"))
    assert outcome.code == 2
    assert "data" in outcome.stderr


@pytest.mark.parametrize("name", NAMES)
def test_different_scripts_and_own_options_fit_every_recipe(name: str) -> None:
    more = "tokenizer: {joint: false}\nmodel: {tying: two_way, dropout: {output: 0.15}}\n"
    config = load_config(based_on(name, more))
    recipe = load_config(based_on(name, file="other.yaml"))
    assert config.tokenizer.joint is False
    assert config.model.dropout.output == 0.15
    assert config.model.dropout.layers == recipe.model.dropout.layers, "the rest of a section stays"


def test_by_name_and_by_path_it_is_the_same_recipe() -> None:
    by_name = load_config(based_on("low-resource"))
    assert by_name == load_config(based_on(str(FOLDER / "low-resource.yaml")))
    assert by_name == load_config(based_on("large"), ["base=low-resource"])
    Path("recipes").mkdir()
    Path("recipes/copy.yaml").write_text((FOLDER / "low-resource.yaml").read_text("utf-8"), "utf-8")
    assert by_name == load_config(based_on("recipes/copy.yaml"))


def test_a_recipe_may_be_the_base_of_a_base() -> None:
    Path("between.yaml").write_text("base: medium\nmodel: {embedding_size: 64}\n", "utf-8")
    config = load_config(based_on("between.yaml"))
    assert (config.model.embedding_size, config.model.encoder.layers) == (64, 2)


@pytest.mark.parametrize(("name", "base"), [("low-resource-cpu", "low-resource"), ("small-cpu", "low-resource-cpu")])
def test_a_recipe_with_a_base_says_only_what_differs(name: str, base: str) -> None:
    own = leaves(yaml.load((FOLDER / f"{name}.yaml").read_text("utf-8"), CoreLoader))
    below = leaves(load_config(based_on(base)).model_dump())
    assert own.pop(("base",)) == f"{base}.yaml"
    assert not [path for path, value in own.items() if path in below and below[path] == value]


# ------------------------------------------------------------------------------------------------- names and errors


@pytest.mark.parametrize(
    ("written", "meant"),
    [("low-resorce", "low-resource"), ("low_resource", "low-resource"), ("midium", "medium"), ("large.yaml", "large")],
)
def test_a_misspelt_recipe_gets_a_suggestion(written: str, meant: str) -> None:
    message = errors(written)
    assert message.startswith("mine.yaml:1: base: ")
    assert f"did you mean the recipe {meant}?" in message
    assert all(name in message for name in NAMES)


def test_what_is_like_no_recipe_is_a_path() -> None:
    assert "recipe" not in errors("something/else.yaml")


def test_a_file_that_stands_elsewhere_is_suggested_before_a_recipe() -> None:
    Path("configs").mkdir()
    Path("medium.yaml").write_text(DATA, "utf-8")
    file = based_on("medium.yaml", file="configs/mine.yaml")
    with pytest.raises(ConfigError, match=r"did you mean \.\./medium\.yaml"):
        load_config(file)


# --------------------------------------------------------------------------------------------------------- installed


def test_the_package_has_the_recipes() -> None:
    folder = importlib.resources.files("nmt") / "recipes"
    assert {file.name for file in folder.iterdir()} == {f"{name}.yaml" for name in NAMES}
    for name in NAMES:
        assert folder.joinpath(f"{name}.yaml").read_bytes() == (FOLDER / f"{name}.yaml").read_bytes()


def test_the_build_takes_them_along() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    patterns = re.search(r"^\[tool\.setuptools\.package-data\]\nnmt = (\[[^\]]*\])", text, flags=re.MULTILINE)
    assert patterns is not None
    taken = {file.stem for pattern in yaml.safe_load(patterns[1]) for file in (ROOT / "nmt").glob(pattern)}
    assert taken >= set(NAMES)


def test_a_checkout_without_links_has_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes").write_text("../configs/recipes", "utf-8")  # what git leaves of a link there
    monkeypatch.setattr(recipes_module, "FOLDERS", (tmp_path / "recipes", FOLDER))
    assert tuple(recipe_names()) == NAMES
    monkeypatch.setattr(recipes_module, "FOLDERS", (tmp_path / "recipes", tmp_path / "nowhere"))
    assert recipe_names() == []


# ----------------------------------------------------------------------------------------------------------- reasons


@pytest.mark.parametrize("name", NAMES)
def test_whatever_differs_from_the_defaults_has_its_reason(name: str) -> None:
    entries = recipe_entries(FOLDER / f"{name}.yaml")
    comments = {entry.path: entry.comment for entry in entries}
    unexplained = []
    for entry in entries:
        option = find(entry.path)
        assert option is not None, entry.path
        about_section = comments[entry.path[:-1]] if len(entry.path) > 2 else ""
        differs = entry.value and yaml.load(entry.value, CoreLoader) != option.default
        if differs and not (entry.comment or about_section):
            unexplained.append(entry.path)
    assert not unexplained


# ------------------------------------------------------------------------------------------------ docs/guide/recipes.md


def test_every_recipe_has_its_row() -> None:
    assert set(re.findall(r"^\| `([a-z-]+)` \|", SHOWN, flags=re.MULTILINE)) >= set(NAMES)


@pytest.mark.parametrize(
    "path",
    sorted(set(re.findall(r"`((?:data|tokenizer|model|training|decoding|evaluation)\.[a-z_.0-9]+)(?:=[^`]*)?`", TEXT))),
)
def test_options_that_are_named_exist(path: str) -> None:
    assert find(tuple(int(part) if part.isdecimal() else part for part in path.split("."))) is not None  # type: ignore[arg-type]


def test_files_that_are_named_are_there() -> None:
    named = set(re.findall(r"(?<![\w/])((?:scripts|configs|nmt|docs)/[a-z0-9_./-]*[a-z0-9])", SHOWN))
    assert "configs/recipes" in named
    assert not [path for path in named if not (ROOT / path).exists()]
    links = re.findall(r"\]\(([^)#:]+)\)", SHOWN)
    assert not [link for link in links if not (PAGE.parent / link).exists()]


def test_every_warning_of_training_is_explained() -> None:
    source = Path(diagnosis.__file__).read_text("utf-8")
    findings = set(re.findall(r'Finding\(\s*"(\w+)"', source))
    assert len(findings) >= 5
    page = (ROOT / "docs" / "guide" / "training.md").read_text("utf-8")
    assert set(re.findall(r"^\| (\w+) \|", page, flags=re.MULTILINE)) >= findings


def test_configurations_that_are_shown_can_be_used() -> None:
    shown = re.findall(r"^```yaml\n(.*?)^```$", SHOWN, flags=re.MULTILINE | re.DOTALL)
    assert shown
    for number, text in enumerate(shown):
        Path(f"shown{number}.yaml").write_text(text, "utf-8")
        load_config(Path(f"shown{number}.yaml"), check_files=False)
