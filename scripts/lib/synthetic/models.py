"""The models that write the text: do they translate in the direction that is needed, and together?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt.config.decoding_overrides import override_decoding
from nmt.data.languages import find_language
from nmt.errors import UsageError
from nmt.inference.ensemble import EnsembleMember, check_compatible
from nmt.inference.find_model import find_model
from nmt.inference.model_file import load_model


def open_members(given: Sequence[Path]) -> list[EnsembleMember]:
    """Load models, each a file or the folder of a run.

    Raises:
        UsageError: There is no such model.
        CheckpointError: A file is no model file, or it is damaged.
    """
    found = [find_model(path) for path in given]
    return [EnsembleMember(str(path), load_model(path)) for path in found]


def check_models(
    members: Sequence[EnsembleMember], *, source: str, target: str, purpose: str, decoding: Mapping[str, Any]
) -> None:
    """Make sure of all that can be known before the first line is translated.

    Args:
        members: The models.
        source: Language code of the text.
        target: Language code of what they are to write.
        purpose: What messages call the models, such as `--teacher`.
        decoding: Options in place of those of the first one.

    Raises:
        UsageError: One translates in another direction, they do not go together, or options cannot be used.
    """
    for name, file in members:
        own = (file.config.data.source_language, file.config.data.target_language)
        if [find_language(code).code for code in own] != [find_language(source).code, find_language(target).code]:
            raise UsageError(
                f"{name} translates {own[0]} to {own[1]}, but {purpose} must translate {source} to {target}"
            )
    check_compatible(members)
    override_decoding(members[0].file.config.decoding, decoding)
