"""`nmt translate`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.options import MinimumBayesRisk, Models, ModelWeights, Overwrite, Quiet, Verbose, require_new_file
from nmt.cli.search_options import AvoidedPhrases, Prefixes, RequiredPhrases, TerminologyFile, with_decoding
from nmt.errors import UsageError
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.cli.line_writer import WriterMaker
    from nmt.inference.constraints import Request


class TranslationFormat(str, Enum):
    """What `nmt translate` writes for each line."""

    text = "text"
    jsonl = "jsonl"
    tsv = "tsv"
    moses = "moses"


class Alignments(str, Enum):
    """Values of --alignment."""

    hard = "hard"
    soft = "soft"


@with_decoding
def translate(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Text to translate, a sentence a line; - is standard input.")
    ] = Path("-"),
    models: Models = None,
    model_weights: ModelWeights = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to write; by default standard output.", show_default=False
        ),
    ] = None,
    format: Annotated[
        TranslationFormat,
        typer.Option(
            "--format",
            help="text: a translation a line; jsonl: with alternatives, scores, pieces and flags of what is "
            "suspicious; tsv, moses: n-best lists.",
        ),
    ] = TranslationFormat.text,
    alignment: Annotated[
        Alignments | None,
        typer.Option(
            "--alignment",
            help="Add what looks at what: hard, the best source piece for each target piece (words in tsv and moses); "
            "soft, all weights (jsonl).",
            show_default=False,
        ),
    ] = None,
    mbr: MinimumBayesRisk = None,
    *,
    decoding: dict[str, Any],
    prefixes: Prefixes = None,
    required: RequiredPhrases = None,
    avoid: AvoidedPhrases = None,
    terminology: TerminologyFile = None,
    processes: Annotated[
        int,
        typer.Option(
            "--processes", min=1, help="For big files on many cores: so many processes, with a thread and a model each."
        ),
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on behind the last whole line of -o, if there is one.")
    ] = False,
    progress: Annotated[
        bool | None,
        typer.Option(
            "--progress/--no-progress",
            help="Tell how far it is, on standard error; by default for -o in a terminal.",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Translate text, line by line: as many lines out as in, in the same order.

    Without --model it is $NMT_MODEL, else the best model of the newest run. Options left out are those of the model.

    For example:

      echo "A sentence." | nmt translate

      nmt translate --model runs/quickstart news.en -o news.de

      nmt translate --model runs/seed-1 --model runs/seed-2 --mbr chrf --beam-size 12 news.en -o news.de

      nmt translate news.en --format jsonl --beam-size 10 --n-best 10 > news.jsonl

      nmt translate news.en --terminology terms.tsv --avoid words.txt -o news.de

      nmt translate mono.de --sampling --top-k 10 -o mono.sampled.en

      nmt translate big.en.gz -o big.de.gz --processes 8 --resume
    """
    _check(format, mbr, alignment, decoding, processes=processes)
    if resume and (output is None or overwrite):
        raise UsageError("--resume goes on with the file of -o; give -o, and no --overwrite")
    if output is not None:
        _check_not_input(output, file, overwrite=overwrite or resume)
    from nmt.cli.constraint_files import ConstraintFiles
    from nmt.cli.line_writer import WriterMaker
    from nmt.inference.output.formats import Layout

    layout = Layout(format.value, None if alignment is None else alignment.value)
    if str(file) == "-" and sys.stdin is not None and sys.stdin.isatty():
        logger.info("one sentence a line; Ctrl-D ends")
    shown = sys.stderr is not None and sys.stderr.isatty() and output is not None if progress is None else progress
    steering = ConstraintFiles(prefixes=prefixes, required=required, avoid=avoid, terminology=terminology)
    maker = WriterMaker(models, model_weights, mbr, decoding, layout, steering)
    _translate_file(maker, file, output or Path("-"), processes=processes, resume=resume, progress=shown)


def _check(
    format: TranslationFormat,
    mbr: MinimumBayesRisk,
    alignment: Alignments | None,
    decoding: Mapping[str, Any],
    *,
    processes: int,
) -> None:
    """Make sure that the options go together."""
    n_best, device = decoding["n_best"], decoding["device"]
    if n_best is not None and n_best > 1 and format is TranslationFormat.text and mbr is None:
        raise UsageError(
            "--n-best gives several translations for a line, text has room for one: add --format jsonl, tsv or moses"
        )
    if alignment is not None and format is TranslationFormat.text:
        raise UsageError("--alignment has no room in text: add --format jsonl, tsv or moses, or see `nmt attention`")
    if alignment is Alignments.soft and format is not TranslationFormat.jsonl:
        raise UsageError("--alignment soft needs --format jsonl; tsv and moses have hard alignments")
    if processes > 1 and decoding["threads"] is not None:
        raise UsageError("--processes and --threads do not go together: each process computes with one thread")
    if processes > 1 and device is not None and device.value == "cuda":
        raise UsageError("--processes are for processors; a CUDA device is shared by leaving them out")


def _translate_file(
    maker: WriterMaker, file: Path, output: Path, *, processes: int, resume: bool, progress: bool
) -> None:
    """Translate a file, or the rest of it."""
    from nmt.inference.output.writer import continue_file, write_blocks

    write = maker() if processes == 1 else None
    before = continue_file(output, maker.layout.format) if resume else 0
    append = resume and output.exists()
    lines = maker.steering.requests(_skip_lines(file, before, output), before)
    if write is not None:
        blocks = write.write(lines, before)
    else:
        blocks = _in_processes(maker, lines, processes=processes, before=before)
    if progress:
        from nmt.inference.output.writer import with_progress

        blocks = with_progress(blocks, file, before=before)
    write_blocks(blocks, output, append=append)


def _in_processes(maker: WriterMaker, lines: Iterator[str | Request], *, processes: int, before: int) -> Iterator[str]:
    from nmt.inference.find_model import find_model
    from nmt.inference.output.processes import WINDOW, in_processes
    from nmt.inference.streaming import windows

    found = [find_model(model) for model in maker.models] if maker.models else [find_model(None)]
    make = replace(maker, models=found, decoding={**maker.decoding, "threads": 1, "device": "cpu"})
    return in_processes(make, windows(lines, WINDOW), processes=processes, before=before)


def _skip_lines(file: Path, before: int, output: Path) -> Iterator[str]:
    """Return the lines of a text behind the first ones, which are translated already."""
    from nmt.data.lines import read_lines

    lines = read_lines(file, keep_broken=False)
    if before:
        passed = sum(1 for _ in islice(lines, before))
        if passed < before:
            raise UsageError(f"{output} has translations of {before:,} lines, but {file} has only {passed:,}")
        logger.info("going on behind line %s", f"{before:,}")
    return lines


def _check_not_input(output: Path, file: Path, *, overwrite: bool) -> None:
    """Make sure that writing `output` loses nothing."""
    if str(file) != "-" and output.exists() and file.exists() and output.samefile(file):
        raise UsageError(f"{output}: the translation would replace the text itself; choose another name for -o")
    require_new_file(output, overwrite=overwrite)
