"""`nmt.load`: what a program can do with a model, with the results of the command line."""

from __future__ import annotations

import concurrent.futures
import doctest
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nmt
from cli_tools import nmt as command
from nmt import api
from nmt.api import LoadedModel
from nmt.errors import CheckpointError, DataError, NMTError, UsageError
from tiny_translator import save_tiny_model

LINES = ["the red dog sleeps .", "", "a cat sees the house and hears a man .", "  ", "the old woman runs ."]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run called my, and a text to translate."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NMT_MODEL", raising=False)
    (tmp_path / "runs" / "my").mkdir(parents=True)
    save_tiny_model(tmp_path / "runs" / "my" / "best.safetensors")
    (tmp_path / "text.en").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    return tmp_path


def load(**options: object) -> LoadedModel:
    return nmt.load("runs/my", device="cpu", **options)


def test_the_examples_in_the_documentation_run() -> None:
    failed, tried = doctest.testmod(api, optionflags=doctest.ELLIPSIS)
    assert tried > 10
    assert failed == 0


def test_results_have_the_form_of_the_input() -> None:
    model = load()
    found = model.translate(LINES)
    assert isinstance(found, list)
    assert [one.text == "" for one in found] == [not line.strip() for line in LINES]
    assert model.translate(tuple(LINES)) == found
    one = model.translate(LINES[0])
    assert one.text == found[0].text
    lazy = model.translate(iter(LINES))
    assert not isinstance(lazy, list)
    assert [translation.text for translation in lazy] == [translation.text for translation in found]
    with open("text.en", encoding="utf-8", newline="\n") as stream:
        assert [translation.text for translation in model.translate(stream)] == [
            translation.text for translation in found
        ]
    assert model.translate([]) == []
    assert model.translate("").text == ""


def test_translations_and_scores_equal_those_of_the_command_line() -> None:
    shown = command("translate", "text.en", "--format", "jsonl", "--n-best", "3", "--beam-size", "4").stdout
    rows = [json.loads(line) for line in shown.removesuffix("\n").split("\n")]
    model = load(n_best=3, beam_size=4)
    for row, translation in zip(rows, model.translate(LINES), strict=True):
        assert translation.text == row["translation"]
        assert [one.text for one in translation.hypotheses] == [one["text"] for one in row["hypotheses"]]
        scores = [one["score"] for one in row["hypotheses"]]
        assert [one.score for one in translation.hypotheses] == pytest.approx(scores, abs=1e-4)

    targets = [row["translation"] for row in rows]
    Path("text.de").write_text("".join(f"{line}\n" for line in targets), encoding="utf-8")
    shown = command("score", "text.en", "text.de", "--format", "jsonl").stdout
    expected = [json.loads(line)["log_probability"] for line in shown.removesuffix("\n").split("\n")]
    for found, number in zip(model.score(LINES, targets), expected, strict=True):
        if number is None:
            assert found is None
        else:
            assert found is not None
            assert found.log_probability == pytest.approx(number, abs=1e-4)


def test_scores_of_a_line_a_list_and_a_stream() -> None:
    model = load()
    pairs = [("the dog .", "a cat ."), ("", "a cat ."), ("a man runs .", "")]
    sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
    several = model.score(sources, targets)
    assert isinstance(several, list)
    assert [one is None for one in several] == [False, True, False]
    one = model.score(*pairs[0])
    assert one is not None
    assert several[0] is not None
    assert one.log_probability == pytest.approx(several[0].log_probability, abs=1e-4)
    stream = model.score(iter(sources), iter(targets))
    assert not isinstance(stream, list)
    assert [found is None for found in stream] == [False, True, False]
    assert model.score("", "a cat") is None
    with pytest.raises(DataError, match="more lines than translations, after 1 pairs"):
        model.score(["a", "b"], ["c"])
    with pytest.raises(DataError, match="more translations than lines, after 1 pairs"):
        list(model.score(iter(["a"]), iter(["c", "d"])))
    with pytest.raises(UsageError, match="both be strings"):
        model.score("a", ["b"])


