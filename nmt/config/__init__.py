"""The configuration of an experiment: one YAML file, validated completely before anything starts."""

from __future__ import annotations

from nmt.config.dump import dump_yaml, json_schema
from nmt.config.load import load_config, load_data, load_with_origins
from nmt.config.schema import Config

__all__ = ["Config", "dump_yaml", "json_schema", "load_config", "load_data", "load_with_origins"]
