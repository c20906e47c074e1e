"""The candidates of a line: of one part or of several, the best ways to put together what was found for each part."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config.schema import DecodingConfig
from nmt.inference.constraints import SearchJob
from nmt.inference.hardware import Processor
from nmt.inference.nbest import NBestBuilder, best_combinations
from nmt.inference.placeholders import SourceSegment
from nmt.inference.results import Hypothesis
from nmt.inference.translator import Translator
from nmt.search import TokenHypothesis
from tiny_translator import tiny_config, tiny_inference, tiny_tokenizers, tiny_translator

SENTENCES = ["The red dog sleeps .", "A cat sees the house .", "The old woman runs ."]


falling = st.lists(st.integers(-30, 0), min_size=1, max_size=5).map(lambda row: sorted(row, reverse=True))


@given(st.lists(falling, min_size=1, max_size=5))
def test_combinations_are_generated_once_by_falling_sum(rows: list[list[int]]) -> None:
    every = list(itertools.product(*(range(len(row)) for row in rows)))

    def total(places: Sequence[int]) -> int:
        return sum(row[place] for row, place in zip(rows, places, strict=True))

    found = [tuple(places) for places in best_combinations(rows)]
    assert sorted(found) == sorted(every)
    assert list(map(total, found)) == sorted(map(total, every), reverse=True)


def test_combinations_are_generated_lazily() -> None:
    rows = [[-0.1 * place for place in range(10)]] * 1000
    found = list(itertools.islice(best_combinations(rows), 20))
    assert found[0] == [0] * 1000
    assert len(set(map(tuple, found))) == 20


class Letters:
    """Pieces that are letters, so that several rows of them are the same text: capitals are not written."""

    def __init__(self, *, right_to_left: bool = False) -> None:
        self.right_to_left = right_to_left

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [chr(piece) for piece in ids]

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        texts = ["".join(self.pieces(self.in_text_order(row))) for row in rows]
        return ["".join(letter for letter in text if not letter.isupper()) for text in texts]

    def in_text_order(self, values: Sequence[Any]) -> list[Any]:
        return list(reversed(values)) if self.right_to_left else list(values)


def hypothesis(letters: str, score: float) -> TokenHypothesis:
    values = [score * (place + 1) for place in range(len(letters) + 1)]
    return TokenHypothesis(list(map(ord, letters)), sum(values), score, values, "?" not in letters)


def write(
    parts: Sequence[Sequence[TokenHypothesis]], *, right_to_left: bool = False, **decoding: Any
) -> list[Hypothesis]:
    subwords: Any = Letters(right_to_left=right_to_left)
    options = DecodingConfig.model_validate({"beam_size": 12, **decoding})
    builder = NBestBuilder(subwords, decoding=options, separator=" ")
    rows = [
        (SourceSegment(f"segment {number}", SearchJob((number,)), ()), several) for number, several in enumerate(parts)
    ]
    return builder.build(rows, {})


def test_scores_are_means_and_log_probabilities_sums_over_segments() -> None:
    one = [hypothesis("ab", -1.0), hypothesis("a?", -3.0)]
    other = [hypothesis("c", -1.5), hypothesis("", -2.0)]
    found = write([one, other], n_best=4)
    assert [each.text for each in found] == ["ab c", "ab", "a? c", "a?"]
    assert [each.score for each in found] == [-1.25, -1.5, -2.25, -2.5]
    assert [each.finished for each in found] == [True, True, False, False]
    chosen = list(itertools.product(one, other))
    for each, parts in zip(found, chosen, strict=True):
        assert each.log_probability == sum(part.log_probability for part in parts)
        assert each.segments == [part.ids for part in parts]
        assert each.ids == [piece for part in parts for piece in part.ids]
        assert "".join(each.pieces) == each.text.replace(" ", "")
        assert each.piece_log_probabilities == [value for part in parts for value in part.piece_log_probabilities]


def test_texts_are_different_and_the_best_hypothesis_of_a_text_is_kept() -> None:
    one = [hypothesis("a", -1.0), hypothesis("aX", -1.5), hypothesis("b", -2.0)]
    assert [(each.text, each.score) for each in write([one], n_best=3)] == [("a", -1.0), ("b", -2.0)]
    both = write([one, [hypothesis("c", -1.0), hypothesis("Xc", -1.1), hypothesis("d", -1.2)]], n_best=9)
    assert [each.text for each in both] == ["a c", "a d", "b c", "b d"]
    across = [[hypothesis("a", -1.0), hypothesis("", -1.5)]] * 2  # "a" once, in two ways
    assert [(each.text, each.score) for each in write(across, n_best=4)] == [("a a", -1.0), ("a", -1.25), ("", -1.5)]


def test_samples_stay_as_they_were_drawn() -> None:
    one = [hypothesis("a", -3.0), hypothesis("a", -3.0), hypothesis("b", -1.0)]
    other = [hypothesis("c", -1.0), hypothesis("c", -1.0), hypothesis("c", -1.0)]
    found = write([one, other], n_best=3, sampling=True)
    assert [each.text for each in found] == ["a c", "a c", "b c"]
    assert [each.score for each in found] == [-2.0, -2.0, -1.0]


def test_pieces_of_a_right_to_left_model_are_in_the_order_of_the_text() -> None:
    [found] = write([[hypothesis("ba", -1.0)], [hypothesis("dc", -1.0)]], right_to_left=True, n_best=1)
    assert found.text == "ab cd"
    assert found.pieces == ["a", "b", "c", "d"]
    assert found.ids == list(map(ord, "badc"))
    assert found.piece_log_probabilities == [-2.0, -1.0, -3.0, -2.0, -1.0, -3.0]  # that of EOS is the last of a part


def test_a_repetitive_line_is_fast() -> None:
    """All ways that are equally good make the same text: to look for others among all of them would take days."""
    same = [hypothesis("x " * length, -float(length)) for length in (1, 2, 3, 4)]
    found = write([same] * 500, n_best=8)
    assert found[0].score == -1.0
    assert 2 <= len(found) <= 8
    assert len({each.text for each in found}) == len(found)


def translator(*, right_to_left: bool, **decoding: Any) -> Translator:
    tokenizers = tiny_tokenizers().with_direction(right_to_left=right_to_left)
    config = tiny_config()
    options = config.decoding.model_copy(update={"device": "cpu", **decoding})
    return Translator(tiny_inference(config), tokenizers, decoding=options, hardware=Processor(1))


@pytest.mark.parametrize("right_to_left", [False, True])
def test_hypotheses_of_a_segmented_line_are_the_best_combinations_of_its_sentences(right_to_left: bool) -> None:
    model = translator(right_to_left=right_to_left, beam_size=5, n_best=5, split_sentences=True)
    [line] = model.translate([" ".join(SENTENCES)])
    assert len(line.source_segments) == 3
    # As many as the search keeps for five different texts.
    wide = translator(right_to_left=right_to_left, beam_size=5, n_best=5)
    alone = [translation.hypotheses for translation in wide.translate(SENTENCES)]
    ways = sorted(itertools.product(*alone), key=lambda way: -sum(one.score for one in way))
    expected = {" ".join(filter(None, (one.text for one in way))): way for way in reversed(ways)}
    best = sorted(expected.items(), key=lambda item: -sum(one.score for one in item[1]))[:5]
    assert len(best) == 5
    assert [one.score for one in line.hypotheses] == pytest.approx(
        [sum(one.score for one in way) / 3 for _, way in best], abs=1e-4
    )
    for candidate in line.hypotheses:
        way = expected[candidate.text]
        assert candidate.log_probability == pytest.approx(sum(one.log_probability for one in way), abs=1e-4)
        assert candidate.pieces == [piece for one in way for piece in one.pieces]
        assert candidate.segments == [one.ids for one in way]
    assert line.text == line.hypotheses[0].text


@pytest.mark.parametrize("options", [{}, {"split_sentences": True}, {"beam_groups": 3, "beam_size": 6}], ids=str)
def test_no_text_occurs_twice(options: dict[str, Any]) -> None:
    lines = [" ".join(SENTENCES), SENTENCES[0], "the big dog " * 30]
    for translation in tiny_translator(**{"beam_size": 6, "n_best": 6, **options}).translate(lines):
        texts = [one.text for one in translation.hypotheses]
        assert len(texts) == len(set(texts)) > 1
        scores = [one.score for one in translation.hypotheses]
        assert scores == sorted(scores, reverse=True)
