"""Long sentences out of short ones: pairs of a corpus, concatenated in random order. Needs the standard library alone.

Each pair is there once alone, and once or more in a group with others. In training and validation text each pair is in
one group, of 2, 3 or 4 pairs. In test text it is in one group of each of these sizes, so that the same text is measured
at every length.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice

GROUPS = (2, 3, 4)
"""How many pairs make a long one."""
SEED = 1
PARTS = {"train": "train", "valid": "val", "test": "test_2016_flickr"}
"""The parts of the long corpus, and the part of Multi30k that each is made of."""


def long_part(part: str, pairs: Sequence[tuple[str, str]], *, seed: int = SEED) -> list[tuple[str, str]]:
    """Return the pairs of a part of the long corpus: the short ones first, then the groups."""
    generator = random.Random(f"{seed} {part}")
    return list(in_every_group(pairs, generator) if part == "test" else in_one_group(pairs, generator))


def in_one_group(pairs: Sequence[tuple[str, str]], generator: random.Random) -> Iterator[tuple[str, str]]:
    """Yield each pair alone, then all pairs in groups: about as many pairs in groups of each size."""
    yield from pairs
    shuffled = iter(generator.sample(pairs, len(pairs)))
    share = len(pairs) // len(GROUPS)
    for size in GROUPS:
        last = size == GROUPS[-1]
        yield from groups(shuffled if last else islice(shuffled, share), size)


def in_every_group(pairs: Sequence[tuple[str, str]], generator: random.Random) -> Iterator[tuple[str, str]]:
    """Yield each pair alone, then in a group of each size."""
    yield from pairs
    for size in GROUPS:
        yield from groups(iter(generator.sample(pairs, len(pairs))), size)


def groups(pairs: Iterator[tuple[str, str]], size: int) -> Iterator[tuple[str, str]]:
    """Concatenate `size` pairs at a time; the last group may be smaller."""
    while True:
        group = list(islice(pairs, size))
        if not group:
            return
        yield " ".join(source for source, _ in group), " ".join(target for _, target in group)
