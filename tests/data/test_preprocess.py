from __future__ import annotations

import errno
import gzip
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_files import make_config, make_model, make_pairs, write_pairs, write_text
from nmt.config.schema import Config
from nmt.data import streams, tokenizer_training
from nmt.data.batching import Batches, Position
from nmt.data.preprocess import preprocess as preprocess_module
from nmt.data.preprocess import work_folder
from nmt.data.preprocess.preprocess import PreprocessedData, preprocess
from nmt.data.preprocess.report import read_report
from nmt.data.tokenizer import Tokenizers
from nmt.errors import ConfigError, DataError

PAIRS = make_pairs(120, seed=5, longest=10)


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="nmt")
    return caplog


def stored_text(preprocessed: PreprocessedData) -> list[tuple[str, str]]:
    """The training pairs as text, decoded from the ids."""
    sources = [preprocessed.train.source_ids(number).tolist() for number in range(len(preprocessed.train))]
    targets = [preprocessed.train.target_ids(number).tolist() for number in range(len(preprocessed.train))]
    models = preprocessed.tokenizers
    return list(zip(models.source.decode(sources), models.target.decode(targets), strict=True))


def left_out(preprocessed: PreprocessedData, corpus: int = 0) -> dict[str, tuple[int, list[int]]]:
    """Counts and the lines of the examples, by reason."""
    return {
        entry["reason"]: (entry["pairs"], [example["line"] for example in entry["examples"]])
        for entry in preprocessed.report["corpora"][corpus]["filtered"]
    }


def files_under(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_pairs_become_ids_and_back(tmp_path: Path) -> None:
    preprocessed = preprocess(make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)]))
    assert stored_text(preprocessed) == PAIRS
    assert preprocessed.valid == [("the valid dog", "der gültige Hund")]
    assert preprocessed.tokenizers.source is preprocessed.tokenizers.target
    assert preprocessed.folder.parent == tmp_path / "preprocessed"
    assert preprocessed.folder.name == f"en-de-{preprocessed.fingerprint[:12]}"
    stored = json.loads((preprocessed.folder / "report.json").read_text(encoding="utf-8"))
    assert stored.pop("crc32")
    assert stored == preprocessed.report
    assert sorted(path.name for path in (tmp_path / "preprocessed").iterdir()) == [preprocessed.folder.name]
    assert not (preprocessed.folder / "work").exists()


def test_a_vocabulary_for_each_side(tmp_path: Path) -> None:
    config = make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)], tokenizer={"joint": False})
    for preprocessed in (preprocess(config), preprocess(config)):
        assert preprocessed.tokenizers.source.fingerprint != preprocessed.tokenizers.target.fingerprint
        assert stored_text(preprocessed) == PAIRS


def test_every_filter_counts_exactly_and_pairs_stay_aligned(tmp_path: Path) -> None:
    lines: list[tuple[bytes, bytes]] = [(source.encode(), target.encode()) for source, target in PAIRS]
    bad = {
        "empty": [(b"", b"ein Hund"), ("\u00a0".encode(), b"ein"), (b"a dog", "\u200b".encode()), (b" ", b"\t")],
        "too long": [(b"w " * 21, b"w " * 20), (b"w " * 20, b"w " * 21)],
        "length ratio": [(b"one two three four five six seven", b"eins")],
        "identical sides": [(b"same text", b"same  text")],
        "wrong encoding": [(b"caf\xe9", b"Cafe"), (b"a dog", b"\xc3\x28"), (b"x \xff", b"y"), (b"\xed\xa0\x80", b"x")],
        "control characters": [(b"a\x00b", b"ab"), (b"a\rb", b"ab"), (b"ab", "a\u2028b".encode())],
        "duplicate": [lines[0], (lines[7][0] + b" ", lines[7][1]), lines[0]],
        "too many pieces": [("".join(map(chr, range(0x4E00, 0x4E46))).encode(), b"y")],
    }
    expected: dict[str, tuple[int, list[int]]] = {}
    for pairs in bad.values():
        for pair in pairs:
            place = 15 + (37 * len(lines)) % (len(lines) - 15)
            lines.insert(place, pair)
    for reason, pairs in bad.items():
        numbers = [number for number, pair in enumerate(lines, start=1) if pair in pairs]
        if reason == "duplicate":
            numbers = [number for number in numbers if number > 8]
        expected[reason] = (len(numbers), numbers[:3])
    (tmp_path / "source").write_bytes(b"\n".join(source for source, _ in lines))
    (tmp_path / "target").write_bytes(b"\r\n".join(target for _, target in lines) + b"\r\n")
    corpus = {"source": str(tmp_path / "source"), "target": str(tmp_path / "target")}
    limits = {"max_words": 20, "max_pieces": 60}
    preprocessed = preprocess(make_config(tmp_path, [corpus], filters=limits, tokenizer={"vocabulary_size": 600}))
    assert left_out(preprocessed) == expected
    assert stored_text(preprocessed) == PAIRS
    assert preprocessed.report["pairs"] == {"read": len(lines), "kept": len(PAIRS)}


