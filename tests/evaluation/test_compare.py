"""Comparing translations: sacreBLEU's own numbers, and small cases counted by hand."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest

from nmt.config.schema import EvaluationConfig
from nmt.errors import DataError, UsageError
from nmt.evaluation.compare.buckets import bucket_names, bucket_of, check_bounds, length_of
from nmt.evaluation.compare.compare import CompareOptions, TestText, compare
from nmt.evaluation.compare.html import render_page
from nmt.evaluation.compare.result import Comparison
from nmt.evaluation.compare.words import count_words, length_ratio, measure_repetition, score_by_frequency

WORDS = [
    "der",
    "die",
    "das",
    "Hund",
    "Katze",
    "Haus,",
    "läuft",
    "schläft.",
    "und",
    "(oder)",
    "3.5",
    "naïve",
    "東京",
    "Ω",
]
METRICS: dict[str, Any] = {"bleu": lambda: BLEU(force=True), "chrf": CHRF, "ter": TER}
SACREBLEU_NAMES = {"bleu": "BLEU", "chrf": "chrF2", "ter": "TER"}


def make_text(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 25))) for _ in range(count)]


def worsen(lines: Sequence[str], seed: int, share: float) -> list[str]:
    """The lines with some words exchanged and some left out."""
    draw = random.Random(seed)
    changed = []
    for line in lines:
        words = [draw.choice(WORDS) if draw.random() < share else word for word in line.split()]
        changed.append(" ".join(word for word in words if draw.random() > share / 3))
    return changed


def run(
    systems: dict[str, Sequence[str]],
    references: Sequence[str],
    *,
    sources: Sequence[str] | None = None,
    training: Sequence[str] | None = None,
    language: str = "de",
    bounds: Sequence[int] = (10, 20),
    examples: int = 3,
    **evaluation: Any,
) -> Comparison:
    test = TestText("test", sources, references, None if sources is None else "en", language)
    options = CompareOptions(EvaluationConfig(**evaluation), samples=100, trials=200, bounds=bounds, examples=examples)
    return compare(test, systems, options, training=training)


@pytest.fixture(scope="module")
def references() -> list[str]:
    return make_text(60, seed=1)


@pytest.fixture(scope="module")
def systems(references: list[str]) -> dict[str, Sequence[str]]:
    return {
        "base": worsen(references, 2, 0.3),
        "similar": worsen(references, 3, 0.29),
        "better": worsen(references, 4, 0.1),
    }


@pytest.fixture(scope="module")
def found(systems: dict[str, Sequence[str]], references: list[str]) -> Comparison:
    return run(systems, references, sources=make_text(60, seed=7), training=make_text(20, seed=8))


# ------------------------------------------------------------------------------------------------ sacreBLEU's numbers


def test_scores_and_intervals_are_those_of_sacrebleu(
    found: Comparison, systems: dict[str, Sequence[str]], references: list[str]
) -> None:
    for system in found.systems:
        for name, make in METRICS.items():
            metric = make()
            score = metric.corpus_score(systems[system.name], [references], n_bootstrap=100)
            assert system.scores[name] == score.score
            if system.name == "base":  # the paired test draws its samples anew for the others: see the next test
                interval = system.intervals[name]
                assert (interval.mean, interval.half_width) == pytest.approx((score._mean, score._ci), rel=1e-5)
                assert found.signatures[name] == str(metric.get_signature())


@pytest.mark.parametrize("kind", ["bs", "ar"])
def test_p_values_are_those_of_sacrebleu(
    kind: str, found: Comparison, systems: dict[str, Sequence[str]], references: list[str]
) -> None:
    made = {name: make() for name, make in METRICS.items()}
    count = {"bs": 100, "ar": 200}[kind]
    _, expected = PairedTest(list(systems.items()), made, [references], test_type=kind, n_samples=count)()
    for name, theirs in SACREBLEU_NAMES.items():
        for index, system in enumerate(found.systems):
            result: Any = expected[theirs][index]
            if kind == "bs":
                assert system.intervals[name].mean == float(result.mean)
                assert system.intervals[name].half_width == float(result.ci)
            if system.differences is not None:
                difference = system.differences[name]
                p = difference.bootstrap_p if kind == "bs" else difference.randomization_p
                assert p == result.p_value
                assert difference.value == pytest.approx(result.score - expected[theirs][0].score)


def test_a_clear_difference_is_significant_and_a_small_one_is_not(found: Comparison) -> None:
    _, similar, better = found.systems
    assert similar.differences is not None
    assert better.differences is not None
    assert similar.differences["bleu"].randomization_p > 0.05
    assert better.differences["bleu"].randomization_p < 0.05
    assert better.differences["ter"].value < 0


def test_options_of_the_metrics_are_kept(systems: dict[str, Sequence[str]], references: list[str]) -> None:
    shouted = {name: [line.upper() for line in lines] for name, lines in systems.items()}
    result = run(shouted, references, metrics=["bleu"], lowercase=True, bleu_tokenizer="char")
    expected = BLEU(lowercase=True, tokenize="char").corpus_score(list(shouted["base"]), [references])
    assert result.systems[0].scores == {"bleu": expected.score}
    assert "tok:char" in result.signatures["bleu"]
    assert result.systems[1].examples is not None
    assert result.systems[1].examples.better  # by chrF, though that is not among the metrics


def test_a_bucket_is_scored_as_a_test_set_of_its_own(
    found: Comparison, systems: dict[str, Sequence[str]], references: list[str]
) -> None:
    lengths = [len(line.split()) for line in make_text(60, seed=7)]
    assert [bucket.length for bucket in found.by_length] == ["0-9", "10-19", "20+"]
    for bucket, (low, high) in zip(found.by_length, [(0, 9), (10, 19), (20, 99)], strict=True):
        rows = [row for row, length in enumerate(lengths) if low <= length <= high]
        assert bucket.sentences == len(rows) > 0
        for name, lines in systems.items():
            for metric, make in METRICS.items():
                score = make().corpus_score([lines[row] for row in rows], [[references[row] for row in rows]])
                assert bucket.scores[name][metric] == score.score


# ------------------------------------------------------------------------------------------------------- edge cases


def test_a_system_beside_itself_is_not_significant(references: list[str]) -> None:
    lines = worsen(references, 2, 0.3)
    result = run({"one": lines, "same": list(lines)}, references)
    assert result.systems[1].differences is not None
    for difference in result.systems[1].differences.values():
        assert difference.value == 0
        assert (difference.bootstrap_p, difference.randomization_p) == (1, 1)
        assert difference.differing_sentences == 0
        assert difference.sacrebleu_randomization_p < 0.01  # what sacreBLEU itself would say
    assert result.systems[1].examples is not None
    assert result.systems[1].examples.better == result.systems[1].examples.worse == []


@pytest.mark.parametrize(("changed", "least"), [(1, 1.0), (2, 0.5), (3, 0.25)])
def test_few_differing_sentences_are_never_significant(references: list[str], changed: int, least: float) -> None:
    other = ["Ω" if number < changed else line for number, line in enumerate(references)]
    result = run({"one": references, "other": other}, references, metrics=["chrf"])
    assert result.systems[1].differences is not None
    difference = result.systems[1].differences["chrf"]
    assert difference.differing_sentences == changed
    assert min(difference.bootstrap_p, difference.randomization_p) >= least


def test_a_difference_of_0_is_never_significant() -> None:
    """Translations that differ in every sentence, and all score 0."""
    references = [f"the reference of line {number} is this" for number in range(40)]
    systems = {name: [f"{name} {number}" for number in range(40)] for name in ("wrong", "none")}
    differences = run(systems, references, metrics=["bleu"]).systems[1].differences
    assert differences is not None
    difference = differences["bleu"]
    assert difference.value == 0
    assert min(difference.bootstrap_p, difference.randomization_p) == 1


def test_a_test_set_of_one_line() -> None:
    result = run({"one": ["der Hund schläft nicht"], "other": ["die Katze"]}, ["der Hund schläft"])
    assert result.systems[1].differences is not None
    assert result.systems[1].differences["bleu"].randomization_p == 1
    interval = result.systems[0].intervals["chrf"]
    assert interval.half_width == 0
    render_page(result)


def test_blank_lines_and_nothing_but_blank_lines() -> None:
    result = run({"one": ["", "ein Hund"], "other": ["ein Hund", ""]}, ["", "ein Hund"], training=[""])
    assert [bucket.sentences for bucket in result.by_length] == [2, 0, 0]
    assert result.by_length[1].scores["one"] == {"bleu": None, "chrf": None, "ter": None}
    nothing = run({"one": [""], "other": [""]}, [""], training=[])
    assert nothing.systems[0].length_ratio is None
    assert nothing.systems[0].repetition.ngrams == {"1": None, "2": None, "3": None, "4": None}
    for comparison in (result, nothing):
        json.dumps(comparison.as_dict(), allow_nan=False)
        render_page(comparison)


def test_one_system_alone_has_scores_and_no_differences(references: list[str]) -> None:
    result = run({"one": references}, references)
    assert result.systems[0].scores["bleu"] == pytest.approx(100)
    assert result.systems[0].differences is None
    assert "Difference from" not in render_page(result)


def test_unequal_lengths_name_both() -> None:
    with pytest.raises(DataError, match=r"short has 1 line, but the test set test has 2"):
        run({"one": ["a", "b"], "short": ["a"]}, ["a", "b"])
    with pytest.raises(DataError, match="nothing to score"):
        run({"one": []}, [])


def test_without_a_metric_there_is_nothing_to_compare_by() -> None:
    with pytest.raises(UsageError, match="metric"):
        run({"one": ["a"]}, ["a"], metrics=[])


def test_remarks_of_all_systems_are_made_once(references: list[str]) -> None:
    result = run({"one": ["x"] * 60, "other": references}, [*references[:-1], ""])
    assert "1 of 60 references are blank, the first in line 60." in result.notes
    assert "one: All 60 hypotheses are equal." in result.notes


# --------------------------------------------------------------------------------------------------- counted by hand


def test_buckets() -> None:
    assert bucket_names([1, 2, 5, 10]) == ["0", "1", "2-4", "5-9", "10+"]
    assert [bucket_of(number, [1, 2, 5, 10]) for number in (0, 1, 2, 4, 5, 9, 10, 99)] == [0, 1, 2, 2, 3, 3, 4, 4]
    for bounds in ([], [0, 5], [5, 5], [9, 3]):
        with pytest.raises(UsageError, match="above 0"):
            check_bounds(bounds)


def test_lengths_are_words_or_characters_by_language() -> None:
    assert length_of("a bc  d", "en") == 3
    assert length_of("東京 都", "ja") == 3
    assert length_of("東京都", "zh-TW") == 3


def test_words_by_training_frequency() -> None:
    seen = count_words([["a", "a", "b"], ["a", "z"]], {"a", "b", "c"})
    assert seen == Counter(a=3, b=1)
    # a: 3 times in training; b: once; c and d: never. "a a b" for "a b c": one a and b are right.
    buckets = score_by_frequency(
        {"s": [["a", "a", "b"], ["d"]]}, [["a", "b", "c"], ["a", "c"]], Counter(a=3, b=1), [1, 2]
    )
    never, once, often = (bucket.systems["s"] for bucket in buckets)
    assert [bucket.reference_words for bucket in buckets] == [2, 1, 2]
    assert (never.precision, never.recall, never.f1) == (0, 0, 0)
    assert (once.precision, once.recall, once.f1) == (1, 1, 1)
    assert (often.precision, often.recall, often.f1) == (0.5, 0.5, 0.5)


def test_a_bucket_without_words_has_no_accuracy() -> None:
    (bucket, _) = score_by_frequency({"s": [["a"]]}, [["a"]], Counter(a=1), [1])
    assert (bucket.reference_words, bucket.systems["s"].f1) == (0, None)


def test_repetition() -> None:
    found = measure_repetition([["in", "the", "in", "the"], ["a", "b"]])
    # Of six words two came before; of four pairs one ("in the"); of two triples none; of one quadruple none.
    assert found.ngrams == pytest.approx({"1": 100 * 2 / 6, "2": 100 / 4, "3": 0, "4": 0})
    assert found.loops == 1
    assert measure_repetition([["a", "b", "a"], ["c", "c"], list("abcdeabcde")]).loops == 1


def test_length_ratio() -> None:
    assert length_ratio([["a"], ["b", "c"]], [["a", "b"], ["c", "d"]]) == 0.75


def test_the_length_ratio_is_that_of_bleu(
    found: Comparison, systems: dict[str, Sequence[str]], references: list[str]
) -> None:
    for system in found.systems:
        assert system.length_ratio == BLEU().corpus_score(systems[system.name], [references]).ratio


def test_examples_are_the_largest_differences_both_ways() -> None:
    references = ["the red house", "a small dog", "it rains", "good morning"]
    base = ["the red house", "xxxx", "it rain", "good morning"]
    other = ["yyyy", "a small dog", "it rains", "good morning"]
    result = run({"base": base, "other": other}, references, examples=1)
    examples = result.systems[1].examples
    assert examples is not None
    assert (examples.sentences_better, examples.sentences_worse) == (2, 1)
    (better,), (worse,) = examples.better, examples.worse
    assert (better.line, better.baseline, better.system) == (2, "xxxx", "a small dog")
    assert (better.baseline_chrf, better.system_chrf) == (0, pytest.approx(100))
    assert (worse.line, worse.system_chrf) == (1, CHRF().sentence_score("yyyy", ["the red house"]).score)


# -------------------------------------------------------------------------------------------------------- the report


class Page(HTMLParser):
    """Checks that tags are closed, and collects what a reader sees and what would be loaded."""

    VOID = ("meta", "br")
    LOADING = ("src", "href", "xlink:href", "data", "action", "onload", "onclick")

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.text = ""
        self.loaded: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.loaded += [f"{name}={value}" for name, value in attrs if name in self.LOADING]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_and_needs_nothing_else(found: Comparison) -> None:
    text = render_page(found)
    page = Page(text)
    assert page.loaded == []
    assert not page.tags.keys() & {"script", "link", "img", "iframe", "object"}
    assert not any(part in text for part in ("http", "url(", "@import", "nan", 'inf"'))
    assert "prefers-color-scheme: dark" in text
    assert page.tags["svg"] == 3 + 3 + 1  # intervals, buckets of lengths, frequencies
    assert page.tags["rect"] == 3 * 3 * 3 + sum(
        one.f1 is not None for bucket in found.by_frequency or [] for one in bucket.systems.values()
    )
    for system in found.systems:
        assert f"{system.scores['bleu']:.2f}" in page.text


def test_the_page_says_what_was_left_out(systems: dict[str, Sequence[str]], references: list[str]) -> None:
    page = Page(render_page(run(systems, references)))
    assert "There is no training text" in page.text
    assert "By length of the reference" in page.text


def test_the_page_shows_text_as_text() -> None:
    hostile = "<script>alert('x')</script> & \"q\" \x00\x1b \U0001f600 عربي"
    references = [f"{hostile} eins", "zwei"]
    result = run({"<b>&name": ["nichts", "drei"], "other": references}, references, sources=[hostile, "two"])
    text = render_page(result)
    page = Page(text)
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert "<script>alert('x')</script> & \"q\"" in page.text
    assert "<b>&name" in page.text
    assert "\U0001f600 عربي" in page.text
    assert "\x00" not in text
    assert "\x1b" not in text


def test_what_departs_from_the_reference_is_marked() -> None:
    for language, other, marked in (
        ("de", "ein roter Hund", "<mark>roter</mark>"),
        ("zh", "一条红狗", "<mark>红</mark>"),
    ):
        reference = other.replace("roter ", "").replace("红", "")
        result = run({"one": ["x"], "other": [other]}, [reference], language=language)
        assert marked in render_page(result)
        assert result.length_unit == ("words" if language == "de" else "characters")
