"""Lines in, translations out: one for each, the same whatever stands beside it."""

from __future__ import annotations

import concurrent.futures
import itertools
import os
import queue
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.errors import NMTError, UsageError
from nmt.inference.hardware import Processor
from nmt.inference.translator import Translation, Translator
from tiny_translator import (
    WORDS,
    for_inference,
    save_tiny_model,
    tiny_config,
    tiny_inference,
    tiny_network,
    tiny_tokenizers,
    tiny_translator,
)

CPU = Processor(1)


def mixed_lines(count: int) -> list[str]:
    random_words = random.Random(3)
    words = WORDS.split()
    lines = [" ".join(random_words.choices(words, k=random_words.randint(1, 18))) for _ in range(count)]
    lines[5], lines[11], lines[17] = "", "\u00a0", lines[16]
    lines[20] = "ein 😀 Über-raschung, 漢字 <b>x</b> {0} https://example.org/?a=1"
    lines[25] = " ".join(words * 10)
    return lines


def texts(translator: Translator, lines: Any) -> list[str]:
    return [translation.text for translation in translator.translate(lines)]


@pytest.mark.parametrize("beam_size", [1, 5])
def test_batch_size_neighbours_and_order_change_nothing(beam_size: int) -> None:
    lines = mixed_lines(80)
    order = random.Random(1).sample(range(80), 80)
    expected: list[Translation] | None = None
    for batch_sentences in (64, 7, 1):
        translator = tiny_translator(beam_size=beam_size, batch_sentences=batch_sentences)
        found = list(translator.translate(lines))
        expected = expected or found
        assert [one.text for one in found] == [one.text for one in expected]
        for one, other in zip(found, expected, strict=True):
            assert [c.score for c in one.hypotheses] == pytest.approx([c.score for c in other.hypotheses], abs=1e-4)
        if batch_sentences > 1:
            shuffled = texts(translator, [lines[index] for index in order])
            assert shuffled == [expected[index].text for index in order]
    assert expected is not None
    assert len({one.text for one in expected}) > 40  # or the test would say little


@pytest.mark.parametrize(
    "architecture",
    [
        {"attention": {"score": "none"}},
        {"attention": {"score": "general"}, "encoder": {"hidden_size": 9, "layers": 2}},
        {"attention": {"score": "additive", "placement": "bottom"}, "decoder": {"hidden_size": 20, "layers": 2}},
        {"attention": {"score": "general"}, "encoder": {"hidden_size": 16, "bidirectional": False}, "tying": "none"},
    ],
    ids=str,
)
def test_batches_and_order_change_nothing_for_every_architecture(architecture: dict[str, Any]) -> None:
    config = tiny_config(**architecture)
    network, lines = tiny_inference(config), mixed_lines(26)
    found = []
    for batch_sentences in (16, 1):
        decoding = config.decoding.model_copy(update={"beam_size": 3, "batch_sentences": batch_sentences})
        found.append(texts(Translator(network, tiny_tokenizers(), decoding=decoding, hardware=CPU), lines))
    assert found[0] == found[1]
    assert len(set(found[0])) > 3


HOSTILE = [
    "",
    " ",
    "\t",
    "\u00a0",
    "\u200b",
    "\ufeff",
    "the dog",
    "the\u2028dog",
    "the\rdog",
    "the dog\r",
    "the\x85dog",
    "\x00\x01\x02",
    "the\x00dog",
    "😀👩‍👧‍👦🇩🇪",
    "e\u0301\u0301\u0301" * 30,
    "\ud800 lone surrogate",
    "مرحبا \u202bالعالم",
    "the dog " * 2500,
    "x" * 3000,
    "</s> <s> <unk> <pad>",
    "\u2581",
    "last one",
]


