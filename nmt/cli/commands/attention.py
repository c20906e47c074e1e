"""`nmt attention`."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from nmt.cli.attention_output import IMAGES, STEP_FORMATS, SUFFIXES, AttentionFormat, AttentionOutputFile, Level
from nmt.cli.loading import config_with_data, open_model
from nmt.cli.options import Model, Overwrite, Quiet, Verbose, check_not_input, option, require_new_file
from nmt.cli.schema_options import COMPUTATION, with_decoding
from nmt.cli.text_table import table
from nmt.data.lines import is_blank, read_lines
from nmt.errors import UnequalLines, UsageError
from nmt.log import logger

Line = TypeVar("Line")

# A word that ends like `news.en`, or has a folder before it. Text with a space is a sentence.
LIKE_A_PATH = re.compile(r"\S*(/|\\|\w\.[A-Za-z]\w{0,9}$)\S*")
SHOWN_LINES = 10


@with_decoding("beam_size", *COMPUTATION)
def attention(
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT|FILE",
            help="A sentence, or a file with one sentence per line. Default: standard input.",
            show_default=False,
        ),
    ] = "-",
    model: Model = None,
    target: Annotated[
        str | None,
        option(
            "--target",
            metavar="TEXT|FILE",
            help="Given translations, line by line. Default: translations by the model.",
        ),
    ] = None,
    gold: Annotated[
        Path | None,
        option(
            "--gold",
            metavar="FILE",
            help="Gold links in Pharaoh format: print the alignment error rate of the attention instead. Requires "
            "--target. Default text: the first test set of the model.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        option(
            "-o",
            "--output",
            metavar="FILE|FOLDER",
            help="Output file, whose suffix selects the format: .png, .svg, .html, .json, .jsonl, .pharaoh or .txt. A "
            "folder receives one image per line. Default: standard output.",
        ),
    ] = None,
    format: Annotated[
        AttentionFormat | None, option("--format", help="Output format. Default: by the suffix of -o, otherwise text.")
    ] = None,
    level: Annotated[
        Level | None,
        option(
            "--level",
            help="Units of source and target. For words, weights are summed over the pieces of a source word and "
            "averaged over those of a target word. Default: words for pharaoh, otherwise pieces.",
        ),
    ] = None,
    steps: Annotated[
        bool,
        option(
            "--steps",
            help="Show the numbers of each decoder step instead: query, scores, weights, context, concatenation, tanh "
            "and the most probable pieces. Formats: text, json, jsonl and html. The html page shows one line.",
        ),
    ] = False,
    language: Annotated[
        Literal["en", "ko"], option("--language", help="Language of the html page of --steps. Default: en.")
    ] = "en",
    *,
    decoding: dict[str, Any],
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show the attention weights between translations and their sources.

    Rows are target pieces, columns are source pieces. A cell is the attention weight at the prediction of the target
    piece. The formats pharaoh and json contain word alignments: each target unit is linked to the source unit with the
    highest weight.

    For example:

      nmt attention "The farmer has promised to come."
      nmt attention --level words "The farmer comes." -o picture.png
      nmt attention --target "Der Bauer kommt." "The farmer comes."
      nmt attention --steps "The farmer comes."
      nmt attention --steps "The farmer comes." -o steps.html
      nmt attention news.en -o news.html
      nmt attention news.en --target news.de --format pharaoh > news.align
      nmt attention news.en --target news.de --gold news.align
    """
    if gold is not None:
        _check_gold(format, output=output, level=level, steps=steps or None, beam_size=decoding["beam_size"])
        _score(model, text, target, gold, format, decoding)
        return
    if target is not None and decoding["beam_size"] is not None:
        raise UsageError("--beam-size excludes --target: a given translation is not searched for.")
    if text == target == "-":
        raise UsageError("TEXT and --target cannot both be standard input (-).")
    selected = _output(output, format, level)
    if steps:
        _check_steps(selected, level)
    elif language != "en":
        raise UsageError("--language requires --steps.")
    one_line = selected.one_picture or (steps and selected.format == "html")
    lines = _lines(text, "TEXT")
    targets = None if target is None else list(_lines(target, "--target"))
    if targets is not None or one_line:
        lines = iter(several := list(lines))
        _check_lines(several, targets, selected, one_line=one_line)
    _check_output(selected, (text, target), overwrite=overwrite)
    file = open_model(model)
    if steps:
        from nmt.cli.steps_writers import write_steps
        from nmt.inference.steps import StepRecorder

        recorded = StepRecorder(file, decoding=decoding).record(lines, targets)
        write_steps(selected, _warn_blank(recorded), config=file.config, language=language)
        return
    from nmt.cli.attention_writers import write
    from nmt.inference.attention import AttentionExtractor

    attended = AttentionExtractor(file, decoding=decoding).attend(lines, targets)
    languages = file.config.data
    write(
        selected,
        _warn_blank(attended),
        source_language=languages.source_language,
        target_language=languages.target_language,
    )


def _check_gold(format: AttentionFormat | None, **given: object) -> None:
    """Check that no option of the output is given with --gold."""
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"--gold excludes --{name.replace('_', '-')}: it prints a score.")
    if format not in (None, "text", "json"):
        raise UsageError(f"--gold excludes --format {format}: choose text or json.")


def _check_steps(selected: AttentionOutputFile, level: Level | None) -> None:
    """Check that the format can show steps."""
    if selected.format not in STEP_FORMATS:
        raise UsageError(f"--steps excludes the format {selected.format}: choose {', '.join(STEP_FORMATS)}.")
    if level is not None:
        raise UsageError("--steps excludes --level: steps are between pieces.")


