"""Text for measuring preprocessing: sentences of the exercise generator, as many as are wanted."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exercise.generator import Generator
from nmt.config.schema import Config
from nmt.data.lines import write_lines

DIFFERENT = 10_000
"""Beyond this many pairs the same ones come again, with a number at the end: so they are made faster."""
VALIDATION = 50


@functools.cache
def generated(count: int, *, seed: int) -> list[tuple[str, str]]:
    """Return `count` English-German pairs of the generator, no two the same."""
    return [(pair.english, pair.german) for pair in Generator(seed=seed).pairs(count)]


def repeated(made: list[tuple[str, str]], count: int) -> Iterator[tuple[str, str]]:
    """Give `count` pairs, no two the same: those of `made`, then these again with a number at their ends."""
    for number in range(count):
        again, place = divmod(number, len(made))
        source, target = made[place]
        yield (f"{source} {again}", f"{target} {again}") if again else (source, target)


def write_corpus(folder: Path, count: int, *, seed: int) -> None:
    """Write `count` pairs and a small validation set of other ones to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = generated(min(count, DIFFERENT) + VALIDATION, seed=seed)
    valid, train = made[:VALIDATION], made[VALIDATION:]
    for side, language in enumerate(("en", "de")):
        write_lines(folder / f"valid.{language}", (pair[side] for pair in valid))
        write_lines(folder / f"train.{language}", (pair[side] for pair in repeated(train, count)))


def corpus_config(folder: Path, *, vocabulary: int, threads: int, seed: int) -> Config:
    """Return a configuration for the corpus in `folder`, with the default filters and subword models."""

    def files(name: str) -> dict[str, Any]:
        return {"source": str(folder / f"{name}.en"), "target": str(folder / f"{name}.de")}

    return Config.model_validate(
        {
            "seed": seed,
            "data": {
                "source_language": "en",
                "target_language": "de",
                "train": [files("train")],
                "valid": files("valid"),
                "preprocessed_folder": str(folder / "preprocessed"),
            },
            "tokenizer": {"vocabulary_size": vocabulary},
            "training": {"threads": threads},
        }
    )
