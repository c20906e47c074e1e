"""Preprocessing in shards: the same bytes for any cut, any number of processes and any interruption."""

from __future__ import annotations

import errno
import gzip
import json
import logging
import multiprocessing
import operator
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_files import make_config, make_pairs, write_pairs, write_text
from nmt.config.schema import Config, CorpusConfig
from nmt.data.corpus import read_training
from nmt.data.folder_lock import lock_folder
from nmt.data.preprocess import encode_pass, filter_pass, plain_lines, shards, work_folder
from nmt.data.preprocess import preprocess as preprocess_module
from nmt.data.preprocess.filter_pass import filter_corpora
from nmt.data.preprocess.filters import make_filter
from nmt.data.preprocess.plain_lines import accepts_plain, inspect_lines
from nmt.data.preprocess.preprocess import preprocess
from nmt.data.text_form import combining_marks
from nmt.data.words import comparable
from nmt.errors import DataError, NMTError, UnequalLines
from nmt.log import progress
from nmt.processes import ProcessLostError, map_in_order

PAIRS = make_pairs(90, seed=5, longest=10)
BAD: list[tuple[bytes, bytes]] = [
    (b"", b"ein Hund"),
    (b"w " * 21, b"w " * 20),
    (b"one two three four five six seven", b"eins"),
    (b"same text", b"same  text"),
    (b"caf\xe9", b"Cafe"),
    (b"a\x00b", b"ab"),
    (b"the valid dog", b"etwas anderes"),
    ("".join(map(chr, range(0x4E00, 0x4E46))).encode(), b"y"),
    ("scho\u0308n  so".encode(), "scho\u0308n so".encode()),
    ("cafe\u0301 one".encode(), "sch\u00f6n eins".encode()),
]


def cut_into(monkeypatch: pytest.MonkeyPatch, records: int, block: int) -> None:
    monkeypatch.setattr(shards, "SHARD_RECORDS", records)
    monkeypatch.setattr(shards, "BLOCK_PAIRS", block)


