"""Lines unlike the training text: their scripts, and the pieces of their words."""

from __future__ import annotations

import base64
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.data.familiarity import (
    FamiliarityCheck,
    TrainingText,
    describe_training_text,
    read_training_text,
    unknown_pieces,
)
from nmt.data.store import Store, StoreWriter, make_rows
from nmt.inference.output.quality_flags import find_flags
from nmt.inference.translator import Translator
from tiny_translator import WORDS, save_tiny_model, tiny_subword_model, tiny_tokenizers

TOKENIZERS = tiny_tokenizers()
LINES = [" ".join(random.Random(line).choices(WORDS.split(), k=4 + line % 5)) for line in range(50)]


@pytest.fixture
def training_text(tmp_path: Path) -> TrainingText:
    ids = make_rows(TOKENIZERS.source.encode(LINES), np.uint16)
    size = TOKENIZERS.source.size
    with StoreWriter(tmp_path, source_size=size, target_size=size) as writer:
        writer.add((ids, ids))
        writer.close([0, len(LINES)])
    return describe_training_text(Store(tmp_path), TOKENIZERS)


def check(text: TrainingText) -> FamiliarityCheck:
    return FamiliarityCheck(TOKENIZERS, text)


def test_the_facts_are_those_of_the_text_and_survive_storage(training_text: TrainingText) -> None:
    assert training_text.source_scripts == training_text.target_scripts == {"Latin": 1.0}
    assert 0 <= training_text.unknown_share < 0.2
    assert read_training_text(training_text.stored(), TOKENIZERS) == training_text
    assert read_training_text({**training_text.stored(), "later": 1}, TOKENIZERS) == training_text


def test_lines_of_the_training_text_are_familiar(training_text: TrainingText) -> None:
    for text in (training_text, read_training_text(None, TOKENIZERS)):
        for line, ids in zip(LINES, TOKENIZERS.source.encode(LINES), strict=True):
            assert not check(text).has_unknown_words([ids])
            assert not check(text).has_wrong_script(line, line)


@pytest.mark.parametrize("line", ["qwxz vbrtk plgh zzkq", "żółw śpi w łóżku", "Привет мир"])
def test_words_of_letters_and_bytes_are_unknown(training_text: TrainingText, line: str) -> None:
    assert check(training_text).has_unknown_words(TOKENIZERS.source.encode([line]))
    assert check(training_text).has_unknown_words([*TOKENIZERS.source.encode([line]), []])


def test_pieces_that_the_training_text_hardly_has_are_unknown(training_text: TrainingText) -> None:
    rare = training_text.rare_pieces(TOKENIZERS.source.size)
    counts = np.bincount([piece for row in TOKENIZERS.source.encode(LINES) for piece in row], minlength=len(rare))
    learned = [TOKENIZERS.source.is_learned(piece) for piece in range(len(rare))]
    assert rare.tolist() == [count <= 1 and each for count, each in zip(counts, learned, strict=True)]
    usual = [int(piece) for piece in np.argsort(-counts)[:2]]
    assert not check(training_text).has_unknown_words([usual * 6])
    text = replace(training_text, rare_source=bits(len(rare), usual[:1]))
    assert check(text).has_unknown_words([usual * 6])
    assert not check(text).has_unknown_words([usual[1:] * 12])
    assert not check(text).has_unknown_words([usual * 3]), "too few pieces"


@pytest.mark.parametrize("damaged", ["", "?", "AAAA", "é", 5, None, [1]])
def test_without_usable_facts_no_piece_is_rare(training_text: TrainingText, damaged: Any) -> None:
    stored = {**training_text.stored(), "rare_source": damaged}
    assert not read_training_text(stored, TOKENIZERS).rare_pieces(TOKENIZERS.source.size).any()
    del stored["rare_source"]
    assert not read_training_text(stored, TOKENIZERS).rare_pieces(TOKENIZERS.source.size).any()


@pytest.mark.parametrize("key", ["source_scripts", "target_scripts", "unknown_share", "rare_source"])
@pytest.mark.parametrize("damaged", [None, "x", [2], {"Latin": "x"}])
def test_damaged_facts_are_ignored(training_text: TrainingText, key: str, damaged: Any) -> None:
    text = read_training_text({**training_text.stored(), key: damaged}, TOKENIZERS)
    line = "Привет мир"
    assert check(text).has_wrong_script(line, "")
    assert check(text).has_unknown_words(TOKENIZERS.source.encode([line]))


def bits(size: int, pieces: list[int]) -> str:
    marked = np.zeros(size, np.bool_)
    marked[pieces] = True
    return base64.b64encode(np.packbits(marked).tobytes()).decode()


def test_single_characters_are_words_in_scripts_without_spaces() -> None:
    pieces = tiny_subword_model().pieces(range(tiny_subword_model().size))
    unknown = {piece for piece, flag in zip(pieces, unknown_pieces(tiny_subword_model()), strict=True) if flag}
    assert {"<unk>", "<0xE6>"} <= unknown
    assert {"▁a", ".", "▁"}.isdisjoint(unknown)


@pytest.mark.parametrize(
    ("source", "target", "wrong"),
    [
        ("Привет мир", "ein Hund", True),
        ("東京", "Tokio", True),
        ("the dog sees Москва", "ein Hund", False),
        ("12 % !", "12", False),
        ("a dog", "Совсем другой текст", True),
        ("a dog", "Иван", False),
    ],
)
def test_most_letters_in_an_unseen_script_are_wrong(
    training_text: TrainingText, source: str, target: str, wrong: bool
) -> None:
    assert check(training_text).has_wrong_script(source, target) == wrong


def test_the_scripts_of_an_older_model_file_are_those_of_its_vocabulary() -> None:
    text = read_training_text(None, TOKENIZERS)
    assert check(text).has_wrong_script("Привет мир", "")
    assert not check(text).has_wrong_script("a dog", "Совсем другой текст")


def test_a_translator_flags_unfamiliar_lines(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "model.safetensors")
    translator = Translator.load(tmp_path / "model.safetensors", decoding={"device": "cpu"})
    lines = ["Привет мир как дела", "the dog sees a cat ."]
    russian, plain = map(find_flags, translator.translate(lines))
    assert {"unknown_words", "wrong_script"} <= set(russian)
    assert {"unknown_words", "wrong_script"}.isdisjoint(plain)
    (address,) = map(find_flags, translator.translate(["письмо https://example.com/a_long_address"]))
    assert "wrong_script" in address, "the letters of an address do not count"
