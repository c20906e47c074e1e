"""The models that write synthetic text, checked for the right direction and for each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nmt.config.decoding_overrides import override_decoding
from nmt.data.languages import find_language
from nmt.errors import UsageError
from nmt.inference.ensemble import check_compatible, languages_of
from nmt.inference.model_file import ModelFile


def check_models(
    models: Sequence[ModelFile], *, source: str, target: str, option: str, decoding: Mapping[str, Any]
) -> None:
    """Check everything that can be checked before the first line is translated.

    Args:
        models: The models.
        source: Language code of the text.
        target: Language code of its translation.
        option: The option that names the models, for messages.
        decoding: Options in place of those of the first model.

    Raises:
        UsageError: A model translates in another direction, models do not fit together, or options are not valid.
    """
    for model in models:
        own = languages_of(model)
        if own != (find_language(source).code, find_language(target).code):
            raise UsageError(
                f"{model.path} translates {own[0]} to {own[1]}, but {option} must translate {source} to {target}"
            )
    check_compatible(models)
    override_decoding(models[0].config.decoding, decoding)
