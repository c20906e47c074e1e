"""Protected spans on both sides of a search: masked in the text that is cut into parts, restored in translations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nmt.data.subwords.tokenizer import Tokenizers
from nmt.inference.aligner import Aligner, Weights
from nmt.inference.decoding.composition import NO_WISH, Wish
from nmt.inference.lines.protection import Span, Target, restore, visible_length
from nmt.inference.lines.text import one_line
from nmt.inference.networks.forced import IdPair


class Part(NamedTuple):
    """A part of a line that is translated by itself."""

    text: str
    ids: tuple[int, ...]
    """Its source pieces."""
    spans: tuple[Span, ...]
    """What was taken out of it; offsets are those in `text`."""
    wish: Wish = NO_WISH
    """What is wanted of its translation."""

    @property
    def job(self) -> tuple[tuple[int, ...], Wish]:
        """What a search has to know."""
        return self.ids, self.wish


class Restorer:
    """Writes translations as text with the protected spans of their source."""

    def __init__(self, tokenizers: Tokenizers, aligner: Aligner | None, *, spaces: bool) -> None:
        """Keeps what it is given.

        Args:
            tokenizers: The subword models of both sides.
            aligner: Tells what each target piece looks at. None: the text runs at the same pace on both sides.
            spaces: Whether the target language puts spaces between words.
        """
        self._source = tokenizers.source
        self._right_to_left = tokenizers.target.right_to_left
        self._target = tokenizers.with_direction(right_to_left=False).target
        self._aligner = aligner
        self._spaces = spaces

    def texts(self, translations: Sequence[tuple[Part, list[int]]]) -> list[str]:
        """Return the text of each translation, which is given as a part and its target pieces."""
        if self._aligner is None:
            rows = [_same_pace(len(part.ids), len(ids)) for part, ids in translations]
        else:
            rows = self._aligner.weights([IdPair(list(part.ids), ids) for part, ids in translations])
        found = []
        for (part, ids), weights in zip(translations, rows, strict=True):
            written = ids[::-1] if self._right_to_left else ids
            target = Target(self._source.pieces(part.ids), written, weights[:-1, :-1])
            found.append(one_line(restore(part.text, part.spans, target, self._target, spaces=self._spaces)))
        return found


def _same_pace(source: int, target: int) -> Weights:
    """Return weights [T, S], both with EOS, that run along the diagonal."""
    weights = np.zeros((target + 1, source + 1), dtype=np.float32)
    places = (np.arange(target) + 0.5) * source / max(target, 1)
    weights[np.arange(target), places.astype(int)] = 1
    weights[target, source] = 1
    return weights


def share_out(spans: Sequence[Span], texts: Sequence[str]) -> list[tuple[Span, ...]]:
    """Return the spans of each part of a text, with the offsets there.

    What stands between two parts belongs to the second, but for a closing tag.
    """
    shared: list[list[Span]] = [[] for _ in texts]
    starts = [0]
    for text in texts:
        starts.append(starts[-1] + visible_length(text))
    part = 0
    for span in spans:
        closing = span.text.startswith("</")
        while part < len(texts) - 1 and span.offset >= starts[part + 1] + closing:
            part += 1
        shared[part].append(span._replace(offset=min(span.offset, starts[part + 1]) - starts[part]))
    return [tuple(several) for several in shared]
