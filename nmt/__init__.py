"""Recurrent machine translation with attention: from two text files to a measured translator.

The command line is `nmt`; from Python, `nmt.load("runs/quickstart").translate("A sentence.").text`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nmt.inference.api import LoadedModel

__version__ = "0.1.0"

__all__ = ["__version__", "load"]


def load(
    path: Path | str | Sequence[Path | str] | None = None,
    *,
    weights: Sequence[float] | None = None,
    **decoding: Any,
) -> LoadedModel:
    """Load a model, to translate, to score translations and to see its attention; see `nmt.inference.api`.

    For example, `nmt.load("runs/my", beam_size=10).translate("A sentence.").text`. What it does is what the commands
    do, with the same results, and it may be used from several threads at once.

    Args:
        path: A model file or the folder of a run, or several, which then translate together; None: what the
            environment variable NMT_MODEL names, or the newest run.
        weights: How much each of several models counts; None: all the same.
        decoding: Options of the configuration's decoding section in place of the model's own: beam_size, n_best,
            length_normalization, alpha, batch_sentences, precision, device, threads and so on.

    Raises:
        UsageError: There is no model at `path`, or the options cannot be used.
        CheckpointError: The file is not a model file, or is damaged.
    """
    from pathlib import Path

    from nmt.inference.api import LoadedModel, read_members

    paths = [path] if isinstance(path, (str, Path)) else path
    return LoadedModel(read_members(paths), weights=weights, decoding=decoding)
