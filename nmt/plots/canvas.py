"""What all pictures share: how they look, and how they become bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import matplotlib
from matplotlib.figure import Figure

ImageFormat = Literal["png", "svg"]

INK = "#22303c"
FAINT_INK = "#6b7883"
DOTS_PER_INCH = 160
MOST_PIXELS = 20_000
"""Of either side of a PNG: larger pictures get fewer dots an inch."""


@contextmanager
def style(families: Sequence[str]) -> Iterator[None]:
    """Draw inside with the house's colours and these font families: dark on white, whatever the user has set."""
    settings = {
        "font.family": list(families),
        "font.size": 10.0,
        "text.parse_math": False,  # a dollar sign is a dollar sign
        "text.color": INK,
        "axes.labelcolor": FAINT_INK,
        "axes.edgecolor": FAINT_INK,
        "axes.facecolor": "white",
        "figure.facecolor": "white",
        "xtick.color": INK,
        "ytick.color": INK,
        "svg.hashsalt": "nmt",  # the same picture is the same bytes
    }
    with matplotlib.rc_context(), warnings.catch_warnings():
        # Of characters without a glyph, and of scripts that are not set right, `Fonts` tells in words that help.
        for text in (r"(?s).*Glyph.*missing", "Matplotlib currently does not support"):
            warnings.filterwarnings("ignore", message=text, category=UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        yield


def render(figure: Figure, *, format: ImageFormat) -> bytes:
    """Return a figure, which was drawn inside `style` and still is inside it, as the bytes of a file."""
    stream = io.BytesIO()
    inches = max(figure.get_size_inches())
    figure.savefig(
        stream,
        format=format,
        dpi=min(DOTS_PER_INCH, MOST_PIXELS / inches),
        bbox_inches="tight",
        pad_inches=0.15,
        metadata={"Date": None} if format == "svg" else {"Software": None},
    )
    return stream.getvalue()