def test_filters_can_be_turned_off(tmp_path: Path) -> None:
    pairs = [("same", "same"), *PAIRS[:5], *PAIRS[:5]]
    limits = {"drop_identical": False, "drop_duplicates": False}
    preprocessed = preprocess(make_config(tmp_path, [write_pairs(tmp_path, "train", pairs)], filters=limits))
    assert stored_text(preprocessed) == pairs


def test_duplicates_are_found_across_corpora(tmp_path: Path) -> None:
    corpora = [write_pairs(tmp_path, "one", PAIRS[:60]), write_pairs(tmp_path, "two", PAIRS[40:])]
    preprocessed = preprocess(make_config(tmp_path, corpora))
    assert stored_text(preprocessed) == PAIRS
    assert preprocessed.train.bounds == (0, 60, 120)
    assert left_out(preprocessed, 0) == {}
    assert left_out(preprocessed, 1) == {"duplicate": (20, [1, 2, 3])}


def test_tags_stand_before_each_source(tmp_path: Path) -> None:
    corpora = [write_pairs(tmp_path, "one", PAIRS[:60]), {**write_pairs(tmp_path, "two", PAIRS[60:]), "tag": "<bt>"}]
    preprocessed = preprocess(make_config(tmp_path, corpora))
    assert stored_text(preprocessed) == [*PAIRS[:60], *((f"<bt> {source}", target) for source, target in PAIRS[60:])]
    assert "<bt>" in preprocessed.tokenizers.source.pieces(preprocessed.train.source_ids(60).tolist())


def test_text_files_of_every_kind_give_the_same_store(tmp_path: Path) -> None:
    plain = write_pairs(tmp_path, "train", PAIRS)
    packed = {side: f"{path}.gz" for side, path in plain.items()}
    for side, path in plain.items():
        Path(packed[side]).write_bytes(gzip.compress(Path(path).read_bytes()))
    tsv = {"tsv": write_text(tmp_path / "train.tsv", [f"{source}\t{target}" for source, target in PAIRS])}
    preprocessed = [preprocess(make_config(tmp_path, [corpus])) for corpus in (plain, packed, tsv)]
    assert preprocessed[0].fingerprint == preprocessed[1].fingerprint
    assert stored_text(preprocessed[2]) == PAIRS
    assert preprocessed[0].tokenizers.source.fingerprint == preprocessed[2].tokenizers.source.fingerprint


