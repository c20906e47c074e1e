"""Machine translation with recurrent networks and attention: from two text files to an evaluated translator.

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
    from nmt.inference.output.quality_flags import find_flags
    from nmt.inference.results import Hypothesis, Translation, TranslationScore
    from nmt.inference.streaming import SourceLine

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
    "SourceLine",
    "Translation",
    "TranslationScore",
    "UsageError",
    "__version__",
    "find_flags",
    "load",
]

# Imported on first use: `import nmt` must not load torch, so that `nmt --help` answers at once.
_HOMES = {
    "LineAttention": "nmt.inference.attention",
    "AttentionMap": "nmt.inference.attention_map",
    "Hypothesis": "nmt.inference.results",
    "LoadedModel": "nmt.api",
    "SourceLine": "nmt.inference.streaming",
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
    """Load a model that translates, scores translations and shows its attention; see `nmt.api`.

    For example, `nmt.load("runs/my", beam_size=10).translate("A sentence.").text`. The results are those of the
    commands. The model may be used from several threads at once.

    Args:
        path: A model file or the folder of a run, or several for an ensemble. None: the value of the environment
            variable NMT_MODEL, or the newest run.
        weights: The weight of each model of an ensemble. None: equal weights.
        mbr: Rerank the hypotheses of the beam, or the samples, by minimum Bayes risk with this metric: `chrf` or
            `bleu`. None: no reranking.
        avoid: Words or phrases that no translation may contain.
        terminology: Source terms with their target terms, or a file with a source term, a tab and a target term per
            line. Source terms are matched as whole words.
        decoding: Options of the configuration's decoding section that override the model's own: beam_size, n_best,
            length_normalization, alpha, sampling, temperature, split_sentences, batch_sentences, precision, device,
            threads and others. `nmt config show CONFIG --comments` explains all of them.

    Raises:
        UsageError: `path` does not exist, or an option cannot be used.
        CheckpointError: A file is not a model file, or it is damaged.
        DataError: The terminology file cannot be read.
    """
    from pathlib import Path

    from nmt.api import LoadedModel
    from nmt.inference.model_file import load_models

    paths = [path] if isinstance(path, (str, Path)) else path
    return LoadedModel(
        load_models(paths), weights=weights, mbr=mbr, avoid=avoid, terminology=terminology, decoding=decoding
    )


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
