"""Prefixes, required and avoided phrases: what a search finds under them is the best there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fake_models import HashModel
from fake_subwords import PIECES, SENTENCES, SIZE, FakeSubwords, check_exact, has, search, text
from nmt.data.shortlist_table import ShortlistTable
from nmt.data.special_tokens import EOS, UNK
from nmt.errors import UsageError
from nmt.inference.constraints import ConstraintCompiler, Constraints
from nmt.inference.streaming import SourceLine


def test_a_prefix() -> None:
    check_exact(lambda ids: ids[:2] == (5, 7), constraints=Constraints(prefix=(5, 7)))


@pytest.mark.parametrize("phrase", ["b", "ab", "a", "a b"])
def test_a_required_phrase_in_any_segmentation(phrase: str) -> None:
    symbols = ConstraintCompiler(FakeSubwords()).required_phrase(phrase)  # type: ignore[arg-type]
    check_exact(has(phrase), constraints=Constraints(required=(symbols,)))


@pytest.mark.parametrize("phrases", [["ab"], ["b", "ab"], ["a b"]], ids=str)
def test_avoided_phrases_in_any_segmentation(phrases: list[str]) -> None:
    check_exact(lambda ids: not any(has(phrase)(ids) for phrase in phrases), avoid=phrases)


def test_several_required_phrases_with_an_avoided_one() -> None:
    compiler = ConstraintCompiler(FakeSubwords())  # type: ignore[arg-type]
    required = Constraints(required=(compiler.required_phrase("a"), compiler.required_phrase(".")))
    check_exact(lambda ids: has("a")(ids) and "." in text(ids) and not has("b")(ids), constraints=required, avoid=["b"])


@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_required_phrases_are_met_in_any_beam_and_batch(beam_size: int) -> None:
    compiler = ConstraintCompiler(FakeSubwords())  # type: ignore[arg-type]
    demands = [("a b", "ab"), (), (".",), ("b", "a", "ab")]
    constraints = [Constraints(required=tuple(map(compiler.required_phrase, several))) for several in demands]
    sentences = [*SENTENCES, [6]]
    model = HashModel(size=SIZE, seed=4, eos_bias=1.0)
    together = search(model, sentences, constraints=constraints, beam_size=beam_size, longest=6)
    for sentence, required, several, found in zip(sentences, constraints, demands, together, strict=True):
        assert found[0].finished
        assert all(has(phrase)(tuple(found[0].ids)) or phrase == "." for phrase in several)
        assert "." not in several or "." in text(found[0].ids)
        assert search(model, [sentence], constraints=[required], beam_size=beam_size, longest=6) == [found]


@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_a_sentence_without_phrases_is_searched_as_if_alone(beam_size: int) -> None:
    compiler = ConstraintCompiler(FakeSubwords())  # type: ignore[arg-type]
    constraints = [Constraints(required=(compiler.required_phrase("b"),)), Constraints()]
    model = HashModel(size=SIZE, seed=4, eos_bias=-6.0)
    together = search(model, SENTENCES[:2], constraints=constraints, beam_size=beam_size, longest=6)
    assert not together[1][0].finished
    for sentence, own, found in zip(SENTENCES[:2], constraints, together, strict=True):
        assert search(model, [sentence], constraints=[own], beam_size=beam_size, longest=6) == [found]


def test_required_phrases_raise_the_length_limit() -> None:
    compiler = ConstraintCompiler(FakeSubwords())  # type: ignore[arg-type]
    [[found]] = search(
        HashModel(size=SIZE, seed=1),
        [[5]],
        constraints=[Constraints(required=(compiler.required_phrase("a b ab"),))],
        longest=0,
        beam_size=3,
    )
    assert has("a b ab")(tuple(found.ids))
    assert found.finished


def test_a_blank_phrase_is_refused() -> None:
    with pytest.raises(UsageError, match="empty after tokenization"):
        ConstraintCompiler(FakeSubwords(), avoid=[""])  # type: ignore[arg-type]


def test_two_required_phrases_may_share_pieces() -> None:
    compiler = ConstraintCompiler(FakeSubwords())  # type: ignore[arg-type]
    required = Constraints(required=(compiler.required_phrase("a b"), compiler.required_phrase("b ab")))
    model = HashModel(size=SIZE, seed=0, eos_bias=4.0)
    [[found]] = search(model, [[5]], constraints=[required], beam_size=300, longest=9)
    assert has("a b")(tuple(found.ids))
    assert has("b ab")(tuple(found.ids))


def backwards(subwords: FakeSubwords, *phrases: str) -> Constraints:
    """What is wanted, as a request for it has it."""
    [required] = ConstraintCompiler(subwords, avoid=()).compile(SourceLine("a", required=phrases), ["a"])  # type: ignore[arg-type]
    return required


@pytest.mark.parametrize("phrase", ["b", "ab", "a", "a b"])
def test_a_required_phrase_from_right_to_left(phrase: str) -> None:
    subwords = FakeSubwords(right_to_left=True)
    check_exact(lambda ids: has(phrase)(ids[::-1]), constraints=backwards(subwords, phrase), subwords=subwords)


@pytest.mark.parametrize("phrases", [["ab"], ["b", "ab"], ["a b"]], ids=str)
def test_avoided_phrases_from_right_to_left(phrases: list[str]) -> None:
    subwords = FakeSubwords(right_to_left=True)
    check_exact(lambda ids: not any(has(phrase)(ids[::-1]) for phrase in phrases), avoid=phrases, subwords=subwords)


def test_several_required_phrases_with_an_avoided_one_from_right_to_left() -> None:
    subwords = FakeSubwords(right_to_left=True)

    def allowed(ids: tuple[int, ...]) -> bool:
        return has("a")(ids[::-1]) and "." in text(ids[::-1]) and not has("b")(ids[::-1])

    # Best are short ones: near the limit the room that several phrases need is overestimated.
    check_exact(allowed, constraints=backwards(subwords, "a", "."), avoid=["b"], subwords=subwords, eos_bias=3.0)


def test_a_right_to_left_model_refuses_a_prefix() -> None:
    compiler = ConstraintCompiler(FakeSubwords(right_to_left=True))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="right to left"):
        compiler.compile(SourceLine("a", prefix="ab"), ["a"])


def table(translations: list[int], *, frequent: tuple[int, ...] = ()) -> ShortlistTable:
    """The same translations for each source piece; only the source piece 7 may become "." too."""
    rows = np.array([[*translations, PIECES.index(".") if piece == 7 else 0] for piece in range(SIZE)], dtype=np.int32)
    return ShortlistTable(rows, np.array(frequent, dtype=np.int32))


def listed(pieces: list[int], required: Constraints, compiler: ConstraintCompiler) -> set[int]:
    """What a shortlist has: the table's pieces, the usual ones of phrases, and the nearest ones."""
    nearest = {int(piece) for phrase in required.required for piece in compiler.automaton(phrase).nearest}
    return {*range(EOS + 1), *pieces, *required.prefix, *required.usual_pieces, *nearest}


