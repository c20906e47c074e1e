"""All parsers of files that strangers make, as functions of bytes, for the fuzzer that is guided by coverage.

A parser may refuse its input with an `NMTError` or an `OSError`. Any other exception is a fault.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from campaign.targets import documents

SEEDS = Path(__file__).parent / "seeds"
MOST_BYTES = 4096
"""Longest input of the fuzzer. Long inputs are the matter of `campaign.fuzz`."""
Parser = Callable[[Path], object]


def _json(path: Path) -> None:
    from nmt.small_files import JSONError, parse_json

    for strict in (True, False):
        try:
            parse_json(path.read_bytes(), strict=strict)
        except JSONError:
            continue


def _config(path: Path) -> None:
    from nmt.config.load import load_config

    load_config(path, check_files=False)


def _override(path: Path) -> None:
    from nmt.config.yaml_document import parse_value
    from nmt.errors import NMTError

    try:
        parse_value(path.read_text("utf-8", errors="replace"))
    except (NMTError, ValueError):  # the caller explains a ValueError
        return


def _sweep(path: Path) -> None:
    from nmt.sweep.load import load_sweep

    load_sweep(path)


def _tensors(path: Path) -> None:
    from nmt.inference.model_file import load_model

    load_model(path)


def _records(kind: str, **fields: str) -> Parser:
    def parse(path: Path) -> None:
        from nmt.config.schema import PairConfig
        from nmt.data.sources import read_records

        pair = PairConfig.model_validate({kind: str(path), **fields})
        for keep_broken in (False, True):
            for record in read_records(pair, keep_broken=keep_broken):
                if not isinstance(record[0], str):
                    raise TypeError(record)

    return parse


def _lines(path: Path) -> None:
    from nmt.data.lines import read_lines, read_repaired_lines

    content = path.read_bytes()
    repaired = list(read_repaired_lines(path))
    if not path.suffix == ".gz" and len(repaired) != content.count(b"\n") + (content[-1:] not in (b"", b"\n")):
        raise AssertionError("another number of lines")
    list(read_lines(path, keep_broken=False))


def _document(path: Path) -> None:
    from nmt.errors import NMTError
    from nmt.inference.documents import Languages, open_document

    languages = Languages("en", "de")
    document = open_document(path, languages=languages, fill="all")
    try:
        filled = document.fill([line.upper() for line in document.lines])
    except NMTError as error:
        if "Please report this" in str(error):
            raise AssertionError(str(error)) from error
        raise
    path.write_bytes(filled)
    open_document(path, languages=languages, fill="all")


def _terminology(path: Path) -> None:
    from nmt.inference.constraints import read_terminology

    read_terminology(path)


def _items(kind: str) -> Parser:
    def parse(path: Path) -> None:
        from nmt.cli.score_inputs import read_items

        source = path.with_name("source.en")
        source.write_text("a b\nc\n", "utf-8")
        if kind in ("jsonl", "tsv"):
            list(read_items(path, None, kind))  # type: ignore[arg-type]
        if kind in ("moses", "tsv"):
            list(read_items(source, path, kind))  # type: ignore[arg-type]

    return parse


def _metrics(path: Path) -> None:
    from nmt.plots.run_records import read_records

    read_records(path)


def _gold(path: Path) -> None:
    from nmt.evaluation.alignment_error import read_gold

    read_gold(path, [("a b c", "d e f"), ("a", "b")])


def _links(path: Path) -> None:
    from nmt.data.alignments import parse_links

    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            parse_links(line, source_words=9, target_words=9)
        except ValueError:  # the caller explains it
            continue


def _text(path: Path) -> None:
    from nmt.data.text_form import normalize
    from nmt.inference.protected_items import find_protected
    from nmt.inference.segmentation import clean, split_sentences
    from nmt.terminal import UNSAFE, visible

    text = path.read_text("utf-8", errors="replace")
    if normalize(normalize(text)) != normalize(text):
        raise AssertionError("normalization is not idempotent")
    for span, _, start in find_protected(text):
        if text[start : start + len(span)] != span:
            raise AssertionError("a protected item is at another place")
    split_sentences(clean(text))
    if UNSAFE.search(visible(text)):
        raise AssertionError("an unsafe character is visible")


def _resume(format: str) -> Parser:
    def parse(path: Path) -> None:
        from nmt.inference.output.writer import count_translated

        count_translated(path, format)  # type: ignore[arg-type]

    return parse


PARSERS: dict[str, tuple[str, Parser]] = {
    "json": ("a.json", _json),
    "config": ("a.yaml", _config),
    "override": ("a.txt", _override),
    "sweep": ("a.yaml", _sweep),
    "tensors": ("a.safetensors", _tensors),
    "csv": ("a.csv", _records("csv", source_field="en", target_field="de")),
    "jsonl": ("a.jsonl", _records("jsonl", source_field="en", target_field="de")),
    "tmx": ("a.tmx", _records("tmx", source_field="en", target_field="de")),
    "xliff": ("a.xlf", _records("xliff")),
    "opus": ("a.zip", _records("opus", source_field="en", target_field="de")),
    "gz": ("a.gz", _lines),
    "lines": ("a.txt", _lines),
    "po": ("a.po", _document),
    "srt": ("a.srt", _document),
    "xliff document": ("a.xlf", _document),
    "tmx document": ("a.tmx", _document),
    "terminology": ("a.tsv", _terminology),
    "candidates": ("a.jsonl", _items("jsonl")),
    "pairs": ("a.tsv", _items("tsv")),
    "moses": ("a.moses", _items("moses")),
    "metrics": ("a.jsonl", _metrics),
    "gold": ("a.txt", _gold),
    "links": ("a.txt", _links),
    "text": ("a.txt", _text),
    "resumed jsonl": ("a.jsonl", _resume("jsonl")),
    "resumed tsv": ("a.tsv", _resume("tsv")),
}
"""The name of the file that each parser reads, and the parser."""


def parse(name: str, data: bytes, folder: Path) -> None:
    """Run a parser on an input, which it may refuse."""
    from nmt.errors import NMTError

    file, parser = PARSERS[name]
    path = folder / file
    path.write_bytes(data)
    try:
        parser(path)
    except (NMTError, OSError):
        return


def seeds(name: str) -> list[bytes]:
    """Return the seeds of a parser: committed files, and small documents that are made here."""
    kinds = {"po": "messages.po", "srt": "film.srt", "xliff document": "text.xlf", "tmx document": "memory.tmx"}
    made = [documents(["A dog.", "", "Two <b>cats</b>"])[kinds[name]].encode()] if name in kinds else []
    folder = SEEDS / name.replace(" ", "-")
    return made + [path.read_bytes() for path in sorted(folder.glob("*"))]


def fuzz(name: str, *, seconds: int, seed: int, keep: Path) -> int:
    """Fuzz a parser with coverage guidance in this process, which ends. Atheris must be installed."""
    import logging

    import atheris

    with atheris.instrument_imports(include=["nmt"]):
        for module in MODULES:
            __import__(module)
    logging.getLogger("nmt").setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="nmt-fuzz-"))
    corpus, found = folder / "corpus", keep / name.replace(" ", "-")
    found.mkdir(parents=True, exist_ok=True)
    corpus.mkdir()
    for number, data in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(data)
    arguments = (f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={MOST_BYTES}", "-timeout=10")
    limits = ("-rss_limit_mb=3000", "-print_final_stats=1", "-verbosity=1", f"-artifact_prefix={found}{os.sep}")
    atheris.Setup([sys.argv[0], *arguments, *limits, str(corpus)], lambda data: parse(name, data, folder))
    atheris.Fuzz()
    return 0


MODULES = (
    *("nmt.small_files", "nmt.config.load", "nmt.config.yaml_document", "nmt.sweep.load", "nmt.inference.model_file"),
    *("nmt.data.sources", "nmt.data.lines", "nmt.inference.documents.po", "nmt.inference.documents.srt"),
    *("nmt.inference.documents.xliff", "nmt.inference.documents.tmx", "nmt.inference.constraints"),
    *("nmt.cli.score_inputs", "nmt.plots.run_records", "nmt.evaluation.alignment_error", "nmt.data.alignments"),
    *("nmt.data.text_form", "nmt.inference.protected_items", "nmt.inference.segmentation", "nmt.terminal"),
    "nmt.inference.output.writer",
)
