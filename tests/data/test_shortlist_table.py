"""IBM Model 1, and the shortlist table that is made of it."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from data_files import make_config, make_model, make_pairs, write_pairs
from nmt.config.schema import Config
from nmt.data import ibm_model1
from nmt.data.ibm_model1 import TranslationTable, sample_pairs, train_ibm_model1
from nmt.data.preprocess.preprocess import PreprocessedData, preprocess
from nmt.data.shortlist_table import ShortlistTable, make_shortlist
from nmt.data.special_tokens import EOS, PAD
from nmt.data.store import Store, StoreWriter, make_rows
from nmt.data.tokenizer import Tokenizers
from nmt.errors import DataError

Pairs = Sequence[tuple[Sequence[int], Sequence[int]]]
SIZE = 40


def random_pairs(count: int, *, seed: int, longest: int = 9) -> Pairs:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, longest + 1, (count, 2))
    return [tuple(generator.integers(4, SIZE, length).tolist() for length in row) for row in lengths]  # type: ignore


def naive_model_1(pairs: Pairs, iterations: int) -> dict[tuple[int, int], float]:
    """Expectation maximisation as in the paper, one pair and one link at a time; source piece 0 is none."""
    probability: dict[tuple[int, int], float] = defaultdict(lambda: 1.0 / SIZE)
    for _ in range(iterations):
        counts: dict[tuple[int, int], float] = defaultdict(float)
        totals: dict[int, float] = defaultdict(float)
        for source, target in pairs:
            for t in target:
                norm = sum(probability[s, t] for s in (0, *source))
                for s in (0, *source):
                    counts[s, t] += probability[s, t] / norm
                    totals[s] += probability[s, t] / norm
        probability = defaultdict(float, {(s, t): value / totals[s] for (s, t), value in counts.items()})
    return probability


def learn(pairs: Pairs, **options: int) -> TranslationTable:
    sources, targets = (make_rows([pair[side] for pair in pairs], np.uint16) for side in (0, 1))  # type: ignore
    return train_ibm_model1(sources, targets, target_size=SIZE, **options)


def as_dict(learnt: TranslationTable) -> dict[tuple[int, int], float]:
    return dict(
        zip(zip(learnt.sources.tolist(), learnt.targets.tolist(), strict=True), learnt.probabilities, strict=True)
    )


@pytest.mark.parametrize("chunk_links", [1, 50, 10_000])
def test_the_lexicon_is_that_of_the_paper(chunk_links: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ibm_model1, "CHUNK_LINKS", chunk_links)
    for seed, iterations in itertools.product(range(2), (1, 2, 6)):
        pairs = random_pairs(30, seed=seed)
        found, expected = as_dict(learn(pairs, iterations=iterations)), naive_model_1(pairs, iterations)
        assert found.keys() == expected.keys()
        assert all(found[cell] == pytest.approx(expected[cell], rel=1e-9) for cell in expected)


def test_probabilities_of_each_source_piece_add_up_to_one() -> None:
    learnt = learn(random_pairs(100, seed=3))
    sums = np.bincount(learnt.sources, learnt.probabilities, minlength=SIZE)
    assert sums[np.unique(learnt.sources)] == pytest.approx(1.0)
    assert (np.diff(learnt.sources * SIZE + learnt.targets) > 0).all()


def test_what_always_goes_together_is_found() -> None:
    generator = np.random.default_rng(5)
    sources = [generator.choice(np.arange(4, 20), 6, replace=False).tolist() for _ in range(300)]
    learnt = as_dict(learn([(source, [piece + 20 for piece in reversed(source)]) for source in sources]))
    for piece in range(4, 20):
        assert learnt[piece, piece + 20] > 0.5


def test_only_the_rarest_cells_are_forgotten() -> None:
    frequent = [([4, 5], [24, 25])] * 20
    rare = random_pairs(30, seed=1)
    everything = learn([*frequent, *rare])
    of_text = int((everything.sources > 0).sum())
    learnt = learn([*frequent, *rare], max_cells=60)
    assert int((learnt.sources > 0).sum()) <= 60 < of_text
    assert {(4, 24), (4, 25), (5, 24), (5, 25)} <= set(as_dict(learnt))
    # Every target piece can still come from nothing.
    assert {t for s, t in as_dict(learnt) if s == 0} == {t for _, target in [*frequent, *rare] for t in target}
    assert np.bincount(learnt.sources, learnt.probabilities)[np.unique(learnt.sources)] == pytest.approx(1.0)


def make_store(folder: Path, pairs: Pairs) -> Store:
    writer = StoreWriter(folder, source_size=SIZE, target_size=SIZE)
    writer.add(tuple(make_rows([pair[side] for pair in pairs], np.uint16) for side in (0, 1)))  # type: ignore
    writer.close([0, len(pairs)])
    return Store(folder)


def test_large_corpora_are_sampled_evenly_and_long_pairs_passed_over(tmp_path: Path) -> None:
    long = ibm_model1.MAX_PIECES + 1
    pairs = [([4 + number // 60] * 5, [5] * 5) for number in range(600)] + [([30] * long, [5])]
    store = make_store(tmp_path, pairs)
    sources, targets = sample_pairs(store, max_links=3_000)
    assert len(sources.lengths) == len(targets.lengths) == 100
    assert np.bincount(sources.ids, minlength=31).tolist() == [0] * 4 + [50] * 10 + [0] * 17
    assert len(sample_pairs(store)[0].lengths) == 600


@pytest.mark.parametrize("part", [1, 7, 1000])
def test_the_sample_does_not_depend_on_the_parts_in_which_lengths_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    pairs = [([number] * (1 + number % 70), [5] * 3) for number in range(4, 100)]
    monkeypatch.setattr(ibm_model1, "COUNTED_PAIRS", part)
    store = make_store(tmp_path, pairs)
    short = [source[0] for source, _ in pairs if len(source) <= ibm_model1.MAX_PIECES]
    for max_links in (10, 1_000, 10**6):
        sources, _ = sample_pairs(store, max_links=max_links)
        links = sum(3 * (len(source) + 1) for source, _ in pairs if source[0] in short)
        count = max(1, min(len(short), len(short) * max_links // links))
        expected = [short[rank * len(short) // count] for rank in range(count)]
        assert sources.ids[sources.starts].tolist() == expected


def test_a_corpus_of_long_pairs_alone_still_gives_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path, [([9] * 200, [5] * 3), ([8] * 100, [5] * 3), ([7] * 3, [5] * 100)])
    assert sample_pairs(store)[0].ids.tolist() == [8] * 100
    monkeypatch.setattr(ibm_model1, "COUNTED_PAIRS", 1)
    assert sample_pairs(store)[0].ids.tolist() == [8] * 100


# ------------------------------------------------------------------------------------------------------- the table


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("text")
    train = write_pairs(folder, "train", make_pairs(300, seed=1, longest=8))
    return make_config(folder, [train], tokenizer={"byte_fallback": False, "vocabulary_size": 160, "kind": "bpe"})


@pytest.fixture(scope="module")
def preprocessed(config: Config) -> PreprocessedData:
    return preprocess(config)


def with_shortlist(config: Config, **options: int) -> Config:
    data = config.data.model_dump() | {"shortlist": options}
    return Config.model_validate({**config.model_dump(), "data": data})


def table_of(preprocessed: PreprocessedData, translations: int, frequent: int) -> ShortlistTable:
    return make_shortlist(preprocessed.train, preprocessed.tokenizers, translations=translations, frequent=frequent)


def test_translations_come_first_and_frequent_pieces_apart(preprocessed: PreprocessedData) -> None:
    model = preprocessed.tokenizers.source
    plain = table_of(preprocessed, 5, 0)
    assert plain.frequent.tolist() == []
    assert plain.translations.shape == (model.size, 6)
    pieces = {piece: number for number, piece in enumerate(model.pieces(range(model.size)))}
    for source, target in (("▁dog", "▁Hund"), ("▁house", "▁Haus"), ("▁sees", "▁sieht")):
        assert pieces[target] in plain.translations[pieces[source]].tolist()
    ids = np.concatenate([preprocessed.train.target_ids(pair) for pair in range(len(preprocessed.train))])
    often = np.argsort(-np.bincount(ids), kind="stable")[:4]
    some = table_of(preprocessed, 5, 4)
    assert some.frequent.tolist() == sorted(often.tolist())
    assert not np.isin(some.translations[:, 1:], often).any()


def test_a_piece_may_be_copied_unless_it_is_known_to_be_of_the_source_alone(preprocessed: PreprocessedData) -> None:
    same = table_of(preprocessed, 1, 0).translations[:, 0]
    source, target = (
        np.unique(np.concatenate([ids(pair) for pair in range(len(preprocessed.train))]))
        for ids in (preprocessed.train.source_ids, preprocessed.train.target_ids)
    )
    for piece in range(EOS + 1, len(same)):
        alone = piece in source and piece not in target
        assert same[piece] == (PAD if alone else piece)


def test_two_vocabularies_share_pieces_of_the_same_text(tmp_path: Path) -> None:
    tokenizers = Tokenizers(
        make_model(["the red dog", "42 cats"], vocabulary_size=40, byte_fallback=False),
        make_model(["der rote Hund", "42 Katzen"], vocabulary_size=40, byte_fallback=False),
    )
    table = make_shortlist(make_store(tmp_path, [([5, 6], [7])]), tokenizers, translations=2, frequent=1)
    table.check(tokenizers)
    source, target = (model.pieces(range(model.size)) for model in (tokenizers.source, tokenizers.target))
    for piece, same in zip(source[EOS + 1 :], table.translations[EOS + 1 :, 0], strict=True):
        assert same == PAD or target[same] == piece
    assert table.translations[source.index("4"), 0] == target.index("4")


def test_the_table_is_kept_beside_the_prepared_data(config: Config, preprocessed: PreprocessedData) -> None:
    assert preprocessed.shortlist is not None
    kept = preprocessed.folder / "shortlist-20-200.safetensors"
    before = kept.read_bytes()
    again = preprocess(config)
    assert again.shortlist is not None
    assert np.array_equal(again.shortlist.translations, preprocessed.shortlist.translations)
    kept.write_bytes(b"damaged")
    preprocess(config)
    assert kept.read_bytes() == before


def test_other_options_make_another_table_of_the_same_data(config: Config, preprocessed: PreprocessedData) -> None:
    smaller = preprocess(with_shortlist(config, translations=3, frequent=2))
    assert smaller.fingerprint == preprocessed.fingerprint
    assert smaller.shortlist is not None
    assert smaller.shortlist.translations.shape[1] == 4
    assert preprocess(with_shortlist(config, translations=0)).shortlist is None


def test_a_table_of_other_vocabularies_is_told(preprocessed: PreprocessedData) -> None:
    table = table_of(preprocessed, 2, 2)
    other = make_model(["the red dog"], vocabulary_size=30, byte_fallback=False)
    with pytest.raises(DataError, match="another vocabulary"):
        table.check(Tokenizers(other, other))
    with pytest.raises(DataError, match="damaged"):
        ShortlistTable(translations=table.frequent, frequent=table.frequent)
