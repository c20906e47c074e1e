"""Bars in Moses n-best lists, whose fields stand between ` ||| `. Needs neither torch nor numpy.

Three bars in a row would end the text; they are written as Moses itself writes bars, `&#124;`. So that every text comes
back as it was, one that has `&#124;` itself is written with `&amp;#124;`, and so on.
"""

from __future__ import annotations

import re

BAR = "&#124;"
ESCAPED = re.compile("&((?:amp;)*#124;)")
ESCAPED_TWICE = re.compile("&amp;((?:amp;)*#124;)")


def escape_bars(text: str) -> str:
    """Return a text as it stands in a list."""
    return ESCAPED.sub(r"&amp;\1", text).replace("|||", BAR * 3)


def restore_bars(text: str) -> str:
    """Return the text that stands in a list; all escaped bars are bars again, as other tools escape single ones too."""
    return ESCAPED_TWICE.sub(r"&\1", text.replace(BAR, "|"))
