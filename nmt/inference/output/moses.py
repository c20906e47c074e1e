"""Escapes bars in Moses n-best lists, whose fields are separated by ` ||| `. Imports neither torch nor numpy.

Three bars in a row would end the text. They are escaped as Moses does, as `&#124;`. A text that contains `&#124;` is
written with `&amp;#124;`, and so on, so that every text can be restored.
"""

from __future__ import annotations

import re

BAR = "&#124;"
ESCAPED = re.compile("&((?:amp;)*#124;)")
ESCAPED_TWICE = re.compile("&amp;((?:amp;)*#124;)")


def escape_bars(text: str) -> str:
    """Return a text with ||| escaped."""
    return ESCAPED.sub(r"&amp;\1", text).replace("|||", BAR * 3)


def restore_bars(text: str) -> str:
    """Return an escaped text as it was; single escaped bars become bars too, because other tools write them."""
    return ESCAPED_TWICE.sub(r"&\1", text.replace(BAR, "|"))
