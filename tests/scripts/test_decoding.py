"""The scripts that decode in many ways, from their arguments to their tables, on models made in a moment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
import torch

import nmt
from cli_tools import ROOT, untouched_logging
from decoding import invariance, modes, streaming, table
from decoding.bench import Bench
from decoding.rows import AVERAGE_ALPHAS
from decoding.ways import Found, Way, as_iterator, as_list, one_by_one
from nmt.config.schema import Config
from nmt.inference.model_file import save_model
from tiny_translator import WORDS, tiny_config, tiny_network, tiny_tokenizers

LINES = [" ".join(WORDS.split()[start::step][:6]) for start in range(6) for step in (1, 2)]
ROWS = "greedy,beam-5,average,mbr-beam-chrf,rerank,ensemble,shortlist"
JUDGES = ("--right-to-left", "right-to-left.safetensors", "--reverse", "reverse.safetensors")
MODELS = ("--models", "one.safetensors", "two.safetensors", *JUDGES)
ALPHAS = [None, *AVERAGE_ALPHAS.values]


def save(name: str, *, seed: int, inclined_to_end: float = 3.0, **data: Any) -> None:
    values = tiny_config().model_dump()
    values["data"].update(
        valid={"source": "valid.en", "target": "valid.de"},
        test=[{"name": "news", "source": "valid.en", "target": "news.de"}],
        **data,
    )
    config = Config.model_validate(values)
    network = tiny_network(config)
    torch.manual_seed(seed)
    with torch.no_grad():
        network.output.bias.add_(0.2 * torch.randn_like(network.output.bias))
        network.output.bias[3] += inclined_to_end  # so much that alpha makes a difference
    weights = dict(network.named_parameters())
    save_model(Path(f"{name}.safetensors"), weights=weights, config=config, tokenizers=tiny_tokenizers(), provenance={})


def write(name: str, lines: Sequence[str]) -> None:
    Path(name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def translated(**options: Any) -> list[str]:
    model = nmt.load("one.safetensors", batch_sentences=64, threads=1, **options)
    return [translation.text for translation in model.translate(LINES)]


def with_alpha(alpha: float | None) -> list[str]:
    return translated(length_normalization="average", alpha=alpha, beam_size=5)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models and a validation set, of which every other line is best translated with another alpha."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(modes, "SHORTEST_WORD", 3)  # the words that such models write are short
    save("one", seed=1)
    save("two", seed=2)
    save("right-to-left", seed=3, right_to_left=True)
    save("reverse", seed=4, source_language="de", target_language="en")
    write("valid.en", LINES)
    one, other = with_alpha(1.0), with_alpha(2.0)
    assert one != other
    write("valid.de", [pair[number % 2] for number, pair in enumerate(zip(one, other, strict=True))])
    write("news.de", other)
    return tmp_path


def run(*arguments: str, rows: str = ROWS) -> int:
    with untouched_logging():
        return table.main([*MODELS, "--rows", rows, "--threads", "1", "--out", "out", *arguments])


def read(name: str) -> dict[str, Any]:
    content = json.loads(Path("out", f"{name}.json").read_text("utf-8"))
    return {**content, "rows": {row["row"]: row for row in content["rows"]}}


def bleu(lines: Sequence[str], numbers: Sequence[int] | None = None, references: str = "valid.de") -> float:
    wanted = Path(references).read_text("utf-8").split("\n")[:-1]
    numbers = range(len(wanted)) if numbers is None else numbers
    return sacrebleu.corpus_bleu([lines[n] for n in numbers], [[wanted[n] for n in numbers]]).score


def test_rows_are_scored_with_what_other_lines_have_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    shown = capsys.readouterr().out
    found = read("validation")
    assert list(found["rows"]) == [name for name in ROWS.split(",") if name != "shortlist"]
    assert list(found["left_out"]) == ["shortlist"]
    assert found["judges"] == {"right-to-left 1": "right-to-left.safetensors", "reverse 2": "reverse.safetensors"}
    assert found["sentences"] == len(LINES)
    for row in found["rows"].values():
        assert row["title"] in shown
    assert found["rows"]["greedy"]["bleu"] == pytest.approx(bleu(translated(beam_size=1)))
    assert found["rows"]["mbr-beam-chrf"]["bleu"] == pytest.approx(bleu(translated(beam_size=12, mbr="chrf")))
    assert found["rows"]["greedy"]["same_lines"] is None

    outputs = [with_alpha(alpha) for alpha in ALPHAS]
    every = range(len(LINES))
    halves = [every[0::2], every[1::2]]

    def best(numbers: Sequence[int]) -> list[str]:
        return max(outputs, key=lambda lines: bleu(lines, numbers))  # of equals the first one

    crossed = [best(halves[1 - number % 2])[number] for number in every]
    average = found["rows"]["average"]
    assert average["bleu"] == pytest.approx(bleu(crossed))
    assert average["same_lines"]["bleu"] == pytest.approx(bleu(best(every)))
    assert average["decoding"]["alpha"] == ALPHAS[outputs.index(best(every))]
    assert average["bleu"] < average["same_lines"]["bleu"]  # or the test would say little

    weights = found["rows"]["rerank"]["weights"]
    assert list(weights) == ["search", "right-to-left 1", "reverse 2"]
    assert sum(weights.values()) == pytest.approx(1, abs=1e-3)


def test_an_interrupted_table_goes_on_and_nothing_is_translated_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    translator = Bench._translator

    def noted(bench: Bench, method: Any) -> Any:
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append(f"{method.decoding.beam_size} {method.decoding.alpha}")
        return translator(bench, method)

    monkeypatch.setattr(Bench, "_translator", noted)
    rows = "greedy,beam-5,beam-12,average"
    assert run(rows=rows) == 130
    assert list(read("validation")["rows"]) == ["greedy", "beam-5", "beam-12"]
    monkeypatch.setattr(
        Bench, "_translator", lambda bench, method: (asked.append("again"), translator(bench, method))[1]
    )
    assert run(rows=rows) == 0
    # All alphas but the usual one, which beam-5 has too.
    assert asked[3:] == ["again"] * len(AVERAGE_ALPHAS.values)
    whole = read("validation")
    assert run(rows=rows) == 0
    assert read("validation") == whole
    assert len(asked) == 3 + len(AVERAGE_ALPHAS.values)
    assert run("--overwrite", rows="greedy") == 0
    assert len(asked) == 4 + len(AVERAGE_ALPHAS.values)


def test_a_test_set_is_translated_with_what_was_chosen_before(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--test", "news", rows="average") == 2
    assert "validation" in capsys.readouterr().err
    assert not Path("out").exists()
    assert run(rows="beam-5,average,rerank") == 0
    chosen = read("validation")["rows"]
    assert run("--test", "news", rows="average,rerank") == 0
    found = read("news")["rows"]
    assert list(found) == ["beam-5", "average", "rerank"]
    for name, row in found.items():
        assert row["decoding"] == chosen[name]["decoding"]
        assert row["weights"] == chosen[name]["weights"]
    assert found["average"]["bleu"] == pytest.approx(
        bleu(with_alpha(chosen["average"]["decoding"]["alpha"]), references="news.de")
    )
    assert found["beam-5"]["p"] is None
    assert 0 < found["average"]["p"] <= 1
    capsys.readouterr()
    assert run("--test", "news", rows="greedy") == 2
    assert "no row greedy" in capsys.readouterr().err
    assert run("--test", "nowhere", rows="average") == 2
    assert "there are: news" in capsys.readouterr().err
    save("one", seed=5)
    assert run("--test", "news", rows="average") == 2
    assert "other models" in capsys.readouterr().err


def test_what_makes_no_sense_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--test", "news"], ["--rows", "fastest"], ["--limit", "0"]):
        with pytest.raises(SystemExit, match="2"):
            table.parse([*MODELS, *arguments])
    capsys.readouterr()
    for wrong in ("--right-to-left", "--reverse"):
        with untouched_logging():
            assert table.main(["--models", "one.safetensors", wrong, "one.safetensors"]) == 2
        assert "one.safetensors" in capsys.readouterr().err


def compare(*arguments: str) -> int:
    for name, seed in (("first", 1), ("second", 2)):
        save(name, seed=seed, inclined_to_end=0.0)  # constraints are made of what it writes
    with untouched_logging():
        return invariance.main(["first.safetensors", "second.safetensors", "--lines", "6", *arguments])


def test_the_command_and_python_translate_alike_in_every_way(capsys: pytest.CaptureFixture[str]) -> None:
    write("lines.en", ["", *LINES])
    ways = ("--ways", "pipe,iterator,strings", "--modes", "required", "--source", "lines.en")
    assert compare(*ways, "-o", "report/table.md") == 0
    shown = capsys.readouterr().out
    assert shown == Path("report/table.md").read_text("utf-8")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown.split("\n") if "|" in line]
    assert cells[0] == ["", "required"]
    assert cells[2:] == [["standard input", "0"], ["Python, an iterator", "0"], ["Python, a string each", "0"]]


def test_all_kinds_of_search_are_compared(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = []

    def noted(case: Any) -> Found:
        asked.append(case)
        return as_list(case)

    monkeypatch.setattr(invariance, "REFERENCE", Way("list", "all at once", noted))
    monkeypatch.setattr(invariance, "WAYS", (Way("strings", "each", one_by_one), Way("iterator", "as it", as_iterator)))
    assert compare("--ways", "strings,iterator") == 0
    assert [case.mode.name for case in asked] == [mode.name for mode in modes.MODES]
    by_mode = {case.mode.name: case for case in asked}
    assert len(by_mode["ensemble"].models) == 2
    assert any(request.required for request in by_mode["required"].requests)
    assert any(request.prefix for request in by_mode["prefixes"].requests)
    assert by_mode["avoid"].avoid
    assert by_mode["terminology"].terms


def test_the_exit_code_tells_that_a_line_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def other_text(case: Any) -> Found:
        found = as_list(case)
        found[1][0] = found[1][0]._replace(text="something else")
        return found

    def other_score(case: Any) -> Found:
        found = as_list(case)
        found[2][0] = found[2][0]._replace(score=(found[2][0].score or 0) + 0.01)
        return found

    monkeypatch.setattr(invariance, "REFERENCE", Way("list", "all at once", as_list))
    ways = (Way("list", "text", other_text), Way("strings", "score", other_score), Way("iterator", "same", as_list))
    monkeypatch.setattr(invariance, "WAYS", ways)
    assert compare("--modes", "beam", "--ways", "list,strings,iterator") == 1
    outcome = capsys.readouterr()
    counts = [line.strip("|").split("|")[1].strip() for line in outcome.out.split("\n") if "|" in line][2:]
    assert counts == ["1", "1", "0"]
    assert "line 2" in outcome.err
    assert "something else" in outcome.err
    assert "2 translations are not the same" in outcome.err


def stream(*arguments: str) -> int:
    with untouched_logging():
        model = ("one.safetensors", "--source", "valid.en")
        return streaming.main([*model, "--lines", "60", "--short", "30", "--kills", "1", *arguments])


def test_streaming_has_a_row_for_each_thing_it_did(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "STARTS", 1)
    assert stream("--", "--beam-size", "1") == 0
    _, _, *rows = capsys.readouterr().out.splitlines()
    found = dict([cell.strip() for cell in row.strip("|").split("|")] for row in rows)
    asked = list(found)
    assert found["the reader goes away after a line"] in (  # it may have written everything by then
        "exit code 0, nothing on standard error",
        "exit code 141, nothing on standard error",
    )
    assert found["a line from a pipe, an answer, the next line"].count(",") == streaming.TURNS - 1
    assert found[asked[4]].endswith("there; in the end equal, byte for byte")
    assert {"30 lines", "60 lines", "more memory than for the short file"} < set(asked)


def test_streaming_tells_of_a_file_that_was_not_resumed_well(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole(_: streaming.Stream, source: Path) -> tuple[Path, float, int]:
        return source, 1.0, 1  # as if each line were its own translation

    def badly_resumed(_: streaming.Stream, source: Path, moments: Sequence[float]) -> tuple[Path, list[int]]:
        output = source.with_suffix(".killed")
        output.write_text("half a li", encoding="utf-8")
        return output, [0] * len(moments)

    for name, fake in {
        "first_line": lambda *_: (0.0, 0, ""),
        "conversation": lambda *_: [0.0],
        "whole": whole,
        "killed": badly_resumed,
    }.items():
        monkeypatch.setattr(streaming.Stream, name, fake)
    assert stream() == 1
    assert "was killed and resumed, and is not what" in caplog.text
