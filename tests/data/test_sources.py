"""Parallel text in CSV, JSON Lines, TMX, XLIFF and zip files of OPUS."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import pytest

from data_files import make_config, write_pairs
from nmt.config.schema import PairConfig
from nmt.data.corpus import MalformedLine, inspect_pair, load_parallel, paths, read_parallel, read_training
from nmt.data.preprocess.preprocess import preprocess
from nmt.errors import DataError

PAIRS = [("A red dog", "Ein roter Hund"), ('Say "hi", now', 'Sag "hi", jetzt'), ("Two lines", "Zwei Zeilen")]
CSV = (
    'id,en,de\r\n1,A red dog,Ein roter Hund\r\n2,"Say ""hi"", now", "Sag ""hi"", jetzt"\r\n'
    '3,"Two\r\nlines","Zwei\nZeilen"\r\n'
)
JSONL = (
    '{"translation": {"en": "A red dog", "de": "Ein roter Hund"}}\n\n'
    '{"translation": {"en": "Say \\"hi\\", now", "de": "Sag \\"hi\\", jetzt"}}\n'
    '{"translation": {"en": "Two\\nlines", "de": "Zwei\\nZeilen"}}\n'
)
TMX = """<?xml version="1.0"?><!DOCTYPE tmx SYSTEM "tmx11.dtd"><tmx version="1.1"><header/><body>
<tu><tuv lang="EN-US"><seg>A <bpt i="1">&lt;b&gt;</bpt>red<ept i="1">&lt;/b&gt;</ept> dog</seg></tuv>
  <tuv lang="de"><seg>Ein roter Hund</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Say "hi", now</seg></tuv><tuv xml:lang="fr"><seg>Dis</seg></tuv>
  <tuv xml:lang="de-DE"><seg>Sag "hi", jetzt</seg></tuv></tu>
<tu><tuv xml:lang="de"><seg>Zwei
 Zeilen</seg></tuv><tuv xml:lang="en"><seg>Two <hi>lines</hi></seg></tuv></tu>
</body></tmx>"""
XLIFF = """<xliff xmlns="urn:oasis:names:tc:xliff:document:1.2" version="1.2"><file><body>
<trans-unit id="1"><source>A <g id="1">red</g> dog</source><target>Ein roter Hund</target>
  <alt-trans><source>x</source><target>y</target></alt-trans></trans-unit>
