"""Languages of documents and models: whether two codes mean the same language."""

from __future__ import annotations

import re
from typing import NamedTuple

from nmt.data.languages import find_language
from nmt.errors import DataError


class Languages(NamedTuple):
    """The languages of a translation, as codes for the document."""

    source: str
    target: str


def is_same_language(wanted: str, found: str) -> bool:
    """Whether a text in `found` serves for `wanted`: the same language, and no other script or region."""
    if find_language(wanted).code != find_language(found).code:
        return False
    wanted_tags, found_tags = _subtags(wanted), _subtags(found)
    return all(wanted_tags[kind] == found_tags[kind] for kind in wanted_tags.keys() & found_tags.keys())


def _subtags(code: str) -> dict[str, str]:
    """Return the script and the region of a code, as far as it has them."""
    found = {}
    for tag in re.split("[-_@.]", code)[1:]:
        if len(tag) == 4 and tag.isalpha():
            found["script"] = tag.lower()
        elif len(tag) == 2 and tag.isalpha():
            found["region"] = tag.lower()
    return found


def check_language(found: str | None, wanted: str, side: str, *, name: str, line: int) -> None:
    """Check that a document is in a language of the model.

    Args:
        found: The code in the document; None or blank if it has none.
        wanted: The code of the model, or the one that the user names.
        side: `source` or `target`.
        name: The file, for messages.
        line: The line with the code.

    Raises:
        DataError: The document is in another language.
    """
    if found and found.strip() and not is_same_language(wanted, found):
        raise DataError(
            f"{name}, line {line}: the {side} language of the file is {found.strip()!r}, but that of the model is "
            f"{wanted!r}. Use another model, or --{side}-language {found.strip()} if this is right."
        )
