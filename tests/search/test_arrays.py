"""The same search over numpy arrays and torch tensors, with every option; in numpy without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from covering import Row, covering_rows
from fake_models import FakeMemory, FakeOutput, FakeState
from fake_subwords import SIZE, FakeSubwords
from nmt.arrays import log_softmax, logsumexp, namespace, to_host
from nmt.config.conflicts.decoding import search_conflicts
from nmt.config.schema import DecodingConfig
from nmt.data.shortlist_table import ShortlistTable
from nmt.data.special_tokens import EOS
from nmt.inference.constraints import NO_CONSTRAINTS, ConstraintCompiler, Constraints
from nmt.inference.ensemble import Ensemble, RestrictableEnsemble
from nmt.inference.hardware import Processor, TorchHardware
from nmt.inference.search_options import SearchBatch, SearchRunner
from nmt.inference.shortlist import AllowedTokens, Shortlist
from nmt.search import TokenHypothesis, make_length_normalization

ROOT = Path(__file__).parents[2]


class NumpyModel:
    """A model with attention whose log-probabilities depend on the source and the whole prefix."""

    def __init__(self, *, size: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.frequencies, self.phases = generator.random((2, size)) * [[100], [7]]

    @staticmethod
    def mix(number: Any, value: Any) -> Any:
        return (number * 48271 + value * 69621 + 12345) % 2147483647

    def encode(self, source: Any, lengths: Any) -> FakeMemory:
        seeds = np.zeros(len(source), np.int64)
        for position in range(source.shape[1]):
            seeds = np.where(position < lengths, self.mix(seeds, source[:, position]), seeds)
        return FakeMemory(seeds)

    def init_state(self, memory: FakeMemory) -> FakeState:
        return FakeState(np.zeros_like(memory.seeds))

    def step(self, ids: Any, state: FakeState, memory: FakeMemory) -> FakeOutput:
        prefixes = self.mix(state.prefixes, ids)
        sentences = np.repeat(memory.seeds, len(ids) // len(memory.seeds))
        number = self.mix(sentences, prefixes) / 2147483647
        logits = np.sin(number[:, None] * self.frequencies + self.phases) * 3
        weights = np.exp(log_softmax(np.sin(prefixes[:, None] * 0.37 + np.arange(4)) * 2))
        return FakeOutput(log_softmax(logits).astype(np.float32), FakeState(prefixes), weights.astype(np.float32))


class RestrictedMemory(NamedTuple):
    seeds: Any  # [B]
    mask: Any  # [B, U]

    def select(self, rows: Any) -> RestrictedMemory:
        return RestrictedMemory(self.seeds[rows], self.mask[rows])


class RestrictedModel(NumpyModel):
    """The model with the allowed pieces alone, by their numbers."""

    def __init__(self, model: NumpyModel, ids: Any, mask: Any) -> None:
        self.model, self.ids, self.mask = model, ids, mask

    def encode(self, source: Any, lengths: Any) -> Any:
        mask = np.repeat(self.mask, len(source) // len(self.mask), axis=0)
        return RestrictedMemory(super().encode(source, lengths).seeds, mask)

    def step(self, ids: Any, state: FakeState, memory: Any) -> FakeOutput:
        output = self.model.step(self.ids[ids], state, FakeMemory(memory.seeds))
        mask = np.repeat(memory.mask, len(ids) // len(memory.mask), axis=0)
        return output._replace(log_probs=log_softmax(output.log_probs[:, self.ids] + mask))


class Restrictable:
    """A model that a shortlist can restrict, in either library."""

    def __init__(self, model: NumpyModel) -> None:
        self.model = model

    def restrict(self, allowed: AllowedTokens) -> Any:
        model = RestrictedModel(self.model, *map(to_host, allowed))
        return model if namespace(allowed.ids) is np else TorchTwin(model)


def to_torch(parts: Any) -> Any:
    return type(parts)(*map(torch.from_numpy, parts))


def to_numpy(parts: Any) -> Any:
    return type(parts)(*(part.numpy() for part in parts))


class TorchTwin:
    """The same model with torch tensors outside: equal to the last bit."""

    def __init__(self, model: NumpyModel) -> None:
        self.model = model

    def encode(self, source: Any, lengths: Any) -> Any:
        return to_torch(self.model.encode(source.numpy(), lengths.numpy()))

    def init_state(self, memory: Any) -> Any:
        return to_torch(self.model.init_state(to_numpy(memory)))

    def step(self, ids: Any, state: Any, memory: Any) -> Any:
        log_probs, state, weights = self.model.step(ids.numpy(), to_numpy(state), to_numpy(memory))
        return FakeOutput(torch.from_numpy(log_probs), to_torch(state), torch.from_numpy(weights))


LONGEST = 5
# More sentences than numpy searches one by one, with every length from one piece to three.
SENTENCES = [[4 + number % 5] * (1 + number % 3) for number in range(12)]

VALUES: dict[str, list[Any]] = {
    "beam_size": [1, 2, 6],
    "n_best": [1, 2],
    "beam_groups": [1, 2],
    "diversity": [0.5, 2.0],
    "length_normalization": ["none", "average", "gnmt"],
    "coverage_penalty": [0.0, 0.3],
    "stopping": ["exact", "fast"],
    "no_repeat_ngram": [None, 1, 2],
    "repetition_penalty": [1.0, 1.4],
    "min_length": [0, 2],
    "min_length_ratio": [0.0, 0.8],
    "max_length": [None, 4],
    "sampling": [False, True],
    "temperature": [1.0, 0.7],
    "top_k": [None, 4],
    "top_p": [None, 0.8],
    "prefix": [False, True],
    "required": [(), ("ab",), ("a", "b b")],
    "avoid": [(), ("a b",)],
    "sentences": [1, 12],
    "size": [SIZE, 300],
    "models": [1, 2],
    "ensemble_average": ["probabilities", "log_probabilities"],
    "shortlist": [False, True],
}
BASE = {name: values[0] for name, values in VALUES.items()} | {"beam_size": 6}
OTHERS = ("prefix", "required", "avoid", "sentences", "size", "models", "shortlist")
# Each sentence may use other pieces.
TABLE = ShortlistTable(
    np.array([[0, 0]] * 4 + [[piece, 4 + piece % 5] for piece in range(4, SIZE)], np.int32), np.array([4, 5], np.int32)
)


def options(row: Row) -> DecodingConfig:
    return DecodingConfig.model_validate({name: value for name, value in row.items() if name not in OTHERS})


def allowed(row: Row) -> bool:
    if (row["required"] or row["avoid"]) and row["size"] != SIZE:
        return False  # the phrases are those of the small vocabulary
    return not (row["required"] and row["sampling"]) and not any(search_conflicts(options(row)))


def batch(row: Row, compiler: ConstraintCompiler) -> SearchBatch:
    sentences = SENTENCES[: row["sentences"]]
    lengths = np.array([len(sentence) + 1 for sentence in sentences])
    source = np.zeros((len(sentences), 4), np.int64)
    for ids, sentence in zip(source, sentences, strict=True):
        ids[: len(sentence) + 1] = [*sentence, EOS]
    constraints = []
    for number in range(len(sentences)):  # every third sentence has none
        prefix = (4 + number % 4,) * (number % 3) if row["prefix"] else ()
        required = tuple(map(compiler.required_phrase, row["required"][: number % 3]))
        constraints.append(Constraints(prefix, required) if prefix or required else NO_CONSTRAINTS)
    return SearchBatch(source, lengths, np.full(len(sentences), LONGEST) + lengths, constraints)


def search(row: Row, *, in_torch: bool) -> list[list[TokenHypothesis]]:
    decoding = options(row)
    compiler = ConstraintCompiler(FakeSubwords(), avoid=row["avoid"])  # type: ignore[arg-type]
    normalization = make_length_normalization(decoding.length_normalization, decoding.alpha)
    runner = SearchRunner(decoding, normalization, compiler)
    models = [NumpyModel(size=row["size"], seed=seed) for seed in range(row["models"])]
    together: dict[str, Any] = {"weights": [2.0, 1.0][: len(models)], "average": decoding.ensemble_average}
    sentences = batch(row, compiler)
    if in_torch:
        source, lengths = map(torch.from_numpy, (sentences.source, sentences.lengths))
        sentences = sentences._replace(source=source, lengths=lengths)
    if row["shortlist"]:
        hardware = TorchHardware(torch.device("cpu")) if in_torch else Processor(1)
        ensemble = RestrictableEnsemble(list(map(Restrictable, models)), **together)
        return runner.search_with_shortlist(
            Shortlist(ensemble, TABLE, target_size=row["size"], hardware=hardware), sentences
        )
    members = list(map(TorchTwin, models)) if in_torch else models
    return runner.search(Ensemble(members, **together), sentences)


ROWS = covering_rows(VALUES, allowed, base=BASE)


def test_numpy_and_torch_find_the_same() -> None:
    assert len(ROWS) >= 15
    for row in ROWS:
        for one, other in zip(search(row, in_torch=False), search(row, in_torch=True), strict=True):
            assert [(each.ids, each.finished) for each in one] == [(each.ids, each.finished) for each in other], row
            for ours, theirs in zip(one, other, strict=True):
                assert ours.score == pytest.approx(theirs.score, abs=1e-5), row
                assert ours.piece_log_probabilities == pytest.approx(theirs.piece_log_probabilities, abs=1e-5), row


@pytest.mark.parametrize("shape", [(3,), (2, 5), (2, 3, 4)])
def test_normalization_is_that_of_torch(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32) * 50
    values[..., 0] = -np.inf
    for function, expected in ((log_softmax, torch.log_softmax), (logsumexp, torch.logsumexp)):
        theirs = expected(torch.from_numpy(values), -1).numpy()
        np.testing.assert_allclose(function(values), theirs, rtol=1e-6, atol=1e-6)
        assert function(values).dtype == np.float32


def test_each_library_has_its_namespace() -> None:
    assert namespace(np.zeros(1)) is np
    assert namespace(torch.zeros(1)).__name__.endswith("torch")


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # an import fails
import numpy as np
import nmt.search.constraints, nmt.search.diverse, nmt.search.processors, nmt.search.sampling
from nmt.search import beam_search, greedy_search, make_length_normalization

class State(tuple):
    def select(self, rows):
        return self

class Model:
    def encode(self, source, lengths):
        return State()

    def init_state(self, memory):
        return State()

    def step(self, ids, state, memory):
        class Output:
            log_probs = np.log(np.tile(np.float32([0, 0, 0, 0.2, 0.7, 0.1]), (len(ids), 1)))
            state = State()
            weights = None
        return Output

with np.errstate(divide="ignore"):
    source, lengths = np.array([[4, 3]]), np.array([2])
    options = {"normalization": make_length_normalization("average", None)}
    [found] = beam_search(Model(), source, lengths, beam_size=3, n_best=1, max_lengths=np.array([5]), **options)
    [greedy] = greedy_search(Model(), source, lengths, max_lengths=np.array([5]), **options)
print(found[0].ids, greedy[0].ids, [name for name in sys.modules if name.startswith(("torch", "array_api_compat"))])
"""


def test_a_search_in_numpy_needs_no_torch() -> None:
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("[4, 4, 4, 4, 4] [4, 4, 4, 4, 4] ['torch']\n", "")
