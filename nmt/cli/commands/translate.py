"""`nmt translate`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nmt.cli.bulk_inputs import find_input, is_bulk
from nmt.cli.constraint_files import ConstraintFiles
from nmt.cli.document_translation import DocumentOptions, translate_document
from nmt.cli.options import (
    STANDARD_STREAM,
    Avoid,
    MinimumBayesRisk,
    Models,
    ModelWeights,
    Overwrite,
    Prefixes,
    Quiet,
    Required,
    TerminologyFile,
    Verbose,
    check_not_input,
    option,
    require_new_file,
)
from nmt.cli.schema_options import with_decoding
from nmt.errors import UsageError
from nmt.inference.documents import REVIEWED_KINDS, document_kind
from nmt.inference.find_model import find_models
from nmt.log import logger

if TYPE_CHECKING:
    pass

Format = Literal["text", "jsonl", "tsv", "moses"]
DOCUMENTS = "Documents"


@with_decoding()
def translate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...",
            help="Text file with one sentence per line, or a document: .po, .pot, .xlf, .xliff, .tmx or .srt. Several "
            "files, a folder or a quoted pattern such as 'news/**/*.en' are translated into the folder -o. Default: "
            "standard input.",
            show_default=False,
        ),
    ] = None,
    models: Models = None,
    model_weights: ModelWeights = None,
    output: Annotated[
        Path | None,
        option(
            "-o",
            "--output",
            metavar="FILE",
            help="Output file, or the output folder for several files. Default: standard output.",
        ),
    ] = None,
    format: Annotated[
        Format,
        option(
            "--format",
            help="Output format. text: one translation per line. jsonl: objects with n-best lists, scores, pieces and "
            "quality flags. tsv, moses: n-best lists. Default: text.",
        ),
    ] = "text",
    alignment: Annotated[
        Literal["hard", "soft"] | None,
        option(
            "--alignment",
            help="Add the word alignment from attention. hard: the source piece with the most attention for each "
            "target piece, or words in tsv and moses. soft: all attention weights, in jsonl only. Default: no "
            "alignment.",
        ),
    ] = None,
    mbr: MinimumBayesRisk = None,
    prefixes: Prefixes = None,
    required: Required = None,
    avoid: Avoid = None,
    terminology: TerminologyFile = None,
    *,
    decoding: dict[str, Any],
    processes: Annotated[
        int | None,
        option(
            "--processes",
            metavar="<int>",
            min=1,
            help="Number of processes, each with its own copy of the model and one thread. For large files on machines "
            "with many cores. Default: 1.",
            rich_help_panel="Computation",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        option(
            "--shard",
            metavar="I/N",
            help="Translate only part I of N: a block of the lines of a text, or some of the files of a folder. "
            "`nmt merge` joins the parts of a text. Default: everything.",
            rich_help_panel="Computation",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        option(
            "--ray",
            metavar="ADDRESS",
            help="Translate on a Ray cluster. auto: the running one. local: a new one on this machine. Otherwise its "
            "address, such as HOST:6379. --processes limits the workers. Default: no cluster.",
            rich_help_panel="Computation",
        ),
    ] = None,
    fill: Annotated[
        Literal["missing", "unfinished", "all"] | None,
        option(
            "--fill",
            help="Units of a document to translate. missing: those without a translation. unfinished: also fuzzy "
            "messages of PO and unfinished states of XLIFF. all: every unit. Default: missing.",
            rich_help_panel=DOCUMENTS,
        ),
    ] = None,
    source_language: Annotated[
        str | None,
        option(
            "--source-language",
            metavar="CODE",
            help="Source language of a document, if its code is not that of the model.",
            rich_help_panel=DOCUMENTS,
        ),
    ] = None,
    target_language: Annotated[
        str | None,
        option(
            "--target-language",
            metavar="CODE",
            help="Target language of a document, if its code is not that of the model.",
            rich_help_panel=DOCUMENTS,
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        option(
            "--encoding",
            metavar="NAME",
            help="Encoding of a document, such as cp1252. Default: what the document declares, or UTF-8.",
            rich_help_panel=DOCUMENTS,
        ),
    ] = None,
    for_review: Annotated[
        bool | None,
        option(
            "--for-review/--no-for-review",
            help="Mark the filled translations as unreviewed: the flag fuzzy in PO, the state needs-review-translation "
            "in XLIFF 1, the state translated in XLIFF 2. Default: off, flags and states stay as they are.",
            rich_help_panel=DOCUMENTS,
        ),
    ] = None,
    resume: Annotated[bool, option("--resume", help="Continue an unfinished output file of the same command.")] = False,
    strict: Annotated[
        bool,
        option(
            "--strict",
            help="Refuse a line that is not UTF-8. Default: its bad bytes are read as U+FFFD, with a warning.",
        ),
    ] = False,
    progress: Annotated[
        bool | None,
        option(
            "--progress/--no-progress",
            help="Show the progress on standard error. Default: on with -o in a terminal.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Translate text line by line, a document, or many files.

    The output has exactly one line per input line, in the same order. In a document (PO, XLIFF, TMX, SRT) only the
    translations are filled in, and everything else stays byte for byte. Decoding options that are not given have the
    values stored in the model. The defaults below apply to models that store no other value.

    With several files or --shard, the same command resumes after an interruption: finished files are skipped.

    For example:

      echo "A sentence." | nmt translate
      nmt translate --model runs/quickstart news.en -o news.de
      nmt translate -m runs/seed-1 -m runs/seed-2 --mbr chrf news.en -o news.de
      nmt translate news.en --format jsonl --n-best 5 > news.jsonl
      nmt translate news.en --terminology terms.tsv --avoid words.txt
      nmt translate mono.de --sampling --top-k 10 -o mono.sampled.en
      nmt translate big.en.gz -o big.de.gz --processes 8 --resume
      nmt translate messages.po -o messages.de.po
      nmt translate news/ -o news.de/
      nmt translate big.en -o big.de --shard 3/40
    """
    files = files or [STANDARD_STREAM]
    bulk = find_input(files, output, shard) if is_bulk(files, output, shard) else None
    document = DocumentOptions(fill, source_language, target_language, encoding, for_review)
    sources = files if bulk is None else [task.source for task in bulk.tasks]
    lines_only = {
        f"--format {format}": format != "text",
        "--alignment": alignment is not None,
        "--n-best": (decoding["n_best"] or 1) > 1 and mbr is None,
        "--prefixes": prefixes is not None,
        "--required": required is not None,
    }
    if bulk is None:
        lines_only |= {
            "--processes": (processes or 1) > 1,
            "--ray": ray is not None,
            "--resume": resume,
            "--strict": strict,
        }
    _check_documents(sources, document, [name for name, is_given in lines_only.items() if is_given])
    several = f"--ray {ray}" if ray is not None else "--processes" if (processes or 1) > 1 else None
    _check(format, mbr, alignment, decoding, several=several)
    if resume and (output is None or overwrite):
        raise UsageError("--resume requires -o FILE and excludes --overwrite.")
    if ray is not None and output is None:
        raise UsageError("--ray requires -o.")
    shown = sys.stderr is not None and sys.stderr.isatty() and output is not None if progress is None else progress
    constraints = ConstraintFiles(prefixes=prefixes, required=required, avoid=avoid, terminology=terminology)
    if bulk is None:
        _check_output(files[0], output, overwrite=overwrite or resume)
    elif shard is None or len(bulk.tasks) != 1 or bulk.tasks[0].shard is None:
        constraints.require_one_text()
    paths = find_models(models or None)
    from nmt.cli.line_writer import WriterMaker
    from nmt.cli.text_translation import Workers, translate_text
    from nmt.inference.output.formats import Layout

    maker = WriterMaker(paths, model_weights or None, mbr, decoding, Layout(format, alignment), constraints)
    workers = Workers(processes, ray)
    if bulk is not None:
        from nmt.cli.bulk_translation import BulkOptions, translate_files

        options = BulkOptions(bulk.folder, document, strict=strict, overwrite=overwrite, progress=shown)
        translate_files(maker, bulk, options, workers)
    elif document_kind(files[0]) is not None:
        translate_document(maker, files[0], output or STANDARD_STREAM, document, show_progress=shown)
    else:
        translate_text(
            maker, files[0], output or STANDARD_STREAM, workers, resume=resume, strict=strict, progress=shown
        )


