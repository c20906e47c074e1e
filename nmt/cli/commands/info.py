"""`nmt info` and `nmt doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nmt.cli.loading import open_model
from nmt.cli.model_summary import describe_model, lines_of
from nmt.cli.options import AsJson, ModelArgument, Quiet, Verbose, option
from nmt.errors import CheckpointError
from nmt.inference.find_model import find_model


def info(
    model: ModelArgument = None,
    verify: Annotated[
        bool,
        option(
            "--verify",
            help="Check that files are intact, with their checksums: a model, or all files of a run, of a checkpoint "
            "or of a folder of preprocessed data. The exit status is 1 if a file is damaged.",
        ),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Describe a model: languages, architecture, parameters, scores and provenance.

    For example:

      nmt info runs/quickstart
      nmt info best.safetensors --json
      nmt info --verify runs/quickstart
    """
    if verify:
        _verify(model if model is not None else find_model(None), as_json=as_json)
        return
    path: Path = find_model(model)
    facts = describe_model(path, open_model(path))
    if not as_json:
        del facts["config"]  # `nmt config show` prints the configuration of a run
    _print(facts, as_json=as_json)


def _verify(path: Path, *, as_json: bool) -> None:
    from nmt.cli.verification import verify

    damaged = total = 0
    for found in verify(path):
        total += 1
        damaged += found.state == "damaged"
        reason = f": {found.reason}" if found.reason else ""
        typer.echo(json.dumps(found._asdict()) if as_json else f"{found.state:<11}  {found.path}{reason}")
    if damaged:
        raise CheckpointError(f"{path}: {damaged} of {total} parts damaged. Copy them again, or use others.")


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
