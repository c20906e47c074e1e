"""The variants of a recipe: a YAML file that says what each changes and why, and the configurations that this gives.

no-label-smoothing:
  why: Without it, the model may put all its trust in the references.
  options:
    - training.label_smoothing=0
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from nmt.config import Config, load_config, load_data, load_with_origins
from nmt.config.problems import show
from nmt.config.yaml_document import CoreLoader
from nmt.errors import ConfigError, UsageError
from nmt.log import logger

BASE = "base"
"""What the recipe itself is called among its variants."""


class Variant(NamedTuple):
    """One change to a recipe."""

    name: str
    why: str
    options: tuple[str, ...]
    """As `key.path=value`."""


def read_variants(file: Path) -> list[Variant]:
    """Read a list of variants.

    Raises:
        ConfigError: The file cannot be read, or is not such a list; each variant that is wrong is named.
    """
    try:
        content = yaml.load(file.read_text("utf-8"), CoreLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: this is not YAML: {error}") from error
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"{file}: expected variants, each a name with `why:` and `options:`, found {show(content)}")
    problems = [problem for name, value in content.items() if (problem := _problem(name, value))]
    if problems:
        raise ConfigError("\n".join(f"{file}: {problem}" for problem in problems))
    return [Variant(name, " ".join(value["why"].split()), tuple(value["options"])) for name, value in content.items()]


def _problem(name: object, value: object) -> str | None:
    """What is wrong with a variant."""
    if not isinstance(name, str) or name == BASE:
        return f"{show(name)} cannot be the name of a variant ({BASE} is the recipe itself)"
    if not isinstance(value, dict) or set(value) != {"why", "options"}:
        return f"{name}: expected `why:`, a sentence, and `options:`, a list of key.path=value"
    why, options = value["why"], value["options"]
    if not isinstance(why, str) or not why.strip():
        return f"{name}.why: found {show(why)}, expected a sentence"
    if not isinstance(options, list) or not options or not all(isinstance(one, str) and "=" in one for one in options):
        return f"{name}.options: found {show(options)}, expected a list of key.path=value"
    return None


def text_of(corpus: Path) -> list[str]:
    """Return overrides that give a recipe without text the languages and files of another configuration.

    Raises:
        ConfigError: That configuration cannot be used.
    """
    data = load_data(corpus).model_dump(mode="json")
    names = ("source_language", "target_language", "train", "valid", "test")
    return [f"data.{name}={json.dumps(data[name], ensure_ascii=False)}" for name in names]


def find_list(recipe: Path, overrides: Sequence[str], folder: Path) -> Path:
    """Return the list in `folder` that is called like the recipe, or like the nearest file that it rests on.

    Raises:
        UsageError: There is none.
    """
    loaded = load_with_origins(recipe, overrides)
    for name in (recipe.stem, *(Path(base).stem for base in loaded.bases)):
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml"))) or "no lists"
    raise UsageError(f"no list of variants is called like {recipe}; name one with --list ({folder} has {known})")


def configure_all(
    recipe: Path, overrides: Sequence[str], variants: Sequence[Variant], *, only: Sequence[str] | None = None
) -> dict[Variant | None, Config]:
    """Return the configuration of the recipe itself (None), and of each variant that changes something.

    Args:
        recipe: The recipe.
        overrides: Options for it and all variants.
        variants: What is changed.
        only: The variants that are wanted; others may be such that they do not go with the overrides. None: all.

    Raises:
        ConfigError: The recipe cannot be used, or not with one of the changes that are wanted.
    """
    base = load_config(recipe, [*overrides, f"name={BASE}"])
    configs: dict[Variant | None, Config] = {None: base}
    for variant in variants:
        try:
            config = load_config(recipe, [*overrides, *variant.options, f"name={variant.name}"])
        except ConfigError as error:
            if only is not None and variant.name not in only:
                continue
            raise ConfigError(f"variant {variant.name}: {error}") from error
        if config.model_copy(update={"name": BASE}) == base:
            if only is None or variant.name in only:
                logger.info("%s is what %s does already: left out", variant.name, recipe)
        else:
            configs[variant] = config
    return configs
