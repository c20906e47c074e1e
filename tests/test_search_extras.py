"""Penalties, blocking, constraints, diversity and sampling: what they find is the best there is under them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from fake_models import BOS, EOS, FakeOutput, FakeState, HashModel, every_output, next_log_probs, sources
from torch import Tensor

from nmt.config.schema import Decoding
from nmt.errors import UsageError
from nmt.inference.composition import NO_WISH, Batch, Composer, Phrases, Wish
from nmt.search import Hypothesis, make_normalization

PIECES = ["<pad>", "<unk>", "<s>", "</s>", "\u2581a", "b", "\u2581", "ab", "."]
SIZE = len(PIECES)
SENTENCES = [[5, 6], [7], [4, 4, 8]]


class FakeSubwords:
    """A vocabulary so small that all outputs can be listed."""

    size = SIZE

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [PIECES[piece] for piece in ids]

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        found = []
        for line in lines:
            rest, ids = "\u2581" + line.replace(" ", "\u2581"), []
            while rest:
                piece = max((piece for piece in PIECES[4:] if rest.startswith(piece)), key=len)
                ids.append(PIECES.index(piece))
                rest = rest[len(piece) :]
            found.append(ids)
        return found


def text(ids: Sequence[int]) -> str:
    return "".join(PIECES[piece] for piece in ids).replace("\u2581", " ")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def search(
    model: Any,
    sentences: list[list[int]],
    *,
    longest: int = 3,
    wishes: Sequence[Wish] | None = None,
    avoid: Sequence[str] = (),
    **options: Any,
) -> list[list[Hypothesis]]:
    decoding = Decoding.model_validate({"n_best": 1, **options})
    normalization = make_normalization(decoding.length_normalization, decoding.alpha)
    source, lengths = sources(*sentences)
    batch = Batch(source, lengths, torch.tensor([longest] * len(sentences)), wishes or [NO_WISH] * len(sentences))
    return Composer(decoding, normalization, Phrases(FakeSubwords(), avoid)).search(model, batch)  # type: ignore[arg-type]


def best_outputs(
    model: HashModel,
    sentence: list[int],
    allowed: Callable[[tuple[int, ...]], bool],
    *,
    longest: int = 3,
    count: int = 3,
) -> list[tuple[int, ...]]:
    outputs = every_output(model, sentence, SIZE, longest)
    ranked = sorted(filter(allowed, outputs), key=lambda ids: -outputs[ids] / (len(ids) + 1))
    return ranked[:count]


def check_exact(allowed: Callable[[tuple[int, ...]], bool], *, wish: Wish = NO_WISH, **options: Any) -> None:
    for seed in range(2):
        model = HashModel(size=SIZE, seed=seed, eos_bias=-1.0)
        [found] = search(model, [[5, seed]], wishes=[wish], beam_size=400, n_best=3, **options)
        expected = best_outputs(model, [5, seed], allowed)
        assert [tuple(one.ids) for one in found[: len(expected)]] == expected
        assert all(one.finished for one in found)


@pytest.mark.parametrize("options", [{"min_length": 2}, {"min_length_ratio": 0.9}], ids=str)
def test_minimum_length(options: dict[str, Any]) -> None:
    check_exact(lambda ids: len(ids) >= 2, **options)


def test_maximum_length() -> None:
    check_exact(lambda ids: len(ids) <= 1, max_length=1)


@pytest.mark.parametrize("size", [1, 2])
def test_ngram_blocking(size: int) -> None:
    def allowed(ids: tuple[int, ...]) -> bool:
        grams = [ids[start : start + size] for start in range(len(ids) - size + 1)]
        return len(set(grams)) == len(grams)

    check_exact(allowed, no_repeat_ngram=size)


def test_a_prefix() -> None:
    check_exact(lambda ids: ids[:2] == (5, 7), wish=Wish(prefix=(5, 7)))


def has(phrase: str) -> Callable[[tuple[int, ...]], bool]:
    """Whole words, the naive way; "." is the only other border of words."""
    return lambda ids: f" {phrase} " in f" {text(ids).replace('.', ' . ')} "


@pytest.mark.parametrize("phrase", ["b", "ab", "a", "a b"])
def test_a_required_phrase_however_it_is_cut_into_pieces(phrase: str) -> None:
    symbols = Phrases(FakeSubwords(), ()).required(phrase)  # type: ignore[arg-type]
    check_exact(has(phrase), wish=Wish(required=(symbols,)))


@pytest.mark.parametrize("phrases", [["ab"], ["b", "ab"], ["a b"]], ids=str)
def test_avoided_phrases_however_they_are_cut_into_pieces(phrases: list[str]) -> None:
    check_exact(lambda ids: not any(has(phrase)(ids) for phrase in phrases), avoid=phrases)


def test_several_required_phrases_with_an_avoided_one() -> None:
    words = Phrases(FakeSubwords(), ())  # type: ignore[arg-type]
    wish = Wish(required=(words.required("a"), words.required(".")))
    check_exact(lambda ids: has("a")(ids) and "." in text(ids) and not has("b")(ids), wish=wish, avoid=["b"])


@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_required_phrases_are_met_whatever_the_beam_and_the_neighbours(beam_size: int) -> None:
    words = Phrases(FakeSubwords(), ())  # type: ignore[arg-type]
    demands = [("a b", "ab"), (), (".",), ("b", "a", "ab")]
    wishes = [Wish(required=tuple(map(words.required, several))) for several in demands]
    sentences = [*SENTENCES, [6]]
    model = HashModel(size=SIZE, seed=4, eos_bias=1.0)
    together = search(model, sentences, wishes=wishes, beam_size=beam_size, longest=6)
    for sentence, wish, several, found in zip(sentences, wishes, demands, together, strict=True):
        assert found[0].finished
        assert all(has(phrase)(tuple(found[0].ids)) or phrase == "." for phrase in several)
        assert "." not in several or "." in text(found[0].ids)
        assert search(model, [sentence], wishes=[wish], beam_size=beam_size, longest=6) == [found]


def test_a_limit_gives_way_to_what_is_required() -> None:
    words = Phrases(FakeSubwords(), ())  # type: ignore[arg-type]
    [[found]] = search(
        HashModel(size=SIZE, seed=1), [[5]], wishes=[Wish(required=(words.required("a b ab"),))], longest=0, beam_size=3
    )
    assert has("a b ab")(tuple(found.ids))
    assert found.finished


def test_a_blank_phrase_is_refused() -> None:
    with pytest.raises(UsageError, match="no phrase"):
        Phrases(FakeSubwords(), [""])  # type: ignore[arg-type]


def test_the_repetition_penalty_is_that_of_the_paper_and_scores_stay_honest() -> None:
    theta, model, sentence = 1.5, HashModel(size=SIZE, seed=3, eos_bias=-1.0), [5]
    [[found]] = search(model, [sentence], beam_size=400, repetition_penalty=theta)
    scores = {}
    for ids in every_output(model, sentence, SIZE, 3):
        total = 0.0
        for place, piece in enumerate([*ids, EOS]):
            logits = np.array(next_log_probs(model, sentence, ids[:place]))
            logits[list(set(ids[:place]))] *= theta
            total += logits[piece] - np.log(np.exp(logits).sum())
        scores[ids] = total / (len(ids) + 1)
    assert tuple(found.ids) == max(scores, key=scores.__getitem__)
    assert found.score == pytest.approx(max(scores.values()), abs=1e-5)
    assert found.log_probability == pytest.approx(every_output(model, sentence, SIZE, 3)[tuple(found.ids)], abs=1e-5)


class AttendingModel(HashModel):
    """Looks at places that depend on the prefix."""

    def step(self, ids: Tensor, state: FakeState, memory: Any) -> FakeOutput:
        output = super().step(ids, state, memory)
        return output._replace(weights=self.look(output.state.prefixes))

    @staticmethod
    def look(prefixes: Tensor) -> Tensor:
        return torch.stack([torch.sin(prefixes * 0.37 + place) for place in range(3)], dim=1).mul(2).softmax(1).float()


def test_the_coverage_penalty_is_that_of_the_paper() -> None:
    beta, model, sentence = 0.7, AttendingModel(size=SIZE, seed=2, eos_bias=-1.0), [5, 6]
    [found] = search(model, [sentence], beam_size=400, n_best=3, coverage_penalty=beta)
    scores = {}
    for ids, total in every_output(model, sentence, SIZE, 3).items():
        prefix, attended = torch.zeros(1, dtype=torch.int64), np.zeros(3)
        for piece in (BOS, *ids):
            prefix = model.mix(prefix, torch.tensor([piece]))
            attended += model.look(prefix)[0].numpy()
        scores[ids] = total / (len(ids) + 1) + beta * sum(math.log(min(each, 1.0)) for each in attended)
    assert [tuple(one.ids) for one in found[:3]] == sorted(scores, key=scores.__getitem__)[::-1][:3]
    assert [one.score for one in found[:3]] == pytest.approx(sorted(scores.values())[::-1][:3], abs=1e-5)


def test_a_coverage_penalty_needs_attention() -> None:
    with pytest.raises(UsageError, match="attention"):
        search(HashModel(size=SIZE, seed=2), [[5]], coverage_penalty=0.2)


def test_the_fast_rule_stops_when_nothing_is_better_now() -> None:
    steps = {}
    for stopping in ("exact", "fast"):
        model = HashModel(size=40, seed=1, eos_bias=3.0)
        found = search(model, SENTENCES, longest=30, beam_size=4, stopping=stopping)
        steps[stopping] = model.steps
        assert all(one.finished for [one] in found)
    assert steps["fast"] < steps["exact"]


def test_groups_without_diversity_are_all_the_same_and_the_first_is_a_plain_beam() -> None:
    model = HashModel(size=40, seed=1)
    plain = search(model, SENTENCES, longest=6, beam_size=2, n_best=2)
    assert search(model, SENTENCES, longest=6, beam_size=6, beam_groups=3, diversity=0.0, n_best=2) == plain


def plain_diverse_steps(model: HashModel, sentence: list[int], groups: int, strength: float) -> list[list[int]]:
    """Groups of one hypothesis, in Vijayakumar's algorithm 1; until EOS or three pieces."""
    prefixes: list[tuple[int, ...]] = [()] * groups
    for _ in range(3):
        counts = np.zeros(40)
        for group, prefix in enumerate(prefixes):
            if EOS in prefix:
                continue
            scores = np.array(next_log_probs(model, sentence, prefix)) - strength * counts
            piece = int(scores[EOS:].argmax()) + EOS
            counts[piece] += 1
            prefixes[group] = (*prefix, piece)
    return [list(prefix) for prefix in prefixes]