def mixed_config(folder: Path) -> Config:
    """All kinds of files, all reasons of filters, duplicates within and across corpora, tags and links."""
    generator = random.Random(1)
    lines = [(source.encode(), target.encode()) for source, target in PAIRS[:40]] + BAD * 2 + [(b"a  dog", b"ein Hund")]
    generator.shuffle(lines)
    (folder / "one.source").write_bytes(b"\n".join(source for source, _ in lines))
    (folder / "one.target.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + b"\r\n".join(target for _, target in lines)))
    links = write_text(
        folder / "one.links", ["0-0" if number % 3 and all(pair) else "" for number, pair in enumerate(lines)]
    )
    one = {"source": str(folder / "one.source"), "target": str(folder / "one.target.gz"), "alignment": links}
    rows = [f"{source}\t{target}" for source, target in PAIRS[30:70] + PAIRS[:3]]
    tsv = {"tsv": write_text(folder / "two.tsv", ["no tab", *rows, "a\tb\tc"]), "tag": "<bt>"}
    records = [{"s": source, "t": target} for source, target in PAIRS[60:]] + [{"s": "no target"}]
    jsonl = {"jsonl": write_text(folder / "three.jsonl", [json.dumps(each) for each in records])}
    test = {**write_pairs(folder, "test", PAIRS[5:9]), "name": "mine"}
    return make_config(
        folder,
        [one, tsv, {**jsonl, "source_field": "s", "target_field": "t"}],
        filters={"max_words": 20, "max_pieces": 60, "drop_held_out": True},
        tokenizer={"vocabulary_size": 600},
        test=[test],
    )


def contents(config: Config, folder: Path, **options: Any) -> dict[str, bytes]:
    """The files of the data, which are made in an empty folder or continued there."""
    data = config.data.model_copy(update={"preprocessed_folder": str(folder)})
    made = preprocess(config.model_copy(update={"data": data}), **options).folder
    assert [path.name for path in folder.iterdir()] == [made.name]
    return {path.name: path.read_bytes() for path in made.iterdir()}


Mixed = tuple[Config, dict[str, bytes]]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Mixed:
    config = mixed_config(tmp_path_factory.mktemp("mixed"))
    return config, contents(config, tmp_path_factory.mktemp("whole"))


def test_the_mixed_text_has_every_reason(mixed: Mixed) -> None:
    report = json.loads(mixed[1]["report.json"])
    reasons = {entry["reason"] for corpus in report["corpora"] for entry in corpus["filtered"]}
    assert reasons >= {
        *("wrong encoding", "wrong number of columns", "control characters", "empty", "too long", "length ratio"),
        *("identical sides", "duplicate", "held out", "too many pieces"),
    }
    assert all(corpus["kept"] for corpus in report["corpora"])
    assert report["corpora"][0]["alignment"]["links"]


@pytest.mark.parametrize(("records", "block"), [(12, 5), (50, 50)])
def test_the_result_does_not_depend_on_the_cuts(
    mixed: Mixed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: int, block: int
) -> None:
    cut_into(monkeypatch, records, block)
    monkeypatch.setattr(filter_pass, "BLOCK_PAIRS", block)
    assert contents(mixed[0], tmp_path) == mixed[1]


@pytest.mark.usefixtures("warm_workers")
def test_the_result_does_not_depend_on_the_number_of_processes(
    mixed: Mixed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_into(monkeypatch, 40, 20)
    assert contents(mixed[0], tmp_path, processes=2) == mixed[1]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """The shards that each stage has worked on."""
    numbers: dict[str, list[int]] = {"filter": [], "encode": []}
    for stage, module, name in (
        ("filter", filter_pass, "_ShardFilter"),
        ("encode", encode_pass, "_ShardEncoder"),
    ):
        work = getattr(module, name).__call__

        def noting(self: Any, shard: Any, stage: str = stage, work: Any = work) -> Any:
            numbers[stage].append(shard.number if stage == "filter" else shard.filtered.number)
            return work(self, shard)

        monkeypatch.setattr(getattr(module, name), "__call__", noting)
    return numbers


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device")])
def test_an_interrupted_call_is_resumed(
    mixed: Mixed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made: dict[str, list[int]],
    interruption: BaseException | type[BaseException],
) -> None:
    cut_into(monkeypatch, 20, 20)
    renames = 0
    rename = Path.rename

    def interrupting(path: Path, target: Path) -> Path:
        """Fail at every second finished part, just before or just after it gets its name."""
        nonlocal renames
        if not path.name.endswith(".part"):
            return rename(path, target)
        renames += 1
        if renames % 5 == 3:
            raise interruption
        result = rename(path, target)
        if renames % 5 == 0:
            raise interruption
        return result

    monkeypatch.setattr(Path, "rename", interrupting)
    calls = 0
    while True:
        calls += 1
        try:
            found = contents(mixed[0], tmp_path)
            break
        except (KeyboardInterrupt, DataError):
            assert calls < 50
    assert found == mixed[1]
    assert calls > 5
    for stage, numbers in made.items():
        assert max(numbers) > 5, stage
        assert all(numbers.count(number) <= 2 for number in numbers), "a shard that is finished is not made again"
        assert numbers == sorted(numbers)


def test_unfinished_work_of_other_text_is_named_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk names it too. Work of a running process is not named."""
    caplog.set_level(logging.INFO, logger="nmt")
    cut_into(monkeypatch, 20, 20)

    def config_of(number: int) -> Config:
        return make_config(tmp_path, [write_pairs(tmp_path, f"train{number}", PAIRS[number:])])

    def interrupt(error: BaseException) -> Any:
        def fail(*_: Any, **__: Any) -> None:
            raise error

        return fail

    with monkeypatch.context() as patch:
        patch.setattr(preprocess_module, "encode", interrupt(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            preprocess(config_of(1))
    (work,) = (tmp_path / "preprocessed").glob(".unfinished-*")
    files = sorted(work.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(preprocess_module, "filter_corpora", interrupt(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(DataError, match=rf"disk is full.*{work.name} has .* of unfinished preprocessing"):
            preprocess(config_of(2))
    caplog.clear()
    preprocess(config_of(2))
    assert f"{work}: unfinished preprocessing of other text or options takes" in caplog.text
    final = work.with_name(work.name.removeprefix(".unfinished-"))
    with lock_folder(final):
        final.with_name(f".{final.name}.lock").write_text('{"process": 1}')  # as another process would write it
        caplog.clear()
        preprocess(config_of(3))
        assert work.name not in caplog.text
    assert sorted(work.rglob("*")) == files
    preprocess(config_of(1))
    assert not work.exists()
    caplog.clear()
    preprocess(config_of(4))
    assert "unfinished preprocessing" not in caplog.text


def test_a_killed_call_is_resumed_after_its_finished_shards(
    mixed: Mixed, tmp_path: Path, made: dict[str, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_into(monkeypatch, 20, 20)
    config = mixed[0]
    data = config.data.model_copy(update={"preprocessed_folder": str(tmp_path)})
    script = (
        "import sys, time\n"
        "from nmt.config.schema import Config\n"
        "from nmt.data.preprocess import encode_pass, preprocess, shards\n"
        "shards.SHARD_RECORDS = shards.BLOCK_PAIRS = 20\n"
        "work = encode_pass._ShardEncoder.__call__\n"
        "def slow(self, shard):\n"
        "    if shard.filtered.number == 3:\n"
        "        print('now', flush=True)\n"
        "        time.sleep(60)\n"
        "    return work(self, shard)\n"
        "encode_pass._ShardEncoder.__call__ = slow\n"
        "preprocess.preprocess(Config.model_validate_json(sys.argv[1]), processes=1)"
    )
    run = [sys.executable, "-c", script, config.model_copy(update={"data": data}).model_dump_json()]
    with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        process.kill()
    assert contents(config, tmp_path) == mixed[1]
    assert made["filter"] == []
    assert made["encode"][0] == 3


def interrupt(config: Config, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Interrupt preprocessing after the filters, and return the folder of unfinished work."""

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(preprocess_module, "encode", stop)
        with pytest.raises(KeyboardInterrupt):
            preprocess(config)
    (work,) = Path(config.data.preprocessed_folder).glob(".unfinished-*")
    return work


def test_other_work_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: dict[str, list[int]]
) -> None:
    cut_into(monkeypatch, 20, 20)
    train, test = write_pairs(tmp_path, "train", PAIRS), {**write_pairs(tmp_path, "test", PAIRS[:2]), "name": "mine"}
    interrupt(make_config(tmp_path, [train]), monkeypatch)
    for config in (
        make_config(tmp_path, [train], filters={"max_words": 8}),
        make_config(tmp_path, [train], test=[test]),  # whose overlap is counted
        make_config(tmp_path, [write_pairs(tmp_path, "other", PAIRS[1:])]),
    ):
        made["filter"].clear()
        report = preprocess(config).report
        assert made["filter"] == list(range(5))
        assert len(report["held_out"]) == 1 + len(config.data.test)
    work = interrupt(make_config(tmp_path, [train], filters={"max_words": 9}), monkeypatch)
    made["filter"].clear()
    assert "made again" not in str(preprocess(make_config(tmp_path, [train], filters={"max_words": 9}), force=True))
    assert made["filter"] == list(range(5)), "--force starts from the beginning"
    assert not work.exists()


@pytest.mark.parametrize("damage", ["facts", "folder", "half"])
def test_damaged_work_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: dict[str, list[int]], damage: str
) -> None:
    cut_into(monkeypatch, 20, 20)
    config = make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)])
    work = interrupt(config, monkeypatch)
    (work / "filtered.json").unlink()
    (work / "kept").unlink()
    (work / "duplicates.json").unlink()
    shard = work / "filtered-000002"
    if damage == "facts":
        (shard / "facts.json").write_bytes((shard / "facts.json").read_bytes()[:20])
    elif damage == "folder":
        shutil.rmtree(shard)
    else:
        shard.rename(shard.with_name(shard.name + ".part"))
    made["filter"].clear()
    assert preprocess(config).report["pairs"] == {"read": len(PAIRS), "kept": len(PAIRS)}
    assert made["filter"] == [2]


