"""`nmt attention`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.attention_output import IMAGES, SUFFIXES, AttentionFormat, AttentionOutputFile, Level
from nmt.cli.options import BatchSize, BeamSize, Device, Model, Overwrite, Quiet, Threads, Verbose, require_new_file
from nmt.errors import UnequalLines, UsageError
from nmt.log import logger

if TYPE_CHECKING:
    from nmt.inference.attention import LineAttention

# A word that ends like `news.en`, or has a folder in front. What has a space in it is a sentence.
LIKE_A_PATH = re.compile(r"\S*(/|\\|\w\.[A-Za-z]\w{0,9}$)\S*")
SHOWN_LINES = 10


def attention(
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT|FILE", help="A sentence, or a file with one a line; - is standard input."),
    ] = "-",
    model: Model = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="TEXT|FILE",
            help="The translation to look at, line by line, instead of the model's own.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE|FOLDER",
            help="Where to write. The suffix says what: .png, .svg, .html, .json, .jsonl, .pharaoh or .txt. In a "
            "folder there is a picture for each line. By default standard output.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        AttentionFormat | None,
        typer.Option("--format", help="What to write, whatever the suffix is; by default text.", show_default=False),
    ] = None,
    level: Annotated[
        Level | None,
        typer.Option(
            "--level",
            help="Between pieces or words (summed over the pieces of a source word, averaged over those of a target "
            "word); by default pieces, for pharaoh words.",
            show_default=False,
        ),
    ] = None,
    beam_size: BeamSize = None,
    batch_size: BatchSize = None,
    device: Device = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show what a model looks at: the attention between each piece of a translation and the source.

    A row is a target piece, a column a source piece, a cell how much attention it gets when the target piece is
    predicted. In pharaoh and JSON, each target piece or word is aligned with the source one that has most of it.

    For example:

      nmt attention "The farmer has promised to come."

      nmt attention --level words --target "Der Bauer kommt." "The farmer comes." -o picture.png

      nmt attention news.en -o news.html

      nmt attention news.en --target news.de --format pharaoh > news.align
    """
    if target is not None and beam_size is not None:
        raise UsageError("--beam-size is for translating; with --target the translation is given")
    if text == target == "-":
        raise UsageError("the text and --target cannot both be standard input")
    wanted = _output(output, format, level)
    lines = _lines(text, "the text")
    targets = None if target is None else list(_lines(target, "--target"))
    if targets is not None or wanted.one_picture:
        lines = iter(several := list(lines))
        _check_lines(several, targets, wanted)
    _check_usage(wanted, (text, target), overwrite=overwrite)
    from nmt.cli.loading import decoding_options, open_model

    file = open_model(model)
    from nmt.cli.attention_writers import write
    from nmt.inference.attention import AttentionExtractor

    options = decoding_options(beam_size=beam_size, batch_sentences=batch_size, device=device, threads=threads)
    attended = AttentionExtractor(file, decoding=options).attend(lines, targets)
    languages = file.config.data
    write(
        wanted,
        _warn_blank(attended),
        source_language=languages.source_language,
        target_language=languages.target_language,
    )


def _output(output: Path | None, format: AttentionFormat | None, level: Level | None) -> AttentionOutputFile:
    """Find out what is to be written, and where.

    Raises:
        UsageError: The name of the output says nothing, or something else than `format`.
    """
    if output is None:
        format = format or AttentionFormat.text
        if format in IMAGES and sys.stdout is not None and sys.stdout.isatty():
            raise UsageError(f"a terminal cannot show this picture; write it into a file: -o picture.{format.value}")
        folder = False
    else:
        folder = output.is_dir() or (not output.suffix and format in (None, *IMAGES))
        format = _format_of(output, format, folder=folder)
    return AttentionOutputFile(
        output, folder, format, level or (Level.words if format is AttentionFormat.pharaoh else Level.pieces)
    )


def _format_of(output: Path, format: AttentionFormat | None, *, folder: bool) -> AttentionFormat:
    named = SUFFIXES.get(output.suffix.lower())
    if folder:
        if format not in (None, *IMAGES):
            raise UsageError(f"{output} is a folder; {format.value} is one file for all lines: name it with -o")
        return format or AttentionFormat.png
    if format is None and named is None:
        raise UsageError(f"{output}: what to write there? Choose one of {', '.join(SUFFIXES)}, or say it with --format")
    if format is not None and named is not None and format is not named:
        raise UsageError(f"{output} is a name for {named.value}, but --format is {format.value}")
    chosen = format or named
    assert chosen is not None
    return chosen


def _lines(given: str, what: str) -> Iterator[str]:
    """Return the lines of a file, if there is one of that name, or else the given sentence itself."""
    from nmt.data.lines import read_lines

    if given == "-" or os.path.isfile(given) or (os.path.exists(given) and not os.path.isdir(given)):
        if given == "-" and sys.stdin is not None and sys.stdin.isatty():
            logger.info("one sentence a line; Ctrl-D ends")
        return read_lines(given, keep_broken=False)
    if os.path.isdir(given):
        raise UsageError(f"{given} is a folder; {what} is a sentence or a file")
    if LIKE_A_PATH.fullmatch(given):
        raise UsageError(f"{given}: there is no such file; if it is a sentence, give it through a pipe: echo ... |")
    return iter([given])


def _check_lines(lines: list[str], targets: list[str] | None, wanted: AttentionOutputFile) -> None:
    from nmt.data.lines import is_blank

    if targets is not None and len(lines) != len(targets):
        raise UnequalLines("the text", len(lines), "--target", len(targets))
    if wanted.one_picture:
        pairs = zip(lines, targets if targets is not None else lines, strict=True)
        count = sum(not is_blank(line) and not is_blank(target) for line, target in pairs)
        if count != 1:
            raise UsageError(
                f"a .{wanted.format.value} file shows one line, but there are {count or 'none'}"
                + (f": name a folder with -o for {count} pictures, or an .html file for one page" if count else "")
            )


def _check_usage(wanted: AttentionOutputFile, inputs: tuple[str | None, ...], *, overwrite: bool) -> None:
    """Make sure that writing loses nothing."""
    if wanted.path is None:
        return
    for given in inputs:
        if given is not None and os.path.isfile(given) and wanted.path.exists() and wanted.path.samefile(given):
            raise UsageError(f"{wanted.path}: this would replace the text itself; choose another name for -o")
    if not wanted.folder:
        require_new_file(wanted.path, overwrite=overwrite)
    elif not overwrite and any(wanted.path.glob(wanted.picture("*"))):
        raise UsageError(
            f"{wanted.path} has pictures already; choose another folder, or replace those of the same line with "
            "--overwrite"
        )


def _warn_blank(attended: Iterator[LineAttention | None]) -> Iterator[LineAttention | None]:
    """Pass lines on, and say at the end which were blank."""
    blank: list[int] = []
    for number, line in enumerate(attended, 1):
        if line is None:
            blank.append(number)
        yield line
    if blank:
        shown = ", ".join(map(str, blank[:SHOWN_LINES])) + (", ..." if len(blank) > SHOWN_LINES else "")
        logger.info("blank, with nothing to see: line%s %s", "s" if len(blank) > 1 else "", shown)
