"""`nmt bench`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.loading import data_of_run, open_model
from nmt.cli.options import AsJson, ModelArgument, Quiet, Verbose, option
from nmt.cli.schema_options import COMPUTATION, with_decoding
from nmt.cli.text_table import table
from nmt.config.introspection import flag
from nmt.data.lines import read_lines
from nmt.errors import DataError
from nmt.evaluation.speed import Mode, Speed, Start, TimedTranslator, made_up_lines, measure_speed, measure_start
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.inference.model_file import ModelFile

MOST_LINES = 2000
"""Lines of the text that are used."""


@with_decoding("beam_size", "precision", *COMPUTATION)
def bench(
    model: ModelArgument = None,
    source: Annotated[
        Path | None,
        option(
            "--source",
            metavar="FILE",
            help="Source text. Default: the validation set of the model, or random pieces if it is not there.",
        ),
    ] = None,
    seconds: Annotated[
        float, option("--seconds", metavar="NUMBER", min=0.0, help="Time for the measurement. Default: 30.")
    ] = 30.0,
    as_json: AsJson = False,
    *,
    decoding: dict[str, Any],
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure how fast a model translates on this machine.

    The table compares lines one by one with batches, and the beam of the model with greedy search. If the model has a
    shortlist, it is measured too. All of them run in turns, and the figures are medians. The first line of the output
    is the cost of a new process that translates one line.

    For example:

      nmt bench runs/quickstart
      nmt bench runs/quickstart --threads 1 --batch-size 32
      nmt bench runs/quickstart --source news.en --seconds 60
    """
    loaded = open_model(model)
    lines, text = _text(loaded, source)
    given = {name: value for name, value in decoding.items() if value is not None}
    flags = [word for name, value in given.items() for word in (flag(name), str(value))]
    start = measure_start(["--model", str(loaded.path), *flags])
    speeds = measure_speed(_translators(loaded, given), lines, seconds=seconds)
    if as_json:
        found = {"start": None if start is None else start._asdict(), "speed": [speed._asdict() for speed in speeds]}
        typer.echo(json.dumps(found))
        return
    _print(start, speeds)
    typer.echo("")
    typer.echo(f"on {text}")


def _text(model: ModelFile, source: Path | None) -> tuple[list[str], str]:
    """Return the lines to translate, and a description."""
    if source is not None:
        return list(islice(read_lines(source, keep_broken=False), MOST_LINES)), str(source)
    data = data_of_run(model.path)
    if data is not None:
        from nmt.data.corpus import read_parallel  # the other texts do not need it

        with contextlib.suppress(DataError):
            return [line for line, _ in read_parallel(data.valid)[:MOST_LINES]], "the validation set"
    return made_up_lines(model.tokenizers.source, MOST_LINES), "lines of random pieces"


def _translators(model: ModelFile, given: Mapping[str, Any]) -> dict[Mode, TimedTranslator]:
    """Return a translator for each mode. Modes that differ in the batch alone share one."""
    from nmt.config.decoding_overrides import override_decoding
    from nmt.inference.translator import Translator

    options = override_decoding(model.config.decoding, {**given, "n_best": 1, "sampling": False})
    found: dict[Mode, TimedTranslator] = {}
    beams = dict.fromkeys((options.beam_size, 1))
    for shortlist in (False, True) if model.shortlist is not None else (False,):
        for beam in beams:
            changes = {**given, "n_best": 1, "sampling": False, "beam_size": beam, "shortlist": shortlist}
            translator = Translator.from_models([model], decoding=changes)
            found |= {Mode(batch, beam, shortlist): translator for batch in dict.fromkeys((1, options.batch_sentences))}
    return dict(sorted(found.items()))


def _print(start: Start | None, speeds: list[Speed]) -> None:
    if start is not None:
        typer.echo(
            f"one line, new process: {start.seconds:.2f} s, {start.processor_seconds:.2f} s of processor time, "
            f"{start.megabytes:.0f} MB"
        )
        typer.echo("")
    rows = [["", "sentences/s", "ms/sentence", "target pieces/s"]]
    for speed in speeds:
        rate = speed.sentences_per_second
        rows.append([_name(speed), f"{rate:,.1f}", f"{1000 / rate:,.1f}", f"{speed.pieces_per_second:,.0f}"])
    for line in table(rows):
        typer.echo(line)
    logger.debug("turns of each mode: %d", speeds[0].turns)


def _name(mode: Speed) -> str:
    lines = "one by one" if mode.batch == 1 else f"batches of {mode.batch}"
    return f"{lines}, {'greedy' if mode.beam == 1 else f'beam {mode.beam}'}{', shortlist' if mode.shortlist else ''}"
