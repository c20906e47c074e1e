"""What training starts with: pretrained embeddings, a parent's weights under another vocabulary, frozen parts."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from data_files import make_model
from nmt.config.schema import ModelConfig
from nmt.data.tokenizer import WORD_START, SubwordModel, Tokenizers
from nmt.errors import CheckpointError, ConfigError, DataError
from nmt.inference.hardware import TorchHardware
from nmt.inference.torch_network import TorchNetwork
from nmt.inference.translator import Translator
from nmt.model import Seq2Seq, build_model
from nmt.training.initial_weights import freeze
from nmt.training.pretrained_embeddings import load_vectors
from nmt.training.vocabulary_transfer import map_rows, transfer_vocabulary
from tiny_translator import tiny_config, tiny_network, tiny_subword_model, tiny_tokenizers

# -------------------------------------------------------------------------------------------- pretrained embeddings

TEXT = ["The dog sees the cat.", "The cat sees the dog.", "A dog, a cat and the tree."] * 30


@pytest.fixture(scope="module")
def model() -> SubwordModel:
    return make_model(TEXT, vocabulary_size=310)


def piece_id(model: SubwordModel, piece: str) -> int:
    return model.pieces(range(model.size)).index(piece)


def write(folder: Path, *lines: str) -> str:
    path = folder / "words.vec"
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return str(path)


def random_table(model: SubwordModel) -> Tensor:
    return torch.randn(model.size, 3, generator=torch.Generator().manual_seed(0))


def test_pieces_that_spell_a_word_get_its_vector(tmp_path: Path, model: SubwordModel) -> None:
    table = random_table(model)
    before = table.clone()
    file = write(tmp_path, "dog 1 2 3", "the 0 0 -4", ". 5e-1 0 1", "sees 1 1 1", "elephant 9 9 9", "dog 7 7 7")
    coverage = load_vectors(file, model, table)
    pieces = model.pieces(range(model.size))
    expected = {f"{WORD_START}dog": [1, 2, 3], f"{WORD_START}the": [0, 0, -4], ".": [0.5, 0, 1]}
    expected |= {f"{WORD_START}sees": [1, 1, 1], f"{WORD_START}The": [0, 0, -4]}
    present = {piece: row for piece, row in expected.items() if piece in pieces}
    assert {f"{WORD_START}dog", "."} <= present.keys()
    for number, piece in enumerate(pieces):
        assert table[number].tolist() == present.get(piece, before[number].tolist()), piece
    assert coverage.matched == len(present)
    assert coverage.lowercased == (f"{WORD_START}The" in pieces)
    assert coverage.pieces == sum(map(model.is_learned, range(model.size)))


@pytest.mark.parametrize("header", [(), ("4 3",)])
def test_with_and_without_header_and_packed(tmp_path: Path, model: SubwordModel, header: tuple[str, ...]) -> None:
    path = tmp_path / "words.vec.gz"
    lines = [*header, "dog\t1 2 3 ", "a b 4 5 6", "5 1 1 1"]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    table = random_table(model)
    load_vectors(str(path), model, table)
    assert table[piece_id(model, f"{WORD_START}dog")].tolist() == [1, 2, 3]


def test_vectors_of_pieces_match_pieces(tmp_path: Path, model: SubwordModel) -> None:
    table = random_table(model)
    before = table.clone()
    file = write(tmp_path, f"{WORD_START}dog 1 2 3", "s 4 5 6", "cat 7 8 9")
    load_vectors(file, model, table)
    assert table[piece_id(model, f"{WORD_START}dog")].tolist() == [1, 2, 3]
    assert table[piece_id(model, "s")].tolist() == [4, 5, 6]
    cat = piece_id(model, f"{WORD_START}cat")
    assert torch.equal(table[cat], before[cat])


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["9 300", "dog 1 2 3"], "line 1: the vector has 300 numbers, but model.embedding_size is 3"),
        (["dog 1 2 3", "cat 1 2 3 4"], "line 2: the vector has 4 numbers"),
        (["dog 1 2 3", "cat 1 2"], "line 2: the vector has 2 numbers"),
        (["dog 1 2 3", ""], "line 2: empty line, expected a word and 3 numbers"),
        (["dog 1 2 3", "cat 1 x 3"], "line 2: could not convert string to float: 'x'"),
        (["dog 1 nan 3"], "line 1: the vector of 'dog' has an infinite or undefined number"),
    ],
)
def test_bad_vectors_name_file_and_line(tmp_path: Path, model: SubwordModel, lines: list[str], says: str) -> None:
    with pytest.raises(DataError, match=rf"words\.vec, {says}"):
        load_vectors(write(tmp_path, *lines), model, random_table(model))


# ---------------------------------------------------------------------------------------------------- vocabulary remap


def permuted(model: SubwordModel, *, seed: int) -> tuple[SubwordModel, list[int]]:
    """The same pieces with other ids, those of the special pieces aside; and each one's old id."""
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.model_bytes)
    order = torch.randperm(model.size - 4, generator=torch.Generator().manual_seed(seed)).add(4).tolist()
    old = [0, 1, 2, 3, *order]
    pieces = [type(piece).FromString(piece.SerializeToString()) for piece in proto.pieces]
    del proto.pieces[:]
    proto.pieces.extend(pieces[number] for number in old)
    return SubwordModel(proto.SerializeToString()), old


