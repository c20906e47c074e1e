from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_files import make_model, make_pairs
from nmt.data.batch import split_into_batches
from nmt.data.batching import Batch, Batches, Position, fixed_batches, make_batch
from nmt.data.special_tokens import BOS, EOS, PAD
from nmt.data.store import Store, StoreWriter, make_rows
from nmt.data.tokenizer import Tokenizers
from nmt.errors import DataError

START = Position(0, 0, 0)
PAIRS = make_pairs(700, seed=3, longest=14)


@pytest.fixture(scope="module")
def tokenizers() -> Tokenizers:
    model = make_model([line for pair in PAIRS for line in pair])
    return Tokenizers(source=model, target=model)


@pytest.fixture(scope="module")
def store(tokenizers: Tokenizers, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("store")
    size = tokenizers.source.size
    writer = StoreWriter(folder, source_size=size, target_size=size)
    sources, targets = [source for source, _ in PAIRS], [target for _, target in PAIRS]
    ids = [make_rows(tokenizers.source.encode(lines), np.uint32) for lines in (sources, targets)]
    writer.add((ids[0], ids[1]))
    writer.close([0, 500, 700])
    return Store(folder)


def make_batches(store: Store, tokenizers: Tokenizers, **changes: Any) -> Batches:
    options: dict[str, Any] = {
        "batch_tokens": 200,
        "batch_sentences": None,
        "shuffle_window": 300,
        "sampling": 0.0,
        "seed": 1,
        "weights": [1.0, 1.0],
    }
    return Batches(store, tokenizers, **{**options, **changes})


def epoch_of(batches: Batches, epoch: int) -> Iterator[Batch]:
    for batch, following in batches.iterate(Position(epoch, 0, 0)):
        yield batch
        if following.epoch > epoch:
            return


def rows(batch: Batch) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The pairs of a batch without padding and EOS."""
    return [
        (tuple(source[: length - 1].tolist()), tuple(target[: target_length - 1].tolist()))
        for source, length, target, target_length in zip(
            batch.source, batch.source_lengths, batch.target_output, batch.target_lengths, strict=True
        )
    ]


def stored_pairs(store: Store) -> Counter[tuple[tuple[int, ...], tuple[int, ...]]]:
    return Counter(
        (tuple(store.source_ids(number).tolist()), tuple(store.target_ids(number).tolist()))
        for number in range(len(store))
    )


def same(left: Batch, right: Batch) -> bool:
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in asdict(left))


def test_the_shape_of_a_batch() -> None:
    batch = make_batch([[5, 6, 7], [8]], [[9], [10, 11]])
    assert batch.source.tolist() == [[5, 6, 7, EOS], [8, EOS, PAD, PAD]]
    assert batch.source_lengths.tolist() == [4, 2]
    assert batch.target_input.tolist() == [[BOS, 9, PAD], [BOS, 10, 11]]
    assert batch.target_output.tolist() == [[9, EOS, PAD], [10, 11, EOS]]
    assert batch.target_lengths.tolist() == [2, 3]
    assert batch.target_tokens == 5
    assert len(batch) == 2
    assert batch.links is None
    arrays = [value for name, value in vars(batch).items() if name != "links"]
    assert {array.dtype for array in arrays} == {np.dtype(np.int64)}


def test_a_batch_of_nothing_to_say() -> None:
    batch = make_batch([[]], [[]])
    assert batch.source.tolist() == batch.target_output.tolist() == [[EOS]]
    assert batch.target_input.tolist() == [[BOS]]


@pytest.mark.parametrize("sampling", [0.0, 0.5])
@pytest.mark.parametrize("sentences", [None, 7])
def test_limits_hold(store: Store, tokenizers: Tokenizers, sampling: float, sentences: int | None) -> None:
    batches = make_batches(store, tokenizers, batch_sentences=sentences, sampling=sampling)
    worst = batches.largest()
    for batch in [*epoch_of(batches, 0), worst]:
        assert batch.source.size <= 200
        assert batch.target_output.size <= 200
        assert len(batch) <= (sentences or 200)
        assert batch.source.size <= worst.source.size + len(worst)
        assert batch.target_output.size <= worst.target_output.size + len(worst)
        assert batch.source.shape[1] <= worst.source.shape[1]
        assert batch.target_output.shape[1] <= worst.target_output.shape[1]


def test_the_worst_batch_is_full(store: Store, tokenizers: Tokenizers) -> None:
    worst = make_batches(store, tokenizers).largest()
    assert PAD not in worst.source
    assert (worst.source_lengths == worst.source.shape[1]).all()
    assert worst.target_tokens == worst.target_output.size
    small = make_batches(store, tokenizers, batch_tokens=10**9).largest()
    assert len(small) == 300  # the window


@pytest.mark.parametrize("window", [7, 100, 10_000])
def test_an_epoch_has_every_pair_once(store: Store, tokenizers: Tokenizers, window: int) -> None:
    batches = make_batches(store, tokenizers, shuffle_window=window)
    for epoch in (0, 1):
        assert Counter(pair for batch in epoch_of(batches, epoch) for pair in rows(batch)) == stored_pairs(store)


def test_epochs_and_seeds_differ(store: Store, tokenizers: Tokenizers) -> None:
    def contents(seed: int, epoch: int) -> list[frozenset[Any]]:
        batches = make_batches(store, tokenizers, seed=seed, shuffle_window=10_000)
        return [frozenset(rows(batch)) for batch in epoch_of(batches, epoch)]

    first = contents(1, 0)
    assert first == contents(1, 0)
    for other in (contents(1, 1), contents(2, 0)):
        assert len(set(first) & set(other)) < 0.3 * len(first)


def test_batches_are_given_in_no_order_of_length(store: Store, tokenizers: Tokenizers) -> None:
    batches = make_batches(store, tokenizers, shuffle_window=10_000)
    lengths = [batch.target_output.shape[1] for batch in epoch_of(batches, 0)]
    assert abs(np.corrcoef(np.arange(len(lengths)), lengths)[0, 1]) < 0.3


def test_there_is_little_padding(store: Store, tokenizers: Tokenizers) -> None:
    batches = list(epoch_of(make_batches(store, tokenizers, shuffle_window=10_000), 0))
    area = sum(batch.source.size + batch.target_output.size for batch in batches)
    real = sum(int(batch.source_lengths.sum()) + batch.target_tokens for batch in batches)
    assert real > 0.85 * area
    full = sum(max(batch.source.size, batch.target_output.size) > 150 for batch in batches)
    assert full > 0.9 * len(batches)


@pytest.mark.parametrize("sampling", [0.0, 0.5])
def test_any_position_goes_on_the_same(store: Store, tokenizers: Tokenizers, sampling: float) -> None:
    def stream(position: Position) -> Iterator[tuple[Batch, Position]]:
        return make_batches(store, tokenizers, sampling=sampling, weights=[1.5, 0.5]).iterate(position)

    epoch = make_batches(store, tokenizers, sampling=sampling, weights=[1.5, 0.5]).count(0)
    whole = list(islice(stream(START), epoch + epoch // 2))
    for place in (0, 1, epoch // 3, epoch - 2, epoch - 1, epoch, epoch + 3):
        saved = Position(**json.loads(json.dumps(asdict(whole[place][1]))))
        for (batch, position), (expected, expected_position) in zip(
            islice(stream(saved), 4), whole[place + 1 :], strict=False
        ):
            assert same(batch, expected)
            assert position == expected_position


def test_sampling_gives_other_pieces_of_the_same_text(store: Store, tokenizers: Tokenizers) -> None:
    batches = make_batches(store, tokenizers, sampling=0.1)

    def texts(epoch: int) -> tuple[Counter[tuple[str, ...]], set[Any]]:
        found = [pair for batch in epoch_of(batches, epoch) for pair in rows(batch)]
        return Counter(tuple(tokenizers.source.decode(pair)) for pair in found), set(found)

    (first, first_ids), (second, second_ids) = texts(0), texts(1)
    assert first == second == Counter(PAIRS)
    assert len(first_ids & second_ids) < 0.2 * len(PAIRS)


def test_weights_mix_corpora(store: Store, tokenizers: Tokenizers) -> None:
    batches = make_batches(store, tokenizers, weights=[0.2, 2.0])
    counts = Counter(pair for batch in epoch_of(batches, 0) for pair in rows(batch))
    small = {
        (tuple(store.source_ids(number).tolist()), tuple(store.target_ids(number).tolist()))
        for number in range(500, 700)
    }
    assert sum(counts.values()) == 100 + 400
    assert all(counts[pair] >= 2 for pair in small)


def test_counting_batches(store: Store, tokenizers: Tokenizers) -> None:
    batches = make_batches(store, tokenizers)
    for epoch in (0, 3):
        assert batches.count(epoch) == len(list(epoch_of(batches, epoch)))
    sampled = make_batches(store, tokenizers, sampling=0.1)
    assert sampled.count(0) == pytest.approx(len(list(epoch_of(sampled, 0))), rel=0.1)


def test_a_sentence_longer_than_a_batch_is_refused(store: Store, tokenizers: Tokenizers) -> None:
    with pytest.raises(DataError, match=r"training\.batch_tokens is 10, but the longest sentence has \d+"):
        make_batches(store, tokenizers, batch_tokens=10)


def test_weights_must_fit_the_store(store: Store, tokenizers: Tokenizers) -> None:
    with pytest.raises(DataError, match="2 corpora, but 1 weights"):
        make_batches(store, tokenizers, weights=[1.0])


def test_fixed_batches_have_every_pair_once_in_order_of_length() -> None:
    generator = np.random.default_rng(1)
    sources = [[7] * int(length) for length in generator.integers(0, 30, 100)]
    targets = [[number + 10] * int(length) for number, length in enumerate(generator.integers(0, 60, 100))]
    batches = fixed_batches(sources, targets, batch_tokens=50, batch_sentences=4)
    assert Counter(target for batch in batches for _, target in rows(batch)) == Counter(map(tuple, targets))
    assert all(len(batch) <= 4 for batch in batches)
    assert all(len(batch) == 1 or batch.target_output.size <= 50 for batch in batches)
    lengths = [length for batch in batches for length in batch.target_lengths.tolist()]
    assert lengths == sorted(lengths)
    assert fixed_batches([], [], batch_tokens=50, batch_sentences=None) == []


def test_cutting_is_greedy_and_complete() -> None:
    generator = np.random.default_rng(2)
    lengths = generator.integers(1, 40, (2, 300))
    batches = split_into_batches(lengths[0], lengths[1], batch_tokens=100, batch_sentences=None)
    assert [number for batch in batches for number in range(batch.start, batch.stop)] == list(range(300))
    longest = np.maximum(lengths[0], lengths[1])
    for batch, following in pairwise(batches):
        assert longest[batch].max() * (batch.stop - batch.start) <= 100
        one_more = longest[batch.start : following.start + 1]
        assert one_more.max() * len(one_more) > 100


def test_a_window_holds_only_its_pairs(store: Store, tokenizers: Tokenizers, tmp_path: Path) -> None:
    """Windows of an epoch are disjoint parts of it, so that memory depends on the window and not on the corpus."""
    batches = make_batches(store, tokenizers, shuffle_window=100)
    windows: dict[int, int] = {}
    position = START
    for batch, following in batches.iterate(START):
        windows[position.window] = windows.get(position.window, 0) + len(batch)
        position = following
        if following.epoch:
            break
    assert windows == dict.fromkeys(range(7), 100)
