"""`nmt compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.compare_inputs import collect_lines, find_test, open_systems, training_lines
from nmt.cli.options import BatchSize, BeamSize, Device, Overwrite, Quiet, Shortlist, Threads, Verbose, require_new_file
from nmt.errors import UsageError
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.evaluation.compare.result import Comparison

SHOWN_EXAMPLES = 2
KEPT_EXAMPLES = 10


def _option(*names: str, metavar: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, metavar=metavar, help=help, show_default=False, **more)


def compare(
    systems: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|MODEL|HYPOTHESIS...",
            help="Folders of runs, model files, or translations as text; the first is the baseline.",
            show_default=False,
        ),
    ],
    test: Annotated[
        str | None,
        _option("--test", metavar="NAME", help="Which test set of the first model's configuration, if it has several."),
    ] = None,
    source: Annotated[
        Path | None, _option("--source", metavar="FILE", help="Text to translate instead of a configured test set.")
    ] = None,
    reference: Annotated[
        Path | None, _option("--reference", metavar="FILE", help="What its translation should be, line by line.")
    ] = None,
    target_language: Annotated[
        str | None,
        _option(
            "--target-language",
            metavar="CODE",
            help="Where no model says it: language of the translations, by default what --reference ends in.",
        ),
    ] = None,
    train: Annotated[
        list[Path] | None,
        _option(
            "--train",
            metavar="FILE",
            help="Training text in the target language, to look at rare words; by default that of the first model. "
            "May be given several times.",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        _option("--name", metavar="NAME", help="What to call a system; once for each, in their order."),
    ] = None,
    buckets: Annotated[
        str, typer.Option("--buckets", metavar="N,N,...", help="Where buckets of source lengths begin, in words.")
    ] = "10,20,30,40",
    examples: Annotated[
        int | None,
        _option(
            "--examples",
            metavar="N",
            help=f"Sentences shown that differ most, each way; by default {SHOWN_EXAMPLES}, and {KEPT_EXAMPLES} in "
            "HTML and JSON.",
            min=0,
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", min=1, help="Resampled test sets of the bootstrap.")
    ] = 1000,
    trials: Annotated[
        int, typer.Option("--trials", metavar="N", min=1, help="Trials of approximate randomisation.")
    ] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[
        Path | None, _option("-o", "--html", metavar="FILE", help="Write a report with plots, one HTML page.")
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
    """Compare systems on a test set: scores with intervals, significance, lengths, rare words, and sentences.

    Models translate the test set as nmt evaluate would; translations are scored as they are.

    Every other system is tested against the first, by sacreBLEU's paired bootstrap and approximate randomisation.

    For example:

      nmt compare runs/small runs/large -o report.html

      nmt compare runs/large old.de --name new --name old --test news

      nmt compare a.de b.de --source news.en --reference news.de --json
    """
    bounds = _parse_buckets(buckets)
    if html is not None:
        _check_output(html, overwrite=overwrite)
    opened = open_systems(systems, name or [])
    config = next((system.model.config for system in opened if system.model is not None), None)
    decoding = {
        "beam_size": beam_size,
        "shortlist": shortlist,
        "batch_sentences": batch_size,
        "device": device,
        "threads": threads,
    }
    if config is None and any(value is not None for value in decoding.values()):
        raise UsageError("no system is a model, so nothing is translated; leave out the options of decoding")
    text = find_test(config, test, source, reference, target_language)
    training = training_lines(config, train)

    from nmt.config.schema import EvaluationConfig
    from nmt.evaluation.compare.compare import CompareOptions
    from nmt.evaluation.compare.compare import compare as compare_texts

    found = compare_texts(
        text,
        collect_lines(opened, text, decoding),
        CompareOptions(
            evaluation=EvaluationConfig() if config is None else config.evaluation,
            samples=samples,
            trials=trials,
            bounds=bounds,
            examples=KEPT_EXAMPLES if examples is None else examples,
        ),
        training=training,
    )
    _report(found, html, as_json=as_json, examples=SHOWN_EXAMPLES if examples is None else examples)


def _parse_buckets(text: str) -> list[int]:
    from nmt.evaluation.compare.buckets import check_bounds

    try:
        bounds = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--buckets takes whole numbers with commas between them, not {text}") from None
    check_bounds(bounds)
    return bounds


def _check_output(html: Path, *, overwrite: bool) -> None:
    """Make sure before all the work that the report can be written."""
    if str(html) == "-":
        raise UsageError("the report goes to a file: give -o a name, such as report.html")
    if html.is_dir() or not html.parent.is_dir():
        raise UsageError(f"{html}: {'is a folder' if html.is_dir() else f'there is no folder {html.parent}'}")
    require_new_file(html, overwrite=overwrite)


def _report(found: Comparison, html: Path | None, *, as_json: bool, examples: int) -> None:
    if html is not None:
        from nmt.data.streams import open_whole
        from nmt.evaluation.compare.html import render_page

        with open_whole(html) as stream:
            stream.write(render_page(found).encode())
        logger.info("report: %s", html)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2, ensure_ascii=False))
        return
    from nmt.cli.compare_text import render_text

    for line in render_text(found, examples=examples):
        typer.echo(line)