def translations(network: Seq2Seq, tokenizers: Tokenizers) -> list[tuple[str, float]]:
    config = tiny_config()
    options, hardware = config.decoding.model_copy(update={"device": "cpu"}), TorchHardware(torch.device("cpu"))
    translator = Translator(
        TorchNetwork(network), tokenizers, decoding=options, hardware=hardware, max_source_pieces=40
    )
    lines = ["the red dog sees a cat", "a small house", "old man and woman ."]
    return [(translation.text, translation.hypotheses[0].score) for translation in translator.translate(lines)]


@pytest.mark.parametrize("options", [{}, {"tying": "none"}, {"tying": "three_way"}, {"lexical_model": True}])
def test_a_permuted_vocabulary_translates_the_same(options: dict[str, Any]) -> None:
    config = tiny_config(**options)
    parent, old = tiny_network(config), tiny_tokenizers()
    joint, _ = permuted(old.source, seed=1)
    other = joint if options.get("tying") == "three_way" else permuted(old.target, seed=2)[0]
    new = Tokenizers(joint, other)
    child = build_model(config.model, source_size=joint.size, target_size=other.size)
    counts = transfer_vocabulary(child, dict(parent.named_parameters()), parent=old, new=new)
    assert {(found.kept, found.new, found.dropped) for found in counts.values()} == {(joint.size, 0, 0)}
    assert not torch.equal(child.output.bias, parent.output.bias)
    expected = translations(parent, old)
    found = translations(child.eval(), new)
    assert [text for text, _ in found] == [text for text, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-5)


def test_the_same_vocabulary_takes_all_weights_bit_for_bit() -> None:
    config = tiny_config()
    parent, tokenizers = tiny_network(config), tiny_tokenizers()
    child = build_model(config.model, source_size=tokenizers.source.size, target_size=tokenizers.target.size)
    transfer_vocabulary(child, dict(parent.named_parameters()), parent=tokenizers, new=tokenizers)
    for (name, value), (_, expected) in zip(child.named_parameters(), parent.named_parameters(), strict=True):
        assert torch.equal(value, expected), name


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_new_rows_are_the_mean_of_the_parents_pieces(kind: str) -> None:
    options: dict[str, Any] = {"kind": kind, "vocabulary_size": 300}
    old = make_model(["the red dog sees a cat"] * 30, **options)
    new = make_model(["the red dogs see all the cats and <x> birds"] * 30, user_symbols=["<x>"], **options)
    found = map_rows(old, new)
    matrix = found.apply(torch.eye(old.size, dtype=torch.float64))
    ids = {piece: number for number, piece in enumerate(old.pieces(range(old.size)))}
    torch.testing.assert_close(matrix.sum(1), torch.ones(new.size).double())
    kept = 0
    for number, piece in enumerate(new.pieces(range(new.size))):
        used = torch.nonzero(matrix[number]).flatten().tolist()
        if piece in ids:
            kept += 1
            assert used == [ids[piece]]
        elif new.is_learned(number) and all(character in ids for character in piece):
            text = {tuple(old.pieces([part])[0]) for part in used}
            assert set(piece) == {character for part in text for character in part}, piece
    assert found.counts == (kept, new.size - kept, old.size - kept)
    assert 0 < kept < new.size


def test_characters_that_the_parent_does_not_know_are_its_bytes_or_unknown() -> None:
    new = make_model(["größe über alles"] * 30)
    for bytes_too in (True, False):
        old = make_model(["the red dog"] * 30, byte_fallback=bytes_too, vocabulary_size=300 if bytes_too else 30)
        row = map_rows(old, new).apply(torch.eye(old.size))[new.pieces(range(new.size)).index("ß")]
        used = set(old.pieces(torch.nonzero(row).flatten().tolist()))
        assert used == ({"<0xC3>", "<0x9F>"} if bytes_too else {"<unk>"})


def test_another_shape_is_an_error_that_names_it() -> None:
    parent, tokenizers = tiny_network(tiny_config()), tiny_tokenizers()
    size = tiny_subword_model().size
    for options in ({"encoder": {"hidden_size": 12, "layers": 2}}, {"decoder": {"hidden_size": 48}}):
        config = tiny_config(**options)  # type: ignore[arg-type]
        child = build_model(config.model, source_size=size, target_size=size)
        with pytest.raises(CheckpointError, match=r"--init-from.*does not fit the model section"):
            transfer_vocabulary(child, dict(parent.named_parameters()), parent=tokenizers, new=tokenizers)


# -------------------------------------------------------------------------------------------------------------- frozen


def small_model(**options: Any) -> Seq2Seq:
    sizes = {"embedding_size": 8, "encoder": {"hidden_size": 4}, "decoder": {"hidden_size": 8}}
    return build_model(ModelConfig.model_validate(sizes | options), source_size=20, target_size=20)


def test_frozen_parts_by_pattern() -> None:
    model = small_model()
    frozen = freeze(model, ["encoder.*", "output.bias"])
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad != (name.startswith("encoder.") or name == "output.bias"), name
    assert frozen.parameters == sum(value.numel() for value in model.parameters() if not value.requires_grad)


def test_a_shared_table_is_frozen_by_any_of_its_names() -> None:
    model = small_model(tying="three_way")
    freeze(model, ["output.weight"])
    assert not model.encoder.embeddings.table.weight.requires_grad


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("encoder", r"Did you mean encoder\.\*"),
        ("encodr.*", r"Did you mean encoder\.\*"),
        ("decoder.embedding.*", r"Did you mean decoder\.embeddings\.\*"),
        ("xyz", r"a group such as bridge\.\*, decoder\.\*, encoder\.\*, output\.\*"),
        ("*", "all parameters are frozen"),
    ],
)
def test_unknown_names_get_the_nearest_ones(pattern: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        freeze(small_model(), [pattern])
