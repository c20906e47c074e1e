"""Recurrent machine translation with attention: from two text files to a measured translator.

The command line is `nmt`; from Python, `nmt.load("runs/quickstart").translate(["A sentence."])`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from nmt.inference.translator import Translator

__version__ = "0.1.0"

__all__ = ["__version__", "load"]


def load(path: Path | str) -> Translator:
    """Load a translator from a model file or the folder of a run.

    Raises:
        UsageError: there is no model at `path`.
        CheckpointError: the file is not a model file, or is damaged.
    """
    from pathlib import Path

    from nmt.inference.translator import Translator

    return Translator.load(Path(path))
