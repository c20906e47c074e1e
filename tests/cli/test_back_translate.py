"""nmt back-translate: monolingual text, translated by a model, becomes a second corpus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from cli_tools import assert_explained, contents, nmt
from nmt.augmentation import translations
from nmt.augmentation.back_translate import DROPPED, BackTranslateOptions, _pair_filter
from nmt.augmentation.monolingual import Monolingual
from nmt.augmentation.screening import Screen, TranslatedLine
from nmt.augmentation.translations import FlaggedHypothesis
from nmt.config import load_config
from nmt.data.lines import read_lines, write_lines
from nmt.data.preprocess.filters import make_filter
from nmt.inference.output import writer as output_module
from toy_experiments import toy_pairs
from toy_teachers import save_teacher, write_small_experiment

FAST = ("training.max_updates=2", "training.validation.metrics=[bleu,chrf]", "data.shortlist.translations=0")
OUT = Path("data/toy-back-translated")
REVERSE = ("--reverse", "reverse.safetensors")
# What a parent and the model that goes on with it must have in common; see `tiny_config`.
SHAPE = ("embedding_size=16", "scale_embeddings=false", "encoder.hidden_size=12", "decoder.hidden_size=24")


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny corpus with its configuration, text of each language, and a model of each direction, of random weights."""
    monkeypatch.chdir(tmp_path)
    write_small_experiment(tmp_path)
    new = toy_pairs(250, seed=9)[100:150]
    for file, side in (("mono.en", 0), ("mono.de", 1)):
        write_lines(file, [pair[side] for pair in new])
    save_teacher(Path("reverse.safetensors"), languages=("de", "en"), seed=9)
    save_teacher(Path("forward.safetensors"))
    return Path("toy.yaml")


def lines(file: Path | str) -> list[str]:
    return list(read_lines(file, keep_broken=False))


