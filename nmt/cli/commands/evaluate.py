"""`nmt evaluate`."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from nmt.cli.constraint_files import ConstraintFiles
from nmt.cli.loading import data_of_run, load_models, open_model
from nmt.cli.options import (
    AsJson,
    Avoid,
    MinimumBayesRisk,
    Models,
    ModelWeights,
    Overwrite,
    Quiet,
    TerminologyFile,
    Verbose,
    option,
)
from nmt.cli.schema_options import with_decoding, with_options
from nmt.config.conflicts import LANGUAGE
from nmt.config.introspection import flag, options_of
from nmt.config.schema import DataConfig, DecodingConfig, EvaluationConfig, TestSetConfig
from nmt.data.folder_lock import lock_folder
from nmt.data.languages import are_same_pair, find_language
from nmt.data.lines import read_lines
from nmt.errors import UsageError
from nmt.evaluation.evaluate import Result, TextTranslator, evaluate_file, evaluate_tests, override_evaluation
from nmt.evaluation.protocols import PROTOCOLS, ProtocolName
from nmt.inference.find_model import MODEL_SUFFIX, RUN_CONFIG
from nmt.log import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nmt.inference.model_file import ModelFile

NAMES = {"bleu": "BLEU", "chrf": "chrF", "ter": "TER"}


def _parse_protocol(name: str) -> str:
    if name not in PROTOCOLS:
        raise UsageError(f'--protocol: found "{name}", expected {" or ".join(PROTOCOLS)}')
    return name


def _complete_protocol(incomplete: str) -> list[str]:
    return [name for name in PROTOCOLS if name.startswith(incomplete)]


@with_options("evaluation", EvaluationConfig, ("bleu_tokenizer",), defaults={"bleu_tokenizer": "that of the model"})
@with_decoding()
def evaluate(
    models: Models = None,
    model_weights: ModelWeights = None,
    source: Annotated[
        Path | None, option("--source", metavar="FILE", help="Source text. Default: the test sets of --tests.")
    ] = None,
    reference: Annotated[
        Path | None, option("--reference", metavar="FILE", help="Reference translation, line by line.")
    ] = None,
    hypothesis: Annotated[
        Path | None,
        option("--hypothesis", metavar="FILE", help="Translation to score against --reference, without a model."),
    ] = None,
    tests: Annotated[
        Path | None,
        option(
            "--tests",
            metavar="CONFIG|MODEL",
            help="Configuration, run folder or model file whose test sets are read. Default: the run folder of the "
            "first model.",
        ),
    ] = None,
    target_language: Annotated[
        str | None,
        option(
            "--target-language",
            metavar="CODE",
            help="Language of --hypothesis, which selects the tokenizer of BLEU. Default: the suffix of --reference.",
        ),
    ] = None,
    *,
    evaluation: dict[str, Any],
    protocol: Annotated[
        list[str] | None,
        option(
            "--protocol",
            metavar=f"<{'|'.join(PROTOCOLS)}>",
            parser=_parse_protocol,
            autocompletion=_complete_protocol,
            help="Print BLEU by a protocol of the literature too: raw (sacreBLEU 13a on cased text) or moses "
            "(lowercased, normalized punctuation, Moses tokens). Repeatable. Default: none.",
        ),
    ] = None,
    as_json: AsJson = False,
    output: Annotated[
        Path | None,
        option("-o", "--output", metavar="FOLDER", help="Folder for the translations. Default: they are not stored."),
    ] = None,
    mbr: MinimumBayesRisk = None,
    avoid: Avoid = None,
    terminology: TerminologyFile = None,
    decoding: dict[str, Any],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Translate the test sets of a model and compute BLEU, chrF and TER with sacreBLEU.

    Several models translate as an ensemble, with the test sets of the first one. The paths in a model file are not
    followed, unless --tests names the file. Decoding options that are not given have the values stored in the model.
    The defaults below apply to models that store no other value.

    For example:

      nmt evaluate
      nmt evaluate -m runs/quickstart --source news.en --reference news.de
      nmt evaluate --model runs/seed-1 --model runs/seed-2 --mbr chrf
      nmt evaluate --length-normalization gnmt --coverage-penalty 0.2
      nmt evaluate --hypothesis translated.de --reference news.de --json
      nmt evaluate --hypothesis a.de --reference b.de --protocol moses
    """
    protocols = cast(list[ProtocolName], list(dict.fromkeys(protocol or ())))
    if hypothesis is not None:
        for name, value in (("--source", source), ("-o", output), ("--tests", tests)):
            if value is not None:
                raise UsageError(f"--hypothesis excludes {name}.")
        if reference is None:
            raise UsageError("--hypothesis requires --reference.")
        if models and len(models) > 1:
            raise UsageError("--hypothesis excludes a second --model.")
        _check_unused(decoding, mbr=mbr, avoid=avoid, terminology=terminology)
        results = [_score(models[0] if models else None, hypothesis, reference, target_language, evaluation, protocols)]
    else:
        if (source is None) != (reference is None):
            missing = "--reference" if reference is None else "--source or --hypothesis"
            raise UsageError(f"{'--source' if reference is None else '--reference'} requires {missing}.")
        if target_language is not None:
            raise UsageError("--target-language requires --hypothesis: a model has its own target language.")
        if tests is not None and source is not None:
            raise UsageError("--tests excludes --source.")
        with contextlib.nullcontext() if output is None else lock_folder(output, inside=True):
            loaded = load_models(models)
            if source is None or reference is None:
                sets = _test_sets(loaded[0], tests)
            else:
                sets = [TestSetConfig(name=source.name, source=str(source), target=str(reference))]
            from nmt.inference.translator import Translator

            constraints = ConstraintFiles(avoid=avoid, terminology=terminology)
            translator = Translator.from_models(
                loaded,
                weights=model_weights or None,
                decoding=decoding,
                mbr=mbr,
                avoid=constraints.read_avoided(),
                terminology=constraints.read_terminology(),
            )
            results = _translate_and_score(
                translator, loaded[0], sets, evaluation, protocols, output=output, overwrite=overwrite
            )
    _print(results, as_json=as_json)


