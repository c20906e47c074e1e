"""Small corpora, and options that make any experiment on them small, for the tests of the experiments' scripts."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from cli_tools import untouched_logging
from nmt.data.lines import write_lines
from toy_experiments import toy_pairs

SMALL = (
    "tokenizer.vocabulary_size=90",
    "tokenizer.byte_fallback=false",
    "model.embedding_size=24",
    "model.encoder.hidden_size=16",
    "model.decoder.hidden_size=32",
    "training.batch_tokens=256",
    "training.schedule.warmup=1",
    "training.precision=fp32",
    "training.threads=1",
    "training.log_every=1",
    "training.tensorboard=false",
    "decoding.beam_size=1",
    "decoding.max_length_ratio=0",
)


def write_corpus(folder: Path, names: dict[str, str], *, alignments: bool) -> None:
    """Write sentences of one to five clauses, under names such as train and valid."""
    folder.mkdir(parents=True)
    pairs = toy_pairs(160, seed=3)
    generator = random.Random(4)
    for part, count in (("train", 60), ("valid", 6), ("test", 12)):
        chosen = [generator.sample(pairs, 1 + number % 5) for number in range(count)]
        for side, language in enumerate(("en", "de")):
            lines = [" ".join(pair[side] for pair in group) for group in chosen]
            write_lines(folder / f"{names[part]}.{language}", lines)
        if alignments:
            write_lines(folder / f"{names[part]}.align", ["0-0 2-1"] * count)


@contextmanager
def exercise_folder(folder: Path) -> Iterator[None]:
    """Work in `folder`, with a small exercise corpus in it, and leave folder and threads as they were."""
    names = {"train": "train", "valid": "valid", "test": "test"}
    write_corpus(folder / "data" / "exercise", names, alignments=True)
    before, threads = Path.cwd(), torch.get_num_threads()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        torch.set_num_threads(threads)


def command(main: Callable[[list[str]], int], *arguments: str) -> int:
    """Run the main function of a script."""
    with untouched_logging():
        return main(list(arguments))