@pytest.mark.parametrize("beam_size", [1, 3])
def test_every_line_gets_one_line(beam_size: int) -> None:
    translator = tiny_translator(beam_size=beam_size, n_best=beam_size)
    found = list(translator.translate(HOSTILE))
    assert len(found) == len(HOSTILE)
    for line, translation in zip(HOSTILE, found, strict=True):
        for text in [translation.text, *(candidate.text for candidate in translation.hypotheses)]:
            assert len(text.splitlines()) <= 1
        alone = list(translator.translate([line]))
        assert [one.text for one in alone] == [translation.text]
    assert found[0] == found[1] == found[3] == found[4] == Translation("", [])
    assert found[7].text == found[8].text == texts(translator, ["the dog"])[0] == found[6].text


@settings(max_examples=25)
@given(st.lists(st.text(max_size=40), max_size=8), st.booleans())
def test_n_lines_in_n_lines_out(lines: list[str], arriving: bool) -> None:
    translator = tiny_translator(beam_size=2)
    found = texts(translator, iter(lines) if arriving else lines)
    assert len(found) == len(lines)
    assert found == [texts(translator, [line])[0] for line in lines]


def test_blank_lines_do_not_reach_the_model() -> None:
    class Untouchable:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError("the model was used")

    translator = Translator(Untouchable(), tiny_tokenizers(), decoding=tiny_config().decoding, hardware=CPU)
    assert texts(translator, ["", " ", "\u00a0\u2003", "\u200b", "\x00", "\u2028"]) == [""] * 6


def test_no_lines_give_no_translations() -> None:
    assert list(tiny_translator().translate([])) == []
    assert list(tiny_translator().translate(iter(()))) == []


def test_a_string_is_one_line() -> None:
    translator = tiny_translator()
    assert texts(translator, "the dog") == texts(translator, ["the dog"])


def test_the_same_line_is_translated_once() -> None:
    translator = tiny_translator()
    model = tiny_inference(tiny_config())
    calls: list[int] = []
    encode = model.encode
    model.encode = lambda source, lengths: (calls.append(len(source)), encode(source, lengths))[1]  # type: ignore[method-assign]
    translator = Translator(model, tiny_tokenizers(), decoding=tiny_config().decoding, hardware=CPU)
    assert len(set(texts(translator, ["the dog"] * 8))) == 1
    assert calls == [1]


def test_n_best_lists_are_sorted_without_duplicates() -> None:
    best = texts(tiny_translator(beam_size=6), mixed_lines(60))
    for text, translation in zip(best, tiny_translator(beam_size=6, n_best=6).translate(mixed_lines(60)), strict=True):
        candidates = translation.hypotheses
        assert translation.text == text
        assert len(candidates) <= 6
        assert [one.score for one in candidates] == sorted((one.score for one in candidates), reverse=True)
        assert len({one.text for one in candidates}) == len(candidates)
        for one in candidates:
            assert len(one.pieces) == len(one.ids)
            assert one.log_probability == pytest.approx(sum(one.piece_log_probabilities))
            values = iter(one.piece_log_probabilities)
            means = [sum(itertools.islice(values, len(part) + 1)) / (len(part) + 1) for part in one.segments]
            assert one.score == pytest.approx(sum(means) / len(means))


def test_scores_equal_those_of_forced_decoding() -> None:
    network = tiny_network(tiny_config())
    for line, translation in zip(
        lines := [line for line in mixed_lines(30) if line.strip()],
        tiny_translator(beam_size=4, n_best=4, max_source_pieces=None).translate(lines),
        strict=True,
    ):
        [source] = tiny_tokenizers().source.encode([line])
        for candidate in translation.hypotheses:
            target = [2, *candidate.ids, 3]
            with torch.inference_mode():
                log_probs, _ = network(
                    torch.tensor([[*source, 3]]), torch.tensor([len(source) + 1]), torch.tensor([target[:-1]])
                )
            expected = log_probs[0].gather(1, torch.tensor(target[1:]).unsqueeze(1)).sum()
            assert candidate.log_probability == pytest.approx(float(expected), abs=1e-4)


