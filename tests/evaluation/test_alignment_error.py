"""Alignment error rate: the definition, computed naively, and gold files that are not as they should be."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.errors import DataError
from nmt.evaluation.alignment_error import AlignmentScore, Gold, best_single_links, read_gold, score_alignments

LINKS = st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)))
SENTENCES = st.lists(st.tuples(LINKS, LINKS, LINKS), min_size=1, max_size=4)


def gold(sure: set[tuple[int, int]], possible: set[tuple[int, int]] | None = None) -> Gold:
    return Gold(frozenset(sure), frozenset(sure | (possible or set())))


@given(SENTENCES)
def test_scores_are_those_of_och_and_ney(sentences: list[tuple[set, set, set]]) -> None:
    golds = [gold(sure, possible) for _, sure, possible in sentences]
    score = score_alignments([found for found, _, _ in sentences], golds)
    a, s, a_and_s, a_and_p = 0, 0, 0, 0
    for found, sure, possible in sentences:
        a += len(found)
        s += len(sure)
        for link in found:
            a_and_s += link in sure
            a_and_p += link in sure or link in possible
    assert (score.predicted, score.sure) == (a, s)
    if a:
        assert score.precision == pytest.approx(a_and_p / a)
    if s:
        assert score.recall == pytest.approx(a_and_s / s)
    if a + s:
        assert score.error_rate == pytest.approx(1 - float(Fraction(a_and_s + a_and_p, a + s)))
    assert 0 <= score.error_rate <= 1


@given(LINKS, LINKS)
def test_with_sure_links_only_the_error_rate_is_one_minus_f1(found: set, sure: set) -> None:
    score = score_alignments([found], [gold(sure)])
    if found & sure:
        f1 = 2 * score.precision * score.recall / (score.precision + score.recall)
        assert score.error_rate == pytest.approx(1 - f1)
    elif found or sure:
        assert score.error_rate == 1


def test_perfect_and_empty() -> None:
    assert score_alignments([{(0, 0), (1, 2)}], [gold({(0, 0), (1, 2)})]).error_rate == 0
    assert score_alignments([set()], [gold({(0, 0)})]) == AlignmentScore(0, 1, 0, 0)
    empty = score_alignments([set()], [gold(set())])
    assert (empty.precision, empty.recall, empty.error_rate) == (1, 1, 0)


def test_counts_are_summed_over_sentences_before_dividing() -> None:
    score = score_alignments([[(0, 0)], [(0, 0), (0, 0), (1, 0)]], [gold({(0, 0)}), gold({(1, 0), (2, 0)})])
    assert score.error_rate == pytest.approx(1 - 2 * 2 / (3 + 3))


def test_a_possible_link_neither_helps_recall_nor_harms_precision() -> None:
    one = score_alignments([{(0, 0), (1, 1)}], [gold({(0, 0)}, {(1, 1)})])
    assert (one.precision, one.recall, one.error_rate) == (1, 1, 0)
    assert score_alignments([{(0, 0)}], [gold({(0, 0)}, {(1, 1)})]).error_rate == 0


@given(st.lists(st.tuples(LINKS, LINKS), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_no_choice_of_one_link_a_target_word_is_better_than_the_best(sentences: list[tuple[set, set]], draw) -> None:
    golds = [gold(sure, possible) for sure, possible in sentences]
    best = [best_single_links(one) for one in golds]
    for links in best:
        assert len({target for _, target in links}) == len(links)
    drawn = [{(draw.randint(0, 3), target) for target in range(4) if draw.random() < 0.7} for _ in golds]
    assert score_alignments(best, golds).error_rate <= score_alignments(drawn, golds).error_rate + 1e-12


def test_another_number_of_sentences_is_an_error() -> None:
    with pytest.raises(DataError, match="1 alignments but 2 gold alignments"):
        score_alignments([set()], [gold(set()), gold(set())])


PAIRS = [("a farmer sleeps", "Bauer schläft"), ("yes", "ja"), ("", "")]


def test_reads_sure_and_possible_links(tmp_path: Path) -> None:
    (tmp_path / "gold").write_text("0?0 1-0 2-1\n0p0 0-0\n\n", encoding="utf-8")
    assert read_gold(tmp_path / "gold", PAIRS) == [
        Gold(frozenset({(1, 0), (2, 1)}), frozenset({(0, 0), (1, 0), (2, 1)})),
        gold({(0, 0)}),
        gold(set()),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0-0\n0-0\n", "has 2 lines, but the text has 3"),
        ("0-0\n0:0\n\n", "line 2: '0:0' is not a link"),
        ("0-0\n-1\n\n", "line 2: '-1' is not a link"),
        ("3-0\n\n\n", "line 1: the link 3-0 is out of range. The source has 3 words and the target has 2"),
        ("\n\n0-0\n", "line 3: the link 0-0"),
    ],
)
def test_a_gold_file_that_does_not_fit_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "gold").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_gold(tmp_path / "gold", PAIRS)
