"""Common style of all matplotlib figures, and their conversion to image files."""

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
MAX_PIXELS = 20_000
"""Largest width or height of a PNG. Larger figures get a lower resolution."""


@contextmanager
def plot_style(families: Sequence[str]) -> Iterator[None]:
    """Apply the style during the block: dark on white, independent of the user's matplotlib settings.

    Args:
        families: Font families, in the order in which they are searched for a glyph. With `sans-serif` among them, the
            text of an SVG is text, in the fonts of the program that shows it. Otherwise, its glyphs are shapes.
    """
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
        "svg.fonttype": "none" if "sans-serif" in families else "path",
        "svg.hashsalt": "nmt",  # makes the bytes of an SVG reproducible
    }
    with matplotlib.rc_context(), warnings.catch_warnings():
        # `Fonts` gives better warnings about missing glyphs and scripts that need shaping.
        for text in (r"(?s).*Glyph.*missing", "Matplotlib currently does not support"):
            warnings.filterwarnings("ignore", message=text, category=UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)
        yield


def render(figure: Figure, *, format: ImageFormat) -> bytes:
    """Return a figure as the bytes of an image file. Must be called inside the `plot_style` of the figure."""
    stream = io.BytesIO()
    inches = max(figure.get_size_inches())
    figure.savefig(
        stream,
        format=format,
        dpi=min(DOTS_PER_INCH, MAX_PIXELS / inches),
        bbox_inches="tight",
        pad_inches=0.15,
        metadata={"Date": None} if format == "svg" else {"Software": None},
    )
    return stream.getvalue()
