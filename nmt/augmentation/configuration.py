"""The configuration that trains on synthetic text: the given one as `base:`, with another `data.train`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from nmt.config import Config, load_config
from nmt.config.dump import CautiousDumper
from nmt.config.schema import PAIR_FILES, CorpusConfig
from nmt.config.yaml_document import CoreLoader
from nmt.errors import UsageError


class BaseExperiment(NamedTuple):
    """The configuration that a command starts from."""

    file: Path
    overrides: list[str]
    """Options for the new run."""
    config: Config
    """The file with these options, except the name of the run, which is the file's own."""


def read_experiment(file: Path, overrides: Sequence[str]) -> BaseExperiment:
    """Read a configuration.

    Raises:
        ConfigError: It is not valid.
        UsageError: An override sets what the command sets itself, or cannot be written into a file.
    """
    for override in overrides:
        path, _, value = (part.strip() for part in override.partition("="))
        if path.split(".")[:2] in (["data", "train"], ["data"], ["base"]):
            raise UsageError(f"{override}: this command sets the training text and the base. Change {file} instead")
        if any(part.isdigit() for part in path.split(".")):
            raise UsageError(f"{override}: an entry of a list can only be changed in {file}")
        if value.startswith("{"):
            raise UsageError(f"{override}: write each option of the section as key.path=value")
    others = [override for override in overrides if not _is_name(override)]
    return BaseExperiment(file, list(overrides), load_config(file, others))


def new_config(experiment: BaseExperiment, name: str, train: Sequence[CorpusConfig]) -> Config:
    """Return the configuration of the new run; the files of `train` need not exist yet.

    Raises:
        ConfigError: Its options contradict each other.
    """
    overrides = [f"name={json.dumps(name)}", *experiment.overrides, f"data.train={json.dumps(_entries(train))}"]
    return load_config(experiment.file, overrides, check_files=False)


def new_config_text(
    experiment: BaseExperiment, name: str, train: Sequence[CorpusConfig], *, file: Path, heading: str
) -> str:
    """Return the new configuration as YAML.

    Args:
        experiment: Its base.
        name: Name of the run, unless an override sets another.
        train: The training corpora.
        file: Where the text will be written. The paths of the base and of the corpora are relative to its folder, so
            that they do not depend on the current folder.
        heading: A comment of one line.
    """
    content: dict[str, Any] = {"base": os.path.relpath(experiment.file, file.parent), "name": name}
    for override in experiment.overrides:
        path, _, value = override.partition("=")
        *sections, option = path.strip().split(".")
        inner = content
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[option] = yaml.load(value, CoreLoader)
    content.setdefault("data", {})["train"] = [_moved(entry, file.parent) for entry in _entries(train)]
    text: str = yaml.dump(content, Dumper=CautiousDumper, sort_keys=False, allow_unicode=True, width=float("inf"))
    return f"# {heading}\n{text}"


def _entries(train: Sequence[CorpusConfig]) -> list[dict[str, Any]]:
    """Return corpora as a file has them: only the options that differ from the defaults."""
    return [corpus.model_dump(mode="json", exclude_defaults=True) for corpus in train]


def _moved(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a corpus whose paths are relative to `folder` instead of the current folder."""
    return {
        key: _path_from(folder, value) if key in (*PAIR_FILES, "alignment") and not os.path.isabs(value) else value
        for key, value in entry.items()
    }


def _path_from(folder: Path, path: str) -> str:
    """Return a path relative to `folder` that starts with `..`, as no file of the current folder is named."""
    relative = os.path.relpath(path, folder)
    if relative.startswith(os.pardir) or os.path.samefile(folder, os.curdir):
        return relative
    return os.path.join(os.pardir, folder.resolve().name, relative)


def _is_name(override: str) -> bool:
    return override.partition("=")[0].strip() == "name"