@pytest.mark.parametrize(
    ("phrase", "pieces", "right_to_left"),
    [
        (phrase, pieces, (row + column) % 2 == 1)
        for row, phrase in enumerate(["b", "ab", "a b"])
        for column, pieces in enumerate([[6], [4, 5], [7, 8]])
    ],
    ids=str,
)
def test_a_required_phrase_under_a_shortlist(phrase: str, pieces: list[int], right_to_left: bool) -> None:
    """Also one for which the table has no pieces."""
    subwords = FakeSubwords(right_to_left=right_to_left)
    required = backwards(subwords, phrase)
    step = -1 if right_to_left else 1
    check_exact(
        lambda ids: has(phrase)(ids[::step]),
        constraints=required,
        subwords=subwords,
        table=table(pieces),
        listed=listed(pieces, required, ConstraintCompiler(subwords)),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("right_to_left", [False, True])
def test_avoided_phrases_under_a_shortlist(right_to_left: bool) -> None:
    subwords, step = FakeSubwords(right_to_left=right_to_left), -1 if right_to_left else 1
    check_exact(
        lambda ids: not (has("b")(ids[::step]) or has("ab")(ids[::step])),
        avoid=["b", "ab"],
        subwords=subwords,
        table=table([5, 6], frequent=(4,)),
        listed=[*range(EOS + 1), 4, 5, 6],
    )


def test_a_shortlist_allows_the_pieces_of_a_prefix() -> None:
    required = Constraints(prefix=(8, 7))
    check_exact(
        lambda ids: ids[:2] == (8, 7), constraints=required, table=table([5, 6]), listed=[*range(EOS + 1), 5, 6, 7, 8]
    )


@pytest.mark.parametrize("options", [{"beam_size": 1}, {"beam_size": 4}, {"beam_size": 6, "beam_groups": 3}], ids=str)
@pytest.mark.parametrize("right_to_left", [False, True])
def test_neighbours_change_nothing_under_a_shortlist(options: dict[str, int], right_to_left: bool) -> None:
    """Each sentence has a list of its own, and its own constraints, whatever the others in the batch may use."""
    subwords = FakeSubwords(right_to_left=right_to_left)
    constraints = [backwards(subwords, *several) for several in [("a b", "ab"), (), (".",), ("b", "a")]]
    sentences = [*SENTENCES, [6]]
    model = HashModel(size=SIZE, seed=4, eos_bias=1.0)
    shared = {"longest": 6, "subwords": subwords, "table": table([4, 6]), **options}
    together = search(model, sentences, constraints=constraints, **shared)
    for sentence, required, [found] in zip(sentences, constraints, together, strict=True):
        assert found.finished
        [[alone]] = search(model, [sentence], constraints=[required], **shared)
        assert alone.ids == found.ids
        assert alone.piece_log_probabilities == pytest.approx(found.piece_log_probabilities, abs=1e-5)
    step = -1 if right_to_left else 1
    texts = [tuple(found.ids[::step]) for [found] in together]
    assert has("a b")(texts[0])
    assert has("ab")(texts[0])
    assert "." in text(texts[2])
    assert has("b")(texts[3])
    assert has("a")(texts[3])
    assert set(together[1][0].ids) <= {4, 6, 8}


def test_every_group_of_a_diverse_beam_has_the_required_phrases() -> None:
    compiler = ConstraintCompiler(FakeSubwords())  # type: ignore[arg-type]
    constraints = [Constraints(required=(compiler.required_phrase(phrase),)) for phrase in ("ab", "a b", "b")]
    model = HashModel(size=SIZE, seed=3)
    plain = search(model, SENTENCES, constraints=constraints, longest=5, beam_size=2, n_best=2)
    same = search(
        model, SENTENCES, constraints=constraints, longest=5, beam_size=6, beam_groups=3, diversity=0.0, n_best=2
    )
    assert same == plain
    found = search(
        model, SENTENCES, constraints=constraints, longest=5, beam_size=6, beam_groups=3, diversity=2.0, n_best=6
    )
    for phrase, several in zip(("ab", "a b", "b"), found, strict=True):
        assert len(several) > 2
        assert all(has(phrase)(tuple(one.ids)) for one in several)
    alone = [
        search(model, [one], constraints=[required], longest=5, beam_size=6, beam_groups=3, diversity=2.0, n_best=6)
        for one, required in zip(SENTENCES, constraints, strict=True)
    ]
    assert list(itertools.chain(*alone)) == found


class WithoutOmega(FakeSubwords):
    """Reads an omega as an unknown piece, which is called `ab` here: the name of a piece is no text."""

    def encode(self, lines: object) -> list[list[int]]:
        assert isinstance(lines, list)
        return [[UNK] if line == "\u03a9" else super(WithoutOmega, self).encode([line])[0] for line in lines]

    def pieces(self, ids: object) -> list[str]:
        assert isinstance(ids, (list, range))
        return ["ab" if piece == UNK else PIECES[piece] for piece in ids]


def test_text_outside_the_vocabulary_cannot_be_required_and_is_always_avoided() -> None:
    compiler = ConstraintCompiler(WithoutOmega(), avoid=["\u03a9"])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot write it"):
        compiler.compile(SourceLine("a", required=("\u03a9",)), ["a"])
    with pytest.raises(UsageError, match="cannot be a prefix"):
        compiler.compile(SourceLine("a", prefix="\u03a9"), ["a"])
    check_exact(lambda ids: True, longest=3, avoid=["\u03a9"], subwords=WithoutOmega())
