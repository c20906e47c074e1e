"""`nmt config`: check and show configurations, and create new ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nmt.cli.command_types import Command, CommandGroup
from nmt.cli.model_summary import describe_config
from nmt.cli.options import ConfigFile, Overrides, Overwrite, Quiet, Verbose, option
from nmt.cli.schema_options import with_options
from nmt.config import dump_yaml, json_schema, load_with_origins
from nmt.config.inheritance import recipe_names
from nmt.config.schema import Config, DataConfig
from nmt.data.suspicions import log_suspicions
from nmt.errors import UsageError
from nmt.log import logger

app = typer.Typer(cls=CommandGroup, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def config() -> None:
    """Create, check and show configurations."""


@app.command(cls=Command, short_help="Check a configuration and its files.")
def check(config: ConfigFile, overrides: Overrides = None, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Check a configuration and its files, and print a summary. The exit code is 2 if there is an error.

    For example:

      nmt config check experiment.yaml
      nmt config check experiment.yaml model.attention.score=general
    """
    loaded = load_with_origins(config, overrides or [])
    log_suspicions(loaded.config)
    _check_languages(loaded.config)
    typer.echo(f"ok: {config}")
    for name, value in describe_config(loaded):
        typer.echo(f"  {name:<12} {value}")


def _check_languages(config: Config) -> None:
    """Check the tokenizer of BLEU and the language codes; see `nmt.metrics.corpus.check_tokenizers`."""
    from nmt.data.languages import find_language
    from nmt.metrics.corpus import check_tokenizers

    warning = check_tokenizers(config)
    if warning is not None:
        logger.warning("nmt evaluate: %s", warning)
    for side in ("source", "target"):
        found = find_language(getattr(config.data, f"{side}_language"))
        if found.mistake:
            logger.warning(
                'data.%s_language: "%s" is not a language code. It is read as %s (%s).',
                *(side, found.mistake, found.code, found.name),
            )


@app.command(cls=Command, short_help="Print a configuration with all options.")
def show(
    config: ConfigFile,
    overrides: Overrides = None,
    comments: Annotated[bool, option("--comments", help="Explain each option in a comment.")] = False,
    origins: Annotated[
        bool, option("--origins", help="Show the file and line of each value that is not the default.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Print a configuration with all options, including the defaults.

    The text files that it names need not exist.

    For example:

      nmt config show experiment.yaml
      nmt config show experiment.yaml --comments
      nmt config show experiment.yaml --origins training.max_epochs=10
    """
    loaded = load_with_origins(config, overrides or [], check_files=False)
    typer.echo(dump_yaml(loaded.config, comments=comments, origins=loaded.origins if origins else None), nl=False)


@app.command(cls=Command, short_help="Print the JSON Schema of configurations.")
def schema(quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Print the JSON Schema of configurations, with which editors complete and check YAML files.

    For example:

      nmt config schema > nmt.schema.json
    """
    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def _complete_recipe(incomplete: str) -> list[str]:
    return [name for name in recipe_names() if name.startswith(incomplete)]


@app.command(cls=Command, short_help="Create a configuration for given text files.")
@with_options("languages", DataConfig, ("source_language", "target_language"))
def init(
    source: Annotated[Path | None, option("--source", metavar="FILE", help="Training text, source side.")] = None,
    target: Annotated[Path | None, option("--target", metavar="FILE", help="Training text, target side.")] = None,
    *,
    languages: dict[str, Any],
    corpus: Annotated[
        Path | None,
        option(
            "--corpus",
            metavar="FILE",
            help="Training text in one file, instead of --source and --target: .csv, .tsv, .jsonl, .tmx, .xlf, or a "
            ".zip of OPUS. The configuration names this file. Only held-out pairs are copied.",
        ),
    ] = None,
    source_field: Annotated[
        str | None,
        option(
            "--source-field",
            metavar="NAME",
            help="Column, key or language code of the source in --corpus. Default: the source language.",
        ),
    ] = None,
    target_field: Annotated[
        str | None,
        option(
            "--target-field",
            metavar="NAME",
            help="Column, key or language code of the target in --corpus. Default: the target language.",
        ),
    ] = None,
    valid_source: Annotated[
        Path | None,
        option("--valid-source", metavar="FILE", help="Validation text. Default: a file beside the training text."),
    ] = None,
    valid_target: Annotated[
        Path | None, option("--valid-target", metavar="FILE", help="Validation text, target side.")
    ] = None,
    test_source: Annotated[
        Path | None,
        option("--test-source", metavar="FILE", help="Test text. Default: files beside the training text."),
    ] = None,
    test_target: Annotated[Path | None, option("--test-target", metavar="FILE", help="Test text, target side.")] = None,
    hold_out: Annotated[
        int | None,
        option(
            "--hold-out",
            min=1,
            metavar="<int>",
            help="Number of pairs to split off the training text for validation, and again for testing. The parts "
            "become new files beside it. Default: split only if there is no validation text.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        option(
            "--recipe",
            metavar="NAME",
            help="Recipe: low-resource, low-resource-cpu, small-cpu, medium or large. Default: chosen by the number of "
            "pairs and the machine.",
            autocompletion=_complete_recipe,
        ),
    ] = None,
    output: Annotated[
        Path | None, option("-o", "--output", metavar="FILE", help="New configuration. Default: standard output.")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Create a configuration: inspect the text, choose a recipe, and explain each choice in a comment.

    Without files, the configuration is for the exercise corpus. Validation and test files are found beside `train.en`
    and `train.de` if they are named `valid`, `val`, `dev` or `test`. Without a validation file, the training text is
    split. Languages are found by the suffixes of the files or the script of the text.

    For example:

      nmt config init --source data/train.en --target data/train.de -o my.yaml
      nmt config init --source all.en --target all.de --hold-out 1000
      nmt config init --source a.en.gz --target a.de.gz --recipe small-cpu
      nmt config init --corpus bible.tmx --source-language bo --target-language en
    """
    from nmt.cli.init.init import InitFiles, write_config, write_new

    single = None
    codes = (languages["source_language"], languages["target_language"])
    if corpus is not None:
        if source is not None or target is not None:
            raise UsageError("--corpus excludes --source and --target.")
        from nmt.cli.init.single_file import single_file

        single = single_file(corpus, fields=(source_field, target_field), languages=codes)
    elif source_field is not None or target_field is not None:
        raise UsageError("--source-field and --target-field require --corpus FILE.")
    given = InitFiles.given(
        single, train=(source, target), valid=(valid_source, valid_target), test=(test_source, test_target)
    )
    text = write_config(
        given,
        languages=codes,
        held_out=hold_out,
        recipe=recipe,
        output=output,
        overwrite=overwrite,
    )
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_new(output, text, overwrite=overwrite)
        typer.echo(f"wrote {output}, next step: nmt config check {output}", err=True)
