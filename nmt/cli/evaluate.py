"""`nmt evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.options import BatchSize, BeamSize, Device, Model, Overwrite, Quiet, Shortlist, Threads, Verbose
from nmt.errors import UsageError

if TYPE_CHECKING:
    from nmt.evaluation.evaluate import Result


def _file(name: str, help: str) -> Any:
    return typer.Option(name, metavar="FILE", help=help, show_default=False)


def evaluate(
    model: Model = None,
    source: Annotated[Path | None, _file("--source", "Text to translate instead of the model's test sets.")] = None,
    reference: Annotated[Path | None, _file("--reference", "What its translation should be, line by line.")] = None,
    hypothesis: Annotated[
        Path | None, _file("--hypothesis", "Score this translation against --reference; no model is needed.")
    ] = None,
    target_language: Annotated[
        str | None,
        typer.Option(
            "--target-language",
            metavar="CODE",
            help="Language of --hypothesis, which BLEU's tokenizer depends on; by default what --reference ends in.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects, one for each test set.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Keep the translations here.", show_default=False),
    ] = None,
    beam_size: BeamSize = None,
    shortlist: Shortlist = None,
    batch_size: BatchSize = None,
    device: Device = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Translate the test sets of a model and score them with sacreBLEU: BLEU, chrF and TER.

    Without --model it is $NMT_MODEL, else the best model of the newest run.

    For example:

      nmt evaluate

      nmt evaluate --model runs/quickstart --source news.en --reference news.de

      nmt evaluate --hypothesis translated.de --reference news.de --json
    """
    if hypothesis is not None:
        if source is not None or output is not None:
            other = "--source" if source is not None else "-o"
            raise UsageError(f"--hypothesis is a translation already; {other} goes with translating")
        if reference is None:
            raise UsageError("--hypothesis is scored against --reference; give both")
        results = [_score(model, hypothesis, reference, target_language)]
    else:
        if (source is None) != (reference is None):
            raise UsageError("--source and --reference go together; give both, or --hypothesis and --reference")
        if target_language is not None:
            raise UsageError("--target-language goes with --hypothesis; otherwise it is that of the model")
        given = None if source is None or reference is None else (source, reference)
        decoding = {
            "beam_size": beam_size,
            "shortlist": shortlist,
            "batch_sentences": batch_size,
            "device": device,
            "threads": threads,
        }
        results = _translate_and_score(model, given, decoding, output=output, overwrite=overwrite)
    _print(results, as_json=as_json)


def _score(model: Path | None, hypothesis: Path, reference: Path, language: str | None) -> Result:
    """Score a translation; how, says the model if one is given, else the files and the defaults."""
    from nmt.cli.opening import open_model
    from nmt.cli.starting_files import language_of
    from nmt.config.schema import Evaluation
    from nmt.evaluation.evaluate import evaluate_file

    if model is None:
        language, options = language or language_of(reference, "target"), Evaluation()
    else:
        config = open_model(model).config
        language, options = language or config.data.target_language, config.evaluation
    return evaluate_file(
        str(hypothesis), str(reference), name=hypothesis.name, options=options, target_language=language
    )


def _translate_and_score(
    model: Path | None,
    given: tuple[Path, Path] | None,
    decoding: dict[str, Any],
    *,
    output: Path | None,
    overwrite: bool,
) -> list[Result]:
    """Translate and score the given source and reference, or the test sets of the model's configuration."""
    from nmt.cli.opening import make_translator, open_model

    file = open_model(model)
    from nmt.config.schema import TestSet
    from nmt.evaluation.evaluate import evaluate_tests

    tests = file.config.data.test
    if given is not None:
        tests = [TestSet(name=given[0].name, source=str(given[0]), target=str(given[1]))]
    if not tests:
        raise UsageError("the model's configuration names no test sets; give one with --source and --reference")
    results = evaluate_tests(
        make_translator(file, **decoding),
        tests,
        options=file.config.evaluation,
        target_language=file.config.data.target_language,
        output_folder=output,
        overwrite=overwrite,
    )
    return list(results)


NAMES = {"bleu": "BLEU", "chrf": "chrF", "ter": "TER"}


def _print(results: list[Result], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([result.as_dict() for result in results], indent=2, ensure_ascii=False))
        return
    for result in results:
        scores = "  ".join(f"{NAMES[name]} {score.value:.2f}" for name, score in result.scores.items())
        typer.echo(f"{result.test}: {scores}  ({result.sentences} sentences)")
        for name, score in result.scores.items():
            typer.echo(f"  {NAMES[name]:<5} {score.signature}")
