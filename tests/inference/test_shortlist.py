"""Translating with a shortlist: the same as without where it holds everything, and never dependent on the batch."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from nmt.arrays import log_softmax
from nmt.config.schema import Config
from nmt.data.shortlist_table import ShortlistTable
from nmt.data.special_tokens import EOS
from nmt.engine import InferenceNetwork
from nmt.errors import CheckpointError, UsageError
from nmt.inference.hardware import Processor
from nmt.inference.model_file import load_model, save_model
from nmt.inference.shortlist import RestrictableNetwork, Shortlist, add_shortlist
from nmt.inference.translator import Translator
from nmt.search.top_k import top_k_continuations
from tiny_translator import WORDS, save_tiny_model, tiny_config, tiny_inference, tiny_network, tiny_tokenizers

CPU = Processor(1)
SIZE = tiny_tokenizers().target.size


def lines(count: int, *, seed: int) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(generator.choices(WORDS.split(), k=generator.randint(1, 9))) for _ in range(count)]


def random_table(*, translations: int = 6, frequent: int = 10, seed: int = 1) -> ShortlistTable:
    generator = np.random.default_rng(seed)
    return ShortlistTable(
        translations=generator.integers(0, SIZE, (SIZE, 1 + translations), dtype=np.int32),
        frequent=np.sort(generator.choice(np.arange(4, SIZE, dtype=np.int32), frequent, replace=False)),
    )


def full_table() -> ShortlistTable:
    return ShortlistTable(translations=np.zeros((SIZE, 1), np.int32), frequent=np.arange(4, SIZE, dtype=np.int32))


def make_shortlist(network: InferenceNetwork, table: ShortlistTable) -> Shortlist:
    return Shortlist(RestrictableNetwork(network), table, target_size=SIZE, hardware=CPU)


def make_translator(
    network: InferenceNetwork, config: Config, table: ShortlistTable | None, **decoding: Any
) -> Translator:
    return Translator(
        network,
        tiny_tokenizers(),
        decoding=config.decoding.model_copy(update=decoding),
        hardware=CPU,
        shortlist=None if table is None else make_shortlist(network, table),
    )


@pytest.mark.parametrize("beam_size", [1, 4])
@pytest.mark.parametrize("model", [{}, {"tying": "none", "attention": {"score": "none"}}, {"lexical_model": True}])
def test_a_shortlist_of_the_whole_vocabulary_changes_nothing(beam_size: int, model: dict[str, Any]) -> None:
    config = tiny_config(**model)
    network = tiny_inference(config)
    plain = make_translator(network, config, None, beam_size=beam_size, n_best=beam_size)
    listed = make_translator(network, config, full_table(), beam_size=beam_size, n_best=beam_size)
    for one, other in zip(plain.translate(lines(20, seed=1)), listed.translate(lines(20, seed=1)), strict=True):
        assert [each.ids for each in one.hypotheses] == [each.ids for each in other.hypotheses]
        for a, b in zip(one.hypotheses, other.hypotheses, strict=True):
            assert a.piece_log_probabilities == pytest.approx(b.piece_log_probabilities, abs=1e-4)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_translation_does_not_depend_on_its_batch(beam_size: int) -> None:
    config, text = tiny_config(), lines(30, seed=2)
    network, table = tiny_inference(config), random_table()
    expected: dict[str, Any] = {}
    for size in (1, 3, 30):
        translator = make_translator(network, config, table, beam_size=beam_size, batch_sentences=size)
        for order in (text, text[::-1]):
            for line, found in zip(order, translator.translate(order), strict=True):
                best = found.hypotheses[0]
                ids, log_probability = expected.setdefault(line, (best.ids, best.log_probability))
                assert (best.ids, best.log_probability) == (ids, pytest.approx(log_probability, abs=1e-4))


def test_a_translation_uses_the_pieces_of_its_own_shortlist() -> None:
    config, text, table = tiny_config(), lines(30, seed=3), random_table()
    translator = make_translator(tiny_inference(config), config, table, beam_size=4, n_best=4)
    plain = make_translator(tiny_inference(config), config, None, beam_size=4, n_best=4)
    encode = tiny_tokenizers().source.encode
    frequent = set(table.frequent.tolist())
    differs = False
    for line, found, free in zip(text, translator.translate(text), plain.translate(text), strict=True):
        own = frequent | set(table.translations[[*encode([line])[0], EOS]].flatten().tolist())
        assert all(set(hypothesis.ids) <= own for hypothesis in found.hypotheses)
        differs |= not set(free.hypotheses[0].ids) <= own
    assert differs


def test_probabilities_are_normalized_over_the_shortlist() -> None:
    network, table = tiny_inference(tiny_config()), random_table()
    source, lengths, ids = np.array([[9, 8, 7, EOS], [30, EOS, 0, 0]]), np.array([4, 2]), np.array([2, 2])
    shortlist = make_shortlist(network, table)
    restricted = shortlist.restrict(shortlist.allowed_tokens(source, [(), ()]))
    memory, full_memory = restricted.encode(source, lengths), network.encode(source, lengths)
    found = restricted.step(ids, restricted.init_state(memory), memory).log_probs
    full = network.step(ids, network.init_state(full_memory), full_memory).log_probs
    for row, sentence in enumerate(([9, 8, 7, EOS], [30, EOS])):
        own = sorted({0, 1, 2, 3, *table.frequent.tolist(), *table.translations[sentence].flatten().tolist()})
        finite = np.isfinite(found[row])
        assert int(finite.sum()) == len(own)
        np.testing.assert_allclose(found[row][finite], log_softmax(full[row][own]), atol=1e-5)
    one = memory.select(np.array([1]))
    np.testing.assert_array_equal(one.mask, memory.mask[1:])


@pytest.mark.parametrize("kept", [[0, 1, 2], [2, 0], [1]])
@pytest.mark.parametrize("beam_size", [1, 3])
def test_the_best_continuations_are_those_of_all_allowed_pieces(kept: list[int], beam_size: int) -> None:
    network, table = tiny_inference(tiny_config()), random_table(translations=3, frequent=2)
    source, lengths = np.array([[9, 8, 7, EOS], [30, EOS, 0, 0], [5, 20, EOS, 0]]), np.array([4, 2, 3])
    shortlist = make_shortlist(network, table)
    restricted = shortlist.restrict(shortlist.allowed_tokens(source, [(), (40,), ()]))
    memory = restricted.encode(source, lengths).select(np.array(kept))
    state = restricted.init_state(memory).select(np.arange(len(kept)).repeat(beam_size))
    ids = np.arange(len(kept) * beam_size) % 4
    totals = -np.arange(len(ids), dtype=np.float32).reshape(-1, beam_size) / 5
    every = restricted.step(ids, state, memory).log_probs
    expected = top_k_continuations(every, totals, 4)
    found = restricted.step_top_k(ids, state, memory, totals, 4)
    np.testing.assert_array_equal(found.continuations.rows, expected.rows)
    np.testing.assert_array_equal(found.continuations.pieces, expected.pieces)
    np.testing.assert_allclose(found.continuations.log_probs, expected.log_probs, atol=1e-5)
    np.testing.assert_allclose(found.eos, every[:, EOS], atol=1e-5)


# ------------------------------------------------------------------------------------------------------ model files


def save(path: Path, table: ShortlistTable | None, **decoding: Any) -> None:
    config = tiny_config()
    config = Config.model_validate({**config.model_dump(), "decoding": {**config.decoding.model_dump(), **decoding}})
    save_model(
        path,
        weights=dict(tiny_network(config).named_parameters()),
        config=config,
        tokenizers=tiny_tokenizers(),
        provenance={"data_fingerprint": "0" * 64},
        shortlist=table,
    )


def test_the_table_is_in_the_model_file(tmp_path: Path) -> None:
    table = random_table()
    save(tmp_path / "model", table)
    file = load_model(tmp_path / "model")
    assert file.shortlist is not None
    assert np.array_equal(file.shortlist.translations, table.translations)
    assert np.array_equal(file.shortlist.frequent, table.frequent)
    assert not any("shortlist" in name for name in file.weights)
    text = lines(10, seed=4)
    config = tiny_config()
    expected = make_translator(tiny_inference(config), config, table)
    loaded = Translator.load(tmp_path / "model", decoding={"shortlist": True, "device": "cpu"})
    plain = Translator.load(tmp_path / "model", decoding={"device": "cpu"})
    free = make_translator(tiny_inference(config), config, None)
    for translator, reference in ((loaded, expected), (plain, free)):
        assert [each.text for each in translator.translate(text)] == [each.text for each in reference.translate(text)]


def test_a_model_file_may_enable_its_table(tmp_path: Path) -> None:
    save(tmp_path / "model", random_table(), shortlist=True)
    text = lines(10, seed=4)
    by_default, with_it, without = (
        [each.text for each in Translator.load(tmp_path / "model", decoding=decoding).translate(text)]
        for decoding in ({}, {"shortlist": True}, {"shortlist": False})
    )
    assert by_default == with_it != without


def test_a_model_file_without_a_table_says_how_to_get_one(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "model")
    assert load_model(tmp_path / "model").shortlist is None
    with pytest.raises(UsageError, match=r"--shortlist: .*no shortlist.*`nmt shortlist MODEL`"):
        Translator.load(tmp_path / "model", decoding={"shortlist": True})


@pytest.mark.parametrize("damage", ["missing", "rows", "pieces", "shape"])
def test_a_damaged_table_is_reported(tmp_path: Path, damage: str) -> None:
    save(tmp_path / "model", random_table())
    from safetensors import safe_open

    with safe_open(tmp_path / "model", framework="pt") as stream:
        metadata = {key: value for key, value in stream.metadata().items() if not key.endswith("_crc32")}
    tensors = load_file(tmp_path / "model")
    name = "shortlist.translations"
    if damage == "missing":
        del tensors[name]
    elif damage == "rows":
        tensors[name] = tensors[name][1:]
    elif damage == "pieces":
        tensors[name][5, 2] = SIZE
    else:
        tensors[name] = tensors[name].flatten()
    save_file(tensors, tmp_path / "model", metadata)
    with pytest.raises(CheckpointError, match=r"damaged.*shortlist"):
        load_model(tmp_path / "model")


def test_a_table_is_learned_in_the_folder_of_the_data(tmp_path: Path) -> None:
    save(tmp_path / "model", None)
    with pytest.raises(UsageError, match=r"training data.*`nmt preprocess`"):
        add_shortlist(load_model(tmp_path / "model"), tmp_path / "other", translations=None, frequent=None)
    assert not (tmp_path / "other").exists()