def _score(
    model: Path | None,
    text: str,
    target: str | None,
    gold: Path,
    format: AttentionFormat | None,
    decoding: dict[str, Any],
) -> None:
    """Print the alignment error rate of a model's attention.

    Raises:
        UsageError: the text or its translation is missing, or the model has no attention.
        DataError: a file cannot be read, or the files do not fit together.
    """
    if target is None and text != "-":
        raise UsageError("--gold requires --target: gold links belong to a known translation.")
    file = open_model(model)
    from nmt.evaluation.attention_error import measure_attention, read_aligned, read_aligned_test

    if target is None:
        instead = "a source file and --target"
        aligned = read_aligned_test(config_with_data(file, "the test set", instead=instead), gold)
    else:
        aligned = read_aligned(text, target, gold)
    scores = {"attention": measure_attention(file, aligned, decoding=decoding), "best_with_one_link": aligned.bound()}
    if format == "json":
        found = {name: score.as_dict() for name, score in scores.items()}
        typer.echo(json.dumps({"lines": len(aligned.pairs), **found}, indent=2))
        return
    rows = [["", "AER %", "precision %", "recall %"]]
    for name, score in scores.items():
        shares = (score.error_rate, score.precision, score.recall)
        rows.append([name.replace("_", " "), *(f"{100 * share:.1f}" for share in shares)])
    for line in table(rows):
        typer.echo(line)


def _output(output: Path | None, format: AttentionFormat | None, level: Level | None) -> AttentionOutputFile:
    """Choose format and place of the output.

    Raises:
        UsageError: the suffix of the output is unknown, or contradicts `format`.
    """
    if output is None:
        format = format or "text"
        if format in IMAGES and sys.stdout is not None and sys.stdout.isatty():
            raise UsageError(f"--format {format} requires -o FILE, such as -o picture.{format}.")
        folder = False
    else:
        folder = output.is_dir() or (not output.suffix and format in (None, *IMAGES))
        format = _format_of(output, format, folder=folder)
    return AttentionOutputFile(output, folder, format, level or ("words" if format == "pharaoh" else "pieces"))


def _format_of(output: Path, format: AttentionFormat | None, *, folder: bool) -> AttentionFormat:
    named = SUFFIXES.get(output.suffix.lower())
    if folder:
        if format not in (None, *IMAGES):
            raise UsageError(f"-o {output} is a folder, but --format {format} writes one file. Name the file with -o.")
        return format or "png"
    if format is None and named is None:
        raise UsageError(
            f"-o {output}: the suffix does not select a format. Use one of {', '.join(SUFFIXES)}, or --format."
        )
    if format is not None and named is not None and format != named:
        raise UsageError(f"-o {output} is a file name for {named}, but --format is {format}.")
    selected = format or named
    assert selected is not None
    return selected


def _lines(given: str, name: str) -> Iterator[str]:
    """Return the lines of a file, or the given sentence if there is no such file."""
    if given == "-" or os.path.isfile(given) or (os.path.exists(given) and not os.path.isdir(given)):
        if given == "-" and sys.stdin is not None and sys.stdin.isatty():
            logger.info("Type one sentence per line. Ctrl-D ends the input.")
        return read_lines(given, keep_broken=False)
    if os.path.isdir(given):
        raise UsageError(f"{name} {given} is a folder. Name a file, or write a sentence.")
    if LIKE_A_PATH.fullmatch(given):
        raise UsageError(f"{name} {given}: no such file. Pass a sentence of this form through a pipe: echo ... |")
    return iter([given])


def _check_lines(lines: list[str], targets: list[str] | None, selected: AttentionOutputFile, *, one_line: bool) -> None:
    if targets is not None and len(lines) != len(targets):
        raise UnequalLines("TEXT", len(lines), "--target", len(targets))
    if one_line:
        pairs = zip(lines, targets if targets is not None else lines, strict=True)
        count = sum(not is_blank(line) and not is_blank(target) for line, target in pairs)
        if count != 1:
            several = f" Name a folder with -o for {count} images, or an .html file for one page."
            advice = several if count and selected.one_picture else ""
            raise UsageError(f"a .{selected.format} file shows one line, but the text has {count or 'none'}.{advice}")


def _check_output(selected: AttentionOutputFile, inputs: tuple[str | None, ...], *, overwrite: bool) -> None:
    """Check that writing does not destroy a file."""
    if selected.path is None:
        return
    check_not_input(selected.path, [Path(given) for given in inputs if given is not None and os.path.isfile(given)])
    if not selected.folder:
        require_new_file(selected.path, overwrite=overwrite)
    elif not overwrite and any(selected.path.glob(selected.picture("*"))):
        raise UsageError(
            f"-o {selected.path} contains images already. Choose another folder, or replace images of the same lines "
            "with --overwrite."
        )


def _warn_blank(attended: Iterator[Line | None]) -> Iterator[Line | None]:
    """Pass lines on, and log the blank ones at the end."""
    blank: list[int] = []
    for number, line in enumerate(attended, 1):
        if line is None:
            blank.append(number)
        yield line
    if blank:
        shown = ", ".join(map(str, blank[:SHOWN_LINES])) + (", ..." if len(blank) > SHOWN_LINES else "")
        logger.info("skipped blank line%s %s", "s" if len(blank) > 1 else "", shown)