def test_a_long_line_is_translated_in_segments(caplog: pytest.LogCaptureFixture) -> None:
    translator = tiny_translator(max_source_pieces=12)
    sentences = ["the red dog sees a cat .", "the old man sleeps and runs .", "a big house or a small house ."]
    long = " ".join(sentences)
    lines = ["the dog", long, "a cat", long, " ".join(reversed(sentences))]
    found = list(translator.translate(lines))
    parts = texts(translator, sentences)
    assert found[1].text == " ".join(filter(None, parts))
    assert found[1].text == found[3].text
    [candidate] = found[1].hypotheses
    assert len(candidate.piece_log_probabilities) == len(candidate.ids) + 3
    assert candidate.log_probability == pytest.approx(sum(candidate.piece_log_probabilities))
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert messages[0].startswith("line 2 has")
    assert messages[1].endswith("2, 4, 5")
    assert texts(translator, [found[0].text and "the dog"]) == [found[0].text]


def test_line_numbers_continue_over_windows(caplog: pytest.LogCaptureFixture) -> None:
    translator = tiny_translator(max_source_pieces=12, batch_sentences=2)
    list(translator.translate(["dog"] * 20 + ["the red dog sees a cat . " * 5]))
    assert "line 21 has" in caplog.text


def test_translations_end_at_the_length_limit() -> None:
    network = tiny_network(tiny_config())
    with torch.no_grad():
        network.output.bias[3] = -100.0
    decoding = tiny_config().decoding.model_copy(update={"max_length_ratio": 2.0, "max_length_constant": 3})
    for beam_size in (1, 3):
        translator = Translator(
            for_inference(network, tiny_config()),
            tiny_tokenizers(),
            decoding=decoding.model_copy(update={"beam_size": beam_size}),
            hardware=CPU,
        )
        for line, translation in zip(
            lines := ["the dog", "the dog sees a cat and a house ."], translator.translate(lines), strict=True
        ):
            [source] = tiny_tokenizers().source.encode([line])
            assert len(translation.hypotheses[0].ids) == 2 * len(source) + 3
            assert not translation.hypotheses[0].finished


# ---------------------------------------------------------------------------------------------------- streaming


def test_a_waiting_user_gets_each_translation() -> None:
    translator = tiny_translator()
    expected = texts(translator, ["the dog", "a cat", "", "the old house"])
    reading, writing = os.pipe()
    answers: queue.Queue[str] = queue.Queue()

    def work() -> None:
        with os.fdopen(reading, encoding="utf-8", newline="\n") as stream:
            for translation in translator.translate(line.rstrip("\n") for line in stream):
                answers.put(translation.text)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    with os.fdopen(writing, "w", encoding="utf-8", newline="\n", buffering=1) as stream:
        for line, answer in zip(["the dog", "a cat", "", "the old house"], expected, strict=True):
            stream.write(line + "\n")
            assert answers.get(timeout=60) == answer
    worker.join(timeout=60)
    assert not worker.is_alive()


def test_translations_start_before_the_input_ends() -> None:
    read = []

    def endless() -> Iterator[str]:
        while True:
            read.append(1)
            yield "the dog"

    translations = tiny_translator().translate(endless())
    for _ in range(100):
        next(translations)
    assert len(read) < 100 + 3 * 16 * 8 + 1000
    translations.close()


def test_an_error_of_the_input_is_raised() -> None:
    def broken() -> Iterator[str]:
        yield "the dog"
        raise OSError("the disk is gone")

    translations = tiny_translator().translate(broken())
    assert next(translations).text == texts(tiny_translator(), ["the dog"])[0]
    with pytest.raises(OSError, match="the disk is gone"):
        next(translations)


def test_threads_may_share_a_translator() -> None:
    translator = tiny_translator()
    lines = mixed_lines(40)
    expected = texts(translator, lines)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        alone = list(pool.map(lambda line: texts(translator, [line])[0], lines))
        together = list(pool.map(lambda _: texts(translator, iter(lines)), range(4)))
    assert alone == expected
    assert together == [expected] * 4


# ------------------------------------------------------------------------------------------------------- memory


