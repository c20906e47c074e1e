"""Decoding options of a command or call, which replace the options stored in a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from nmt.config.conflicts import Conflict, search_conflicts
from nmt.config.introspection import flag, options_of
from nmt.config.schema import DecodingConfig
from nmt.config.validate import refusal
from nmt.errors import UsageError


def override_decoding(decoding: DecodingConfig, given: Mapping[str, Any]) -> DecodingConfig:
    """Replace the decoding options of a model by the given ones that are not None.

    Options of the model that conflict with given ones return to their defaults: its `alpha` with another length
    normalisation, its `n_best` with a smaller beam, its `temperature` without sampling, and so on.

    Args:
        decoding: the options stored in the model.
        given: options by their keys in the schema.

    Raises:
        UsageError: a value is invalid, or given options conflict.
    """
    changes = {name: value for name, value in given.items() if value is not None}
    values = {**decoding.model_dump(), **changes}
    if "length_normalization" in changes and "alpha" not in changes:
        values["alpha"] = None if changes["length_normalization"] != decoding.length_normalization else decoding.alpha
    if "n_best" not in changes and isinstance(values["beam_size"], int) and not values["sampling"]:
        values["n_best"] = min(values["n_best"], max(values["beam_size"], 1))
    try:
        same = not changes and values["n_best"] == decoding.n_best
        changed = decoding if same else DecodingConfig.model_validate(values, strict=True)
    except ValidationError as error:
        raise UsageError("\n".join(_refused(detail["loc"][0], detail["input"]) for detail in error.errors())) from None
    problems = list(search_conflicts(changed))
    while own := {str(problem.paths[0][-1]) for problem in problems if problem.ignored} - changes.keys():
        changed = changed.model_copy(update={name: DecodingConfig.model_fields[name].default for name in own})
        problems = list(search_conflicts(changed))
    if problems:
        raise UsageError("\n".join(map(_in_flags, problems)))
    return changed


def _refused(name: Any, value: Any) -> str:
    return refusal(flag(name), options_of(DecodingConfig)[name], value)


def _in_flags(problem: Conflict) -> str:
    flags = ", ".join(flag(str(path[-1])) for path in problem.paths)
    return f"{flags}: {problem.text}"
