"""A vocabulary so small that all outputs can be listed, and searches over it with all options of decoding."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fake_models import FakeMemory, FakeOutput, FakeState, HashModel, every_output, sources
from nmt.config.schema import DecodingConfig
from nmt.data.shortlist_table import ShortlistTable
from nmt.inference.constraints import NO_CONSTRAINTS, ConstraintCompiler, Constraints
from nmt.inference.hardware import TorchHardware
from nmt.inference.search_options import SearchBatch, SearchRunner
from nmt.inference.shortlist import AllowedTokens, Shortlist
from nmt.search import TokenHypothesis, make_length_normalization

PIECES = ["<pad>", "<unk>", "<s>", "</s>", "\u2581a", "b", "\u2581", "ab", "."]
SIZE = len(PIECES)
SENTENCES = [[5, 6], [7], [4, 4, 8]]


class FakeSubwords:
    """A vocabulary so small that all outputs can be listed."""

    size = SIZE

    def __init__(self, *, right_to_left: bool = False) -> None:
        self.right_to_left = right_to_left

    def in_text_order(self, values: Sequence[Any]) -> list[Any]:
        return list(reversed(values)) if self.right_to_left else list(values)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [PIECES[piece] for piece in ids]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        texts = ("".join(self.pieces(self.in_text_order(row))) for row in ids)
        return [text.replace("\u2581", " ").strip() for text in texts]

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        found = []
        for line in lines:
            rest, ids = "\u2581" + line.replace(" ", "\u2581"), []
            while rest:
                piece = max((piece for piece in PIECES[4:] if rest.startswith(piece)), key=len)
                ids.append(PIECES.index(piece))
                rest = rest[len(piece) :]
            found.append(self.in_text_order(ids))
        return found


def text(ids: Sequence[int]) -> str:
    return "".join(PIECES[piece] for piece in ids).replace("\u2581", " ")


def has(phrase: str) -> Callable[[tuple[int, ...]], bool]:
    """Whole words, the naive way; "." is the only other border of words."""
    return lambda ids: f" {phrase} " in f" {text(ids).replace('.', ' . ')} "


class RestrictableFake:
    """A model that a shortlist can cut down."""

    def __init__(self, model: HashModel) -> None:
        self.model = model

    def restrict(self, allowed: AllowedTokens) -> RestrictedModel:
        return RestrictedModel(self.model, allowed)


class RestrictedModel:
    """The model with the listed pieces alone, by their numbers; each sentence's own share out all probability."""

    def __init__(self, model: HashModel, allowed: AllowedTokens) -> None:
        self.model = model
        self.allowed = allowed

    def encode(self, source: Tensor, lengths: Tensor) -> RestrictedMemory:
        times = len(source) // len(self.allowed.mask)
        return RestrictedMemory(self.model.encode(source, lengths), self.allowed.mask.repeat_interleave(times, dim=0))

    def init_state(self, memory: RestrictedMemory) -> FakeState:
        return self.model.init_state(memory.memory)

    def step(self, ids: Tensor, state: FakeState, memory: RestrictedMemory) -> FakeOutput:
        output = self.model.step(self.allowed.ids[ids], state, memory.memory)
        mask = memory.mask.repeat_interleave(len(ids) // len(memory.mask), dim=0)
        return output._replace(log_probs=torch.log_softmax(output.log_probs[:, self.allowed.ids] + mask, dim=1))


class RestrictedMemory(NamedTuple):
    memory: FakeMemory
    mask: Tensor

    def select(self, rows: Tensor) -> RestrictedMemory:
        return RestrictedMemory(self.memory.select(rows), self.mask[rows])


class OnlyListed(HashModel):
    """The same with a shortlist, written out naively: all other pieces have no probability."""

    def __init__(self, model: HashModel, listed: Collection[int]) -> None:
        self.model = model
        self.barred = torch.tensor([0.0 if piece in listed else -torch.inf for piece in range(SIZE)])

    def step(self, ids: Tensor, state: FakeState, memory: FakeMemory) -> FakeOutput:
        output = self.model.step(ids, state, memory)
        return output._replace(log_probs=torch.log_softmax(output.log_probs + self.barred, dim=1))


def search(
    model: Any,
    sentences: list[list[int]],
    *,
    longest: int = 3,
    constraints: Sequence[Constraints] | None = None,
    avoid: Sequence[str] = (),
    subwords: Any = None,
    table: ShortlistTable | None = None,
    **options: Any,
) -> list[list[TokenHypothesis]]:
    """Search with all options of decoding; under the shortlist `table`, if there is one."""
    decoding = DecodingConfig.model_validate({"n_best": 1, **options})
    normalization = make_length_normalization(decoding.length_normalization, decoding.alpha)
    source, lengths = sources(*sentences)
    batch = SearchBatch(
        source, lengths, np.array([longest] * len(sentences)), constraints or [NO_CONSTRAINTS] * len(sentences)
    )
    runner = SearchRunner(decoding, normalization, ConstraintCompiler(subwords or FakeSubwords(), avoid=avoid))
    if table is None:
        return runner.search(model, batch)
    shortlist = Shortlist(RestrictableFake(model), table, target_size=SIZE, hardware=TorchHardware(torch.device("cpu")))
    return runner.search_with_shortlist(shortlist, batch)


@functools.cache
def all_outputs(
    seed: int, eos_bias: float, listed: frozenset[int] | None, longest: int
) -> dict[tuple[int, ...], float]:
    """The log-probability of every output that has one, for the model and the sentence of a seed.

    Computed once for all tests.
    """
    model = HashModel(size=SIZE, seed=seed, eos_bias=eos_bias)
    whole = model if listed is None else OnlyListed(model, listed)
    return {ids: total for ids, total in every_output(whole, [5, seed], SIZE, longest).items() if total > -torch.inf}


def best_outputs(
    outputs: dict[tuple[int, ...], float],
    allowed: Callable[[tuple[int, ...]], bool],
    *,
    count: int = 3,
    kind: str = "average",
) -> list[tuple[int, ...]]:
    """The best of all outputs that are allowed, by the formulas of the papers."""
    divisor = {"none": lambda n: 1.0, "average": float, "gnmt": lambda n: ((5 + n) / 6) ** 0.6}[kind]
    return sorted(filter(allowed, outputs), key=lambda ids: -outputs[ids] / divisor(len(ids) + 1))[:count]


# Each length normalisation, with the seed of the model that it is checked on.
NORMALIZATIONS = {"none": 0, "average": 1, "gnmt": 0}


def check_exact(
    allowed: Callable[[tuple[int, ...]], bool],
    *,
    constraints: Constraints = NO_CONSTRAINTS,
    longest: int = 4,
    eos_bias: float = -1.0,
    listed: Collection[int] | None = None,
    **options: Any,
) -> None:
    """A beam with room for everything finds the best outputs that are allowed, whatever the length normalisation.

    `listed` are the pieces that a shortlist should let through, if there is one.
    """
    for kind, seed in NORMALIZATIONS.items():
        model = HashModel(size=SIZE, seed=seed, eos_bias=eos_bias)
        [found] = search(
            model,
            [[5, seed]],
            constraints=[constraints],
            beam_size=640,
            n_best=3,
            longest=longest,
            length_normalization=kind,
            **options,
        )
        outputs = all_outputs(seed, eos_bias, None if listed is None else frozenset(listed), longest)
        expected = best_outputs(outputs, allowed, kind=kind)
        assert expected
        assert [tuple(one.ids) for one in found[: len(expected)]] == expected
        assert all(one.finished for one in found)
