"""How translations are written: plain text, JSON, or the n-best lists that other tools read.

text    the best translation, a line
jsonl   an object for each line: source, translation, all candidates with scores and pieces, flags
tsv     a line for each candidate: line number from 1, rank from 1, score, log-probability, text
moses   a line for each candidate: line number from 0 ||| text ||| logprob= L length= N ||| score

With an alignment, tsv and moses have one more field, between words: `0-0 1-2`, source before target, from 0; jsonl has
the alignment of the pieces.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nmt.inference.attention_map import pharaoh
from nmt.inference.output.moses import escape_bars
from nmt.inference.output.quality_flags import find_flags
from nmt.inference.results import Hypothesis, Translation

if TYPE_CHECKING:
    from nmt.data.tokenizer import Tokenizers
    from nmt.inference.aligner import Aligned, Aligner

Format = Literal["text", "jsonl", "tsv", "moses"]
Alignment = Literal["hard", "soft"]
DECIMALS = 5


class OutputLine(NamedTuple):
    """A line and what became of it."""

    number: int
    """From 1."""
    source: str
    translation: Translation


class Layout(NamedTuple):
    """What to write."""

    format: Format
    alignment: Alignment | None
    """hard: the source piece that each target piece looks at most; soft: all weights, in jsonl. None: nothing."""


def write_line(line: OutputLine, layout: Layout, tokenizers: Tokenizers, aligner: Aligner | None) -> str:
    """Return what is written for a line: one line of output or several, each with its end.

    Args:
        line: A line and its translation.
        layout: What to write.
        tokenizers: The subword models that translated it.
        aligner: Needed for an alignment.
    """
    if layout.format == "text":
        return line.translation.text + "\n"
    candidates = line.translation.hypotheses
    found: list[Aligned | None] = [None] * len(candidates)
    if layout.alignment is not None and aligner is not None:
        found = [aligner.align(line.translation.source_parts, candidate.parts) for candidate in candidates]
    if layout.format == "jsonl":
        return json.dumps(_as_object(line, found, layout, tokenizers), ensure_ascii=False) + "\n"
    write = _tsv if layout.format == "tsv" else _moses
    rows = zip(candidates or [_NOTHING], found or [None], strict=True)
    return "".join(write(line.number, rank, *row, layout) + "\n" for rank, row in enumerate(rows, 1))


_NOTHING = Hypothesis("", [], [], 0.0, 0.0, [], True)
"""The only candidate of a blank line, in lists that have at least one for each."""


def _as_object(
    line: OutputLine, aligned: Sequence[Aligned | None], layout: Layout, tokenizers: Tokenizers
) -> dict[str, Any]:
    """Return what JSON has of a line."""
    candidates = zip(line.translation.hypotheses, aligned, strict=True)
    fields: dict[str, Any] = {"source": line.source, "translation": line.translation.text}
    fields["flags"] = find_flags(line.source, line.translation)
    if layout.alignment is not None:
        fields["source_pieces"] = [
            piece for part in line.translation.source_parts for piece in tokenizers.source.pieces(part)
        ]
    fields["hypotheses"] = [_candidate(candidate, found, layout) for candidate, found in candidates]
    return fields


def _candidate(candidate: Hypothesis, aligned: Aligned | None, layout: Layout) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "text": candidate.text,
        "score": candidate.score,
        "log_probability": candidate.log_probability,
        "pieces": candidate.pieces,
        "piece_log_probabilities": candidate.piece_log_probabilities,
    }
    if layout.alignment == "hard":
        fields["alignment"] = [] if aligned is None else aligned.pieces.links()
    elif layout.alignment == "soft":
        rows = [] if aligned is None else aligned.pieces.weights.tolist()
        fields["attention"] = [[round(weight, DECIMALS) for weight in row] for row in rows]
    return fields


def _tsv(number: int, rank: int, candidate: Hypothesis, aligned: Aligned | None, layout: Layout) -> str:
    fields = [str(number), str(rank), f"{candidate.score:.6f}", f"{candidate.log_probability:.6f}", candidate.text]
    return "\t".join([*fields, *_word_links(aligned, layout)])


def _moses(number: int, rank: int, candidate: Hypothesis, aligned: Aligned | None, layout: Layout) -> str:
    """Write a line of a Moses n-best list; three bars in a row in the text would end it, and are escaped."""
    features = f"logprob= {candidate.log_probability:.6f} length= {len(candidate.piece_log_probabilities)}"
    return " ||| ".join(
        [
            str(number - 1),
            escape_bars(candidate.text),
            features,
            f"{candidate.score:.6f}",
            *_word_links(aligned, layout),
        ]
    )


def _word_links(aligned: Aligned | None, layout: Layout) -> list[str]:
    if layout.alignment is None:
        return []
    return ["" if aligned is None else pharaoh(aligned.words.links())]
