from __future__ import annotations

import pytest

from exercise.generator import Generator, Pair


@pytest.fixture(scope="session")
def small() -> dict[str, list[Pair]]:
    """A corpus as the default one, with fewer pairs for training."""
    generator = Generator(seed=1)
    return {split: generator.pairs(size) for split, size in (("train", 3000), ("valid", 500), ("test", 500))}
