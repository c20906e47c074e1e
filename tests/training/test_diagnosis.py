"""What validations show to be wrong with a run: said when it is so, once, and never about a healthy run."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli_tools import untouched_logging
from data_files import make_pairs
from nmt.config.schema import Config, ScheduleConfig
from nmt.data.batch import make_batch
from nmt.data.batching import Position
from nmt.training.diagnosis import (
    DiagnosisContext,
    TextFacts,
    ValidationRecord,
    diagnose,
    still_improving,
    text_facts,
    useless_output,
)
from nmt.training.learner import LaunchedUpdate, Learner
from nmt.training.state import TrainState, UpdateStats
from nmt.training.validation import unigram_loss
from toy_experiments import write_toy_experiment
from toy_runs import records, run

FINE = TextFacts(identical=0.02, blank=0.0, repeating=0.01, length_ratio=0.95)
BROKEN = {
    "are empty": dataclasses.replace(FINE, blank=0.4, length_ratio=0.6),
    "are identical": dataclasses.replace(FINE, identical=0.9),
    "repeat the same words": dataclasses.replace(FINE, repeating=0.6),
    "length is 20%": dataclasses.replace(FINE, length_ratio=0.2),
    "length is 300%": dataclasses.replace(FINE, length_ratio=3.0),
}
SAME = BROKEN["are identical"]
CONTEXT = DiagnosisContext(metric="bleu", peak=0.001, schedule=ScheduleConfig(), unigram_loss=6.0)


def history(
    train_losses: Sequence[float],
    losses: Sequence[float],
    scores: Sequence[float],
    *,
    rates: Sequence[float] | None = None,
    texts: Sequence[TextFacts | None] | None = None,
    every: int = 100,
) -> list[ValidationRecord]:
    """Validations every so many updates; by default at the peak rate, with translations that are fine."""
    count = len(losses)
    columns = zip(train_losses, losses, scores, rates or [0.001] * count, texts or [FINE] * count, strict=True)
    return [ValidationRecord(every * (number + 1), *values) for number, values in enumerate(columns)]


def names(seen: Sequence[ValidationRecord], **changes: Any) -> list[list[str]]:
    """What is found at each validation."""
    context = CONTEXT._replace(**changes)
    return [[finding.name for finding in diagnose(seen[:end], context)] for end in range(1, len(seen) + 1)]


def said(seen: Sequence[ValidationRecord], **changes: Any) -> str:
    """The one thing that is found at the last validation."""
    (finding,) = diagnose(seen, CONTEXT._replace(**changes))
    return finding.text


# ---------------------------------------------------------------------------------------------------------- healthy


def test_nothing_is_wrong_with_a_healthy_run() -> None:
    """Its first updates cost more than guessing, its first outputs are all the same, and its score is nothing yet."""
    seen = history(
        train_losses=[6.8, 5.4, 4.6, 4.0, 3.6, 3.3, 3.2, 3.1],
        losses=[5.7, 4.9, 4.2, 3.8, 3.5, 3.4, 3.35, 3.36],
        scores=[0.0, 0.1, 0.05, 4.0, 9.0, 12.0, 13.0, 12.9],
        texts=[SAME, BROKEN["repeat the same words"], FINE, FINE, FINE, FINE, FINE, FINE],
    )
    assert names(seen) == [[]] * 8


def test_nothing_is_wrong_with_a_run_that_is_validated_often() -> None:
    """Several validations before anything is learnt, and outputs that change from varied noise to a single text."""
    seen = history(
        train_losses=[9.2, 8.9, 8.4, 7.7, 7.1, 6.6, 6.1],
        losses=[9.1, 8.7, 8.1, 7.4, 6.8, 6.4, 5.9],
        scores=[0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        texts=[FINE, SAME, BROKEN["length is 20%"], SAME, SAME, BROKEN["are empty"], SAME],
        every=5,
    )
    assert names(seen) == [[]] * 7


def test_nothing_is_wrong_while_the_learning_rate_still_rises() -> None:
    count = 9
    rates = [0.001 * 5 * (number + 1) / 4000 for number in range(count)]
    losses = [9.2 - 0.01 * number for number in range(count)]
    seen = history(losses, losses, [0.0] * count, rates=rates, texts=[SAME] * count, every=5)
    assert names(seen, schedule=ScheduleConfig(warmup=4000)) == [[]] * count


def test_outputs_that_are_as_alike_as_the_references_are_fine() -> None:
    facts = text_facts(["yes"] * 8 + ["no"] * 2, ["yes"] * 7 + ["no"] * 3)
    assert facts is not None
    assert facts.identical == pytest.approx(0.1)
    constant = text_facts(["yes"] * 10, ["yes"] * 10)
    assert constant == TextFacts(identical=0.0, blank=0.0, repeating=0.0, length_ratio=1.0)
    assert names(history([2.0] * 3, [2.0] * 3, [9.0] * 3, texts=[constant] * 3)) == [[]] * 3


# -------------------------------------------------------------------------------------------------------------- text


def test_what_translations_are_like() -> None:
    references = ["the red dog", "a bird", "", "no no no no no no no no no no", "this is a house", "trees"]
    translations = ["so so so so so so so so so so", " ", "", "no no no no no no no no no no", "this is a house", ""]
    facts = text_facts(translations, references)
    assert facts is not None
    assert facts.blank == pytest.approx(2 / 6)  # Not the one whose reference is blank too.
    assert facts.repeating == pytest.approx(1 / 6)  # Nor the one whose reference repeats itself.
    assert facts.identical == pytest.approx(1 / 6)
    assert facts.length_ratio == sum(map(len, translations)) / sum(map(len, references))


@pytest.mark.parametrize(
    ("line", "repeats"),
    [
        ("the the the the the the the the the", True),
        ("a b c a b c a b c", True),
        ("the the the the", False),
        ("the man who saw the dog saw the cat", False),
        ("\u6211\u6211\u6211\u6211\u6211\u6211\u6211\u6211\u6211\u6211", True),
        ("\u6211\u4eca\u5929\u5728\u516c\u56ed\u91cc\u770b\u5230\u4e86\u4e00\u53ea\u72d7", False),
        ("hahahahahahahahaha", True),
        ("", False),
    ],
)
def test_which_lines_repeat_themselves(line: str, repeats: bool) -> None:
    facts = text_facts([line] * 5, ["something else"] * 5)
    assert facts is not None
    assert facts.repeating == float(repeats)


def test_a_handful_of_translations_says_nothing() -> None:
    assert text_facts(["x"] * 4, ["y", "z", "a", "b"]) is None
    assert text_facts([], []) is None
    assert text_facts(["x"] * 5, [""] * 5) is not None


# ---------------------------------------------------------------------------------------------------------- findings


@pytest.mark.parametrize("what", BROKEN)
def test_collapse_after_translations(what: str) -> None:
    seen = history([3.0, 2.5, 2.6], [3.0, 2.6, 2.8], [8.0, 11.5, 0.1], texts=[FINE, FINE, BROKEN[what]])
    assert names(seen) == [[], [], ["collapse"]]
    text = said(seen)
    assert "have collapsed" in text
    assert what in text
    assert "At update 200 they were translations (bleu 11.50)" in text


@pytest.mark.parametrize("what", BROKEN)
def test_collapse_where_there_never_were_translations(what: str) -> None:
    seen = history([5.0, 4.8, 4.79], [5.0, 4.8, 4.79], [0.1] * 3, texts=[BROKEN[what]] * 3)
    assert names(seen) == [[], [], ["collapse"]]
    assert "does not use the source yet" in said(seen)
    assert what in said(seen)


def test_without_translations_there_is_no_collapse() -> None:
    assert names(history([5.0] * 4, [5.0] * 4, [-5.0] * 4, texts=[None] * 4), metric="loss") == [[]] * 4


def test_divergence_after_something_was_learnt() -> None:
    assert names(history([4.0, 3.0, 9.5], [3.5, 3.0, 8.0], [5.0, 8.0, 0.1])) == [[], [], ["divergence"]]
    text = said(history([4.0, 3.0, 9.5], [3.5, 3.0, 8.0], [5.0, 8.0, 0.1]))
    assert "the validation loss is 8.00 nats per piece" in text
    assert "higher than the 6.00 of a unigram model" in text
    # An average of the weights may still be good where the weights are not.
    assert "the training loss is 9.50" in said(history([4.0, 3.0, 9.5], [3.5, 3.0, 3.1], [5.0, 8.0, 7.9]))
    # In warmup, too: what was learnt there can be lost there.
    assert said(history([4.0, 9.5], [3.5, 8.0], [5.0, 0.1]), schedule=ScheduleConfig(warmup=4000))


def test_divergence_where_nothing_was_ever_learnt() -> None:
    stuck = history([7.0, 6.9, 6.9, 6.9, 7.2], [7.0, 6.9, 6.9, 6.9, 7.2], [0.0] * 5)
    assert names(stuck) == [[], [], [], ["divergence"], ["divergence"]]
    assert names(stuck, schedule=ScheduleConfig(warmup=400)) == [[], [], [], [], ["divergence"]]
    assert names(stuck, unigram_loss=8.0) == [[]] * 5


def test_an_infinite_loss_is_divergence_at_any_time() -> None:
    assert names(history([5.0, 4.0], [math.inf, 4.0], [-math.inf, 1.0]))[0] == ["divergence"]
    text = said(history([5.0, 4.0], [4.0, math.inf], [1.0, -math.inf]))
    assert "the validation loss is inf" in text


def test_divergence_alone_is_said_of_what_has_diverged() -> None:
    """A stale score at a high rate, and outputs that are none, are no news then; both of the rest are."""
    seen = history(
        [3.0] + [8.0] * 6, [3.0] + [8.0] * 6, [9.0] + [0.0] * 6, texts=[FINE, SAME, SAME, SAME, SAME, SAME, SAME]
    )
    assert names(seen)[-1] == ["collapse", "divergence"]


OVERFIT_TRAIN, OVERFIT_VALID = [3.0, 2.5, 2.2, 1.9, 1.6], [3.2, 3.0, 3.04, 3.1, 3.2]
OVERFIT_SCORES = [10.0, 12.0, 11.0, 11.5, 11.9]


def test_overfitting() -> None:
    seen = history(OVERFIT_TRAIN, OVERFIT_VALID, OVERFIT_SCORES)
    assert names(seen) == [[], [], [], [], ["overfitting"]]
    text = said(seen)
    assert f"from {math.exp(3.0):.2f} (update 200) to {math.exp(3.2):.2f} in 3 validations" in text
    assert "training loss fell from 2.50 to 1.60" in text


def test_a_score_that_still_gets_better_is_no_overfitting() -> None:
    assert names(history(OVERFIT_TRAIN, OVERFIT_VALID, [10.0, 12.0, 11.0, 11.5, 12.1])) == [[]] * 5


def test_a_loss_that_rises_on_both_texts_is_no_overfitting() -> None:
    assert names(history([3.0, 2.5, 2.6, 2.6, 2.6], OVERFIT_VALID, OVERFIT_SCORES)) == [[]] * 5


def test_a_hair_is_no_overfitting() -> None:
    assert names(history(OVERFIT_TRAIN, [3.2, 3.0, 3.01, 3.02, 3.04], OVERFIT_SCORES)) == [[]] * 5


def test_overfitting_may_cost_more_than_guessing() -> None:
    """Not divergence: the training text is predicted better and better."""
    seen = history([3.0, 2.0, 1.0, 0.5, 0.2, 0.21], [5.5, 5.6, 6.1, 6.5, 7.0, 7.4], [9.0] + [8.0] * 5)
    assert names(seen) == [[], [], ["memorizing"], ["overfitting"], ["overfitting"], ["overfitting", "stalled"]]


def test_a_text_that_is_known_by_heart_is_told_though_the_score_gets_better() -> None:
    """As of 5,000 pairs with little dropout; and not of a text that is easy, nor of a validation text that is hard."""
    seen = history([3.9, 0.8, 0.5], [3.29, 3.24, 3.2], [16.8, 21.1, 21.9])
    assert names(seen) == [[], ["memorizing"], ["memorizing"]]
    text = said(seen[:2])
    assert f"perplexity {math.exp(0.8):.2f} on the training text, {math.exp(3.24):.2f} on the validation text" in text
    assert names(history([0.9, 0.2, 0.1], [0.8, 0.25, 0.2], [60.0, 90.0, 95.0])) == [[]] * 3
    assert names(history([3.0, 2.4, 2.3], [5.0, 4.6, 4.5], [3.0, 6.0, 7.0])) == [[]] * 3


def test_absurd_losses_do_no_harm() -> None:
    huge = history([900.0] * 5, [800.0, 900.0, 900.0, 900.0, math.inf], [-math.inf] * 5)
    assert all("overfitting" not in found for found in names(huge))
    assert names(history([900.0, 9.0, 8.0, 7.0, 1.0], [800.0, 900.0, 900.0, 900.0, 900.0], [0.0] * 5))


def test_a_score_that_stands_still_at_a_high_rate() -> None:
    flat = history([3.0] * 7, [3.0] * 7, [9.0] + [8.0] * 6)
    assert names(flat) == [[]] * 5 + [["stalled"]] * 2
    assert "bleu has not improved for 6 validations, and the learning rate is still 0.001" in said(flat)
    assert "a lower training.schedule.patience" in said(flat)
    assert "training.schedule.kind: plateau" in said(flat, schedule=ScheduleConfig(kind="constant"))
    assert names(flat, peak=0.002) == [[]] * 7  # The rate has come down already.
    assert names(flat, schedule=ScheduleConfig(warmup=700)) == [[]] * 7
    falling = [3.0 - 0.1 * number for number in range(7)]
    assert names(history(falling, falling, [9.0] + [8.0] * 6)) == [[]] * 7  # It learns; the score is not yet so far.


def test_a_rate_that_has_come_to_nothing() -> None:
    rates = [0.001, 0.0005, 0.0001, 0.00001, 0.00001]
    spent = history([3.0] * 5, [3.0] * 5, [8.0, 9.0, 8.5, 8.5, 8.5], rates=rates)
    assert names(spent) == [[]] * 4 + [["spent"]]
    assert "has fallen to 1e-05, 1.0% of its peak" in said(spent)
    assert "training.schedule.patience or training.schedule.final" in said(spent)
    # Other schedules have no such options, or are meant to end like this.
    assert "try a higher training.schedule.warmup" in said(
        spent, schedule=ScheduleConfig(kind="inverse_sqrt", warmup=10)
    )
    for kind in ("linear", "cosine"):
        assert names(spent, schedule=ScheduleConfig.model_validate({"kind": kind})) == [[]] * 5


def test_a_run_that_ends_too_early() -> None:
    better = history([3.0, 2.0], [3.0, 2.0], [8.0, 9.5])
    text = still_improving(better, CONTEXT)
    assert text is not None
    assert "bleu has improved from 8.00 to 9.50" in text
    assert "--resume" in text
    assert still_improving(better[:1], CONTEXT) is None
    assert still_improving(history([3.0, 2.0], [3.0, 2.0], [8.0, 7.5]), CONTEXT) is None
    assert still_improving(history([3.0, 2.0], [3.0, 2.0], [8.0, 9.5], rates=[0.001, 0.00009]), CONTEXT) is None


def test_options_that_advice_names_exist() -> None:
    collapsed = [history([3.0, 3.0], [3.0, 3.0], [9.0, 0.0], texts=[first, SAME]) for first in (FINE, SAME)]
    cases = [
        *((seen, ScheduleConfig()) for seen in collapsed),
        (history([3.0, 8.0], [3.0, 8.0], [9.0, 0.0]), ScheduleConfig()),
        (history(OVERFIT_TRAIN, OVERFIT_VALID, OVERFIT_SCORES), ScheduleConfig()),
        *((history([3.0] * 7, [3.0] * 7, [9.0] * 7), ScheduleConfig(kind=kind)) for kind in ("plateau", "constant")),
        (history([3.0] * 7, [3.0] * 7, [9.0] * 7, rates=[1e-6] * 7), ScheduleConfig()),
        (history([3.0] * 7, [3.0] * 7, [9.0] * 7, rates=[1e-6] * 7), ScheduleConfig(kind="inverse_sqrt", warmup=1)),
    ]
    texts = [said(seen, schedule=schedule) for seen, schedule in cases]
    texts.append(str(still_improving(history([3.0, 2.0], [3.0, 2.0], [8.0, 9.5]), CONTEXT)))
    pattern = r"\b(?:training|model|tokenizer)\.[a-z_0-9.]*\w"
    options = {option for text in texts for option in re.findall(pattern, text)}
    assert len(options) > 10
    for option in options:
        section: Any = Config
        for name in option.split("."):
            section = section.model_fields[name].annotation


# -------------------------------------------------------------------------------------------------------- the numbers


def test_the_cost_of_guessing_is_that_of_the_frequencies() -> None:
    counts = np.array([0, 0, 0, 4, 7, 2, 0, 1])
    batch = make_batch([[9], [9]], [[4, 5], [7, 4, 6]])
    total = sum(counts + 1)
    pieces = [4, 5, 3, 7, 4, 6, 3]
    expected = -sum(math.log((counts[piece] + 1) / total) for piece in pieces) / len(pieces)
    assert unigram_loss(counts, [batch]) == pytest.approx(expected)
    assert unigram_loss(counts, [make_batch([[9]], [[4, 5]]), make_batch([[9]], [[7, 4, 6]])]) == pytest.approx(
        expected
    )


def learned(loss: float, tokens: int, *, applied: bool = True) -> UpdateStats:
    return UpdateStats(loss, tokens, 1.0, applied, {"expected_risk": (1.5, 2)})


def test_the_training_loss_is_that_of_the_pieces_since_it_was_last_asked_for() -> None:
    state = TrainState()
    for loss, tokens in ((30.0, 10), (10.0, 30)):
        state.advance(Position(0, 0, 1), 0.5)
        state.add(learned(loss, tokens))
    state.advance(Position(0, 0, 2), 0.5)
    state.add(learned(math.nan, 10, applied=False))
    assert state.take_train_loss() == 1.0
    assert state.take_train_loss() is None
    state.advance(Position(0, 0, 3), 0.5)
    state.add(learned(20.0, 10))
    assert state.take_train_loss() == 2.0


def test_the_state_survives_a_checkpoint() -> None:
    state = TrainState(best_score=-math.inf, warned=["stalled"])
    state.advance(Position(1, 2, 3), 0.5)
    state.add(learned(30.0, 10))
    state.history = history([3.0, 2.0], [math.inf, 2.0], [-math.inf, 1.0], texts=[None, FINE])
    saved = json.loads(json.dumps(dataclasses.asdict(state)))
    restored = TrainState.restored(saved)
    assert dataclasses.asdict(restored) | {"window": None} == dataclasses.asdict(state) | {"window": None}
    assert restored.history == state.history
    restored.advance(Position(1, 2, 4), 0.5)
    restored.add(learned(10.0, 10))
    assert restored.window.components == {"expected_risk": (3.0, 4)}


# ------------------------------------------------------------------------------------------------------ in a real run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_toy_experiment(tmp_path, pairs=120)
    return tmp_path


HOPELESS = (
    "training.optimizer.learning_rate=1e-9",
    "training.validation.every_updates=3",
    "training.checkpoint_every_updates=1",
    "training.averaging.kind=none",
    "training.max_updates=18",
    "training.validation.max_sentences=6",
    "decoding.max_length_ratio=1",
)


def warnings(path: Path) -> list[dict[str, Any]]:
    return records(path, "warning")


def saved_state(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((path / "last" / "state.json").read_text(encoding="utf-8"))["train_state"]
    return state


def test_a_run_that_learns_nothing_says_so_once_and_goes_on(folder: Path) -> None:
    with untouched_logging():
        path = run(*HOPELESS)
    found = warnings(path)
    assert "divergence" in {warning["name"] for warning in found}
    assert len({warning["name"] for warning in found}) == len(found)
    assert all({"kind", "update", "epoch", "name", "text"} == warning.keys() for warning in found)
    state = saved_state(path)
    assert state["update"] == 18
    assert [seen["update"] for seen in state["history"]] == [3, 6, 9, 12, 15, 18]
    log = (path / "train.log").read_text(encoding="utf-8")
    assert all(log.count(f"WARNING {warning['name']}: {warning['text']}") == 1 for warning in found)


def test_history_and_what_was_said_survive_a_crash(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update = Learner.launch

    def crashes(self: Learner, group: Any, number: int) -> LaunchedUpdate:
        if number == 14:  # Between two validations, after the first warnings.
            raise RuntimeError("the machine stops")
        return update(self, group, number)

    with untouched_logging():
        straight = run("name=straight", *HOPELESS)
        monkeypatch.setattr(Learner, "launch", crashes)
        with pytest.raises(RuntimeError, match="the machine stops"):
            run("name=broken", *HOPELESS)
        monkeypatch.setattr(Learner, "launch", update)
        broken = run("name=broken", *HOPELESS, resume=True)
    assert warnings(broken)
    assert warnings(broken) == warnings(straight)
    for name in ("history", "warned", "train_loss", "train_tokens"):
        assert saved_state(broken)[name] == saved_state(straight)[name]


def test_a_run_that_learns_is_left_in_peace(folder: Path) -> None:
    with untouched_logging():
        path = run("training.max_epochs=3", "training.averaging.kind=none", "training.optimizer.learning_rate=0.02")
        assert warnings(path) == []
        assert "the last validation was the best one" in (path / "train.log").read_text(encoding="utf-8")
        often = run("name=often", "training.max_epochs=3", "training.validation.every_updates=4")
        assert warnings(often) == []


def test_an_undefined_validation_loss_is_told_and_ends_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.training.validation.Validator._loss", lambda self, model: math.nan)
    with untouched_logging():
        path = run(
            "training.max_updates=6",
            "training.validation.every_updates=3",
            "training.validation.metrics=[]",
            "training.validation.metric=loss",
        )
    assert [(warning["update"], warning["name"]) for warning in warnings(path)] == [(3, "divergence")]
    assert saved_state(path)["update"] == 6


def test_references_are_no_finding() -> None:
    texts = [target for _, target in make_pairs(50, seed=1, longest=12)]
    facts = text_facts(texts, texts)
    assert names(history([3.0, 3.0], [3.0, 3.0], [9.0, 9.0], texts=[facts, facts])) == [[], []]


def test_a_run_whose_best_outputs_are_useless_says_so() -> None:
    looping, varied = ["the the the the the the the the the the"] * 9, [f"line {number} here" for number in range(9)]
    references = [f"reference {number} text" for number in range(9)]

    def record(update: int, lines: list[str]) -> ValidationRecord:
        return ValidationRecord(update, 3.0, 3.0, 1.0, 1e-3, text_facts(lines, references))

    history = [record(100, looping), record(200, varied)]
    found = useless_output(history, 100)
    assert found is not None
    assert "89% are identical" in found
    assert useless_output(history, 200) is None
    assert useless_output(history, 300) is None