def test_malformed_tsv_lines_are_left_out(tmp_path: Path) -> None:
    lines = ["no tab", *(f"{source}\t{target}" for source, target in PAIRS), "one\ttwo\tthree"]
    corpus = {"tsv": write_text(tmp_path / "train.tsv", lines)}
    preprocessed = preprocess(make_config(tmp_path, [corpus]))
    assert left_out(preprocessed) == {"wrong number of columns": (2, [1, 122])}
    assert stored_text(preprocessed) == PAIRS


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([], "No training pair is left"),
        (
            [("same", "same"), ("", "x")],
            r"(?s)No training pair is left: .*identical sides.*such as line 1: same \| same",
        ),
        (
            [("".join(map(chr, range(0x4E00, 0x4E20))), "".join(map(chr, range(0x5E00, 0x5E20))))],
            "No training pair is left: .*too many pieces",
        ),
    ],
)
def test_nothing_left_is_explained(tmp_path: Path, train: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        preprocess(make_config(tmp_path, [write_pairs(tmp_path, "train", train)], filters={"max_pieces": 20}))
    assert not (tmp_path / "preprocessed").exists()


def test_tiny_corpora_warn_and_work(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for joint in (True, False):
        options = {"vocabulary_size": 8000, "joint": joint}
        preprocessed = preprocess(make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS[:5])], tokenizer=options))
        assert stored_text(preprocessed) == PAIRS[:5]
        assert preprocessed.report["tokenizer"]["source_size"] == preprocessed.tokenizers.source.size < 400
        assert f"vocabulary has {preprocessed.tokenizers.source.size} pieces instead of 8000" in caplog.text


# ------------------------------------------------------------------------------------------- nothing is half made


def bad_inputs(folder: Path) -> dict[str, dict[str, Any]]:
    good = write_pairs(folder, "good", PAIRS)
    short = write_text(folder / "short", [target for _, target in PAIRS[:-1]])
    (folder / "latin").write_bytes("schön\n".encode("latin-1") * len(PAIRS))
    (folder / "cut.gz").write_bytes(gzip.compress(os.urandom(2000))[:1000])
    return {
        "train unequal": {"train": [{"source": good["source"], "target": short}]},
        "valid unequal": {"train": [good], "valid": {"source": good["source"], "target": short}},
        "test unequal": {"train": [good], "test": [{"source": good["source"], "target": short}]},
        "train missing": {"train": [{"source": good["source"], "target": str(folder / "nothing")}]},
        "valid missing": {"train": [good], "valid": {"tsv": str(folder / "nothing")}},
        "train is a folder": {"train": [{"tsv": str(folder)}]},
        "train damaged": {"train": [{"tsv": str(folder / "cut.gz")}]},
        "valid in latin-1": {"train": [good], "valid": {"source": good["source"], "target": str(folder / "latin")}},
        "valid without tab": {"train": [good], "valid": {"tsv": good["source"]}},
        "train in latin-1": {"train": [{"source": good["source"], "target": str(folder / "latin")}]},
        "vocabulary too small": {"train": [good], "tokenizer": {"vocabulary_size": 10}},
        "reserved symbol": {"train": [{**good, "tag": "<s>"}]},
    }


BAD_INPUTS = (
    *("train unequal", "valid unequal", "test unequal", "train missing", "valid missing", "train is a folder"),
    *("train damaged", "valid in latin-1", "valid without tab", "train in latin-1", "vocabulary too small"),
    "reserved symbol",
)


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_creates_nothing(tmp_path: Path, case: str) -> None:
    config = make_config(tmp_path, **bad_inputs(tmp_path)[case])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((DataError, ConfigError)):
        preprocess(config)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device"), RuntimeError])
@pytest.mark.parametrize("stage", ["filter_corpora", "train_tokenizers", "encode", "write_report"])
def test_a_failure_at_any_stage_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, error: Any
) -> None:
    config = make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)])

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(preprocess_module, stage, fail)
        with pytest.raises((KeyboardInterrupt, DataError, RuntimeError)) as caught:
            preprocess(config)
    assert not isinstance(error, OSError) or "disk is full" in str(caught.value)
    assert not (tmp_path / "preprocessed").exists()
    assert stored_text(preprocess(config)) == PAIRS


