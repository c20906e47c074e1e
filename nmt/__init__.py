"""Recurrent machine translation with attention: from two text files to a measured translator.

The command line is `nmt`; from Python, `nmt.load("runs/quickstart").translate("A sentence.").text`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nmt.errors import CheckpointError, ConfigError, DataError, NMTError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from nmt.api import LoadedModel
    from nmt.inference.attention import LineAttention
    from nmt.inference.attention_map import AttentionMap
    from nmt.inference.constraints import Request
    from nmt.inference.output.quality_flags import find_flags
    from nmt.inference.results import Hypothesis, Translation, TranslationScore

__version__ = "0.1.0"

__all__ = [
    "AttentionMap",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Hypothesis",
    "LineAttention",
    "LoadedModel",
    "NMTError",
    "Request",
    "Translation",
    "TranslationScore",
    "UsageError",
    "__version__",
    "find_flags",
    "load",
]

# Imported when they are asked for: `import nmt` must not load torch, so that `nmt --help` answers at once.
_HOMES = {
    "LineAttention": "nmt.inference.attention",
    "AttentionMap": "nmt.inference.attention_map",
    "Hypothesis": "nmt.inference.results",
    "LoadedModel": "nmt.api",
    "Request": "nmt.inference.constraints",
    "TranslationScore": "nmt.inference.results",
    "Translation": "nmt.inference.results",
    "find_flags": "nmt.inference.output.quality_flags",
}


def load(
    path: Path | str | Sequence[Path | str] | None = None,
    *,
    weights: Sequence[float] | None = None,
    mbr: str | None = None,
    avoid: Iterable[str] = (),
    terminology: Mapping[str, str] | Path | str | None = None,
    **decoding: Any,
) -> LoadedModel:
    """Load a model, to translate, to score translations and to see its attention; see `nmt.api`.

    For example, `nmt.load("runs/my", beam_size=10).translate("A sentence.").text`. What it does is what the commands
    do, with the same results, and it may be used from several threads at once.

    Args:
        path: A model file or the folder of a run, or several, which then work together; None: what the environment
            variable NMT_MODEL names, or the newest run.
        weights: How much each of several models counts; None: all the same.
        mbr: Choose among the hypotheses of the beam, or the samples, the one that the others agree with most, by this
            metric: `chrf` or `bleu`. None: the best one of the search.
        avoid: Words or phrases that no translation has.
        terminology: How terms are translated: source terms with their target terms, or a file with a source term, a
            tab and a target term a line. They are found as whole words.
        decoding: Options of the configuration's decoding section in place of the model's own: beam_size, n_best,
            length_normalization, alpha, sampling, temperature, split_sentences, batch_sentences, precision, device,
            threads and so on; `nmt config show CONFIG --comments` explains them all.

    Raises:
        UsageError: There is no model at `path`, or the options cannot be used.
        CheckpointError: The file is not a model file, or is damaged.
        DataError: The file of terms cannot be read.
    """
    from pathlib import Path

    from nmt.api import LoadedModel, load_ensemble

    paths = [path] if isinstance(path, (str, Path)) else path
    return LoadedModel(
        load_ensemble(paths), weights=weights, mbr=mbr, avoid=avoid, terminology=terminology, decoding=decoding
    )


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