<group><trans-unit id="2"><source>Say "hi", now</source><target>Sag "hi", jetzt</target></trans-unit></group>
<trans-unit id="3"><source>Two lines</source><target>Zwei Zeilen</target></trans-unit>
</body></file></xliff>"""
XLIFF_2 = """<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en" trgLang="de"><file id="f">
<unit id="1"><segment><source>A <pc id="1">red</pc> dog</source><target>Ein roter Hund</target></segment>
<segment><source>Say "hi", now</source><target>Sag "hi", jetzt</target></segment></unit>
<unit id="2"><segment><source>Two lines</source><target>Zwei Zeilen</target></segment></unit></file></xliff>"""
FIELDS = {"source_field": "en", "target_field": "de"}


def zipped(path: Path, **texts: str) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README", "about")
        for ending, text in texts.items():
            archive.writestr(f"Corpus.de-en.{ending}", text)
    return str(path)


def written(folder: Path, kind: str) -> dict[str, Any]:
    """The entry of the configuration for a file of a kind with the three pairs."""
    if kind == "opus":
        sides = {code: "".join(f"{pair[side]}\n" for pair in PAIRS) for side, code in enumerate(("en", "de"))}
        return {"opus": zipped(folder / "de-en.txt.zip", **sides), **FIELDS}
    texts = {"csv": CSV, "jsonl": JSONL, "tmx": TMX, "xliff": XLIFF, "xliff 2": XLIFF_2}
    path = folder / f"corpus.{kind}"
    path.write_bytes(texts[kind].encode())
    fields = {"jsonl": {"source_field": "translation.en", "target_field": "translation.de"}, "xliff": {}, "xliff 2": {}}
    return {kind.split()[0]: str(path), **fields.get(kind, FIELDS)}


KINDS = ("csv", "jsonl", "tmx", "xliff", "xliff 2", "opus")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_the_same_pairs(tmp_path: Path, kind: str) -> None:
    pair = PairConfig(**written(tmp_path, kind))
    assert read_parallel(pair) == PAIRS
    assert list(read_training(pair)) == PAIRS
    facts = inspect_pair(pair)
    assert facts == load_parallel(pair).files
    assert facts[0].lines == 3
    assert len(paths(pair)) == 1


@pytest.mark.parametrize("kind", ["csv", "jsonl", "tmx", "xliff"])
def test_compressed_files_have_the_same_pairs_and_digest(tmp_path: Path, kind: str) -> None:
    entry = written(tmp_path, kind)
    facts = inspect_pair(PairConfig(**entry))
    packed = tmp_path / f"corpus.{kind}.gz"
    packed.write_bytes(gzip.compress(Path(entry[kind]).read_bytes()))
    pair = PairConfig(**{**entry, kind: str(packed)})
    assert read_parallel(pair) == PAIRS
    assert inspect_pair(pair) == facts


def stored(folder: Path, entry: dict[str, Any]) -> dict[str, bytes]:
    data = preprocess(make_config(folder, [entry]))
    return {path.name: path.read_bytes() for path in data.folder.iterdir() if path.suffix not in (".json", ".yaml")}


def test_the_preprocessed_text_is_that_of_text_files(tmp_path: Path) -> None:
    plain = stored(tmp_path, write_pairs(tmp_path, "train", PAIRS))
    assert len(plain) > 2
    for kind in KINDS:
        assert stored(tmp_path, written(tmp_path, kind)) == plain


def test_columns_by_number_and_without_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x;a;b\ny;c;d;extra\n", encoding="utf-8")
    pair = PairConfig(csv=str(path), source_field="3", target_field="2", delimiter=";")
    assert read_parallel(pair) == [("b", "a"), ("d", "c")]
    assert read_parallel(pair.model_copy(update={"header": True})) == [("d", "c")]


def test_quotes_can_be_text(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('english\tyoruba\n"Hello, he said\tBawo\nfine"\tdaada\n', encoding="utf-8")
    pair = PairConfig(csv=str(path), source_field="english", target_field="yoruba", delimiter="\t", quotes=False)
    assert read_parallel(pair) == [('"Hello, he said', "Bawo"), ('fine"', "daada")]
    path.write_text('english\tyoruba\n"a" b\tc\nd\te\n', encoding="utf-8")
    quoted = pair.model_copy(update={"quotes": True})
    assert list(read_training(quoted)) == [MalformedLine(""), ("d", "e")]
    with pytest.raises(DataError, match=r"a\.tsv, line 2: not CSV.*quotes: false"):
        read_parallel(quoted)


def test_cells_over_several_lines_with_tabs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('english\tyoruba\n"Hello, he said\tBawo\nfine"\tdaada\n', encoding="utf-8")
    pair = PairConfig(csv=str(path), source_field="english", target_field="yoruba", delimiter="\t")
    with pytest.raises(DataError, match=r"a\.tsv, line 2: a quoted cell has a tab and a line break.*quotes: false"):
        read_parallel(pair)


def test_a_quote_that_is_never_closed_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('en,de\na,b\n"c,d\n' + "e,f\n" * 100_000, encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.csv, line 3: not CSV.*quotes: false"):
        list(read_training(PairConfig(csv=str(path), **FIELDS)))


def test_records_that_are_no_pairs(tmp_path: Path) -> None:
    for kind, good, bad, says in (
        ("csv", "en,de\na,b\n", "only\n", "line 3: 1 columns, expected at least 2"),
        ("jsonl", '{"en": "a", "de": "b"}\n', '{"en": "a", "x": {"de": "b"}}\n',
         "line 2: no text under the key 'de', found: en, x.de"),
        ("tmx", "<tmx><body><tu><tuv lang='en'><seg>a</seg></tuv><tuv lang='de'><seg>b</seg></tuv></tu>",
         "\n<tu><tuv lang='en'><seg>a</seg></tuv></tu></body></tmx>", "line 2: no text in 'de', found: en"),
        ("xliff", "<xliff><file><trans-unit><source>a</source><target>b</target></trans-unit>",
         "\n<trans-unit><source>a</source></trans-unit></file></xliff>", "line 2: a unit without a translation"),
    ):  # fmt: skip
        path = tmp_path / f"bad.{kind}"
        path.write_text(good + bad, encoding="utf-8")
        pair = PairConfig(**{kind: str(path)}, **({} if kind == "xliff" else FIELDS))
        first, second = read_training(pair)
        assert first == ("a", "b")
        assert isinstance(second, MalformedLine)
        with pytest.raises(DataError, match=says):
            read_parallel(pair)


def test_errors_name_file_and_line(tmp_path: Path) -> None:
    def check(kind: str, content: bytes, says: str, **fields: Any) -> None:
        path = tmp_path / f"bad.{kind}"
        path.write_bytes(content)
        with pytest.raises(DataError, match=says):
            list(read_training(PairConfig(**{kind: str(path)}, **(fields or FIELDS))))

    check("csv", b"English,German\na,b\n", r"bad\.csv, line 1: no column en.*1 'English', 2 'German'")
    check("csv", b"a\tb\n", "line 1: no column 2 .*or delimiter", source_field="1", target_field="2")
    check("jsonl", b'{"en": "a", "de": "b"}\n{"en": \n', r"bad\.jsonl, line 2: not JSON")
    check("jsonl", b'{"x": {"en": "a"}}\n', r"line 1: no text under the key 'en', found: x\.en.*Set source_field")
    check(
        "tmx", b"<tmx><body><tu><tuv lang='en'><seg>a</seg></tuv></tu></body></tmx>", "text in 'en' and 'de'.*are: en"
    )
    check("jsonl", b'[\n{"en": "a"}\n]', "line 1: not JSON.*one object per line")
    check("tmx", b"<tmx>\n<body>\n</tmx>", r"bad\.tmx, line 3, column 3: broken XML \(mismatched tag\)")
    for encoding in (b"x", b"idna", b"zip", b"utf-32"):
        declared = b'<?xml version="1.0" encoding="' + encoding + b'"?>\n<tmx><body></body></tmx>'
        check("tmx", declared, r"bad\.tmx, line 1.*(unusable encoding|broken XML)")
    check("opus", b"no zip", r"bad\.opus: not a zip file")
    with pytest.raises(DataError, match=r"no file ends in \.km.*README, Corpus\.de-en\.en"):
        list(read_training(PairConfig(opus=zipped(tmp_path / "a.zip", en="a\n"), source_field="en", target_field="km")))
    with pytest.raises(DataError, match="different numbers of lines"):
        list(read_training(PairConfig(opus=zipped(tmp_path / "b.zip", en="a\nb\n", de="a\n"), **FIELDS)))
    with pytest.raises(DataError, match="there is no such file"):
        list(read_training(PairConfig(opus=str(tmp_path / "none.zip"), **FIELDS)))


def test_utf_16_translation_memories_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tmx"
    path.write_bytes(TMX.replace('version="1.0"', 'version="1.0" encoding="UTF-16"').encode("utf-16"))
    assert read_parallel(PairConfig(tmx=str(path), **FIELDS)) == PAIRS


def test_an_encoding_error_suggests_the_encoding_and_the_command(tmp_path: Path) -> None:
    french, russian = "Déjà vu, c'était l'été à la fenêtre.", "Щедрый вечер, добрый вечер. " * 9
    for text, encoding in ((french, "CP1252"), (russian, "CP1251")):
        path = tmp_path / "text.xx"
        path.write_bytes(f"first\n{text}\n".encode(encoding))
        says = rf"line 2: the byte .* is not UTF-8.*{encoding}.*iconv -f {encoding} -t UTF-8 text\.xx"
        with pytest.raises(DataError, match=says):
            read_parallel(PairConfig(source=str(path), target=str(path)))
