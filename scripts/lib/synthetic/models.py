"""The models that write the text: do they translate in the direction that is needed, and together?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nmt.config.decoding_overrides import override_decoding
from nmt.data.languages import find_language
from nmt.errors import UsageError
from nmt.inference.ensemble import check_compatible
from nmt.inference.model_file import ModelFile


def check_models(
    models: Sequence[ModelFile], *, source: str, target: str, purpose: str, decoding: Mapping[str, Any]
) -> None:
    """Make sure of all that can be known before the first line is translated.

    Args:
        models: The models.
        source: Language code of the text.
        target: Language code of what they are to write.
        purpose: What messages call the models, such as `--teacher`.
        decoding: Options in place of those of the first one.

    Raises:
        UsageError: One translates in another direction, they do not go together, or options cannot be used.
    """
    for model in models:
        own = (model.config.data.source_language, model.config.data.target_language)
        if [find_language(code).code for code in own] != [find_language(source).code, find_language(target).code]:
            raise UsageError(
                f"{model.path} translates {own[0]} to {own[1]}, but {purpose} must translate {source} to {target}"
            )
    check_compatible(models)
    override_decoding(models[0].config.decoding, decoding)
