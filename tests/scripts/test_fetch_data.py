"""scripts/fetch_data: only complete, right files get their names, whatever happens on the way."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import importlib.machinery
import importlib.util
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from experiments.concatenation import PARTS, groups, in_every_group, in_one_group, long_part
from small_corpora import write_corpus

ROOT = Path(__file__).parents[2]
MULTI30K = ROOT.parent / "shared" / "data" / "multi30k"
TEXTS = {"a.en": b"one\ntwo\n", "a.de": "eins\nzwölf\n".encode()}


@pytest.fixture
def script(tmp_path: Path) -> ModuleType:
    """The script as a module, with a corpus of two small files, writing into an empty folder."""
    loader = importlib.machinery.SourceFileLoader("fetch_data", str(ROOT / "scripts" / "fetch_data"))
    spec = importlib.util.spec_from_loader("fetch_data", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fetch_data"] = module
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = writes_bytecode
    checksums = {name: hashlib.sha256(text).hexdigest() for name, text in TEXTS.items()}
    module.REAL = module.CORPORA
    module.CORPORA = {"small": module.Corpus("A small corpus", "unset", checksums)}
    module.ROOT = tmp_path / "root"
    return module


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["fetch_data", *arguments])
    code: int = script.main()
    return code


def contents(script: ModuleType) -> dict[str, bytes]:
    folder = script.ROOT / "data" / "small"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that has the corpus, one file of it packed."""
    place = tmp_path / "a folder"
    place.mkdir()
    (place / "a.en").write_bytes(TEXTS["a.en"])
    (place / "a.de.gz").write_bytes(gzip.compress(TEXTS["a.de"]))
    return place


def test_copies_and_then_has_nothing_to_do(
    script: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(script, monkeypatch, "small", "--from", str(folder)) == 0
    assert contents(script) == TEXTS
    assert "every checksum is right" in capsys.readouterr().out
    assert run(script, monkeypatch, "small") == 0, "went to the network for files that are there"
    assert "is there and right: 2 files" in capsys.readouterr().out


def test_a_file_with_the_wrong_text_is_refused(
    script: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.en").write_bytes(b"one\ntwo\nthree\n")
    assert run(script, monkeypatch, "small", "--from", str(folder)) == 1
    assert "a.en is not the file of the corpus" in capsys.readouterr().err
    assert contents(script) == {}


def test_files_of_the_user_are_replaced_only_when_told(
    script: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = script.ROOT / "data" / "small" / "a.de"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    assert run(script, monkeypatch, "small", "--from", str(folder)) == 1
    assert "differs from the file of the corpus" in capsys.readouterr().err
    assert contents(script) == {"a.de": b"mine"}
    assert run(script, monkeypatch, "small", "--from", str(folder), "--force") == 0
    assert contents(script) == TEXTS


@pytest.mark.parametrize("damage", ["missing", "cut", "folder"])
def test_files_that_cannot_be_read_are_named(
    script: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    packed = folder / "a.de.gz"
    if damage == "cut":
        packed.write_bytes(packed.read_bytes()[:-12])
    else:
        packed.unlink()
    if damage == "folder":
        (folder / "a.de").mkdir()
    assert run(script, monkeypatch, "small", "--from", str(folder)) == 1
    printed = capsys.readouterr().err
    assert str(folder / "a.de") in printed
    assert printed.startswith("error: ")


class Server(http.server.ThreadingHTTPServer):
    """Gives the corpus; the first `failures` requests fail."""

    failures = 0


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        name = self.path.removeprefix("/").removesuffix(".gz")
        if self.server.failures > 0:
            self.server.failures -= 1
            self.send_error(503)
        elif name not in TEXTS:
            self.send_error(404)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(gzip.compress(TEXTS[name]))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The home of the corpus, on this machine."""
    with Server(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{found.server_port}/{{}}.gz"
        script.CORPORA = {"small": script.CORPORA["small"]._replace(address=address)}
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(script.time, "sleep", lambda _: None)
        yield found
        found.shutdown()
        thread.join()


def test_downloads_and_tries_again_after_a_failure(
    script: ModuleType, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.failures = 2
    assert run(script, monkeypatch, "small") == 0
    assert contents(script) == TEXTS


def test_what_is_complete_is_kept_when_the_connection_fails(
    script: ModuleType, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(TEXTS, "a.de")
    assert run(script, monkeypatch, "small") == 1
    printed = capsys.readouterr().err
    assert "404" in printed
    assert "--from" in printed
    assert list(contents(script)) == ["a.en"]
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert run(script, monkeypatch, "small") == 0
    assert contents(script) == TEXTS


def test_unknown_corpora_are_refused_with_the_known_ones() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "fetch_data"), "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "multi30k" in done.stderr


@pytest.mark.skipif(not MULTI30K.exists(), reason="needs ../shared/data/multi30k")
def test_the_real_checksums_are_those_of_the_corpus(script: ModuleType) -> None:
    checksums = script.REAL["multi30k"].checksums
    assert {name: hashlib.sha256((MULTI30K / name).read_bytes()).hexdigest() for name in checksums} == checksums


# --------------------------------------------------------------------------------------------------- long sentences

PAIRS = [(f"s{number}", f"t{number}") for number in range(20)]


def test_every_pair_is_alone_and_in_one_group() -> None:
    made = list(in_one_group(PAIRS, random.Random(1)))
    assert made[: len(PAIRS)] == PAIRS
    rest = made[len(PAIRS) :]
    assert Counter(word for source, _ in rest for word in source.split()) == Counter(source for source, _ in PAIRS)
    assert {len(source.split()) for source, _ in rest} == {2, 3, 4}
    assert all(source.replace("s", "t") == target for source, target in rest)


def test_every_test_pair_is_in_a_group_of_each_size() -> None:
    made = list(in_every_group(PAIRS, random.Random(1)))
    words = Counter(word for source, _ in made for word in source.split())
    assert set(words.values()) == {4}
    assert list(groups(iter(PAIRS[:5]), 4)) == [("s0 s1 s2 s3", "t0 t1 t2 t3"), ("s4", "t4")]


def test_the_long_multi30k_is_a_function_of_the_text_and_the_seed(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(script, monkeypatch, "multi30k-long") == 1
    assert "Run scripts/fetch_data multi30k first" in capsys.readouterr().err
    data = script.ROOT / "data"
    write_corpus(data / "multi30k", PARTS, alignments=False)
    assert run(script, monkeypatch, "multi30k-long") == 0
    written = {path.name: path.read_bytes() for path in (data / "multi30k-long").iterdir()}
    assert written.keys() == {f"{part}.{side}" for part in ("train", "valid", "test") for side in ("en", "de")}
    before = (data / "multi30k-long" / "train.en").stat().st_mtime_ns
    assert run(script, monkeypatch, "multi30k-long") == 0
    assert (data / "multi30k-long" / "train.en").stat().st_mtime_ns == before
    assert long_part("train", PAIRS, seed=1) == long_part("train", PAIRS, seed=1) != long_part("train", PAIRS, seed=2)
