"""Tags, placeholders and URLs on their way through translation: taken out of the source, put back unchanged.

A model that has symbols for them (`tokenizer.user_symbols`) reads and writes one in place of each. Another reads the
text without them. Whatever has no symbol in the translation is put where the attention says: between what was
translated from the text before it, and what was translated from the text behind it. Closing punctuation corresponds to
closing punctuation.

S source pieces, T target pieces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.tokenizer import WORD_START, SubwordModel, Tokenizers
from nmt.inference.aligner import Aligner, Weights
from nmt.inference.constraints import SearchJob
from nmt.inference.forced_decoding import IdPair
from nmt.inference.segmentation import one_line

Kind = Literal["tag", "placeholder", "url"]

# Each can be read in one pass from left to right, so that hostile lines take no longer than others.
URL = r"(?:https?|ftp)://[!#-;=?-~]+|(?<![\w.])www\.[!#-;=?-~]+|(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+"
TAG = r"<!--[^<>]*-->|</?[A-Za-z][\w:.-]*(?:\s[^<>]*)?/?>"
PLACEHOLDER = (
    r"\{\{[^{}]{0,80}\}\}|[$%#]?\{[^{}\s]{0,80}\}|%\(\w{1,80}\)[a-z]"
    r"|(?<![\w%])%(?:\d{1,3}\$)?[-+0#]?\d{0,3}(?:\.\d{1,3})?[sdifgxu@](?!\w)"
    r"|&(?:[A-Za-z][A-Za-z0-9]{1,30}|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});|(?<!\w)__[A-Za-z][A-Za-z0-9_]{0,80}__(?!\w)"
)
PROTECTED = re.compile(f"(?P<url>{URL})|(?P<tag>{TAG})|(?P<placeholder>{PLACEHOLDER})")
BEHIND_URL = ".,;:!?'’…*_~)]}"
BRACKETS = {")": "(", "]": "[", "}": "{"}

# Tags that stand inside of words and between them; all others part the words on their two sides.
INLINE = re.compile(r"</?(?:a|abbr|b|code|em|font|g|i|kbd|mark|s|small|span|strong|sub|sup|u|x)\b", re.IGNORECASE)
BYTE_PIECE = re.compile("<0x([0-9A-F]{2})>")


class ProtectedSpan(NamedTuple):
    """Something that must come through unchanged."""

    text: str
    kind: Kind
    offset: int
    """How many visible characters of the masked text are before it."""
    symbol: str | None
    """What stands for it in the masked text; None: nothing does."""
    space_before: bool
    space_after: bool


class Masked(NamedTuple):
    """A text as the model reads it, and what was taken out of it, in order."""

    text: str
    spans: list[ProtectedSpan]


def find_protected(text: str) -> list[tuple[str, Kind, int]]:
    """Return what must come through translation unchanged: its text, its kind, and where it starts."""
    found: list[tuple[str, Kind, int]] = []
    for match in PROTECTED.finditer(text):
        kind: Kind = "url" if match["url"] else "tag" if match["tag"] else "placeholder"
        span = _without_punctuation(match[0]) if kind == "url" else match[0]
        found.append((span, kind, match.start()))
    return found


def _without_punctuation(url: str) -> str:
    """Return a URL without the punctuation of the sentence it stands in."""
    end = len(url)
    while end > 1 and url[end - 1] in BEHIND_URL:
        opening = BRACKETS.get(url[end - 1])
        if opening is not None and url.count(opening, 0, end) >= url.count(url[end - 1], 0, end):
            break
        end -= 1
    return url[:end]


def mask(text: str, symbols: Sequence[str]) -> Masked:
    """Take out of a text what must come through unchanged.

    Args:
        text: One line.
        symbols: Strings that are one piece of the model each; one that is in the text anyway stands for nothing else.
    """
    found = find_protected(text)
    if not found:
        return Masked(text, [])
    free = iter([symbol for symbol in symbols if symbol not in text])
    spans: list[ProtectedSpan] = []
    kept: list[str] = []
    place = visible = 0
    for span, kind, start in found:
        between = text[place:start]
        _append(kept, between)
        visible += visible_length(between)
        place = start + len(span)
        after = text[place : place + 1]
        symbol = next(free, None)
        spans.append(
            ProtectedSpan(
                span, kind, visible, symbol, start == 0 or text[start - 1].isspace(), not after or after.isspace()
            )
        )
        if symbol is not None:
            kept.append(symbol)
            visible += len(symbol)
        elif kept and kept[-1][-1].isalnum() and after.isalnum() and not INLINE.match(span):
            kept.append(" ")
    _append(kept, text[place:])
    return Masked("".join(kept).strip(), spans)


def _append(kept: list[str], text: str) -> None:
    """Close the gap that a span has left: one space, and none in front of punctuation."""
    if kept and kept[-1][-1].isspace() and (text[:1].isspace() or text[:1] in tuple(".,;:!?…")):
        kept[-1:] = filter(None, [kept[-1].rstrip()])
    if text:
        kept.append(text)


def visible_length(text: str) -> int:
    """Count the characters that are not spaces."""
    return len(text) - sum(map(str.isspace, text))


class PieceTranslation(NamedTuple):
    """A translation, as pieces, with what it was made from."""

    source: list[str]
    """Source pieces."""
    ids: list[int]
    """Target pieces, without EOS."""
    weights: NDArray[np.float32]
    """[T, S]: how much each target piece looks at each source piece, EOS left out on both sides."""


def restore(
    text: str, spans: Sequence[ProtectedSpan], target: PieceTranslation, subwords: SubwordModel, *, spaces: bool
) -> str:
    """Return a translation with the spans of its source in it, each of them once.

    Args:
        text: The masked source.
        spans: What was taken out of it, in order, with offsets that are those in `text`.
        target: Its translation.
        subwords: Of the target side.
        spaces: Whether the target language puts spaces between words.
    """
    pieces = subwords.pieces(target.ids)
    carried = {span.symbol for span in spans if span.symbol is not None and pieces.count(span.symbol) == 1}
    stray = {span.symbol for span in spans if span.symbol is not None} - carried
    rest = [span for span in spans if span.symbol not in carried]
    ends = _piece_ends(target.source, visible_length(text))
    allowed = [place for place in range(len(pieces) + 1) if _may_part(pieces, place, spaces=spaces)]
    gaps = [_pieces_before(ends, span.offset) for span in rest]
    closing = _closing(target.source)
    if closing < len(target.source):
        closed = max(place for place in allowed if place <= _closing(pieces))
        sides = [_side(allowed, closed, behind=gap - closing) for gap in gaps]
    else:
        sides = [allowed for _ in gaps]
    places = [_separate(target.weights, gap, side) for gap, side in zip(gaps, sides, strict=True)]
    restored = ""
    bounds = sorted({0, *places, len(pieces)})
    for start, end in pairwise([*bounds, len(pieces)]):
        here = zip(target.ids[start:end], pieces[start:end], strict=True)
        decoded = subwords.decode([[number for number, piece in here if piece not in stray]])[0].strip()
        run = [span for span, place in zip(rest, places, strict=True) if place == start]
        parted = start in (0, len(pieces)) or pieces[start].startswith(WORD_START)
        restored = _put(restored, run, decoded, parted=parted, spaces=spaces)
    for span in spans:
        if span.symbol in carried:
            restored = restored.replace(str(span.symbol), span.text, 1)
    return restored


def _piece_ends(pieces: Sequence[str], visible: int) -> NDArray[np.float64]:
    """Return how many visible characters of the text there are up to the end of each piece.

    Normalisation may have made a few more or less of them: the count is stretched to fit.
    """
    lengths = []
    for piece in pieces:
        byte = BYTE_PIECE.fullmatch(piece)
        # Of the bytes of a character the first counts for all.
        inside = byte is not None and 0x80 <= int(byte[1], 16) < 0xC0
        lengths.append(int(not inside) if byte else visible_length(piece.replace(WORD_START, " ")))
    ends = np.cumsum(lengths, dtype=np.float64)
    return ends * (visible / ends[-1]) if len(ends) and ends[-1] else ends


def _pieces_before(ends: NDArray[np.float64], offset: int) -> int:
    """Return how many pieces end at or before `offset`."""
    return int(np.searchsorted(ends, offset + 0.5)) if offset else 0


def _may_part(pieces: Sequence[str], place: int, *, spaces: bool) -> bool:
    """Whether something may be put between two pieces: not into a word."""
    if place in (0, len(pieces)) or pieces[place].startswith(WORD_START):
        return True
    if BYTE_PIECE.fullmatch(pieces[place]) or BYTE_PIECE.fullmatch(pieces[place - 1]):
        return False
    return not spaces or not (pieces[place][0].isalnum() and pieces[place - 1][-1].isalnum())


def _closing(pieces: Sequence[str]) -> int:
    """Return where the punctuation that ends a text begins."""
    place = len(pieces)
    while place > 0 and _is_punctuation(pieces[place - 1]):
        place -= 1
    return place


def _is_punctuation(piece: str) -> bool:
    bare = piece.replace(WORD_START, "")
    return bare != "" and not any(map(str.isalnum, bare))


def _side(allowed: Sequence[int], closing: int, *, behind: int) -> Sequence[int]:
    """Return the `allowed` places before, at or behind the one where the closing punctuation of the target begins.

    What stands in front of that of the source, right in front of it or behind it, shall do so in the target. Attention
    alone does not tell: a full stop may look at anything.

    Args:
        allowed: Places where something may be put, `closing` among them.
        closing: Where closing punctuation begins.
        behind: Negative for what comes before it, 0 for what is right in front of it.
    """
    if behind == 0:
        return [closing]
    return [place for place in allowed if (place <= closing if behind < 0 else place >= closing)]


def _separate(weights: NDArray[np.float32], gap: int, allowed: Sequence[int]) -> int:
    """Return where in the target to put what stands in front of source piece `gap`.

    It is where the least attention crosses over: of the target before it to the source behind the gap, and of the
    target behind it to the source before the gap. A later gap never has an earlier place: the order stays, and so
    tags stay nested.
    """
    if gap == 0 or gap >= weights.shape[1]:
        return allowed[0 if gap == 0 else -1]
    left, right = weights[:, :gap].sum(axis=1), weights[:, gap:].sum(axis=1)
    costs = np.concatenate([[0.0], np.cumsum(right - left, dtype=np.float64)])
    return allowed[int(np.argmin(np.round(costs[list(allowed)], 6)))]


def _put(left: str, run: Sequence[ProtectedSpan], right: str, *, parted: bool, spaces: bool) -> str:
    """Write neighbouring spans between two texts, with spaces where they belong.

    Args:
        left: What is there so far.
        run: At least one span, or none if `left` is empty.
        right: What comes behind them.
        parted: Whether there is a space between the texts without the spans.
        spaces: Whether the target language puts spaces between words.
    """
    if not run:
        return left + right
    inner = run[0].text
    for span, following in pairwise(run):
        inner += (" " if span.space_after or following.space_before else "") + following.text
    before = spaces and left != "" and _space_before(run[0], left)
    after = spaces and right != "" and _space_after(run[-1], right, parted=parted)
    if left and right and parted and spaces and not (before or after):
        before, after = not run[-1].text.startswith("</"), run[-1].text.startswith("</")
    return left + " " * before + inner + " " * after + right


def _space_before(span: ProtectedSpan, left: str) -> bool:
    return span.space_before or (span.kind != "tag" and left[-1].isalnum())


def _space_after(span: ProtectedSpan, right: str, *, parted: bool) -> bool:
    return (span.space_after and (parted or right[0].isalnum())) or (span.kind != "tag" and right[0].isalnum())


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
        closing = span.text.startswith("</")
        while segment < len(texts) - 1 and span.offset >= starts[segment + 1] + closing:
            segment += 1
        by_segment[segment].append(span._replace(offset=min(span.offset, starts[segment + 1]) - starts[segment]))
    return [tuple(row) for row in by_segment]
