"""Languages of documents and models: whether two codes mean the same language."""

from __future__ import annotations

from typing import NamedTuple

from nmt.data.languages import is_same_language
from nmt.errors import DataError


class Languages(NamedTuple):
    """The languages of a translation, as codes for the document."""

    source: str
    target: str


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
