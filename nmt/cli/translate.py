"""`nmt translate`."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterator
from enum import Enum
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import (
    Alpha,
    BatchSize,
    BeamSize,
    Device,
    LengthNormalization,
    MaxLengthRatio,
    Model,
    Overwrite,
    Precision,
    Quiet,
    Shortlist,
    Threads,
    Verbose,
    refuse_existing,
)
from nmt.errors import UsageError
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.inference.translator import Translation


class Format(str, Enum):
    """What `nmt translate` writes for each line."""

    text = "text"
    jsonl = "jsonl"


def translate(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Text to translate, a sentence a line; - is standard input.")
    ] = Path("-"),
    model: Model = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to write; by default standard output.", show_default=False
        ),
    ] = None,
    format: Annotated[
        Format,
        typer.Option("--format", help="text: a translation a line; jsonl: with scores, pieces and alternatives."),
    ] = Format.text,
    beam_size: BeamSize = None,
    n_best: Annotated[
        int | None, typer.Option("--n-best", min=1, help="Alternatives for each line, in jsonl.", show_default=False)
    ] = None,
    length_normalization: LengthNormalization = None,
    alpha: Alpha = None,
    max_length_ratio: MaxLengthRatio = None,
    shortlist: Shortlist = None,
    batch_size: BatchSize = None,
    precision: Precision = None,
    device: Device = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Translate text, line by line: as many lines out as in, in the same order.

    Without --model it is $NMT_MODEL, else the best model of the newest run. Options left out are those of the model.

    For example:

      echo "A sentence." | nmt translate

      nmt translate --model runs/quickstart news.en -o news.de

      nmt translate news.en --format jsonl --beam-size 10 --n-best 10 > news.jsonl
    """
    if n_best is not None and n_best > 1 and format is Format.text:
        raise UsageError("--n-best gives several translations for a line, text has room for one: add --format jsonl")
    if output is not None:
        _refuse(output, file, overwrite=overwrite)
    from nmt.cli.opening import make_translator, open_model

    translator = make_translator(
        open_model(model),
        beam_size=beam_size,
        n_best=n_best,
        length_normalization=length_normalization,
        alpha=alpha,
        max_length_ratio=max_length_ratio,
        shortlist=shortlist,
        batch_sentences=batch_size,
        precision=precision,
        device=device,
        threads=threads,
    )
    from nmt.data.lines import read_lines

    if str(file) == "-" and sys.stdin is not None and sys.stdin.isatty():
        logger.info("one sentence a line; Ctrl-D ends")
    sources: deque[str] = deque()
    lines = _noted(read_lines(file, keep_broken=False), sources)
    texts = (_render(sources.popleft(), result, format) for result in translator.translate(lines))
    _write(texts, output or Path("-"))


def _refuse(output: Path, file: Path, *, overwrite: bool) -> None:
    """Make sure that writing `output` loses nothing."""
    if str(file) != "-" and output.exists() and file.exists() and output.samefile(file):
        raise UsageError(f"{output}: the translation would replace the text itself; choose another name for -o")
    refuse_existing(output, overwrite=overwrite)


def _noted(lines: Iterator[str], sources: deque[str]) -> Iterator[str]:
    """Pass lines on, and keep them until their translation comes."""
    for line in lines:
        sources.append(line)
        yield line


def _render(source: str, translation: Translation, format: Format) -> str:
    """A translation as one line of output."""
    if format is Format.text:
        return translation.text
    hypotheses = [
        {
            "text": hypothesis.text,
            "score": hypothesis.score,
            "log_probability": hypothesis.log_probability,
            "pieces": hypothesis.pieces,
            "piece_log_probabilities": hypothesis.piece_log_probabilities,
        }
        for hypothesis in translation.hypotheses
    ]
    return json.dumps({"source": source, "translation": translation.text, "hypotheses": hypotheses}, ensure_ascii=False)


def _write(texts: Iterator[str], output: Path) -> None:
    """Write lines as they come. The file is made when the first one is there: an error before that leaves nothing."""
    from nmt.data.streams import open_output

    first = list(islice(texts, 1))
    with open_output(output) as stream:
        for text in chain(first, texts):
            stream.write(text.encode() + b"\n")
            if str(output) == "-":
                stream.flush()  # somebody may be waiting for this line
