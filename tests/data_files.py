"""Small corpora and configurations for the tests of the data room."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt.config.schema import Config, TokenizerConfig
from nmt.data.tokenizer import SubwordModel
from nmt.data.tokenizer_training import train_subwords

WORDS = (
    *(("the", "der"), ("a", "ein"), ("red", "rote"), ("blue", "blaue"), ("old", "alte"), ("dog", "Hund")),
    *(("cat", "Katze"), ("bird", "Vogel"), ("house", "Haus"), ("tree", "Baum"), ("sees", "sieht"), ("likes", "mag")),
    *(("takes", "nimmt"), ("finds", "findet"), ("under", "unter"), ("over", "über"), ("with", "mit"), ("and", "und")),
)


def make_pairs(count: int, *, seed: int, longest: int) -> list[tuple[str, str]]:
    """Different pairs of 2 to `longest` words, the target the source word by word."""
    generator = random.Random(seed)
    pairs: dict[tuple[str, str], None] = {}
    while len(pairs) < count:
        words = generator.choices(WORDS, k=generator.randint(2, longest))
        pairs[" ".join(source for source, _ in words), " ".join(target for _, target in words)] = None
    return list(pairs)


def write_text(path: Path, lines: Sequence[str]) -> str:
    """Writes lines and gives the path as a configuration has it."""
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    return str(path)


def write_pairs(folder: Path, name: str, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Writes two parallel files and gives the section of the configuration."""
    return {
        "source": write_text(folder / f"{name}.source", [source for source, _ in pairs]),
        "target": write_text(folder / f"{name}.target", [target for _, target in pairs]),
    }


def make_config(
    folder: Path,
    train: Sequence[dict[str, Any]],
    *,
    valid: dict[str, Any] | None = None,
    languages: tuple[str, str] = ("en", "de"),
    filters: dict[str, Any] | None = None,
    tokenizer: dict[str, Any] | None = None,
    test: Sequence[dict[str, Any]] = (),
) -> Config:
    """A configuration that prepares into `folder / "preprocessed"`."""
    if valid is None:
        valid = write_pairs(folder, "valid", [("the valid dog", "der gültige Hund")])
    return Config.model_validate(
        {
            "data": {
                "source_language": languages[0],
                "target_language": languages[1],
                "train": list(train),
                "valid": valid,
                "test": list(test),
                "filters": filters or {},
                "preprocessed_folder": str(folder / "preprocessed"),
            },
            "tokenizer": {"vocabulary_size": 400, **(tokenizer or {})},
        }
    )


def make_model(lines: Sequence[str], **options: Any) -> SubwordModel:
    """A subword model of these lines."""
    settings = TokenizerConfig.model_validate({"vocabulary_size": 400, **options})
    return train_subwords(lines, options=settings, symbols=settings.user_symbols, what="test")[0]