def test_attention_of_own_and_given_translations() -> None:
    model = load()
    found = model.attention(LINES)
    assert isinstance(found, list)
    assert [one is None for one in found] == [not line.strip() for line in LINES]
    assert [one.translation for one in found if one is not None] == [
        translation.text for translation in model.translate(LINES) if translation.text
    ]
    one = model.attention("the dog runs .", "a cat .")
    assert one is not None
    assert one.words.target.texts == ["a", "cat", ".", "</s>"]
    assert one.words.weights.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert model.attention("", "a cat .") is None
    assert next(iter(model.attention(iter(LINES)))) is not None
    with pytest.raises(DataError, match="more lines"):
        model.attention(["a", "b"], ["c"])


def test_a_model_without_attention_still_translates_and_scores(folder: Path) -> None:
    save_tiny_model(folder / "blind.safetensors", attention={"score": "none"})
    model = nmt.load(folder / "blind.safetensors", device="cpu")
    assert model.translate("the dog sleeps .").text
    assert model.score("the dog", "a cat") is not None
    with pytest.raises(UsageError, match="no attention"):
        model.attention("the dog sleeps .")


def test_options() -> None:
    model = load(beam_size=4, n_best=3)
    assert (model.decoding.beam_size, model.decoding.n_best) == (4, 3)
    greedy = model.with_options(beam_size=1, n_best=1)
    assert (greedy.decoding.beam_size, greedy.decoding.device) == (1, "cpu")
    assert (model.decoding.beam_size, model.config.data.target_language) == (4, "de")
    with pytest.raises(UsageError, match=r"unknown decoding option 'beamsize'\. Did you mean beam_size"):
        load(beamsize=3)
    with pytest.raises(UsageError, match="--beam-size"):
        load(beam_size=0)
    with pytest.raises(UsageError, match="--beam-size"):
        model.with_options(beam_size="many")


def test_models_are_found_as_the_commands_find_them(folder: Path) -> None:
    assert nmt.load(device="cpu").translate("the dog").text == load().translate("the dog").text
    with pytest.raises(UsageError, match="nowhere"):
        nmt.load("nowhere")
    with pytest.raises(UsageError, match="no model"):
        nmt.load([])
    (folder / "broken.safetensors").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match=r"broken\.safetensors"):
        nmt.load(folder / "broken.safetensors")


def test_several_models_translate_together() -> None:
    together = nmt.load(["runs/my", "runs/my"], weights=[1.0, 3.0], device="cpu")
    assert [one.text for one in together.translate(LINES)] == [one.text for one in load().translate(LINES)]
    alone, both = load().score("the dog", "a cat"), together.score("the dog", "a cat")
    assert alone is not None
    assert both is not None
    assert both.piece_log_probabilities == pytest.approx(alone.piece_log_probabilities, abs=1e-5)
    with pytest.raises(UsageError, match="attention requires a single model"):
        together.attention("a")


def test_threads_may_share_a_model() -> None:
    model = load()
    lines = [f"{line} {word}" for line in LINES[::2] for word in ("the dog", "a cat", "small", "big .")]
    expected = [model.translate(line).text for line in lines]
    fresh = load()

    def ask(line: str) -> tuple[str, float, int]:
        score, attended = fresh.score(line, "a cat ."), fresh.attention(line)
        assert score is not None
        assert attended is not None
        return fresh.translate(line).text, score.log_probability, len(attended.words.source.texts)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        found = list(pool.map(ask, lines))
    assert [text for text, _, _ in found] == expected
    alone = [model.score(line, "a cat .") for line in lines]
    assert [number for _, number, _ in found] == pytest.approx([one.log_probability for one in alone if one], abs=1e-4)
    assert [count for _, _, count in found] == [len(line.split()) + 1 for line in lines]


def test_errors_of_a_stream_are_raised_at_their_line() -> None:
    def lines() -> Iterator[str]:
        yield "the dog ."
        raise NMTError("the source broke")

    found = load().translate(lines())
    assert next(found).text
    with pytest.raises(NMTError, match="the source broke"):
        next(found)


def test_other_types_than_text_are_refused() -> None:
    model: Any = load()
    wrong = [nmt.SourceLine("a", required=None), nmt.SourceLine("a", required=(5,)), nmt.SourceLine("a", prefix=None)]  # type: ignore[arg-type]
    for request in wrong:
        with pytest.raises(UsageError, match=r"found|prefix"):
            model.translate(request)
    for options in ({"avoid": [5]}, {"avoid": "dog"}, {"terminology": {1: 2}}, {"terminology": {"dog": " "}}):
        with pytest.raises(UsageError, match=r"avoid|terminology"):
            model.with_options(**options)
