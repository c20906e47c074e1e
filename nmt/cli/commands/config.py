"""`nmt config`: check a configuration, show it, make one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nmt.cli.options import ConfigFile, Overrides, Overwrite, Quiet, Verbose

app = typer.Typer(no_args_is_help=True)


@app.callback()
def config() -> None:
    """Check a configuration, show all of its options, or make a new one."""


@app.command()
def check(config: ConfigFile, overrides: Overrides = None, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Check a configuration and its files, and say what it would do. Exit code 2 if anything is wrong.

    For example:

      nmt config check experiment.yaml

      nmt config check experiment.yaml model.attention.score=general
    """
    from nmt.cli.model_summary import describe_config
    from nmt.config import load_with_origins

    loaded = load_with_origins(config, overrides or [])
    typer.echo(f"ok: {config}")
    for name, value in describe_config(loaded.config, loaded.bases):
        typer.echo(f"  {name:<12} {value}")


@app.command()
def show(
    config: ConfigFile,
    overrides: Overrides = None,
    comments: Annotated[bool, typer.Option("--comments", help="Explain every option.")] = False,
    origins: Annotated[
        bool, typer.Option("--origins", help="Say of each value that is not a default where it was written.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Print a configuration with all options, those that it leaves at their defaults too.

    The text files that it names need not be there.

    For example:

      nmt config show experiment.yaml

      nmt config show experiment.yaml --comments

      nmt config show experiment.yaml --origins training.max_epochs=10
    """
    from nmt.config import dump_yaml, load_with_origins

    loaded = load_with_origins(config, overrides or [], check_files=False)
    typer.echo(dump_yaml(loaded.config, comments=comments, origins=loaded.origins if origins else None), nl=False)


@app.command()
def schema(quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Print the JSON Schema of configurations, for editors that complete and check YAML.

    For example:

      nmt config schema > nmt.schema.json
    """
    import json

    from nmt.config import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def _text(name: str, help: str) -> Any:
    return typer.Option(name, help=help, metavar="FILE", show_default=False)


def _language(name: str) -> Any:
    return typer.Option(
        name, help="Its code; by default what the file's name ends in.", metavar="CODE", show_default=False
    )


def _complete_recipe(incomplete: str) -> list[str]:
    from nmt.config.inheritance import recipe_names

    return [name for name in recipe_names() if name.startswith(incomplete)]


@app.command()
def init(
    source: Annotated[Path | None, _text("--source", "Training text in the source language.")] = None,
    target: Annotated[Path | None, _text("--target", "Its translation, line by line.")] = None,
    source_language: Annotated[str | None, _language("--source-language")] = None,
    target_language: Annotated[str | None, _language("--target-language")] = None,
    valid_source: Annotated[Path | None, _text("--valid-source", "Validation text; found beside train.* too.")] = None,
    valid_target: Annotated[Path | None, _text("--valid-target", "Its translation.")] = None,
    test_source: Annotated[Path | None, _text("--test-source", "Test text; found beside train.* too.")] = None,
    test_target: Annotated[Path | None, _text("--test-target", "Its translation.")] = None,
    hold_out: Annotated[
        int | None,
        typer.Option(
            "--hold-out",
            min=1,
            metavar="N",
            help="Split the training text: N pairs for validation, N for test, the rest; new files beside it. Done by "
            "itself where there is no validation text.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="NAME",
            help="low-resource, low-resource-cpu, small-cpu, medium or large; by default what fits the number of "
            "pairs and this machine.",
            autocompletion=_complete_recipe,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to write it; by default standard output.", show_default=False
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a configuration to start from: look at the text, choose a recipe, and say why beside each choice.

    Without files it is for the exercise corpus. Validation and test files are found beside `train.en` and `train.de`
    when they are called `valid`, `val`, `dev` and `test`; where there are none, pairs are set aside for them.

    For example:

      nmt config init --source data/train.en --target data/train.de -o experiment.yaml

      nmt config init --source all.en --target all.de --hold-out 1000 -o experiment.yaml

      nmt config init --source all.en.gz --target all.de.gz --recipe low-resource-cpu -o experiment.yaml
    """
    from nmt.cli.init.init import InitFiles, write_config, write_new

    given = InitFiles.given(train=(source, target), valid=(valid_source, valid_target), test=(test_source, test_target))
    text = write_config(
        given,
        languages=(source_language, target_language),
        held_out=hold_out,
        recipe=recipe,
        output=output,
        overwrite=overwrite,
    )
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_new(output, text, overwrite=overwrite)
        typer.echo(f"wrote {output}; next: nmt config check {output}", err=True)