def _check_unused(decoding: dict[str, Any], **others: Any) -> None:
    """Check that no option of the search is given with --hypothesis."""
    for name, value in {**decoding, **others}.items():
        if value is not None:
            used = flag(name) if name in options_of(DecodingConfig) else f"--{name}"
            raise UsageError(f"--hypothesis excludes {used}: nothing is translated.")


def _score(
    model: Path | None,
    hypothesis: Path,
    reference: Path,
    language: str | None,
    evaluation: dict[str, Any],
    protocols: Sequence[ProtocolName],
) -> Result:
    """Score a translation with the evaluation options of the model, or with the defaults."""
    from nmt.cli.init.corpus_files import language_of  # imports numpy

    if model is None:
        # A pipe can be read only once.
        lines = iter(()) if str(reference) == "-" else read_lines(reference, keep_broken=False)
        language, options = language or language_of(reference, "target", lines), EvaluationConfig()
    else:
        config = open_model(model).config
        language, options = language or config.data.target_language, config.evaluation
    return evaluate_file(
        str(hypothesis),
        str(reference),
        name=hypothesis.name,
        options=override_evaluation(options, evaluation),
        target_language=_checked(language),
        protocols=protocols,
    )


def _checked(code: str) -> str:
    """Return a language code that is well formed, and note how it is read.

    Raises:
        UsageError: It is not a language code.
    """
    found = find_language(code)
    if not LANGUAGE.match(code):
        known = f"Write {found.code} for {found.name}." if found.alpha3 else "Write a code such as en, pt-BR or zh."
        raise UsageError(f'--target-language: found "{code}", expected a language code. {known}')
    if found.mistake:
        logger.warning('"%s" is not a language code. It is read as %s (%s).', code, found.code, found.name)
    return code


def _test_sets(model: ModelFile, given: Path | None) -> list[TestSetConfig]:
    """Return the test sets of --tests, or those of the run folder of a model.

    Raises:
        UsageError: There are none, or they are of other languages than the model.
        NMTError: The configuration cannot be read.
    """
    data = data_of_run(model.path) if given is None else _data_section(given)
    if data is None:
        raise UsageError(
            f"{model.path} is not in the folder of a run, so its test sets are not read. Use --source and "
            f"--reference, or name a configuration with --tests. --tests {model.path} follows the paths in the file."
        )
    if not data.test:
        raise UsageError("the configuration has no test sets. Use --source and --reference.")
    ours, theirs = ((each.source_language, each.target_language) for each in (model.config.data, data))
    if not are_same_pair(ours, theirs):
        raise UsageError(
            f"--tests {given}: the test sets are {' to '.join(theirs)}, but the model translates {' to '.join(ours)}."
        )
    return data.test


def _data_section(path: Path) -> DataConfig:
    """Return the data section of a configuration, a run folder or a model file."""
    if path.suffix == MODEL_SUFFIX:
        from nmt.inference.model_file import load_model

        return load_model(path).stored_config().data
    from nmt.config import load_data

    return load_data(path / RUN_CONFIG if path.is_dir() else path, check_files=False)


def _translate_and_score(
    translator: TextTranslator,
    file: ModelFile,
    tests: list[TestSetConfig],
    evaluation: dict[str, Any],
    protocols: Sequence[ProtocolName],
    *,
    output: Path | None,
    overwrite: bool,
) -> list[Result]:
    """Translate and score test sets with the evaluation options of the first model."""
    results = evaluate_tests(
        translator,
        tests,
        options=override_evaluation(file.config.evaluation, evaluation),
        target=file.tokenizers.target,
        target_language=file.config.data.target_language,
        output_folder=output,
        overwrite=overwrite,
        protocols=protocols,
    )
    return list(results)


def _print(results: list[Result], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([result.as_dict() for result in results], indent=2, ensure_ascii=False))
        return
    for result in results:
        scores = "  ".join(f"{NAMES[name]} {score.value:.2f}" for name, score in result.scores.items())
        typer.echo(f"{result.test}: {scores}  ({result.sentences} sentences)")
        for name, score in result.scores.items():
            typer.echo(f"  {NAMES[name]:<5} {score.signature}")
        for protocol, found in result.protocols.items():
            typer.echo(f"  {protocol:<5} BLEU {found.bleu:.2f}  {found.details}")
            typer.echo(f"        {found.signature}")
