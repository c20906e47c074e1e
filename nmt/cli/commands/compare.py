"""`nmt compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nmt.cli.compare_inputs import collect_lines, find_test, open_systems, training_lines
from nmt.cli.compare_text import render_text
from nmt.cli.loading import data_of_run
from nmt.cli.options import AsJson, Overwrite, Quiet, Verbose, option, require_new_file
from nmt.cli.schema_options import COMPUTATION, with_decoding, with_options
from nmt.config.introspection import flag
from nmt.config.schema import EvaluationConfig
from nmt.data.streams import open_whole
from nmt.errors import UsageError
from nmt.evaluation.compare.buckets import check_bounds
from nmt.evaluation.compare.compare import CompareOptions
from nmt.evaluation.compare.compare import compare as compare_texts
from nmt.evaluation.compare.html import render_page
from nmt.evaluation.compare.result import Comparison
from nmt.evaluation.evaluate import check_tokenizer, override_evaluation
from nmt.log import logger

SHOWN_EXAMPLES = 2
KEPT_EXAMPLES = 10


@with_options(
    "evaluation", EvaluationConfig, ("bleu_tokenizer",), defaults={"bleu_tokenizer": "that of the first model, or auto"}
)
@with_decoding("beam_size", "shortlist", *COMPUTATION)
def compare(
    systems: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|MODEL|HYPOTHESIS",
            help="Run folders, model files, or text files with translations. The first system is the baseline.",
            show_default=False,
        ),
    ],
    test: Annotated[
        str | None,
        option("--test", metavar="NAME", help="Test set of the first model. Required if it has several."),
    ] = None,
    source: Annotated[
        Path | None, option("--source", metavar="FILE", help="Source text. Default: the test set of the first model.")
    ] = None,
    reference: Annotated[
        Path | None, option("--reference", metavar="FILE", help="Reference translation, line by line.")
    ] = None,
    target_language: Annotated[
        str | None,
        option(
            "--target-language",
            metavar="CODE",
            help="Language of the translations, if no system is a model. Default: the suffix of --reference.",
        ),
    ] = None,
    train: Annotated[
        list[Path] | None,
        option(
            "--train",
            metavar="FILE",
            help="Training text in the target language, for scores by word frequency. Repeat the option for several "
            "files. Default: the training text of the first model.",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        option(
            "--name",
            metavar="NAME",
            help="Name of a system. Repeat the option for each system, in order. Default: the file names.",
        ),
    ] = None,
    buckets: Annotated[
        str,
        option(
            "--buckets",
            metavar="N,N,...",
            help="Lower bounds of the buckets of source lengths, in words. Default: 10,20,30,40.",
        ),
    ] = "10,20,30,40",
    examples: Annotated[
        int | None,
        option(
            "--examples",
            metavar="<int>",
            help="Number of sentences shown with the largest gains, and with the largest losses. "
            f"Default: {SHOWN_EXAMPLES}, or {KEPT_EXAMPLES} in HTML and JSON.",
            min=0,
        ),
    ] = None,
    samples: Annotated[
        int, option("--samples", metavar="<int>", min=1, help="Number of bootstrap samples. Default: 1000.")
    ] = 1000,
    trials: Annotated[
        int,
        option("--trials", metavar="<int>", min=1, help="Number of randomisation trials. Default: 10000."),
    ] = 10_000,
    as_json: AsJson = False,
    html: Annotated[
        Path | None,
        option("-o", "--html", metavar="FILE", help="HTML report with plots. Default: no report."),
    ] = None,
    *,
    evaluation: dict[str, Any],
    decoding: dict[str, Any],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compare systems on a test set: scores, significance, sentence lengths, rare words and examples.

    Models translate the test set as in nmt evaluate. Text files are scored as they are. Each system is tested against
    the first one with the paired bootstrap and approximate randomisation of sacreBLEU.

    For example:

      nmt compare runs/small runs/large -o report.html
      nmt compare runs/large old.de --name new --name old --test news
      nmt compare a.de b.de --source news.en --reference news.de --json
    """
    bounds = _parse_buckets(buckets)
    if html is not None:
        _check_output(html, overwrite=overwrite)
    opened = open_systems(systems, name or [])
    model = next((system.model for system in opened if system.model is not None), None)
    config = None if model is None else model.config
    given = [flag(key) for key, value in decoding.items() if value is not None]
    if config is None and given:
        raise UsageError(f"{given[0]} requires a model among the systems: translations are scored as they are.")
    text = find_test(model, test, source, reference, target_language)
    options = override_evaluation(EvaluationConfig() if config is None else config.evaluation, evaluation)
    check_tokenizer(options, text.target_language)
    training = training_lines(None if model is None or train else data_of_run(model.path), train)
    comparison = compare_texts(
        text,
        collect_lines(opened, text, decoding),
        CompareOptions(
            evaluation=options,
            samples=samples,
            trials=trials,
            bounds=bounds,
            examples=KEPT_EXAMPLES if examples is None else examples,
        ),
        training=training,
    )
    _report(comparison, html, as_json=as_json, examples=SHOWN_EXAMPLES if examples is None else examples)


def _parse_buckets(text: str) -> list[int]:
    try:
        bounds = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--buckets {text}: expected whole numbers separated by commas.") from None
    check_bounds(bounds)
    return bounds


def _check_output(html: Path, *, overwrite: bool) -> None:
    """Check that the report can be written, before the work begins."""
    if str(html) == "-":
        raise UsageError("-o -: the report requires a file name, such as -o report.html.")
    if html.is_dir() or not html.parent.is_dir():
        raise UsageError(f"-o {html}: {'this is a folder' if html.is_dir() else f'no such folder: {html.parent}'}.")
    require_new_file(html, overwrite=overwrite)


def _report(comparison: Comparison, html: Path | None, *, as_json: bool, examples: int) -> None:
    if html is not None:
        with open_whole(html) as stream:
            stream.write(render_page(comparison).encode())
        logger.info("wrote %s", html)
    if as_json:
        typer.echo(json.dumps(comparison.as_dict(), indent=2, ensure_ascii=False))
        return
    for line in render_text(comparison, examples=examples):
        typer.echo(line)
