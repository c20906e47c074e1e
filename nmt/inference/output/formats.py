"""Output formats: plain text, JSON Lines, and n-best lists.

text    one line: the best translation
jsonl   one object per line: source, translation, quality flags, all hypotheses with scores and pieces
tsv     one line per hypothesis: line number from 1, rank from 1, score, log-probability, text
moses   one line per hypothesis: line number from 0 ||| text ||| logprob= L length= N ||| score

With --alignment, tsv and moses have one more field with the alignment of words: `0-0 1-2`, source before target,
counted from 0. jsonl has the alignment of pieces.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nmt.inference.attention_map import pharaoh
from nmt.inference.output.moses import escape_bars
from nmt.inference.results import Hypothesis, Translation

if TYPE_CHECKING:
    from nmt.data.tokenizer import Tokenizers
    from nmt.inference.aligner import Aligned, Aligner

Format = Literal["text", "jsonl", "tsv", "moses"]
Alignment = Literal["hard", "soft"]
DECIMALS = 5


class Layout(NamedTuple):
    """The format of the output, and the alignments in it."""

    format: Format
    alignment: Alignment | None
    """hard: for each target piece the source piece with the most attention. soft: all weights, in jsonl. None: none."""


def format_translation(
    translation: Translation, layout: Layout, tokenizers: Tokenizers, aligner: Aligner | None
) -> str:
    """Return the output of a line: one or several lines of text, each with its line break.

    Args:
        translation: The translation of the line.
        layout: The format.
        tokenizers: The subword models of the translator.
        aligner: Required for alignments.
    """
    if layout.format == "text":
        return translation.text + "\n"
    hypotheses = translation.hypotheses
    aligned: list[Aligned | None] = [None] * len(hypotheses)
    if layout.alignment is not None and aligner is not None:
        segments = translation.source_segments
        aligned = [aligner.align(segments, each.segments, (translation.source, each.text)) for each in hypotheses]
    if layout.format == "jsonl":
        return json.dumps(_json_object(translation, aligned, layout, tokenizers), ensure_ascii=False) + "\n"
    write = _tsv if layout.format == "tsv" else _moses
    rows = zip(hypotheses or [_BLANK], aligned or [None], strict=True)
    return "".join(write(translation.line, rank, *row, layout) + "\n" for rank, row in enumerate(rows, 1))


_BLANK = Hypothesis("", [], [], 0.0, 0.0, [], True)
"""The hypothesis of a blank line in n-best lists, which need at least one per line."""


def _json_object(
    translation: Translation, aligned: Sequence[Aligned | None], layout: Layout, tokenizers: Tokenizers
) -> dict[str, Any]:
    from nmt.inference.output.quality_flags import find_flags  # the other formats have no flags

    fields: dict[str, Any] = {"source": translation.source, "translation": translation.text}
    fields["flags"] = find_flags(translation)
    if layout.alignment is not None:
        fields["source_pieces"] = [
            piece for segment in translation.source_segments for piece in tokenizers.source.pieces(segment)
        ]
    pairs = zip(translation.hypotheses, aligned, strict=True)
    fields["hypotheses"] = [_json_hypothesis(hypothesis, each, layout) for hypothesis, each in pairs]
    return fields


def _json_hypothesis(hypothesis: Hypothesis, aligned: Aligned | None, layout: Layout) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "text": hypothesis.text,
        "score": hypothesis.score,
        "log_probability": hypothesis.log_probability,
        "pieces": hypothesis.pieces,
        "piece_log_probabilities": hypothesis.piece_log_probabilities,
    }
    if layout.alignment == "hard":
        fields["alignment"] = [] if aligned is None else aligned.pieces.links()
    elif layout.alignment == "soft":
        rows = [] if aligned is None else aligned.pieces.weights.tolist()
        fields["attention"] = [[round(weight, DECIMALS) for weight in row] for row in rows]
    return fields


def _tsv(number: int, rank: int, hypothesis: Hypothesis, aligned: Aligned | None, layout: Layout) -> str:
    numbers = [str(number), str(rank), f"{hypothesis.score:.6f}", f"{hypothesis.log_probability:.6f}"]
    fields = [*numbers, hypothesis.text]
    return "\t".join([*fields, *_word_links(aligned, layout)])


def _moses(number: int, rank: int, hypothesis: Hypothesis, aligned: Aligned | None, layout: Layout) -> str:
    """Return a line of a Moses n-best list, with ||| in the text escaped."""
    features = f"logprob= {hypothesis.log_probability:.6f} length= {len(hypothesis.piece_log_probabilities)}"
    return " ||| ".join(
        [
            str(number - 1),
            escape_bars(hypothesis.text),
            features,
            f"{hypothesis.score:.6f}",
            *_word_links(aligned, layout),
        ]
    )


def _word_links(aligned: Aligned | None, layout: Layout) -> list[str]:
    if layout.alignment is None:
        return []
    return ["" if aligned is None else pharaoh(aligned.words.links())]