def test_a_killed_process_leaves_nothing_that_the_next_one_does_not_remove(tmp_path: Path) -> None:
    config = make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)])
    script = (
        "import sys, time\n"
        "from nmt.config.schema import Config\n"
        "from nmt.data.preprocess import preprocess\n"
        "preprocess.encode = lambda *a, **k: print('now', flush=True) or time.sleep(60)\n"
        "preprocess.preprocess(Config.model_validate_json(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, config.model_dump_json()], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        process.send_signal(signal.SIGKILL)
    (abandoned,) = (path for path in (tmp_path / "preprocessed").iterdir() if path.suffix != ".lock")
    assert abandoned.name.startswith(work_folder.PREFIX)
    preprocessed = preprocess(config)
    assert [path.name for path in (tmp_path / "preprocessed").iterdir()] == [preprocessed.folder.name]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "preprocessed").write_text("a file", encoding="utf-8")
    with pytest.raises(DataError, match="preprocessed"):
        preprocess(make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)]))


# -------------------------------------------------------------------------------------------------- up to date


def test_nothing_is_done_twice(tmp_path: Path, quiet: pytest.LogCaptureFixture) -> None:
    config = make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)])
    first = preprocess(config)
    before = files_under(tmp_path)
    quiet.clear()
    again = preprocess(config)
    assert files_under(tmp_path) == before
    assert "up to date" in quiet.text
    assert again.report == first.report
    assert stored_text(again) == PAIRS
    preprocess(config, force=True)
    assert files_under(tmp_path) != before
    assert set(files_under(tmp_path)) == set(before)


def rewritten(config: Config, **tokenizer: Any) -> Config:
    return config.model_copy(update={"tokenizer": config.tokenizer.model_copy(update=tokenizer)})


def test_what_makes_a_difference_is_preprocessed_again(tmp_path: Path) -> None:
    corpus = write_pairs(tmp_path, "train", PAIRS)
    config = make_config(tmp_path, [corpus])
    first = preprocess(config)
    folders = {first.folder}
    for other in (
        rewritten(config, vocabulary_size=350),
        rewritten(config, kind="bpe"),
        make_config(tmp_path, [corpus], filters={"max_words": 8}),
        make_config(tmp_path, [{**corpus, "tag": "<x>"}]),
        make_config(tmp_path, [corpus], languages=("en", "zh")),
        make_config(tmp_path, [corpus, write_pairs(tmp_path, "more", PAIRS[:1])]),
    ):
        folders.add(preprocess(other).folder)
    assert len(folders) == 7
    write_pairs(tmp_path, "train", [*PAIRS[1:], ("new", "neu")])
    assert preprocess(config).folder not in folders
    assert stored_text(first) == PAIRS  # which others may be using still


def test_what_makes_none_is_not(tmp_path: Path) -> None:
    corpus = write_pairs(tmp_path, "train", PAIRS)
    first = preprocess(make_config(tmp_path, [corpus]))
    for other in (
        make_config(tmp_path, [corpus], tokenizer={"sampling": 0.2}),
        make_config(tmp_path, [{**corpus, "weight": 3.0}]),
    ):
        assert preprocess(other).folder == first.folder


def test_another_test_set_changes_the_report_alone(tmp_path: Path) -> None:
    corpus = write_pairs(tmp_path, "train", PAIRS)
    first = preprocess(make_config(tmp_path, [corpus]))
    ids = (first.folder / "source.ids").stat()
    test = {**write_pairs(tmp_path, "test", PAIRS[:4]), "name": "new"}
    second = preprocess(make_config(tmp_path, [corpus], test=[test]))
    assert second.folder == first.folder
    assert (first.folder / "source.ids").stat().st_mtime_ns == ids.st_mtime_ns
    assert [held["name"] for held in second.report["held_out"]] == ["validation set", "test set new"]
    assert second.report["held_out"][1]["in_training"]["both"] == 4
    assert preprocess(make_config(tmp_path, [corpus], test=[test])).report == second.report


@pytest.mark.parametrize("name", ["report.json", "store.json", "source.model", "target.ids"])
def test_a_damaged_folder_is_prepared_again(tmp_path: Path, quiet: pytest.LogCaptureFixture, name: str) -> None:
    config = make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)])
    (preprocess(config).folder / name).write_bytes(b"{")
    assert stored_text(preprocess(config)) == PAIRS
    assert "damaged" in quiet.text


