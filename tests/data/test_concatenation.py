"""Examples of several pairs: their pieces are those of the pairs, one after another, and none is too long."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from cli_tools import untouched_logging
from data_files import make_config, make_model, make_pairs, write_pairs, write_text
from nmt.config import load_config
from nmt.config.schema import ConcatenationConfig
from nmt.data.batching import Batch, Batches, Position
from nmt.data.concatenation import ConcatenationSampler, SampledGroups
from nmt.data.preprocess.preprocess import preprocess
from nmt.data.shuffle import make_key
from nmt.data.store import Store, StoreWriter, make_rows
from nmt.data.tokenizer import WORD_START, Tokenizers
from nmt.training import train
from nmt.training.batch_tensors import make_batches as batches_of_config
from toy_experiments import write_toy_experiment

START = Position(0, 0, 0)
FIRST, WIDTH = 4, 20
"""Pair i has the pieces FIRST + WIDTH * i and those after it, so that every piece tells its pair and place."""
PAIRS = 230


def lengths_of(pair: int) -> tuple[int, int]:
    return 1 + pair * 7 % 13, 1 + pair * 5 % 11


def pieces_of(pair: int, side: int) -> tuple[int, ...]:
    return tuple(range(FIRST + WIDTH * pair, FIRST + WIDTH * pair + lengths_of(pair)[side]))


@pytest.fixture(scope="module")
def tokenizers() -> Tokenizers:
    model = make_model([line for pair in make_pairs(300, seed=3, longest=8) for line in pair])
    return Tokenizers(source=model, target=model)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("store")
    size = FIRST + WIDTH * PAIRS
    writer = StoreWriter(folder, source_size=size, target_size=size)
    sides = [make_rows([pieces_of(pair, side) for pair in range(PAIRS)], np.uint32) for side in (0, 1)]
    writer.add((sides[0], sides[1]))
    writer.close([0, 200, PAIRS])
    return Store(folder)


def make_batches(
    store: Store, tokenizers: Tokenizers, concatenation: ConcatenationSampler | None, **changes: Any
) -> Batches:
    options: dict[str, Any] = {
        "batch_tokens": 200,
        "batch_sentences": None,
        "shuffle_window": 60,
        "sampling": 0.0,
        "seed": 1,
        "weights": [1.0, 1.0],
    }
    return Batches(store, tokenizers, concatenation=concatenation, **{**options, **changes})


def epoch_of(batches: Batches, epoch: int) -> Iterator[Batch]:
    for batch, following in batches.iterate(Position(epoch, 0, 0)):
        yield batch
        if following.epoch > epoch:
            return


def rows(batch: Batch) -> list[tuple[list[int], list[int]]]:
    """The examples of a batch without padding and EOS."""
    sides = ((batch.source, batch.source_lengths), (batch.target_output, batch.target_lengths))
    found = [[row[: end - 1].tolist() for row, end in zip(ids, ends, strict=True)] for ids, ends in sides]
    return list(zip(*found, strict=True))


def taken_apart(ids: list[int], side: int) -> tuple[int, ...]:
    """The pairs that one side of an example is made of: all of each, from its first piece to its last."""
    pairs = []
    while ids:
        pair = (ids[0] - FIRST) // WIDTH
        pieces = pieces_of(pair, side)
        assert tuple(ids[: len(pieces)]) == pieces
        pairs.append(pair)
        ids = ids[len(pieces) :]
    return tuple(pairs)


def examples_of(batches: Batches, epoch: int) -> list[tuple[int, ...]]:
    """The pairs of each example of an epoch, sorted; both sides have the same ones in the same order."""
    found = []
    for batch in epoch_of(batches, epoch):
        for source, target in rows(batch):
            pairs = taken_apart(source, 0)
            assert pairs == taken_apart(target, 1)
            found.append(pairs)
    return sorted(found)


def several(examples: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return [pairs for pairs in examples if len(pairs) > 1]


def same(left: Batch, right: Batch) -> bool:
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in asdict(left))


# ---------------------------------------------------------------------------------------------------------- examples


@pytest.mark.parametrize(("share", "most", "window"), [(0.5, 2, 60), (0.3, 5, 60), (2.5, 4, 1000), (1.0, 3, 7)])
def test_every_pair_alone_and_beside_them_several_together(
    store: Store, tokenizers: Tokenizers, share: float, most: int, window: int
) -> None:
    concatenation = ConcatenationSampler(ratio=share, max_pairs=most, max_pieces=1000)
    batches = make_batches(store, tokenizers, concatenation, shuffle_window=window, batch_tokens=400)
    for epoch in (0, 1):
        examples = examples_of(batches, epoch)
        assert [pairs for pairs in examples if len(pairs) == 1] == [(pair,) for pair in range(PAIRS)]
        joined = several(examples)
        windows = -(-PAIRS // window)
        assert abs(len(joined) - share * PAIRS) <= windows
        assert {len(pairs) for pairs in joined} == set(range(2, most + 1))


def test_no_example_is_too_long(store: Store, tokenizers: Tokenizers) -> None:
    concatenation = ConcatenationSampler(ratio=1.0, max_pairs=6, max_pieces=25)
    examples = several(examples_of(make_batches(store, tokenizers, concatenation), 0))
    lengths = [max(sum(lengths_of(pair)[side] for pair in pairs) for side in (0, 1)) for pairs in examples]
    assert max(lengths) == 25
    assert Counter(len(pairs) for pairs in examples).keys() >= {2, 3, 4}
    # The budget of a batch is a limit too.
    tight = make_batches(
        store, tokenizers, ConcatenationSampler(ratio=1.0, max_pairs=6, max_pieces=1000), batch_tokens=31
    )
    for batch in epoch_of(tight, 0):
        assert max(batch.source.size, batch.target_output.size) <= 31
    assert several(examples_of(tight, 0))


def test_where_no_two_pairs_fit_each_is_alone(store: Store, tokenizers: Tokenizers) -> None:
    concatenation = ConcatenationSampler(ratio=1.0, max_pairs=3, max_pieces=1)
    assert examples_of(make_batches(store, tokenizers, concatenation), 0) == [(pair,) for pair in range(PAIRS)]


def test_pairs_take_part_about_equally_often(store: Store, tokenizers: Tokenizers) -> None:
    concatenation = ConcatenationSampler(ratio=0.5, max_pairs=2, max_pieces=1000)
    counts = Counter(
        pair
        for epoch in range(6)
        for pairs in several(examples_of(make_batches(store, tokenizers, concatenation), epoch))
        for pair in pairs
    )
    assert counts.keys() == set(range(PAIRS))
    assert set(counts.values()) <= {5, 6, 7}


def test_the_same_for_the_same_seed_and_epoch_and_different_for_others(store: Store, tokenizers: Tokenizers) -> None:
    concatenation = ConcatenationSampler(ratio=0.5, max_pairs=3, max_pieces=1000)
    first = several(examples_of(make_batches(store, tokenizers, concatenation), 0))
    assert first == several(examples_of(make_batches(store, tokenizers, concatenation), 0))
    others = [
        several(examples_of(make_batches(store, tokenizers, concatenation), 1)),
        several(examples_of(make_batches(store, tokenizers, concatenation, seed=2), 0)),
    ]
    for other in others:
        assert len(set(first) & set(other)) < 0.1 * len(first)


def test_corpora_are_mixed_by_weight_first(store: Store, tokenizers: Tokenizers) -> None:
    concatenation = ConcatenationSampler(ratio=0.5, max_pairs=2, max_pieces=1000)
    examples = examples_of(make_batches(store, tokenizers, concatenation, weights=[0.1, 3.0], shuffle_window=1000), 0)
    alone = Counter(pairs for pairs in examples if len(pairs) == 1)
    assert sum(alone.values()) == 20 + 3 * 30
    assert abs(len(several(examples)) - 55) <= 1
    small = sum(pair >= 200 for pairs in several(examples) for pair in pairs)
    assert small > 0.6 * 110


def test_any_position_goes_on_the_same(store: Store, tokenizers: Tokenizers) -> None:
    concatenation = ConcatenationSampler(ratio=0.7, max_pairs=4, max_pieces=40)
    stream = list(islice(make_batches(store, tokenizers, concatenation).iterate(START), 60))
    for place in (0, 1, 7, 18, 40):
        saved = Position(**json.loads(json.dumps(asdict(stream[place][1]))))
        later = make_batches(store, tokenizers, concatenation).iterate(saved)
        for (batch, position), (expected, expected_position) in zip(
            islice(later, 5), stream[place + 1 :], strict=False
        ):
            assert same(batch, expected)
            assert position == expected_position


def test_counting_and_the_worst_batch(store: Store, tokenizers: Tokenizers) -> None:
    for most, max_pieces in ((2, 1000), (5, 30)):
        batches = make_batches(
            store, tokenizers, ConcatenationSampler(ratio=0.8, max_pairs=most, max_pieces=max_pieces)
        )
        worst = batches.largest()
        found = list(epoch_of(batches, 0))
        assert batches.count(0) == len(found)
        for batch in found:
            assert batch.source.size <= worst.source.size + len(worst)
            assert batch.target_output.size <= worst.target_output.size + len(worst)
            assert batch.source.shape[1] <= worst.source.shape[1]
            assert batch.target_output.shape[1] <= worst.target_output.shape[1]
    few = make_batches(
        store, tokenizers, ConcatenationSampler(ratio=0.5, max_pairs=2, max_pieces=1000), batch_tokens=10**6
    ).largest()
    assert len(few) == 60 + 30  # the window, and what is made of it


def test_a_share_of_nothing_changes_nothing(store: Store, tokenizers: Tokenizers) -> None:
    plain = make_batches(store, tokenizers, None)
    none = make_batches(
        store, tokenizers, ConcatenationSampler(ratio=0.0, max_pairs=ConcatenationConfig().max_pairs, max_pieces=300)
    )
    assert same(plain.largest(), none.largest())
    assert plain.count(0) == none.count(0)
    for (batch, position), (expected, expected_position) in islice(
        zip(none.iterate(START), plain.iterate(START), strict=True), 40
    ):
        assert same(batch, expected)
        assert position == expected_position


def test_backwards_the_last_pair_comes_first(store: Store, tokenizers: Tokenizers) -> None:
    """A target from right to left is turned as a whole."""
    concatenation = ConcatenationSampler(ratio=0.5, max_pairs=3, max_pieces=1000)
    turned = make_batches(store, tokenizers.with_direction(right_to_left=True), concatenation)
    seen = 0
    for batch in epoch_of(turned, 0):
        for source, target in rows(batch):
            pairs = taken_apart(source, 0)
            assert taken_apart(target[::-1], 1) == pairs
            seen += len(pairs) > 1
    assert seen > 100


# ---------------------------------------------------------------------------------------------------- drawing, fitting


@pytest.mark.parametrize(("pairs", "share"), [(1, 3.0), (2, 0.5), (97, 0.4), (50, 4.0)])
def test_drawing_goes_through_all_pairs_before_any_comes_again(pairs: int, share: float) -> None:
    concatenation = ConcatenationSampler(ratio=share, max_pairs=5, max_pieces=100)
    counts = []
    for key in range(40):
        drawn = concatenation.sample(pairs, make_key(key))
        assert len(drawn.members) == drawn.sizes.sum()
        assert all(2 <= size <= 5 for size in drawn.sizes)
        times = np.bincount(drawn.members, minlength=pairs)
        assert len(times) == pairs
        assert times.max() - times.min() <= 1
        counts.append(len(drawn.sizes))
    assert set(counts) <= {int(share * pairs), int(share * pairs) + 1}
    assert np.mean(counts) == pytest.approx(share * pairs, abs=0.3)


def naive_fit(lengths: list[list[int]], members: list[int], sizes: list[int], limit: int) -> list[list[int]]:
    """Rows of each example: every pair, then of each draw its first members as long as both sides fit."""
    pairs = len(lengths[0]) - len(members)
    examples = [[pair] for pair in range(pairs)]
    row = pairs
    for size in sizes:
        taken: list[int] = []
        for number in range(row, row + size):
            if any(sum(side[member] for member in [*taken, number]) > limit for side in lengths):
                break
            taken.append(number)
        if len(taken) > 1:
            examples.append(taken)
        row += size
    return examples


@settings(max_examples=60)
@given(data=st.data())
def test_fitting_takes_the_first_members_that_fit(data: st.DataObject) -> None:
    pairs = data.draw(st.integers(1, 6))
    sizes = data.draw(st.lists(st.integers(2, 5), max_size=5))
    members = data.draw(st.lists(st.integers(0, pairs - 1), min_size=sum(sizes), max_size=sum(sizes)))
    limit = data.draw(st.integers(1, 20))
    each = [data.draw(st.lists(st.integers(1, 9), min_size=pairs, max_size=pairs)) for _ in range(2)]
    lengths = [side + [side[member] for member in members] for side in each]
    drawn = SampledGroups(np.array(members, dtype=np.int64), np.array(sizes, dtype=np.int64))
    fitted = ConcatenationSampler(ratio=1.0, max_pairs=5, max_pieces=limit).fit(
        [np.array(side) for side in lengths], drawn
    )
    expected = naive_fit(lengths, members, sizes, limit)
    found, owners = fitted.members(np.arange(len(fitted.first)))
    assert found.tolist() == [row for example in expected for row in example]
    assert owners.tolist() == [number for number, example in enumerate(expected) for _ in example]
    for side in lengths:
        assert fitted.lengths(np.array(side)).tolist() == [sum(side[row] for row in example) for example in expected]


# -------------------------------------------------------------------------------------------- real text, with links


class Aligned(NamedTuple):
    sources: dict[str, str]
    """Source words of each pair, by its name."""
    targets: dict[str, str]
    links: dict[str, list[tuple[int, int]]]


def aligned_corpus(count: int) -> Aligned:
    """Pairs that start with a name of their own, and links drawn at random; every fifth pair has none."""
    generator = np.random.default_rng(4)
    sources, targets, links = {}, {}, {}
    for number, (source, target) in enumerate(make_pairs(count, seed=5, longest=6)):
        name = f"p{number}"
        sources[name], targets[name] = f"{name} {source}", f"{name} {target}"
        words = len(sources[name].split())
        chosen = generator.random((words, words)) < (0.3 if number % 5 else 0)
        links[name] = [(int(i), int(j)) for i, j in np.argwhere(chosen)]
    return Aligned(sources, targets, links)


def words_of(pieces: list[str]) -> list[int]:
    """The word of each piece, counted through the whole example."""
    word, words = -1, []
    for place, piece in enumerate(pieces):
        word += place == 0 or piece.startswith(WORD_START)
        words.append(word)
    return words


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("sampling", [0.0, 0.2])
def test_text_and_links_of_examples_are_those_of_their_pairs(tmp_path: Path, sampling: float, backwards: bool) -> None:
    corpus = aligned_corpus(90)
    section = write_pairs(tmp_path, "train", [(corpus.sources[name], corpus.targets[name]) for name in corpus.sources])
    lines = [" ".join(f"{i}-{j}" for i, j in links) for links in corpus.links.values()]
    section["alignment"] = write_text(tmp_path / "train.align", lines)
    preprocessed = preprocess(make_config(tmp_path, [section]))
    models = preprocessed.tokenizers.with_direction(right_to_left=backwards)
    concatenation = ConcatenationSampler(ratio=0.8, max_pairs=3, max_pieces=100)
    options: dict[str, Any] = {"shuffle_window": 40, "weights": [1.0], "sampling": sampling, "aligned": True}
    batches = make_batches(preprocessed.train, models, concatenation, batch_tokens=600, **options)
    seen = joined = 0
    for batch in epoch_of(batches, 0):
        assert batch.links is not None
        columns = (batch.links.rows, batch.links.targets, batch.links.sources, batch.links.shares)
        found = Counter(zip(*(column.tolist() for column in columns), strict=True))
        expected: Counter[tuple[int, int, int, float]] = Counter()
        for row, (source, target) in enumerate(rows(batch)):
            source_text = models.source.decode([source])[0]
            names = [word for word in source_text.split() if word in corpus.sources]
            assert source_text == " ".join(corpus.sources[name] for name in names)
            assert models.target.decode([target])[0] == " ".join(corpus.targets[name] for name in names)
            linked = set()
            before = 0
            for name in names:
                linked |= {(before + i, before + j) for i, j in corpus.links[name]}
                before += len(corpus.sources[name].split())
            forwards = target[::-1] if backwards else target
            source_words = words_of(models.source.pieces(source))
            for place, word in enumerate(words_of(models.source.pieces(forwards))):
                sources = [i for i, source_word in enumerate(source_words) if (source_word, word) in linked]
                position = len(target) - 1 - place if backwards else place
                expected.update((row, position, i, float(np.float32(1 / len(sources)))) for i in sources)
            joined += len(names) > 1
        assert found == expected
        seen += len(found)
    assert joined > 60
    assert seen > 1000


# --------------------------------------------------------------------------------------------------------- in a run


def test_a_run_reads_the_options_and_resumes_in_the_middle_of_an_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_toy_experiment(tmp_path, pairs=120)
    options = (
        "data.concatenation.ratio=0.5",
        "data.concatenation.max_pairs=3",
        "data.filters.max_pieces=45",
        "training.validation.every_updates=100",
        "training.validation.metrics=[]",
        "training.validation.metric=loss",
        "training.averaging.kind=none",
    )

    def run(*overrides: str, resume: bool = False) -> Path:
        config = load_config(Path("toy.yaml"), [*options, *overrides])
        return train(config, resume=resume, overwrite=False, init_from=None)

    with untouched_logging():
        straight = run("name=straight", "training.max_updates=24")
        run("name=broken", "training.max_updates=9")
        broken = run("name=broken", "training.max_updates=24", resume=True)
        config = load_config(Path("toy.yaml"), options)
        batches = batches_of_config(config, preprocess(config))
    weights = [load_file(path / "last" / "weights.safetensors") for path in (straight, broken)]
    assert all(bool((value == weights[1][name]).all()) for name, value in weights[0].items())
    found = [row for batch in epoch_of(batches, 0) for row in rows(batch)]
    assert abs(len(found) - 180) <= 1
    lengths = [max(len(source), len(target)) for source, target in found]
    alone = int(max(batches._store.source_lengths.max(), batches._store.target_lengths.max()))
    assert alone < max(lengths) <= 45
