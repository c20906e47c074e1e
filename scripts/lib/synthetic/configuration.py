"""The configuration that trains on synthetic text: CONFIG as `base:`, with another `data.train`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from nmt.config import Config, load_config
from nmt.config.dump import CautiousDumper
from nmt.config.schema import CorpusConfig
from nmt.config.yaml_document import CoreLoader
from nmt.errors import UsageError


class Given(NamedTuple):
    """The configuration that a script is called with."""

    file: Path
    overrides: list[str]
    """Options for the new run."""
    config: Config
    """The file with these options, all but the name of the run, which is the file's own."""


def read_given(file: Path, overrides: Sequence[str]) -> Given:
    """Read a configuration.

    Raises:
        ConfigError: It cannot be used.
        UsageError: An override is about what the script decides, or cannot be written into a file.
    """
    for override in overrides:
        path, _, value = (part.strip() for part in override.partition("="))
        if path.split(".")[:2] in (["data", "train"], ["data"], ["base"]):
            raise UsageError(f"{override}: the training text and its base are what this script decides; write {file}")
        if any(part.isdigit() for part in path.split(".")):
            raise UsageError(f"{override}: single entries of lists can be changed in {file} only")
        if value.startswith("{"):
            raise UsageError(f"{override}: write each option of the section as key.path=value")
    others = [override for override in overrides if not _is_name(override)]
    return Given(file, list(overrides), load_config(file, others))


def changed(given: Given, name: str, train: Sequence[CorpusConfig]) -> Config:
    """Return what the new configuration will be; the files of `train` need not be there.

    Raises:
        ConfigError: It contradicts itself.
    """
    overrides = [f"name={json.dumps(name)}", *given.overrides, f"data.train={json.dumps(_entries(train))}"]
    return load_config(given.file, overrides, check_files=False)


def written(given: Given, name: str, train: Sequence[CorpusConfig], *, file: Path, heading: str) -> str:
    """Return the text of the new configuration.

    Args:
        given: What it rests on.
        name: Of the run, if no override says another.
        train: The training corpora.
        file: Where it will be.
        heading: What it is, in a line.
    """
    content: dict[str, Any] = {"base": os.path.relpath(given.file, file.parent), "name": name}
    for override in given.overrides:
        path, _, value = override.partition("=")
        *sections, option = path.strip().split(".")
        inner = content
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[option] = yaml.load(value, CoreLoader)
    content.setdefault("data", {})["train"] = _entries(train)
    text: str = yaml.dump(content, Dumper=CautiousDumper, sort_keys=False, allow_unicode=True, width=float("inf"))
    return f"# {heading}\n{text}"


def _entries(train: Sequence[CorpusConfig]) -> list[dict[str, Any]]:
    """Return corpora as a file has them: only what is not left at its default."""
    return [corpus.model_dump(mode="json", exclude_defaults=True) for corpus in train]


def _is_name(override: str) -> bool:
    return override.partition("=")[0].strip() == "name"