@pytest.mark.parametrize("name", ["source.ids", "target.lengths", "source.offsets", "source.model"])
def test_a_folder_with_a_changed_byte_is_prepared_again(
    tmp_path: Path, quiet: pytest.LogCaptureFixture, name: str
) -> None:
    config = make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)])
    path = preprocess(config).folder / name
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    preprocess(config)
    assert "damaged" in quiet.text
    assert path.read_bytes() == before


def test_every_changed_bit_of_a_report_is_noticed(tmp_path: Path) -> None:
    folder = preprocess(make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)])).folder
    path = folder / "report.json"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DataError):
            read_report(folder)
    path.write_bytes(whole)
    assert read_report(folder)["pairs"]["kept"] == len(PAIRS)


def test_subword_models_can_be_given(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = make_model([source for source, _ in PAIRS], vocabulary_size=300)
    corpus = {**write_pairs(tmp_path, "train", PAIRS), "tag": "<bt>"}
    config = make_config(tmp_path, [corpus])
    preprocessed = preprocess(config, tokenizers=Tokenizers(source=model, target=model))
    assert preprocessed.tokenizers.source.fingerprint == model.fingerprint
    assert preprocessed.tokenizers.source is preprocessed.tokenizers.target
    assert "The tag <bt> is not a symbol" in caplog.text
    assert preprocess(config).folder != preprocessed.folder


# ---------------------------------------------------------------------------------------------- passes over the files


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each text file was opened, by its name."""
    counts: Counter[str] = Counter()

    def counting(path: Any, *arguments: Any) -> Any:
        counts[Path(path).name] += 1
        return open(path, *arguments)

    monkeypatch.setattr(streams, "open", counting, raising=False)
    return counts


def test_each_pass_opens_each_file_once(tmp_path: Path, opened: Counter[str]) -> None:
    train = write_pairs(tmp_path, "train", PAIRS)
    train["alignment"] = write_text(tmp_path / "train.links", ["0-0"] * len(PAIRS))
    test = {**write_pairs(tmp_path, "test", PAIRS[:3]), "name": "mine"}
    inspect = dict.fromkeys(
        [f"{name}.{side}" for name in ("train", "valid", "test") for side in ("source", "target")], 1
    )
    inspect["train.links"] = 1

    def opens(config: Config) -> dict[str, int]:
        opened.clear()
        preprocess(config)
        return {name: count for name, count in opened.items() if name in inspect}

    config = make_config(tmp_path, [train], test=[test])
    everything = {**dict.fromkeys(inspect, 2), "train.source": 3, "train.target": 3, "train.links": 2}
    assert opens(config) == everything, "inspect, warn of the first lines, then filter the corpora and read the links"
    assert opens(config) == inspect, "up to date: one pass"
    renamed = make_config(tmp_path, [train], test=[{**test, "name": "new"}])
    assert opens(renamed) == {**inspect, "train.source": 2, "train.target": 2}, "a new test set: overlap"


# ------------------------------------------------------------------------------------------------------ languages


@pytest.mark.parametrize(("code", "kept"), [("th", 2), ("tha", 2), ("xyz", 2), ("xyz-Latn", 0)])
def test_lengths_are_counted_by_the_script(tmp_path: Path, code: str, kept: int) -> None:
    pairs = [("แมวนอนอยู่บนเก้าอี้สีแดง", "the cat sleeps on the red chair"), ("ฉันกินข้าวที่บ้านทุกวัน", "I eat at home every day")]
    valid = write_pairs(tmp_path, "valid", pairs)
    train = write_pairs(tmp_path, "train", [*pairs, ("one two", "one two three")])
    config = make_config(
        tmp_path,
        [train],
        valid=valid,
        languages=(code, "en"),
        filters={"max_length_ratio": 2},
        tokenizer={"byte_fallback": True},
    )
    report = preprocess(config).report
    assert report["pairs"]["kept"] == kept + 1


def test_unusual_language_codes_are_logged(tmp_path: Path, quiet: pytest.LogCaptureFixture) -> None:
    train = write_pairs(tmp_path, "train", [("我在家吃饭", "one"), ("ខ្ញុំញ៉ាំបាយ", "two")])
    preprocess(make_config(tmp_path, [train], languages=("cn", "xyz")))
    assert "data.source_language: cn is not the code of a language. It is read as zh (Chinese)." in quiet.text
    assert "data.target_language: xyz is not in the table of languages. Lengths are counted in words" in quiet.text


# --------------------------------------------------------------------------------------------------- the report


def test_overlap_with_held_out_sets_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = write_pairs(tmp_path, "train", PAIRS)
    test = [
        PAIRS[0],
        (f"{PAIRS[1][0]}  ", PAIRS[1][1]),  # the same words
        (PAIRS[2][0], "ganz anders"),
        ("something else", PAIRS[3][1]),
        ("nothing", "nichts"),
        ("", ""),
    ]
    test_set = {**write_pairs(tmp_path, "test", test), "name": "mine"}
    report = preprocess(make_config(tmp_path, [train], test=[test_set])).report
    valid, mine = report["held_out"]
    assert valid["in_training"] == {"sources": 0, "targets": 0, "both": 0, "training_pairs": 0}
    assert mine["in_training"] == {"sources": 3, "targets": 3, "both": 2, "training_pairs": 4}
    assert (mine["name"], mine["pairs"], mine["blank"]) == ("test set mine", 6, 1)
    assert "test set mine: 3 of its 6 sources, 3 of its targets and 2 whole pairs are in the training" in caplog.text
    assert "validation set" not in caplog.text
    assert [record.levelname for record in caplog.records if "3 of its 6" in record.message] == ["WARNING"]


def test_held_out_lines_can_be_removed_from_the_training_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = [*PAIRS, ("café noir", "eins zwei"), ("a b c", "d e f")]
    corpus = write_pairs(tmp_path, "train", train)
    valid = write_pairs(tmp_path, "valid", [("cafe\u0301  no\u00adir", "nur hier")])
    tests = [
        {**write_pairs(tmp_path, name, pairs), "name": name}
        for name, pairs in (("one", [(PAIRS[0][0], "ganz anders"), ("", "")]), ("two", [("nothing", PAIRS[7][1])]))
    ]
    targets = {PAIRS[7][1], "eins zwei"}
    expected = [pair for pair in train if pair[0] != PAIRS[0][0] and pair[1] not in targets]
    options = {"drop_held_out": True}
    result = preprocess(make_config(tmp_path, [corpus], valid=valid, test=tests, filters=options))
    assert stored_text(result) == expected
    assert left_out(result)["held out"][0] == len(train) - len(expected)
    assert [held["in_training"]["training_pairs"] for held in result.report["held_out"]] == [0, 0, 0]
    assert not [record for record in caplog.records if "in the training" in record.message]
    without = preprocess(make_config(tmp_path, [corpus], valid=valid, test=tests[:1], filters=options))
    assert without.folder != result.folder, "the test sets are part of the data"
    assert PAIRS[7] in stored_text(without)
    renamed = [{**test, "name": f"new {test['name']}"} for test in tests]
    again = preprocess(make_config(tmp_path, [corpus], valid=valid, test=renamed, filters=options))
    assert again.folder == result.folder
    assert [held["in_training"]["training_pairs"] for held in again.report["held_out"]] == [0, 0, 0]


def test_a_held_out_line_in_a_hundred_is_no_reason_to_warn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="nmt")
    train = write_pairs(tmp_path, "train", PAIRS)
    new = [(f"something else {number}", f"nichts davon {number}") for number in range(99)]
    preprocess(make_config(tmp_path, [train], valid=write_pairs(tmp_path, "valid", [PAIRS[0], *new])))
    (logged,) = (record for record in caplog.records if "1 of its 100 sources" in record.message)
    assert logged.levelname == "INFO"
    assert logged.message.endswith("1 whole pairs are in the training text. The effect on scores is small.")


def test_unknown_pieces_are_reported_and_too_many_refused(tmp_path: Path) -> None:
    options = {"byte_fallback": False, "vocabulary_size": 100}
    train = write_pairs(tmp_path, "train", PAIRS)
    report = preprocess(make_config(tmp_path, [train], tokenizer=options, valid=train)).report
    assert report["unknown"] == {"source": 0.0, "target": 0.0}
    assert report["held_out"][0]["unknown"] == {"source": 0.0, "target": 0.0}
    valid = write_pairs(tmp_path, "valid", [("日本", "der Hund")])
    with pytest.raises(DataError, match=r"50\.0% of the source pieces of the validation set .*byte_fallback"):
        preprocess(make_config(tmp_path, [train], tokenizer=options, valid=valid))
    rare = write_pairs(tmp_path, "rare", [(f"{chr(0x4E00 + number)} dogs and cats", "Hund") for number in range(40)])
    covering = {**options, "character_coverage": 0.98, "vocabulary_size": 40}
    with pytest.raises(DataError, match=r"of the source pieces of the training text .*character_coverage"):
        preprocess(
            make_config(tmp_path, [rare], tokenizer=covering, valid=write_pairs(tmp_path, "d", [("dog", "dog")]))
        )


def test_byte_fallback_leaves_nothing_unknown(tmp_path: Path) -> None:
    valid = write_pairs(tmp_path, "valid", [("日本 \U0001f600", "भारत")])
    report = preprocess(make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)], valid=valid)).report
    assert report["held_out"][0]["unknown"] == {"source": 0.0, "target": 0.0}


def test_the_summary_names_counts_and_examples(tmp_path: Path, quiet: pytest.LogCaptureFixture) -> None:
    preprocess(make_config(tmp_path, [write_pairs(tmp_path, "train", [*PAIRS, ("same", "same")])]))
    assert "Training pairs: 121 read, 120 kept." in quiet.text
    assert "1 left out: identical sides, such as line 121: same | same" in quiet.text


def test_lengths_are_reported(tmp_path: Path) -> None:
    preprocessed = preprocess(make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)]))
    lengths = preprocessed.train.source_lengths
    spread = preprocessed.report["lengths"]["source"]
    assert spread["longest"] == lengths.max()
    assert spread["mean"] == pytest.approx(lengths.mean(), abs=0.01)
    assert spread["percentile_50"] == pytest.approx(np.median(lengths), abs=1)


# ------------------------------------------------------------------------------------------------ big corpora


def test_subword_training_samples_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = write_pairs(tmp_path, "train", PAIRS)
    for joint, lines in ((True, [40]), (False, [40, 40])):
        options = {"max_training_lines": 40, "joint": joint, "vocabulary_size": 320}
        report = preprocess(make_config(tmp_path, [train], tokenizer=options)).report
        assert report["tokenizer"]["training_lines"] == lines
    size = sum(len(source.encode()) + len(target.encode()) for source, target in PAIRS)
    monkeypatch.setattr(tokenizer_training, "MAX_TRAINING_BYTES", size // 3)
    report = preprocess(make_config(tmp_path, [train], tokenizer={"vocabulary_size": 330})).report
    assert report["tokenizer"]["training_lines"] == [78]


def test_the_result_does_not_depend_on_threads(tmp_path: Path) -> None:
    config = make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)])
    contents = []
    for threads in (1, 3):
        training = config.training.model_copy(update={"threads": threads})
        folder = preprocess(config.model_copy(update={"training": training}), force=True).folder
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] == contents[1]


def test_everything_is_there_for_batches(tmp_path: Path) -> None:
    preprocessed = preprocess(
        make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)], tokenizer={"sampling": 0.2})
    )
    batches = Batches(
        preprocessed.train,
        preprocessed.tokenizers,
        batch_tokens=300,
        batch_sentences=None,
        shuffle_window=50,
        sampling=0.2,
        seed=1,
        weights=[1.0],
    )
    pairs, started = 0, time.monotonic()
    for batch, following in batches.iterate(Position(0, 0, 0)):
        pairs += len(batch)
        if following.epoch or time.monotonic() - started > 60:
            break
    assert pairs == len(PAIRS)


KHMER = "អ្នកដែលហ៊ានបំបោលសេះនៅក្នុងបន្ទាយត្រូវទទួលទោសពីបទមើលងាយ"
ENGLISH = "Those who dare to ride horses in the fortress will be punished for being disrespectful."


@pytest.mark.parametrize("code", ["km", "khm", "xx", "en"])
def test_a_good_pair_without_spaces_is_kept(tmp_path: Path, code: str) -> None:
    config = make_config(tmp_path, [write_pairs(tmp_path, "train", [(KHMER, ENGLISH)])], languages=(code, "en"))
    assert preprocess(config).report["pairs"] == {"read": 1, "kept": 1}


def test_a_filter_that_takes_much_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pairs = [(f"word {number}", f"Wort {number}") for number in range(90)]
    pairs += [("one", f"one two three four five six seven eight {number}") for number in range(10)]
    preprocess(make_config(tmp_path, [write_pairs(tmp_path, "train", pairs)]))
    (warning,) = [record for record in caplog.records if "left out" in record.getMessage()]
    assert warning.levelname == "WARNING"
    assert "data.filters.max_length_ratio" in warning.getMessage()


def test_equivalent_spellings_are_duplicates_and_overlap(tmp_path: Path) -> None:
    train = [("café noir", "eins zwei"), ("cafe\u0301 noir", "eins\u00ad zwei"), ("\ufeffcafé\u200e noir", "eins zwei")]
    train.append(("cake", "Kuchen"))
    valid = write_pairs(tmp_path, "valid", [("cafe\u0301  no\u00adir", "drei")])
    report = preprocess(make_config(tmp_path, [write_pairs(tmp_path, "train", train)], valid=valid)).report
    (filtered,) = report["corpora"][0]["filtered"]
    assert (filtered["reason"], filtered["pairs"]) == ("duplicate", 2)
    assert report["held_out"][0]["in_training"]["sources"] == 1


def test_lines_that_are_not_restored_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="nmt")
    pairs = [("square metres", "10² m"), ("halves", "1½"), ("plain", "schlicht"), ("dash", "Strich")]
    train, valid = write_pairs(tmp_path, "train", pairs), write_pairs(tmp_path, "valid", pairs[:2])
    config = make_config(tmp_path, [train], valid=valid, tokenizer={"normalization": "nmt_nfkc"})
    report = preprocess(config).report
    assert report["corpora"][0]["round_trips"]["changed"] == 2
    assert report["held_out"][0]["round_trips"]["changed"] == 2
    assert "does not restore 2 of 4 target lines" in caplog.text
    assert "² (U+00B2) becomes" in caplog.text
    plain = preprocess(make_config(tmp_path, [train], valid=valid, tokenizer={"normalization": "nfc"})).report
    assert plain["corpora"][0]["round_trips"] == {"lines": 4, "changed": 0, "changes": []}


def test_data_of_an_earlier_version_is_made_again(
    tmp_path: Path, quiet: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS[:20])])
    monkeypatch.setattr(preprocess_module, "FORMAT", 1)
    earlier = preprocess(config)
    monkeypatch.undo()
    before = files_under(earlier.folder)
    quiet.clear()
    kept = preprocess(config, resumed=earlier.fingerprint)
    assert (kept.folder, kept.fingerprint) == (earlier.folder, earlier.fingerprint)
    assert "The run keeps the data" in quiet.text
    quiet.clear()
    new = preprocess(config)
    assert new.folder != earlier.folder
    assert f"An earlier version of preprocessing made the data in {earlier.folder}" in quiet.text
    quiet.clear()
    assert preprocess(config).folder == preprocess(config, resumed=new.fingerprint).folder == new.folder
    assert preprocess(config, resumed="other text").folder == new.folder
    assert "earlier version" not in quiet.text
    assert preprocess(config, resumed=earlier.fingerprint).folder == earlier.folder
    assert files_under(earlier.folder) == before
    shutil.rmtree(earlier.folder)
    quiet.clear()
    assert preprocess(config, resumed=earlier.fingerprint).folder == new.folder
    assert "may differ" in quiet.text
