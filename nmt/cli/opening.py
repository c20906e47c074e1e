"""Opens the model that a command works with."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmt.config import Config
    from nmt.inference.translator import Translator


def open_translator(model: Path | None, **decoding: Any) -> tuple[Translator, Config]:
    """Load the translator that is meant, with decoding options in place of its own; return its configuration too.

    Args:
        model: A model file or the folder of a run; None: that of $NMT_MODEL, or of the newest run.
        decoding: Options as they come from the command line; None is the model's own.

    Raises:
        UsageError: there is no model, or the options cannot be used.
        CheckpointError: the file is not a model file, or is damaged.
    """
    from nmt.inference.find import find_model

    path = find_model(model)
    from nmt.inference.model_file import load_model
    from nmt.inference.translator import Translator

    given = {name: value.value if isinstance(value, Enum) else value for name, value in decoding.items()}
    return Translator.load(path, decoding=given), load_model(path).config