def starving(limit: int, error: type[RuntimeError]) -> tuple[Translator, list[int]]:
    network = tiny_inference(tiny_config())
    encode, sizes = network.encode, []

    def hungry(source: Any, lengths: Any) -> Any:
        sizes.append(len(source))
        if len(source) > limit:
            raise error("CUDA out of memory. Tried to allocate 2.00 GiB")
        return encode(source, lengths)

    network.encode = hungry  # type: ignore[method-assign]
    return Translator(network, tiny_tokenizers(), decoding=tiny_config().decoding, hardware=CPU), sizes


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_when_memory_runs_out_batches_are_halved(error: type[RuntimeError], caplog: pytest.LogCaptureFixture) -> None:
    lines = mixed_lines(60)
    translator, sizes = starving(2, error)
    assert texts(translator, lines) == texts(tiny_translator(max_source_pieces=None), lines)
    assert max(sizes) > 2
    assert "out of memory" in caplog.text


def test_a_single_line_that_does_not_fit_into_memory_is_an_error() -> None:
    translator, _ = starving(0, torch.OutOfMemoryError)
    with pytest.raises(NMTError, match="not enough memory"):
        list(translator.translate(["the dog"]))


def test_other_errors_of_the_model_are_not_swallowed() -> None:
    network = tiny_inference(tiny_config())

    def broken(source: Any, lengths: Any) -> Any:
        raise RuntimeError("shapes do not match")

    network.encode = broken  # type: ignore[method-assign]
    translator = Translator(network, tiny_tokenizers(), decoding=tiny_config().decoding, hardware=CPU)
    with pytest.raises(RuntimeError, match="shapes"):
        list(translator.translate(["the dog"]))


def test_many_long_lines_make_smaller_batches() -> None:
    network = tiny_inference(tiny_config())
    encode, areas = network.encode, []
    network.encode = lambda source, lengths: (areas.append(source.shape), encode(source, lengths))[1]  # type: ignore[method-assign]
    decoding = tiny_config().decoding.model_copy(update={"beam_size": 1, "max_length_ratio": 0.1})
    translator = Translator(network, tiny_tokenizers(), decoding=decoding, hardware=CPU)
    list(translator.translate([f"{'dog ' * 150}{number}" for number in range(8)]))
    assert len(areas) > 1
    assert all(rows * width <= 8 * 100 for rows, width in areas)


# ------------------------------------------------------------------------------------------------------ loading


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    save_tiny_model(folder / "best.safetensors")
    return folder


def test_a_model_file_is_enough_to_translate(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = mixed_lines(40)
    expected = texts(tiny_translator(), lines)
    assert texts(Translator.load(run), lines) == expected
    assert texts(Translator.load(str(run / "best.safetensors")), lines) == expected
    monkeypatch.setenv("NMT_MODEL", str(run))
    assert texts(Translator.load(None), lines) == expected
    assert list(tmp_path.iterdir()) == []


def test_options_replace_those_of_the_model(run: Path) -> None:
    translator = Translator.load(run, decoding={"beam_size": 3, "n_best": 3, "length_normalization": "gnmt"})
    assert translator.decoding.beam_size == 3
    assert (translator.normalization.kind, translator.normalization.alpha) == ("gnmt", 0.6)
    [translation] = translator.translate(["the red dog ."])
    assert len(translation.hypotheses) <= 3


@pytest.mark.parametrize(
    "options",
    [
        {"beam_size": 2, "n_best": 3},
        {"length_normalization": "none", "alpha": 0.5},
        {"beam_size": 0},
    ],
)
def test_invalid_options_are_refused(run: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Translator.load(run, decoding=options)


def test_bfloat16_translates_too(run: Path) -> None:
    translator = Translator.load(run, decoding={"precision": "bf16"})
    assert len(texts(translator, mixed_lines(40))) == 40


def test_loading_imports_no_slow_module(run: Path) -> None:
    import subprocess
    import sys

    program = (
        "import sys, nmt.inference.translator as t\n"
        f"assert len(list(t.Translator.load({str(run)!r}).translate(['the dog']))) == 1\n"
        "print(*sorted({'torch', 'sympy', 'sacrebleu', 'rich', 'typer', 'matplotlib',"
        " 'pandas', 'tensorboard'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