def _check_documents(sources: Sequence[Path], options: DocumentOptions, lines_only: Sequence[str]) -> None:
    """Check that the options fit the kinds of the files.

    Args:
        sources: the files.
        options: the options of documents.
        lines_only: names of given options that require text.
    """
    documents = {source: kind for source in sources if (kind := document_kind(source)) is not None}
    if not documents and sources:
        options.require_document(sources[0])
    for file, kind in documents.items():
        if options.for_review and kind not in REVIEWED_KINDS:
            raise UsageError(f"--for-review requires {' or '.join(REVIEWED_KINDS)}, but {file} is {kind}.")
        for name in lines_only:
            raise UsageError(f"{name} requires a text file, but {file} is a document ({kind}).")


def _check_output(file: Path, output: Path | None, *, overwrite: bool) -> None:
    """Check that the output may be written, and announce that lines are read from a terminal."""
    if output is not None:
        check_not_input(output, [file])
        require_new_file(output, overwrite=overwrite)
    if file == STANDARD_STREAM and sys.stdin is not None and sys.stdin.isatty():
        logger.info("Type one sentence per line. Ctrl-D ends the input.")


def _check(
    format: Format, mbr: str | None, alignment: str | None, decoding: Mapping[str, Any], *, several: str | None
) -> None:
    """Check that the options fit together."""
    n_best = decoding["n_best"]
    if n_best is not None and n_best > 1 and format == "text" and mbr is None:
        raise UsageError(f"--n-best {n_best} requires --format jsonl, tsv or moses: text has one translation per line.")
    if alignment is not None and format == "text":
        raise UsageError("--alignment requires --format jsonl, tsv or moses. `nmt attention` shows alignments too.")
    if alignment == "soft" and format != "jsonl":
        raise UsageError(f"--alignment soft requires --format jsonl: {format} has hard alignments only.")
    if several is not None and decoding["threads"] is not None:
        raise UsageError(f"{several} excludes --threads: each process computes with one thread.")
    if several is not None and decoding["device"] == "cuda":
        raise UsageError(f"{several} excludes --device cuda: it is for processors only.")
