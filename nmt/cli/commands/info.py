"""`nmt info` and `nmt doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from nmt.cli.loading import open_model
from nmt.cli.model_summary import describe_model, lines_of
from nmt.cli.options import AsJson, ModelArgument, Quiet, Verbose
from nmt.inference.find_model import find_model


def info(model: ModelArgument = None, as_json: AsJson = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Describe a model: languages, architecture, parameters, scores and provenance.

    For example:

      nmt info runs/quickstart
      nmt info best.safetensors --json
    """
    path: Path = find_model(model)
    facts = describe_model(path, open_model(path))
    if not as_json:
        del facts["config"]  # `nmt config show` prints the configuration of a run
    _print(facts, as_json=as_json)


def doctor(as_json: AsJson = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Describe this installation and machine: versions, device, speed and the model that would be used.

    Include the output in bug reports.

    For example:

      nmt doctor
    """
    from nmt.cli.doctor import diagnose

    _print(diagnose(), as_json=as_json)


def _print(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for line in lines_of(facts):
        typer.echo(line)
