"""Protects tags, placeholders, URLs and emoji: they are masked in the source and put back unchanged.

A model with placeholder symbols (`tokenizer.user_symbols`) reads and writes one symbol for each item. Other models read
the text without the items. An item without a symbol in the translation is put where the attention points: between the
translation of the text before it and the translation of the text after it. Closing punctuation stays closing
punctuation.

The mark of an access key (`&File`) is put before a word. In Korean and in languages without spaces between words, the
key follows the label, as is usual there: `文件(&F)`.

S source pieces, T target pieces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.tokenizer import WORD_START, SubwordModel, Tokenizers
from nmt.data.words import is_word
from nmt.inference.constraints import SearchJob
from nmt.inference.protected_items import Kind, find_protected
from nmt.inference.segmentation import one_line

if TYPE_CHECKING:
    from nmt.inference.aligner import Aligner, Weights

# Tags that may be inside a word. All other tags separate the words on their two sides.
INLINE = re.compile(
    r"(?:<|&(?:amp;)*lt;)/?(?:a|abbr|b|code|em|font|g|i|kbd|mark|s|small|span|strong|sub|sup|u|x|[0-9]{1,4})\b",
    re.IGNORECASE,
)
CLOSING_TAG = re.compile(r"(?:<|&(?:amp;)*lt;)/")
HANGUL = re.compile("[\uac00-\ud7a3]")
BYTE_PIECE = re.compile("<0x([0-9A-F]{2})>")


class ProtectedSpan(NamedTuple):
    """An item of the source that must be unchanged in the translation."""

    text: str
    kind: Kind
    offset: int
    """Number of visible characters of the masked text before it."""
    symbol: str | None
    """Its symbol in the masked text. None: it has none."""
    space_before: bool
    space_after: bool


class Masked(NamedTuple):
    """A text as the model reads it, and its protected items in order."""

    text: str
    spans: list[ProtectedSpan]


def mask(text: str, symbols: Sequence[str]) -> Masked:
    """Mask the items of a text that must be protected.

    Args:
        text: One line.
        symbols: Placeholder symbols, each one piece of the model. Symbols that occur in the text are not used.
    """
    items = find_protected(text)
    if not items:
        return Masked(text, [])
    free = iter([symbol for symbol in symbols if symbol not in text])
    spans: list[ProtectedSpan] = []
    kept: list[str] = []
    end = visible = 0
    for span, kind, start in items:
        between = text[end:start]
        _append(kept, between)
        visible += visible_length(between)
        end = start + len(span)
        after = text[end : end + 1]
        symbol = None if kind == "access key" else next(free, None)
        spans.append(
            ProtectedSpan(
                span, kind, visible, symbol, start == 0 or text[start - 1].isspace(), not after or after.isspace()
            )
        )
        if symbol is not None:
            kept.append(symbol)
            visible += len(symbol)
        elif kind == "access key" or INLINE.match(span):
            continue
        elif kept and is_word(kept[-1][-1]) and after and is_word(after):
            kept.append(" ")
    _append(kept, text[end:])
    return Masked("".join(kept).strip(), spans)


def _append(kept: list[str], text: str) -> None:
    """Append text, and close the gap of a removed item: one space, or none before punctuation."""
    if kept and kept[-1][-1].isspace() and (text[:1].isspace() or text[:1] in tuple(".,;:!?…")):
        kept[-1:] = filter(None, [kept[-1].rstrip()])
    if text:
        kept.append(text)


def visible_length(text: str) -> int:
    """Count the characters that are not spaces."""
    return len(text) - sum(map(str.isspace, text))


class PieceTranslation(NamedTuple):
    """A translation as pieces, with its source pieces and attention."""

    source: list[str]
    """Source pieces."""
    ids: list[int]
    """Target ids, without EOS."""
    weights: NDArray[np.float32]
    """Attention weights [T, S], without EOS on both sides."""


def restore(
    text: str, spans: Sequence[ProtectedSpan], target: PieceTranslation, subwords: SubwordModel, *, spaces: bool
) -> str:
    """Return the text of a translation with each protected item of its source once.

    Args:
        text: The masked source.
        spans: The protected items in order, with offsets in `text`.
        target: The translation.
        subwords: The subword model of the target side.
        spaces: Whether the target language puts spaces between words.
    """
    pieces = subwords.pieces(target.ids)
    keys = [span for span in spans if span.kind == "access key" and (not spaces or HANGUL.search("".join(pieces)))]
    spans = [span for span in spans if span not in keys]
    translated = {span.symbol for span in spans if span.symbol is not None and pieces.count(span.symbol) == 1}
    unmatched = {span.symbol for span in spans if span.symbol is not None} - translated
    missing = [span for span in spans if span.symbol not in translated]
    ends = _piece_ends(target.source, visible_length(text))
    allowed = [index for index in range(len(pieces) + 1) if _is_boundary(pieces, index, spaces=spaces)]
    gaps = [_pieces_before(ends, span.offset) for span in missing]
    closing = _closing(target.source)
    if closing < len(target.source):
        target_closing = max(index for index in allowed if index <= _closing(pieces))
        candidates = [_same_side(allowed, target_closing, distance=gap - closing) for gap in gaps]
    else:
        candidates = [allowed for _ in gaps]
    candidates = [
        _word_starts(pieces, each) if span.kind == "access key" else each
        for span, each in zip(missing, candidates, strict=True)
    ]
    places = [_split_point(target.weights, gap, each) for gap, each in zip(gaps, candidates, strict=True)]
    restored = ""
    bounds = sorted({0, *places, len(pieces)})
    for start, end in pairwise([*bounds, len(pieces)]):
        between = zip(target.ids[start:end], pieces[start:end], strict=True)
        decoded = subwords.decode([[id for id, piece in between if piece not in unmatched]])[0].strip()
        run = [span for span, place in zip(missing, places, strict=True) if place == start]
        word_boundary = start in (0, len(pieces)) or pieces[start].startswith(WORD_START)
        restored = _insert(restored, run, decoded, word_boundary=word_boundary, spaces=spaces)
    for span in spans:
        if span.symbol in translated:
            restored = restored.replace(str(span.symbol), span.text, 1)
    for span in keys:
        restored = _with_key(restored, span.text + "".join(text.split())[span.offset :][:1])
    return restored


def _with_key(label: str, key: str) -> str:
    """Return a label with an access key in brackets behind its last letter: `文件(&F)...`."""
    end = next((index for index in reversed(range(len(label))) if label[index].isalnum() or label[index] in ")]}>"), -1)
    return f"{label[: end + 1]}({key.upper()}){label[end + 1 :]}"


def _word_starts(pieces: Sequence[str], allowed: Sequence[int]) -> Sequence[int]:
    """Return the `allowed` indices where a word begins; the first index if there is none."""
    starts = [index for index in allowed if index < len(pieces) and pieces[index].lstrip(WORD_START)[:1].isalpha()]
    return starts or [0]


def _piece_ends(pieces: Sequence[str], visible: int) -> NDArray[np.float64]:
    """Return the number of visible characters of the text up to the end of each piece.

    Normalization may change the number of characters a little: the counts are scaled to fit.
    """
    lengths = []
    for piece in pieces:
        byte = BYTE_PIECE.fullmatch(piece)
        # The first byte of a character counts for all of its bytes.
        inside = byte is not None and 0x80 <= int(byte[1], 16) < 0xC0
        lengths.append(int(not inside) if byte else visible_length(piece.replace(WORD_START, " ")))
    ends = np.cumsum(lengths, dtype=np.float64)
    return ends * (visible / ends[-1]) if len(ends) and ends[-1] else ends


def _pieces_before(ends: NDArray[np.float64], offset: int) -> int:
    """Return the number of pieces that end at or before `offset`."""
    return int(np.searchsorted(ends, offset + 0.5)) if offset else 0


def _is_boundary(pieces: Sequence[str], index: int, *, spaces: bool) -> bool:
    """Return whether an item may be inserted before a piece, because it would not split a word."""
    if index in (0, len(pieces)) or pieces[index].startswith(WORD_START):
        return True
    if BYTE_PIECE.fullmatch(pieces[index]) or BYTE_PIECE.fullmatch(pieces[index - 1]):
        return False
    return not spaces or not (pieces[index][0].isalnum() and pieces[index - 1][-1].isalnum())


def _closing(pieces: Sequence[str]) -> int:
    """Return the index where the closing punctuation of a text begins."""
    index = len(pieces)
    while index > 0 and _is_punctuation(pieces[index - 1]):
        index -= 1
    return index


def _is_punctuation(piece: str) -> bool:
    bare = piece.replace(WORD_START, "")
    return bare != "" and not any(map(str.isalnum, bare))


def _same_side(allowed: Sequence[int], closing: int, *, distance: int) -> Sequence[int]:
    """Return the `allowed` indices on the same side of the closing punctuation as in the source.

    Attention alone is not reliable there: the attention of a full stop is often arbitrary.

    Args:
        allowed: Indices where an item may be inserted, including `closing`.
        closing: The index where the closing punctuation of the target begins.
        distance: The item's distance from the closing punctuation of the source: negative before it, 0 right before it.
    """
    if distance == 0:
        return [closing]
    return [index for index in allowed if (index <= closing if distance < 0 else index >= closing)]


def _split_point(weights: NDArray[np.float32], gap: int, allowed: Sequence[int]) -> int:
    """Return the index in the target for an item before source piece `gap`.

    At this index the least attention crosses: from the target before it to the source after the gap, and from the
    target after it to the source before the gap. A later gap never has an earlier index, so items keep their order and
    tags stay nested.
    """
    if gap == 0 or gap >= weights.shape[1]:
        return allowed[0 if gap == 0 else -1]
    left, right = weights[:, :gap].sum(axis=1), weights[:, gap:].sum(axis=1)  # [T] each
    costs = np.concatenate([[0.0], np.cumsum(right - left, dtype=np.float64)])  # [T + 1]
    return allowed[int(np.argmin(np.round(costs[list(allowed)], 6)))]


def _insert(left: str, run: Sequence[ProtectedSpan], right: str, *, word_boundary: bool, spaces: bool) -> str:
    """Join two texts with adjacent items between them, with the spaces that they need.

    Args:
        left: The text so far.
        run: At least one item, or none if `left` is empty.
        right: The text after the items.
        word_boundary: Whether there is a space between the texts without the items.
        spaces: Whether the target language puts spaces between words.
    """
    if not run:
        return left + right
    inner = run[0].text
    for span, following in pairwise(run):
        inner += (" " if _space_between(span, following, spaces=spaces) else "") + following.text
    before = left != "" and _space_before(run[0], left, spaces=spaces)
    after = right != "" and _space_after(run[-1], right, word_boundary=word_boundary, spaces=spaces)
    if left and right and word_boundary and spaces and not (before or after):
        after = CLOSING_TAG.match(run[-1].text) is not None
        before = not after
    return left + " " * before + inner + " " * after + right


def _space_between(span: ProtectedSpan, following: ProtectedSpan, *, spaces: bool) -> bool:
    """Return whether two adjacent items need a space: as in the source, or because their words were between them."""
    if span.space_after or following.space_before:
        return True
    if span.kind == "access key":
        return False
    kinds = (span.kind, following.kind)
    return following.offset > span.offset and "tag" not in kinds and (spaces or "url" in kinds)


def _space_before(span: ProtectedSpan, left: str, *, spaces: bool) -> bool:
    if spaces and span.space_before:
        return True
    return span.kind != "tag" and ((spaces and left[-1].isalnum()) or _joins(span, left[-1]))


def _space_after(span: ProtectedSpan, right: str, *, word_boundary: bool, spaces: bool) -> bool:
    if span.kind == "access key":
        return False
    if spaces and span.space_after and (word_boundary or right[0].isalnum()):
        return True
    return span.kind != "tag" and ((spaces and right[0].isalnum()) or _joins(span, right[0]))


def _joins(span: ProtectedSpan, neighbour: str) -> bool:
    """Return whether a character beside an item would be read as part of it, even in a language without spaces."""
    if not neighbour.isascii() or span.kind in ("emoji", "access key"):
        return False
    return neighbour.isalnum() or neighbour in ("_/%@+&=#~$" if span.kind == "url" else "_")


class SourceSegment(NamedTuple):
    """A segment of a line, which is translated separately."""

    text: str
    """The masked text."""
    job: SearchJob
    """Its source ids and constraints."""
    spans: tuple[ProtectedSpan, ...]
    """The protected items that were masked; offsets are those in `text`."""


class PlaceholderRestorer:
    """Decodes translations, and puts the protected items of their source back."""

    def __init__(self, tokenizers: Tokenizers, aligner: Aligner | None, *, spaces: bool) -> None:
        """Configure the restoration.

        Args:
            tokenizers: The subword models of both sides.
            aligner: Computes the attention of translations. None: a diagonal alignment is assumed.
            spaces: Whether the target language puts spaces between words.
        """
        self._source = tokenizers.source
        self._right_to_left = tokenizers.target.right_to_left
        self._target = tokenizers.with_direction(right_to_left=False).target
        self._aligner = aligner
        self._spaces = spaces

    def texts(self, translations: Sequence[tuple[SourceSegment, list[int]]]) -> list[str]:
        """Return the text of each translation, given as a segment and target ids."""
        if self._aligner is None:
            rows = [_diagonal(len(segment.job.ids), len(ids)) for segment, ids in translations]
        else:
            from nmt.inference.forced_decoding import IdPair  # only protected items need it

            rows = self._aligner.weights([IdPair(list(segment.job.ids), ids) for segment, ids in translations])
        texts = []
        for (segment, ids), weights in zip(translations, rows, strict=True):
            in_text_order = ids[::-1] if self._right_to_left else ids
            target = PieceTranslation(self._source.pieces(segment.job.ids), in_text_order, weights[:-1, :-1])
            texts.append(one_line(restore(segment.text, segment.spans, target, self._target, spaces=self._spaces)))
        return texts


def _diagonal(source: int, target: int) -> Weights:
    """Return a diagonal alignment as weights [T, S], both with EOS."""
    weights = np.zeros((target + 1, source + 1), dtype=np.float32)  # [T, S]
    positions = (np.arange(target) + 0.5) * source / max(target, 1)
    weights[np.arange(target), positions.astype(int)] = 1
    weights[target, source] = 1
    return weights


def distribute(spans: Sequence[ProtectedSpan], texts: Sequence[str]) -> list[tuple[ProtectedSpan, ...]]:
    """Return the spans of each segment of a text, with offsets in the segment.

    A span between two segments belongs to the second; a closing tag belongs to the first.
    """
    by_segment: list[list[ProtectedSpan]] = [[] for _ in texts]
    starts = [0]
    for text in texts:
        starts.append(starts[-1] + visible_length(text))
    segment = 0
    for span in spans:
        closing = CLOSING_TAG.match(span.text) is not None
        while segment < len(texts) - 1 and span.offset >= starts[segment + 1] + closing:
            segment += 1
        by_segment[segment].append(span._replace(offset=min(span.offset, starts[segment + 1]) - starts[segment]))
    return [tuple(row) for row in by_segment]
