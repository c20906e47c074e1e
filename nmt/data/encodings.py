"""Suggestions of the encoding of a text that is not UTF-8. They are for messages: no text is decoded by a guess."""

from __future__ import annotations

import codecs
import re

SAMPLE_BYTES = 1 << 16
LATIN_LETTERS = {
    "CP1252": "àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßœš«»“”‘’–—…¿¡°",
    "CP1250": "ąćęłńóśźżáčďéěíňřšťúůýžőűöüäăâîşţ„”–…",
    "CP1254": "çğıİöşüâîû“”‘’…",
    "CP1257": "āčēģīķļņšūžąęėįųõäöü„“–…",
}
"""Letters and marks beyond ASCII that are common in texts of each encoding, the most likely encoding first."""
MARKS = ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))


def suggest_encoding(data: bytes) -> str | None:
    """Return the likely encoding of a text, as iconv and Python name it; None if nothing is likely.

    Args:
        data: The text, or its beginning. Only the first 64 KiB are read.
    """
    for mark, name in MARKS:
        if data.startswith(mark):
            return name
    sample = data[:SAMPLE_BYTES]
    from charset_normalizer import from_bytes  # an error message is worth the import, a plain run is not

    best = from_bytes(sample).best()
    if best is None or best.encoding in ("utf_8", "ascii"):
        return None
    if _is_latin(sample):
        return max(LATIN_LETTERS, key=lambda name: _count_letters(sample, name))
    return best.encoding.replace("_", "-").upper()


def _is_latin(data: bytes) -> bool:
    """Whether most bytes beyond ASCII stand alone, as accented letters do."""
    runs = re.findall(rb"[\x80-\xff]+", data)
    return sum(len(run) == 1 for run in runs) > len(runs) / 2


def _count_letters(data: bytes, encoding: str) -> int:
    """Count the letters that are common in texts of an encoding, if the data has this encoding."""
    text = data.decode(encoding, "replace").lower()
    return sum(character in LATIN_LETTERS[encoding] for character in text)