def test_groups_pay_for_what_the_groups_before_have_chosen() -> None:
    model = HashModel(size=40, seed=1, eos_bias=-30.0)
    options: dict[str, Any] = {"beam_size": 3, "beam_groups": 3, "diversity": 1.5, "n_best": 3}
    together = search(model, SENTENCES, longest=3, **options)
    for sentence, found in zip(SENTENCES, together, strict=True):
        expected = plain_diverse_steps(model, sentence, 3, 1.5)
        assert sorted(one.ids for one in found) == sorted(map(list, {tuple(ids) for ids in expected}))
        assert search(model, [sentence], longest=3, **options) == [found]


EXTRAS: list[dict[str, Any]] = [
    {"no_repeat_ngram": 1, "min_length": 3, "beam_size": 1},
    {"repetition_penalty": 1.3, "no_repeat_ngram": 2, "min_length": 2, "n_best": 4},
    {"beam_size": 6, "beam_groups": 2, "no_repeat_ngram": 2, "n_best": 4},
    {"sampling": True, "n_best": 3, "top_k": 9, "no_repeat_ngram": 1},
    {"sampling": True, "temperature": 0.7, "top_p": 0.8},
]


@pytest.mark.parametrize("options", EXTRAS, ids=str)
def test_neighbours_and_order_change_nothing(options: dict[str, Any]) -> None:
    model = HashModel(size=60, seed=2, levels=4)
    sentences = [[piece, *range(4, 4 + piece % 5)] for piece in range(4, 20)]
    expected = search(model, sentences, longest=8, **options)
    assert search(model, sentences[::-1], longest=8, **options)[::-1] == expected
    assert [search(model, [sentence], longest=8, **options)[0] for sentence in sentences] == expected


