"""`nmt info` and `nmt doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nmt.cli.options import Quiet, Verbose

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def info(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL", help="A model file or the folder of a run.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Say what a model is: languages, sizes, parameters, scores, and where it comes from.

    For example:

      nmt info runs/quickstart

      nmt info best.safetensors --json
    """
    from nmt.cli.model_summary import describe_model
    from nmt.inference.find_model import find_model

    path = find_model(model)  # before the slow import, so that a wrong path is told at once
    from nmt.inference.model_file import load_model

    facts = describe_model(path, load_model(path))
    if not as_json:
        del facts["config"]  # `nmt config show` prints that of a run
    _print(facts, as_json=as_json)


def doctor(as_json: AsJson = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Say what this installation and this machine can do. Put its output into reports of problems.

    For example:

      nmt doctor
    """
    from nmt.cli.doctor import diagnose

    _print(diagnose(), as_json=as_json)


def _print(facts: dict[str, Any], *, as_json: bool) -> None:
    from nmt.cli.model_summary import lines_of

    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for line in lines_of(facts):
        typer.echo(line)