def run(*arguments: str) -> int:
    outcome = nmt("back-translate", "toy.yaml", *arguments)
    print(outcome.stdout, end="")
    return outcome.code


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def test_back_translated_text_becomes_a_second_corpus(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open("mono.de", "a", encoding="utf-8") as stream:
        stream.write(f"\n{lines('mono.de')[3]}\n{lines('valid.de')[0]}\n \n{lines('test.de')[2]}\nschlecht\ufffd\n")
    mono = lines("mono.de")[:50]
    held_out = {*lines("valid.de"), *lines("test.de")}
    usable = [line for line in dict.fromkeys(mono) if line not in held_out]
    arguments = (*REVERSE, "--monolingual", "mono.de", "--tag", "<bt>", "--weight", "0.5", "--length-ratio", "50")
    assert run(*arguments, "--threads", "1", *FAST) == 0
    assert lines(OUT / "monolingual.de") == usable
    rows = list(zip(usable, translations.read_hypotheses(OUT / "translations.jsonl"), strict=True))
    good = [(one.text, line) for line, (one,) in rows if not {*DROPPED} & {*one.flags}]
    assert list(zip(lines(OUT / "train.en"), lines(OUT / "train.de"), strict=True)) == good
    report = read_json(OUT / "report.json")
    assert (report["read"], report["translated"], report["kept"]) == (56, len(usable), len(good))
    assert 0 < len(good) == len(usable) - sum(report["dropped"].values())
    assert sum(report["left_out"].values()) == 56 - len(usable)
    assert report["left_out"]["empty"] == 2
    assert report["left_out"]["wrong encoding"] == 1
    assert report["left_out"]["held out"] >= 2
    assert report["left_out"]["duplicate"] >= 1

    config = load_config(OUT / "config.yaml")
    original, synthetic = config.data.train
    assert original == load_config(toy).data.train[0]
    assert (synthetic.source, synthetic.weight, synthetic.tag) == (str(OUT / "train.en"), 0.5, "<bt>")
    assert nmt("config", "check", str(OUT / "config.yaml")).code == 0
    assert Path("runs/toy-back-translated/best.safetensors").is_file()
    table = capsys.readouterr().out.splitlines()
    assert [re.split("  +", row)[0] for row in table if row] == ["validation set", "after"]


def test_self_training_goes_on_with_its_own_model(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ("--self-training", "--model", "forward.safetensors")
    shape = [f"model.{option}" for option in SHAPE]
    start = ("--init-from", "forward.safetensors", "--threads", "1", "--lines", "30", "--drop", "empty")
    assert run(*own, "--monolingual", "mono.en", *start, *FAST, *shape) == 0
    out = Path("data/toy-self-trained")
    assert len(lines(out / "monolingual.en")) == len(lines(out / "translations.jsonl")) == 30
    assert {*lines(out / "train.en")} <= {*lines("mono.en")}
    assert read_json(out / "made.json")["translations"]["decoding"]["sampling"] is False
    assert Path("runs/toy-self-trained/initial.safetensors").is_file()
    table = capsys.readouterr().out
    assert "\nbefore (forward.safetensors)  " in table
    assert "\nafter  " in table
    before = contents(Path("runs/toy-self-trained/checkpoints"))
    assert run(*own, "--monolingual", "mono.en", *start, *FAST, *shape) == 0  # goes on, where nothing is left to do
    assert contents(Path("runs/toy-self-trained/checkpoints")) == before


@pytest.mark.parametrize(
    "way",
    [
        ("--search", "top-k", "--top-k", "3"),
        ("--search", "sampling", "--temperature", "0.5"),
        ("--search", "beam", "--beam-size", "2"),
    ],
    ids=lambda way: way[1],
)
def test_an_interrupted_text_becomes_the_same_one(
    toy: Path, monkeypatch: pytest.MonkeyPatch, way: tuple[str, ...]
) -> None:
    arguments = (*REVERSE, "--monolingual", "mono.de", "--drop", "nothing", "--no-train", *way)

    def stop(blocks: Iterable[str], output: Path, *, append: bool) -> None:
        output_module.write_blocks(islice(blocks, 17), output, append=append)
        raise KeyboardInterrupt

    assert run(*arguments, "--output", "at-once") == 0
    with monkeypatch.context() as patch:
        patch.setattr(translations, "write_blocks", stop)
        assert run(*arguments, "--output", "in-parts") == 130
    assert len(lines("in-parts/translations.jsonl")) == 17
    assert run(*arguments, "--output", "in-parts") == 0
    at_once, in_parts = contents(Path("at-once")), contents(Path("in-parts"))
    for name in ("translations.jsonl", "train.en", "train.de", "report.json"):
        assert at_once[name] == in_parts[name], name


def test_each_way_of_drawing_gives_its_own_text(toy: Path) -> None:
    texts = set()
    for number, way in enumerate(
        [(), ("--seed", "2"), ("--top-k", "2"), ("--search", "sampling"), ("--search", "beam")]
    ):
        out = f"out-{number}"
        assert run(*REVERSE, "--monolingual", "mono.de", "--drop", "nothing", "--no-train", "--output", out, *way) == 0
        texts.add(Path(out, "translations.jsonl").read_bytes())
    assert len(texts) == 5
    assert read_json(Path("out-0/made.json"))["translations"]["decoding"]["top_k"] == 10


def test_what_cannot_work_is_told_before_anything_is_written(toy: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = contents(Path())
    assert run("--reverse", "forward.safetensors", "--monolingual", "mono.de") == 2
    assert "forward.safetensors translates en to de, but --reverse must translate de to en" in caplog.text
    assert run("--self-training", "--model", "reverse.safetensors", "--monolingual", "mono.en") == 2
    assert "reverse.safetensors translates de to en, but --model must translate en to de" in caplog.text
    assert run(*REVERSE, "--monolingual", "nowhere.de") == 1
    assert "nowhere.de: no such file" in caplog.text
    assert run(*REVERSE, "--monolingual", "mono.de", "--tag", "two words") == 2
    assert "contains a space" in caplog.text
    start = ("--init-from", "forward.safetensors", "--tag", "<bt>")
    assert run(*REVERSE, "--monolingual", "mono.de", *start) == 2
    assert "--tag <bt> is not a symbol of forward.safetensors" in caplog.text
    assert contents(Path()) == before


def test_copies_and_unequal_lengths_are_dropped() -> None:
    ratio = make_filter(max_words=50, max_ratio=2, identical=False, source_language="de", target_language="en")
    screen = Screen(DROPPED, pair_filter=ratio, copies=False)
    rows = [
        TranslatedLine("das ist gut", [FlaggedHypothesis("this is good", ["low_score"])]),
        TranslatedLine("New York", [FlaggedHypothesis("new  York", [])]),
        TranslatedLine("ja", [FlaggedHypothesis("yes of course", [])]),
        TranslatedLine("ein Satz", [FlaggedHypothesis("a sentence a sentence", ["repetition"])]),
        TranslatedLine("eins zwei", [FlaggedHypothesis("one\ufffd two", [])]),
        TranslatedLine("das ist auch gut", [FlaggedHypothesis("das ist auch gut", ["copied_source"])]),
    ]
    assert list(screen.choose(rows)) == ["this is good", None, None, None, None, None]
    reasons = ("copy", "length ratio in words", "repetition", "wrong encoding", "copied_source")
    assert screen.counts() == {"kept": 1, "dropped": dict.fromkeys(reasons, 1)}


def test_the_text_decides_the_unit_of_lengths(toy: Path) -> None:
    """Burmese without spaces counts characters, whatever its code is."""
    burmese = "မြန်မာနိုင်ငံသည်အရှေ့တောင်အာရှတွင်ရှိသည်" * 3
    write_lines("mono.xx", [burmese, *(f"{burmese}{number}" for number in range(9))])
    config = load_config(toy, ["data.target_language=xx", "data.filters.max_words=20"])
    monolingual = Monolingual([Path("mono.xx")], config=config, side=1, max_lines=None)
    monolingual.write(Path("out.xx"))
    assert monolingual.dropped == {"too long": 10}
    write_lines("out.jsonl", [json.dumps({"hypotheses": [{"text": "They are in the south", "flags": []}]})])
    options = BackTranslateOptions(drop=DROPPED, monolingual=(Path("mono.xx"),), reverse=(Path("reverse.safetensors"),))
    pair_filter = _pair_filter(options, config, 1, Path("mono.xx"), Path("out.jsonl"))
    assert (pair_filter.source_by_character, pair_filter.target_by_character) == (True, False)


def test_lines_that_look_like_held_out_or_earlier_lines_are_dropped(toy: Path) -> None:
    held_out = lines("valid.de")[0]
    write_lines("mono.xx", [f"\u200e{held_out}", "etwas Neu\u00ades ist da", "etwas Neues ist\u200b da"])
    monolingual = Monolingual([Path("mono.xx")], config=load_config(toy), side=1, max_lines=None)
    monolingual.write(Path("out.xx"))
    assert monolingual.dropped == {"held out": 1, "duplicate": 1}


def test_text_without_a_usable_line_is_an_error(toy: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_lines("known.de", ["", *lines("test.de")])
    assert run(*REVERSE, "--monolingual", "known.de", "--no-train") == 1
    assert "known.de: no line is left. Dropped: 30 held out, 1 empty" in caplog.text


def test_other_text_does_not_replace_what_is_there(toy: Path, caplog: pytest.LogCaptureFixture) -> None:
    arguments = (*REVERSE, "--monolingual", "mono.de", "--drop", "nothing", "--no-train")
    assert run(*arguments) == 0
    before = contents(OUT)
    assert run(*arguments, "--weight", "2") == 2
    assert "config.yaml has been changed" in caplog.text
    write_lines("mono.de", lines("mono.de")[:20])
    assert run(*arguments) == 2
    assert "text.mono.de. Restore them" in caplog.text
    assert contents(OUT) == before
    assert run(*arguments, "--overwrite") == 0
    assert len(lines(OUT / "translations.jsonl")) == 20


MONOLINGUAL = ("--monolingual", "mono.de")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*MONOLINGUAL], "back-translation requires --reverse"),
        ([*REVERSE], "--monolingual FILE is missing"),
        ([*REVERSE, *MONOLINGUAL, "--model", "forward.safetensors"], "--model is for --self-training"),
        ([*REVERSE, *MONOLINGUAL, "--self-training"], "--self-training requires --model"),
        ([*REVERSE, *MONOLINGUAL, "--search", "beam", "--top-k", "3"], "--top-k has no effect with --search beam"),
        ([*REVERSE, *MONOLINGUAL, "--beam-size", "3"], "--beam-size has no effect with --search top-k"),
        ([*REVERSE, *MONOLINGUAL, "--weight", "0"], "found 0, expected a number above 0"),
        (
            [*REVERSE, *MONOLINGUAL, "--no-train", "--init-from", "forward.safetensors"],
            "cannot be used with --no-train",
        ),
    ],
)
def test_refuses_options_that_do_not_fit_together(toy: Path, arguments: list[str], message: str) -> None:
    assert_explained(nmt("back-translate", "toy.yaml", *arguments), message, codes=(2,))


@pytest.mark.usefixtures("warm_workers")
def test_processes_write_the_same_text(toy: Path) -> None:
    arguments = (*REVERSE, "--monolingual", "mono.de", "--drop", "nothing", "--no-train")
    assert run(*arguments, "--output", "one") == 0
    assert run(*arguments, "--output", "two", "--processes", "2") == 0
    assert lines("two/translations.jsonl") == lines("one/translations.jsonl")
