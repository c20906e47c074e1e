"""Long sentences out of short ones: pairs of a corpus put one after another at random.

Each pair is there once alone, and beside others in groups. In training and validation text each is in one group, of
2, 3 or 4 pairs; in test text in one group of each of these sizes, so that the same text is measured at every length.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from nmt.config.schema import PairConfig
from nmt.data.corpus import read_parallel
from nmt.data.lines import write_lines
from nmt.errors import DataError
from nmt.log import logger

GROUPS = (2, 3, 4)
"""How many pairs make a long one."""
PARTS = {"train": "train", "valid": "val", "test": "test_2016_flickr"}
"""What is made, and what of Multi30k it is made of."""

TextPair = tuple[str, str]


def make_long_multi30k(source: Path, target: Path, *, seed: int) -> None:
    """Write the concatenated Multi30k; files that are there and right are left alone.

    Args:
        source: Folder of Multi30k.
        target: Folder for the files train, valid and test, each .en and .de.
        seed: Of the order.

    Raises:
        DataError: Multi30k is not there, or a file cannot be read or written.
    """
    if not source.is_dir():
        raise DataError(f"{source}: there is no such folder; scripts/fetch_data multi30k makes it")
    target.mkdir(parents=True, exist_ok=True)
    for part, name in PARTS.items():
        pairs = read_parallel(PairConfig(source=str(source / f"{name}.en"), target=str(source / f"{name}.de")))
        generator = random.Random(f"{seed} {part}")
        made = list(in_every_group(pairs, generator) if part == "test" else in_one_group(pairs, generator))
        for side, language in enumerate(("en", "de")):
            _write(target / f"{part}.{language}", [pair[side] for pair in made])


def in_one_group(pairs: Sequence[TextPair], generator: random.Random) -> Iterator[TextPair]:
    """Give each pair alone, and then all in groups: about as many pairs in groups of each size."""
    yield from pairs
    shuffled = iter(generator.sample(pairs, len(pairs)))
    share = len(pairs) // len(GROUPS)
    for size in GROUPS:
        last = size == GROUPS[-1]
        yield from groups(shuffled if last else islice(shuffled, share), size)


def in_every_group(pairs: Sequence[TextPair], generator: random.Random) -> Iterator[TextPair]:
    """Give each pair alone, and in a group of each size."""
    yield from pairs
    for size in GROUPS:
        yield from groups(iter(generator.sample(pairs, len(pairs))), size)


def groups(pairs: Iterator[TextPair], size: int) -> Iterator[TextPair]:
    """Put each `size` pairs one after another; the last group may be smaller."""
    while group := list(islice(pairs, size)):
        yield " ".join(source for source, _ in group), " ".join(target for _, target in group)


def _write(path: Path, lines: Sequence[str]) -> None:
    if path.exists() and path.read_text("utf-8") == "".join(f"{line}\n" for line in lines):
        return
    write_lines(path, lines)
    logger.info("wrote %s, %s lines", path, f"{len(lines):,}")
