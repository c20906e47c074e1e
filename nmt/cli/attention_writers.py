"""Writers of the output formats of `nmt attention`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from rich.text import Text

from nmt.cli.attention_output import IMAGES, AttentionFormat, AttentionOutputFile, Level
from nmt.cli.options import STANDARD_STREAM
from nmt.data.streams import open_whole
from nmt.inference.attention_map import AttentionMap, pharaoh
from nmt.log import logger
from nmt.plots.html_page import HtmlEntry, attention_page
from nmt.plots.terminal import LEGEND, text_heatmap
from nmt.terminal import make_console, visible

if TYPE_CHECKING:
    from nmt.inference.attention import LineAttention

DECIMALS = 5

Lines = Iterable["LineAttention | None"]
"""The attention of each line of text, or None for a blank line."""


def write(output: AttentionOutputFile, lines: Lines, *, source_language: str, target_language: str) -> None:
    """Write each line as soon as it is available.

    Args:
        output: place and format.
        lines: the attention of each line.
        source_language: language code of the source.
        target_language: language code of the target.

    Raises:
        DataError: a file cannot be written.
    """
    if output.format in IMAGES:
        _write_pictures(output, lines)
        return
    if output.format == "text" and output.path is None and sys.stdout is not None and sys.stdout.isatty():
        console = make_console()
        for text in _screen(lines, output.level, width=console.width):
            console.print(text, no_wrap=True, crop=False, overflow="ignore")
        return
    if output.format == "html":
        entries = (_entry(line, output.level) for line in lines if line is not None)
        parts = attention_page(entries, source_language=source_language, target_language=target_language)
    else:
        parts = TEXTS[output.format](lines, output.level)
    write_texts(output, parts)


def write_texts(output: AttentionOutputFile, parts: Iterable[str]) -> None:
    """Write each part as soon as it is available."""
    with open_whole(output.path or STANDARD_STREAM) as stream:
        for part in parts:
            stream.write(part.encode())
            if output.path is None:
                stream.flush()  # a reader may wait for this line
    if output.path is not None:
        logger.info("wrote %s", output.path)


def _map(line: LineAttention, level: Level) -> AttentionMap:
    return line.words if level == "words" else line.pieces


def _note(line: LineAttention) -> str:
    """Return a note for lines whose attention matrix has blocks."""
    return f"translated in {line.segments} segments, with no attention between them" if line.segments > 1 else ""


def _entry(line: LineAttention, level: Level) -> HtmlEntry:
    return HtmlEntry(line.line, line.source, line.translation, _map(line, level), _note(line))


def _plain(lines: Lines, level: Level) -> Iterator[str]:
    for text in _screen(lines, level, width=None):
        yield f"{visible(text.plain)}\n"


def _screen(lines: Lines, level: Level, *, width: int | None) -> Iterator[Text]:
    """Yield the lines of heat maps, each below its sentences."""
    shown = False
    for line in lines:
        if line is None:
            continue
        label = f"line {line.line}: "
        yield Text(f"{label}{line.source}")
        for text in filter(None, (line.translation, _note(line))):
            yield Text(" " * len(label) + text)
        yield from (Text(), *text_heatmap(_map(line, level), width=width), Text())
        shown = True
    if shown:
        yield Text(LEGEND, style="dim")


def _as_json(line: LineAttention, level: Level) -> str:
    attention = _map(line, level)
    return json.dumps(
        {
            "line": line.line,
            "source": line.source,
            "translation": line.translation,
            "level": level,
            f"source_{level}": attention.source.texts,
            f"target_{level}": attention.target.texts,
            "weights": [[round(weight, DECIMALS) for weight in row] for row in attention.weights.tolist()],
            "alignment": attention.links(),
        },
        ensure_ascii=False,
    )


def _json(lines: Lines, level: Level) -> Iterator[str]:
    """Yield a JSON list with one object per line."""
    before = "[\n"
    for line in lines:
        if line is not None:
            yield before + _as_json(line, level)
            before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _jsonl(lines: Lines, level: Level) -> Iterator[str]:
    for line in lines:
        if line is not None:
            yield _as_json(line, level) + "\n"


def _pharaoh(lines: Lines, level: Level) -> Iterator[str]:
    """Yield one line per line of text, so that the files stay parallel."""
    for line in lines:
        yield ("" if line is None else pharaoh(_map(line, level).links())) + "\n"


TEXTS: dict[AttentionFormat, Callable[[Lines, Level], Iterator[str]]] = {
    "text": _plain,
    "json": _json,
    "jsonl": _jsonl,
    "pharaoh": _pharaoh,
}


def _write_pictures(output: AttentionOutputFile, lines: Lines) -> None:
    """Draw one image per line into a folder, or the image of the only line into a file."""
    from nmt.plots.fonts import Fonts
    from nmt.plots.heatmap import draw_heatmap

    format: Literal["png", "svg"] = "svg" if output.format == "svg" else "png"
    fonts, count = Fonts(), 0
    if output.folder and output.path is not None:
        output.path.mkdir(parents=True, exist_ok=True)
    for line in lines:
        if line is None:
            continue
        attention = _map(line, output.level)
        families = fonts.families([*attention.source.texts, *attention.target.texts], format=format)
        titles = [f"line {line.line}" if output.folder else "", _note(line)]
        image = draw_heatmap(attention, families=families, title=": ".join(filter(None, titles)), format=format)
        path = output.path or STANDARD_STREAM
        with open_whole(path / output.picture(line.line) if output.folder else path) as stream:
            stream.write(image)
        count += 1
    if output.folder:
        logger.info("wrote %d image%s into %s", count, "" if count == 1 else "s", output.path)
    elif output.path is not None:
        logger.info("wrote %s", output.path)
