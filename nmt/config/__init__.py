"""The configuration of an experiment: one YAML file, validated completely before anything starts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmt.config.dump import dump_yaml, json_schema
    from nmt.config.load import load_config, load_data, load_with_origins
    from nmt.config.schema import Config

__all__ = ["Config", "dump_yaml", "json_schema", "load_config", "load_data", "load_with_origins"]

# Imported on first use: a translation reads no YAML.
_HOMES = {
    "Config": "nmt.config.schema",
    "dump_yaml": "nmt.config.dump",
    "json_schema": "nmt.config.dump",
    "load_config": "nmt.config.load",
    "load_data": "nmt.config.load",
    "load_with_origins": "nmt.config.load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
