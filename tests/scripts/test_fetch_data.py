"""scripts/fetch_data: only complete, right files get their names, whatever happens on the way."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import importlib.machinery
import importlib.util
import io
import random
import subprocess
import sys
import tarfile
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
    """Gives the corpus; the first `failures` requests fail, and only the first `bytes_sent` bytes arrive."""

    failures = 0
    bytes_sent: int | None = None
    archives: dict[str, bytes] = {}  # noqa: RUF012 (replaced, not changed)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        packed = {f"{name}.gz": gzip.compress(text) for name, text in TEXTS.items()} | self.server.archives
        name = self.path.removeprefix("/")
        if self.server.failures > 0:
            self.server.failures -= 1
            self.send_error(503)
        elif name not in packed:
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(packed[name])))
            self.end_headers()
            self.wfile.write(packed[name][: self.server.bytes_sent])

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


# ------------------------------------------------------------------------------------------------------- archives


def tar(members: list[tuple[str, bytes]], *, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return a packed archive of members of this kind."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, len(data) if kind == tarfile.REGTYPE else 0
            member.linkname = "/etc/passwd"
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def use_archive(script: ModuleType, packed: bytes, *, known: bool = True) -> None:
    """Let the small corpus come in one archive."""
    small = script.CORPORA["small"]
    archive = script.Archive("small.tar.gz", tuple(TEXTS), script.git_object(packed))
    checksums = small.checksums if known else dict.fromkeys(TEXTS)
    script.CORPORA = {"small": small._replace(checksums=checksums, archives=(archive,))}


LISTED = list(TEXTS.items())


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_only_the_files_of_the_corpus_come_out_of_an_archive(
    script: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, known: bool, prefix: str
) -> None:
    hostile = [("../a.en", b"up"), ("/a.en", b"root"), ("more/a.en", b"below"), ("._a.en", b"hidden")]
    packed = tar([*hostile, *((prefix + name, text) for name, text in LISTED)])
    (folder / "small.tar.gz").write_bytes(packed)
    use_archive(script, packed, known=known)
    assert run(script, monkeypatch, "small", "--from", str(folder)) == 0
    assert contents(script) == TEXTS
    written = {path for path in script.ROOT.parent.rglob("*") if path.is_file() and folder not in path.parents}
    assert written == {script.ROOT / "data" / "small" / name for name in TEXTS}, "a file was written beside the corpus"
    assert run(script, monkeypatch, "small") == 0, "went to the network for files that are there"


@pytest.mark.parametrize(
    ("packed", "problem"),
    [
        (tar(LISTED[:1]), "has no file a.de"),
        (tar(LISTED, kind=tarfile.SYMTYPE), "has no file a.en"),
        (tar(LISTED, kind=tarfile.LNKTYPE), "has no file a.en"),
        (tar(LISTED, kind=tarfile.DIRTYPE), "has no file a.en"),
        (tar([*LISTED[:1], ("a.de", b"one line\n")]), "differ in their number of lines"),
        (tar([*LISTED[:1], ("a.de", b"two\nlines\n")]), "is not the file of the corpus: its SHA-256"),
        (tar(LISTED)[:60], "cannot be unpacked"),
        (b"no archive", "cannot be unpacked"),
    ],
    ids=[
        "file missing",
        "symbolic link",
        "hard link",
        "folder",
        "too few lines",
        "other lines",
        "cut",
        "no archive",
    ],  # the bytes hold the time
)
def test_archives_with_other_contents_are_refused(
    script: ModuleType,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    packed: bytes,
    problem: str,
) -> None:
    (folder / "small.tar.gz").write_bytes(packed)
    use_archive(script, packed)
    assert run(script, monkeypatch, "small", "--from", str(folder)) == 1
    assert problem in capsys.readouterr().err
    assert "a.de" not in contents(script)


def test_an_archive_with_the_wrong_bytes_is_not_unpacked(
    script: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_archive(script, tar(LISTED))
    (folder / "small.tar.gz").write_bytes(tar([*LISTED, ("more", b"")]))
    assert run(script, monkeypatch, "small", "--from", str(folder)) == 1
    assert "small.tar.gz is not the file of the corpus: its Git object" in capsys.readouterr().err
    (folder / "small.tar.gz").unlink()
    assert run(script, monkeypatch, "small", "--from", str(folder)) == 1
    assert "--from names the folder of the archives" in capsys.readouterr().err
    assert contents(script) == {}


def test_an_archive_is_downloaded_and_read_again_after_a_failure(
    script: ModuleType, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tar(LISTED)
    server.archives = {"small.tar.gz": packed}
    use_archive(script, packed)
    address = script.CORPORA["small"].address.removesuffix(".gz")
    script.CORPORA = {"small": script.CORPORA["small"]._replace(address=address)}
    server.bytes_sent = 40
    assert run(script, monkeypatch, "small") == 1
    assert "cannot be downloaded" in capsys.readouterr().err
    assert contents(script) == {}
    server.bytes_sent, server.failures = None, 1
    assert run(script, monkeypatch, "small") == 0
    assert contents(script) == TEXTS


def test_the_git_object_is_the_one_of_git(script: ModuleType) -> None:
    assert script.git_object(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_every_file_of_an_archive_belongs_to_the_corpus(script: ModuleType) -> None:
    for corpus in script.REAL.values():
        members = [file for archive in corpus.archives for file in archive.members]
        assert not members or sorted(members) == sorted(corpus.checksums)
        assert all(known is not None or file in members for file, known in corpus.checksums.items())


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