def expected_shares(log_probs: list[float], options: dict[str, Any]) -> np.ndarray[Any, Any]:
    shares = np.exp(np.array(log_probs) / options.get("temperature", 1.0))
    shares[:EOS] = 0
    descending = np.sort(shares)[::-1]
    if "top_k" in options:
        shares[shares < descending[options["top_k"] - 1]] = 0
    if "top_p" in options:
        passed = int(np.searchsorted(np.cumsum(descending) / shares.sum(), options["top_p"]))
        shares[shares < descending[passed]] = 0
    return np.asarray(shares / shares.sum())


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 2.0}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.7}], ids=str
)
def test_samples_pass_a_chi_square_test(options: dict[str, Any]) -> None:
    model, sentence, count = HashModel(size=SIZE, seed=6), [5, 6], 8000
    [found] = search(model, [sentence], longest=2, sampling=True, n_best=count, **options)
    chances: dict[tuple[int, ...], float] = {}
    first = expected_shares(next_log_probs(model, sentence, ()), options)
    chances[()] = first[EOS]
    for piece in range(EOS + 1, SIZE):
        if first[piece]:
            second = expected_shares(next_log_probs(model, sentence, (piece,)), options)
            chances[(piece,)] = first[piece] * second[EOS]
            chances.update({(piece, other): first[piece] * second[other] for other in range(EOS + 1, SIZE)})
    drawn: dict[tuple[int, ...], int] = dict.fromkeys(chances, 0)
    for one in found:
        drawn[tuple(one.ids)] += 1
    assert all(chances[ids] for ids, times in drawn.items() if times)
    likely = [ids for ids, chance in chances.items() if chance * count >= 5]
    statistic = sum((drawn[ids] - chances[ids] * count) ** 2 / (chances[ids] * count) for ids in likely)
    freedom = len(likely)
    assert statistic < freedom + 4.5 * math.sqrt(2 * freedom)