def test_work_that_a_killed_process_could_not_remove_is_removed(tmp_path: Path) -> None:
    config = make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)])
    folder = preprocess(config).folder
    work_folder.open_work(work_folder.work_folder(folder), "key", force=False)
    assert preprocess(config).folder == folder
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_interrupted_small_corpus_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)])
    with pytest.raises(ValueError, match="not enough values"):
        interrupt(config, monkeypatch)
    assert not Path(config.data.preprocessed_folder).exists()


# ------------------------------------------------------------------------------------------------------ the cuts


LINES = st.lists(
    st.sampled_from([b"", b"a", b"b c", b"\r", b"caf\xe9", "\u00e9\u2028x".encode(), b"w" * 30]), max_size=12
)


@given(
    source=LINES,
    target=LINES,
    ended=st.tuples(st.booleans(), st.booleans()),
    mark=st.booleans(),
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 40), st.integers(1, 60)),
)
def test_shards_have_the_records_of_the_corpus(
    tmp_path_factory: pytest.TempPathFactory,
    source: list[bytes],
    target: list[bytes],
    ended: tuple[bool, bool],
    mark: bool,
    sizes: tuple[int, int, int, int],
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    sides = [b"\n".join(side) + b"\n" * end for side, end in zip((source, target), ended, strict=True)]
    (folder / "source").write_bytes(b"\xef\xbb\xbf" * mark + sides[0])
    (folder / "target").write_bytes(sides[1])
    corpus = CorpusConfig(source=str(folder / "source"), target=str(folder / "target"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(("SHARD_RECORDS", "BLOCK_PAIRS", "CUT_BYTES", "SHARD_BYTES"), sizes, strict=True):
            patch.setattr(shards, name, value)
        for corpora in ([corpus], [CorpusConfig(tsv=corpus.source), corpus]):
            check_cuts(corpora, max(sizes[:2]))


def check_cuts(corpora: list[CorpusConfig], most: int) -> None:
    """Check that the shards have the records of the corpora in order, or that both ways have the same error."""
    try:
        expected = [list(read_training(each)) for each in corpora]
    except UnequalLines as error:
        with pytest.raises(UnequalLines, match=f"^{re.escape(str(error))}$"):
            list(shards.cut(corpora))
        return
    made = list(shards.cut(corpora))
    found: list[list[Any]] = [[] for _ in corpora]
    for number, shard in enumerate(made):
        records = [record for block in shard.blocks() for record in block]
        assert (shard.number, shard.first) == (number, len(found[shard.corpus]) + 1)
        assert len(records) == shard.records <= most
        found[shard.corpus] += records
    assert found == expected


def test_the_longest_line_is_refused_with_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_into(monkeypatch, 2, 2)
    monkeypatch.setattr(shards, "MAX_LINE_BYTES", 1 << 10)
    monkeypatch.setattr(shards, "CUT_BYTES", 1 << 8)
    lines = ["a dog"] * 4 + ["x" * 900] + ["a dog"] * 3
    source, target = (write_text(tmp_path / name, lines) for name in ("source", "target"))
    (shard,) = [each for each in shards.cut([CorpusConfig(source=source, target=target)]) if each.first == 5]
    assert sum(map(len, shard.blocks())) == 1, "a long line is cut alone"
    write_text(tmp_path / "target", [*lines[:6], "x" * 2000, "y"])
    with pytest.raises(DataError, match="target, line 7: longer than"):
        list(shards.cut([CorpusConfig(source=source, target=target)]))


def test_bad_links_are_named_with_their_line_in_any_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_into(monkeypatch, 20, 20)
    links = write_text(tmp_path / "links", ["0-0"] * 70 + ["0-99"] + ["0-0"] * (len(PAIRS) - 71))
    config = make_config(tmp_path, [{**write_pairs(tmp_path, "train", PAIRS), "alignment": links}])
    with pytest.raises(DataError, match="links, line 71: the link 0-99 names target word 99"):
        preprocess(config)
    assert not Path(config.data.preprocessed_folder).exists()


# --------------------------------------------------------------------------------------------------- plain lines

CHARACTERS = st.sampled_from(
    "aZ9., \u00e9\ufffd\u0301\u00a0\u200d\u00ad\u2028\t\x00\u1100\u1161\uac00\u5b57\U0001f600\udce9\u0340\u034f\u3164"
)
TEXTS = st.text(CHARACTERS, max_size=8) | st.text(max_size=6)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=6), st.booleans(), st.integers(1, 3), st.booleans())
def test_plain_lines_need_no_closer_look(
    pairs: list[tuple[str, str]], identical: bool, longest: int, by_character: bool
) -> None:
    sources, targets = ([pair[side] for pair in pairs] for side in (0, 1))
    facts = inspect_lines(sources), inspect_lines(targets)
    languages = {"source_language": "en", "target_language": "zh" if by_character else "de"}
    reject = make_filter(max_words=longest, max_ratio=1.5, identical=identical, **languages)
    accepted = accepts_plain(reject, *facts)
    for number, pair in enumerate(pairs):
        for line, side in zip(pair, facts, strict=True):
            if side.plain[number]:
                assert comparable(line) == line
                assert line.split() == line.split(" ")
                assert side.words[number] == len(line.split())
                assert side.letters[number] == len("".join(line.split()))
        if accepted[number]:
            assert reject.reject(*pair) in (None, "identical sides")
        elif facts[0].plain[number] and facts[1].plain[number]:
            assert reject.reject(*pair) is not None


def test_latin_letters_need_no_table_of_marks() -> None:
    assert min(map(ord, combining_marks())) >= plain_lines.LATIN_CHARACTERS


@pytest.mark.parametrize("line", ["a", "Ein.", "sch\u00f6n wie", "\ud55c\uad6d\uc5b4 \ubb38\uc7a5", "\u4e2d\u6587"])
def test_usual_lines_are_plain(line: str) -> None:
    assert inspect_lines([line]).plain.all()
    for other in ("", f" {line}", f"{line} ", f"{line}  {line}", f"{line}\t", f"{line}\u200b", f"{line}\u0301"):
        assert inspect_lines([line, other, line]).plain.tolist() == [True, False, True]


# ------------------------------------------------------------------------------------------------------ processes


def test_results_are_in_order_and_errors_and_deaths_are_reported() -> None:
    double = partial(partial, operator.mul, 2)
    for processes in (1, 2):
        assert list(map_in_order(double, range(9), processes=processes, what="test")) == list(range(0, 18, 2))
        with pytest.raises(TypeError):
            list(map_in_order(double, [1, 2, None, 3], processes=processes, what="test"))
    with pytest.raises(ProcessLostError, match=r"A test process ended unexpectedly, .* Try fewer --processes"):
        list(map_in_order(partial(partial, signal.raise_signal), [signal.SIGKILL] * 3, processes=2, what="test"))
    with pytest.raises(ValueError, match="invalid literal"):
        list(map_in_order(partial(int, "x"), [1], processes=2, what="test"))  # type: ignore[arg-type]


@pytest.mark.parametrize("started", [0.01, 2.0])
def test_ctrl_c_ends_processes_in_the_middle_of_their_items(started: float) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    handler = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, started)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(map_in_order(partial(partial, time.sleep), [600] * 9, processes=2, what="test"))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    assert multiprocessing.active_children() == []


def test_a_lost_process_keeps_the_finished_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_into(monkeypatch, 20, 20)
    config = make_config(tmp_path, [write_pairs(tmp_path, "train", PAIRS)])

    def lose(*_: Any, **__: Any) -> None:
        raise ProcessLostError("lost")

    with monkeypatch.context() as patch:
        patch.setattr(preprocess_module, "encode", lose)
        with pytest.raises(NMTError, match="lost"):
            preprocess(config)
    assert list(Path(config.data.preprocessed_folder).glob(".unfinished-*"))
    assert preprocess(config).report["pairs"]["kept"] == len(PAIRS)


# -------------------------------------------------------------------------------------------------------- memory


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_into(monkeypatch, 500, 500)
    peaks = []
    for copies in (2, 12):
        folder = tmp_path / str(copies)
        folder.mkdir()
        pairs = [
            (f"{source} {number}", f"{target} {number}") for number, (source, target) in enumerate(PAIRS * (9 * copies))
        ]
        config = make_config(folder, [write_pairs(folder, "train", pairs)])
        work = folder / "work"
        work.mkdir()
        tracemalloc.start()
        with progress(None, "", "") as bar:
            assert filter_corpora(config.data, work, bar=bar).count_kept() == len(pairs)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
