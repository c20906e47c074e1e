"""What is trained for the figures of training: the toolkit's network or the textbook's, on the same drawn pairs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import torch

from benchmark.shapes import Shape, configuration, network
from benchmark.synthetic import Pairs, draw_pairs, stand_in_tokenizers, stream, write_store
from benchmark.textbook import TextbookTrainer, textbook_batches
from nmt.data.batching import Batch, Batches, Position
from nmt.device import choose_dtype
from nmt.training.learner import Learner

BATCH_TOKENS, QUICK_BATCH_TOKENS = 4096, 256
PAIRS, QUICK_PAIRS = 20_000, 300


class Variant(NamedTuple):
    """One way to train a shape."""

    textbook: bool
    placement: str
    input_feeding: bool
    precision: str

    @property
    def name(self) -> str:
        """In words."""
        if self.textbook:
            return "textbook"
        return f"{self.placement}{', input feeding' if self.input_feeding else ''}, {self.precision}"


TEXTBOOK = Variant(True, "top", True, "fp32")


class Ours:
    """The toolkit's network and learner, on batches of the toolkit's stream."""

    def __init__(
        self,
        variant: Variant,
        shape: Shape,
        batches: Batches,
        *,
        device: torch.device,
        seed: int,
        cuda_graphs: bool = False,
    ) -> None:
        config = configuration(
            shape,
            placement=variant.placement,
            input_feeding=variant.input_feeding,
            seed=seed,
            max_updates=10**6,
            cuda_graphs=cuda_graphs,
        )
        self.model = network(config, shape).to(device)
        dtype = choose_dtype(variant.precision, device)
        self.learner = Learner(
            model=self.model, options=config.training, total_updates=10**6, device=device, dtype=dtype
        )
        self._batches = batches.iterate(Position(0, 0, 0))
        self._updates = 0

    def batch(self) -> Batch:
        """Return the next batch."""
        return next(self._batches)[0]

    def update(self, batch: Batch) -> None:
        """Learn from it."""
        self._updates += 1
        self.learner.launch([batch], self._updates)


class Textbook:
    """The textbook model, on batches in the order of the corpus."""

    def __init__(self, shape: Shape, pairs: Pairs, *, batch_tokens: int, device: torch.device, seed: int) -> None:
        torch.manual_seed(seed)
        self.trainer = TextbookTrainer(shape, device=device)
        self._batches: Iterator[Batch] = cycle(textbook_batches(pairs, batch_tokens=batch_tokens))

    def batch(self) -> Batch:
        """Return the next batch."""
        return next(self._batches)

    def update(self, batch: Batch) -> None:
        """Learn from it."""
        self.trainer.update(batch)


class Data(NamedTuple):
    """What is learnt from."""

    pairs: Pairs
    batches: Batches
    batch_tokens: int


def make_data(folder: Path, shape: Shape, *, quick: bool, seed: int, batch_tokens: int = BATCH_TOKENS) -> Data:
    """Draw the pairs and write their store to `folder`. Batches have at most `batch_tokens`, fewer if `quick`."""
    pairs = draw_pairs(QUICK_PAIRS if quick else PAIRS, vocabulary=shape.vocabulary, seed=seed)
    store = write_store(folder, pairs, vocabulary=shape.vocabulary)
    batch_tokens = QUICK_BATCH_TOKENS if quick else batch_tokens
    tokenizers = stand_in_tokenizers(shape.vocabulary)
    return Data(pairs, stream(store, tokenizers, batch_tokens=batch_tokens, seed=seed), batch_tokens)


def make_trainee(variant: Variant, shape: Shape, data: Data, *, device: torch.device, seed: int) -> Ours | Textbook:
    """Return what trains as `variant` says."""
    if variant.textbook:
        return Textbook(shape, data.pairs, batch_tokens=data.batch_tokens, device=device, seed=seed)
    return Ours(variant, shape, data.batches, device=device, seed=seed)