def test_samples_have_the_models_own_scores_and_another_seed_gives_others() -> None:
    model, sentence = HashModel(size=SIZE, seed=6), [5, 6]
    options: dict[str, Any] = {"sampling": True, "n_best": 20, "temperature": 1.7, "longest": 4}
    [found] = search(model, [sentence], **options)
    totals = every_output(model, sentence, SIZE, 4)
    for one in found:
        assert one.log_probability == pytest.approx(totals[tuple(one.ids)], abs=1e-5)
        assert one.score == pytest.approx(one.log_probability / (len(one.ids) + 1))
        assert one.finished or len(one.ids) == 4
    assert search(model, [sentence], seed=2, **options) != [found]
    assert search(model, [sentence], **{**options, "n_best": 5}) == [found[:5]]


def test_two_required_phrases_may_share_pieces() -> None:
    words = Phrases(FakeSubwords(), ())  # type: ignore[arg-type]
    wish = Wish(required=(words.required("a b"), words.required("b ab")))
    model = HashModel(size=SIZE, seed=0, eos_bias=4.0)
    [[found]] = search(model, [[5]], wishes=[wish], beam_size=300, longest=9)
    assert has("a b")(tuple(found.ids))
    assert has("b ab")(tuple(found.ids))


def test_pairs_of_options_work_together() -> None:
    model = HashModel(size=SIZE, seed=0)
    for one, other in itertools.combinations(EXTRAS[:3], 2):
        for found in search(model, SENTENCES, longest=5, **{**one, **other, "beam_size": 6, "n_best": 2}):
            assert found
