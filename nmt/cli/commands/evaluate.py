"""`nmt evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.options import MinimumBayesRisk, Models, ModelWeights, Overwrite, Quiet, Verbose
from nmt.cli.search_options import AvoidedPhrases, TerminologyFile, with_decoding
from nmt.errors import UsageError

if TYPE_CHECKING:
    from nmt.evaluation.evaluate import Result, TextTranslator
    from nmt.inference.model_file import ModelFile


def _file(name: str, help: str) -> Any:
    return typer.Option(name, metavar="FILE", help=help, show_default=False)


@with_decoding
def evaluate(
    models: Models = None,
    model_weights: ModelWeights = None,
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
    mbr: MinimumBayesRisk = None,
    *,
    decoding: dict[str, Any],
    avoid: AvoidedPhrases = None,
    terminology: TerminologyFile = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Translate the test sets of a model and score them with sacreBLEU: BLEU, chrF and TER.

    Without --model it is $NMT_MODEL, else the best model of the newest run. Several models translate together; the
    test sets are those of the first. Options of the search are those of nmt translate; those left out are the model's.

    For example:

      nmt evaluate

      nmt evaluate --model runs/quickstart --source news.en --reference news.de

      nmt evaluate --model runs/seed-1 --model runs/seed-2 --mbr chrf

      nmt evaluate --length-normalization gnmt --alpha 0.8 --coverage-penalty 0.2

      nmt evaluate --hypothesis translated.de --reference news.de --json
    """
    if hypothesis is not None:
        if source is not None or output is not None:
            other = "--source" if source is not None else "-o"
            raise UsageError(f"--hypothesis is a translation already; {other} goes with translating")
        if reference is None:
            raise UsageError("--hypothesis is scored against --reference; give both")
        if models and len(models) > 1:
            raise UsageError("--hypothesis is a translation already; a second --model goes with translating")
        _check_usage({**decoding, "mbr": mbr, "avoid": avoid, "terminology": terminology})
        results = [_score(models[0] if models else None, hypothesis, reference, target_language)]
    else:
        from nmt.cli.constraint_files import ConstraintFiles
        from nmt.cli.loading import choosing_translator, open_models

        if (source is None) != (reference is None):
            raise UsageError("--source and --reference go together; give both, or --hypothesis and --reference")
        if target_language is not None:
            raise UsageError("--target-language goes with --hypothesis; otherwise it is that of the model")
        given = None if source is None or reference is None else (source, reference)
        members = open_models(models)
        translator = choosing_translator(members, model_weights, mbr, **decoding)
        translator = ConstraintFiles(avoid=avoid, terminology=terminology).translator(translator)
        results = _translate_and_score(translator, members[0].file, given, output=output, overwrite=overwrite)
    _print(results, as_json=as_json)


def _check_usage(given: dict[str, Any]) -> None:
    """Make sure that no option of a search stands beside --hypothesis, where it would do nothing."""
    from nmt.config.decoding_overrides import flag

    for name, value in given.items():
        if value is not None:
            raise UsageError(f"--hypothesis is a translation already; {flag(name)} goes with translating")


def _score(model: Path | None, hypothesis: Path, reference: Path, language: str | None) -> Result:
    """Score a translation; how, says the model if one is given, else the files and the defaults."""
    from nmt.cli.init.corpus_files import language_of
    from nmt.cli.loading import open_model
    from nmt.config.schema import EvaluationConfig
    from nmt.data.lines import read_lines
    from nmt.evaluation.evaluate import evaluate_file

    if model is None:
        # What comes through a pipe can be read only once.
        lines = iter(()) if str(reference) == "-" else read_lines(reference, keep_broken=False)
        language, options = language or language_of(reference, "target", lines), EvaluationConfig()
    else:
        config = open_model(model).config
        language, options = language or config.data.target_language, config.evaluation
    return evaluate_file(
        str(hypothesis), str(reference), name=hypothesis.name, options=options, target_language=language
    )


def _translate_and_score(
    translator: TextTranslator,
    file: ModelFile,
    given: tuple[Path, Path] | None,
    *,
    output: Path | None,
    overwrite: bool,
) -> list[Result]:
    """Translate and score the given source and reference, or the test sets of the (first) model's configuration."""
    from nmt.config.schema import TestSetConfig
    from nmt.evaluation.evaluate import evaluate_tests

    tests = file.config.data.test
    if given is not None:
        tests = [TestSetConfig(name=given[0].name, source=str(given[0]), target=str(given[1]))]
    if not tests:
        raise UsageError("the model's configuration names no test sets; give one with --source and --reference")
    results = evaluate_tests(
        translator,
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
