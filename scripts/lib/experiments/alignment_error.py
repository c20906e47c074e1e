"""`scripts/alignment_error`: the alignment error rate of trained models."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.alignments import AlignedText, measure_alignment, read_aligned
from experiments.commands import count, run_command
from experiments.markdown import number, table
from nmt.errors import UsageError
from nmt.evaluation.alignment_error import AlignmentScore
from nmt.inference.find_model import find_model
from nmt.inference.model_file import ModelFile, load_model

ABOUT = """\
The alignment error rate (Och & Ney 2003) of attention against gold word alignments. Each model is given source and
reference, and each word of the reference is linked with the source word that it looks at most.

A word of the reference that belongs to several source words can be linked with one of them only: the last line says
what the best choice would score.
"""
DETAILS = """\
The alignment is in Pharaoh format, i-j for source word i and target word j from 0; i?j is a link that is only possible.
By default the text is the first test set of the first model, and its alignment the file beside the source that ends in
.align.
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; exit with code 2 if they make no sense."""
    parser = argparse.ArgumentParser(
        prog="scripts/alignment_error",
        description=ABOUT,
        epilog=DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="a model file or the folder of a run")
    parser.add_argument("--source", type=Path, metavar="FILE", help="another text; with --target and --alignment")
    parser.add_argument("--target", type=Path, metavar="FILE", help="its reference")
    parser.add_argument("--alignment", type=Path, metavar="FILE", help="the gold links of the text")
    parser.add_argument("--threads", type=count, metavar="N", help="processor threads (all cores)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    if (options.source is None) != (options.target is None) or (options.source and options.alignment is None):
        parser.error("--source, --target and --alignment go together")
    return options


def run(options: argparse.Namespace) -> None:
    """Measure, and print.

    Raises:
        NMTError: Something that the user can mend.
    """
    files = [(path, load_model(find_model(path))) for path in options.models]
    text = _read_text(options, files[0][1])
    decoding = {} if options.threads is None else {"threads": options.threads}
    rows = [_row(str(path), file, measure_alignment(file, text, decoding=decoding)) for path, file in files]
    bound = as_dict(text.bound())
    if options.json:
        print(json.dumps({"lines": len(text.pairs), "models": rows, "best_with_one_link": bound}, indent=2))
    else:
        print(_table(rows, bound), end="")


def _read_text(options: argparse.Namespace, file: ModelFile) -> AlignedText:
    if options.source is not None:
        return read_aligned(options.source, options.target, options.alignment)
    tests = file.config.data.test
    if not tests or tests[0].source is None or tests[0].target is None:
        raise UsageError("the first model names no test set of two files; give --source, --target and --alignment")
    source = Path(tests[0].source)
    alignment = options.alignment or source.with_suffix(".align")
    if not alignment.is_file():
        raise UsageError(f"{alignment}: there is no such file; name the gold links of {source} with --alignment")
    return read_aligned(source, Path(tests[0].target), alignment)


def _row(name: str, file: ModelFile, score: AlignmentScore) -> dict[str, Any]:
    guided = file.config.training.guided_alignment.weight > 0
    return {"model": name, "score": file.config.model.attention.score, "guided": guided, **as_dict(score)}


def as_dict(score: AlignmentScore) -> dict[str, Any]:
    """Return a score for JSON."""
    return {
        "aer": score.error_rate,
        "precision": score.precision,
        "recall": score.recall,
        "links": score.predicted,
        "gold_links": score.sure,
    }


def _table(rows: Sequence[dict[str, Any]], bound: dict[str, Any]) -> str:
    cells = [[row["model"], row["score"], "yes" if row["guided"] else "no", *percentages(row)] for row in rows]
    cells.append(["(best with one link a word)", "", "", *percentages(bound)])
    columns = ["model", "score", "guided", "AER %", "precision %", "recall %"]
    return table(columns, cells, texts=3)


def percentages(row: dict[str, Any]) -> list[str]:
    """Return AER, precision and recall in percent."""
    return [number(100 * row[name], 1) for name in ("aer", "precision", "recall")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(lambda: run(parse(arguments)))


if __name__ == "__main__":
    sys.exit(main())
