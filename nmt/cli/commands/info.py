"""`nmt info` and `nmt doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nmt.cli.loading import open_model
from nmt.cli.model_summary import describe_model, lines_of
from nmt.cli.options import (
    AsJson,
    ModelArgument,
    Overwrite,
    Quiet,
    Verbose,
    check_not_input,
    option,
    require_new_file,
)
from nmt.config import dump_yaml
from nmt.data.folder_lock import lock_output
from nmt.errors import CheckpointError, UsageError
from nmt.inference.find_model import find_model
from nmt.log import logger


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
    whole: Annotated[bool, option("--all", help="Print all content of the model file except the weights.")] = False,
    strip: Annotated[
        bool,
        option(
            "--strip",
            help="Write a copy of the model to -o without its origin, name, names of texts and training options. "
            "Its translations are the same.",
        ),
    ] = False,
    output: Annotated[Path | None, option("-o", "--output", metavar="FILE", help="File for --strip.")] = None,
    as_json: AsJson = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Describe a model: languages, architecture, parameters, scores and provenance.

    For example:

      nmt info runs/quickstart
      nmt info best.safetensors --json
      nmt info --verify runs/quickstart
      nmt info --strip runs/quickstart -o public.safetensors
    """
    if strip != (output is not None):
        raise UsageError("--strip requires -o FILE." if strip else "-o requires --strip.")
    if output is not None:
        _strip(find_model(model), output, overwrite=overwrite)
        return
    if verify:
        _verify(model if model is not None else find_model(None), as_json=as_json)
        return
    path: Path = find_model(model)
    loaded = open_model(path)
    facts = describe_model(path, loaded)
    if not as_json:
        del facts["config"]
        facts = {name: value for name, value in facts.items() if value != {}}
    _print(facts, as_json=as_json)
    if whole and not as_json:
        typer.echo(f"\n{dump_yaml(loaded.stored_config())}", nl=False)


def _strip(path: Path, output: Path, *, overwrite: bool) -> None:
    require_new_file(output, overwrite=overwrite)
    check_not_input(output, [path])
    from nmt.inference.model_file import without_provenance, write_model

    with lock_output(output):
        write_model(without_provenance(open_model(path)), output)
    logger.info("wrote %s without provenance", output)


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
