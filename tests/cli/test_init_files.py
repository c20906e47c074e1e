"""`nmt config init`: languages in file names, and text in one file."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest

from cli_tools import assert_explained, nmt
from nmt.cli.init.corpus_files import language_of
from nmt.config.load import load_config
from nmt.config.schema import PAIR_FILES
from nmt.data.atomic_folder import atomic_folder
from nmt.data.corpus import load_parallel, read_training
from nmt.data.preprocess.filter_pass import filter_corpora
from nmt.data.preprocess.overlap import HeldOutSet
from nmt.errors import UsageError
from nmt.log import progress


@pytest.mark.parametrize(
    ("source", "target", "languages"),
    [
        ("train.en", "train.de.gz", ("en", "de")),
        ("corpus.en.txt", "corpus.de.txt", ("en", "de")),
        ("train.ko.tok", "train.fr.tok", ("ko", "fr")),
        ("dzo_Tibt", "eng_Latn", ("dzo_Tibt", "eng_Latn")),
        ("X_en.txt", "X_yo.txt", ("en", "yo")),
        ("yue.txt", "en.txt", ("yue", "en")),
        ("EN_volunteers", "TI_volunteers", ("en", "ti")),
        ("news-ref.khm.txt", "news-src.eng.txt", ("khm", "eng")),
        ("p_amh_ea.txt", "p_eng_ea.txt", ("amh", "eng")),
        ("A-ENG.CKB_no_tag.txt", "A-ENG.ENG_no_tag.txt", ("ckb", "eng")),
        ("ba/1.txt", "ru/1.txt", ("ba", "ru")),
        ("wiki.km-en.km", "wiki.km-en.en", ("km", "en")),
    ],
)
def test_language_codes_in_names(source: str, target: str, languages: tuple[str, str]) -> None:
    one, other = Path(source), Path(target)
    assert language_of(one, "source", ["abc"], other=other) == languages[0]
    assert language_of(other, "target", ["abc"], other=one) == languages[1]


def test_a_name_without_a_code_is_refused() -> None:
    with pytest.raises(UsageError, match=r"left\.tok: the name has no language code.*--source-language"):
        language_of(Path("left.tok"), "source", ["abc"], other=Path("right.tok"))


def rows(count: int) -> list[tuple[str, str]]:
    return [(f"The dog number {n} sleeps.", f"Der Hund Nummer {n} schläft.") for n in range(count)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


CODES = ("en", "de")
LANGUAGES = ("--source-language", "en", "--target-language", "de")


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("c.csv", "en,de\n" + "".join(f'"{s}",{t}\n' for s, t in rows(60)), ()),
        ("c.tsv", "".join(f"{s}\t{t}\n" for s, t in rows(60)), ()),
        (
            "d.tsv",
            "".join(f"{n}\t{s}\t{t}\n" for n, (s, t) in enumerate(rows(60))),
            ("--source-field", "2", "--target-field", "3"),
        ),
        ("c.jsonl", "".join(f'{{"a": {{"x": "{s}"}}, "de": "{t}"}}\n' for s, t in rows(60)), ("--source-field", "a.x")),
        (
            "c.tmx",
            "<tmx><body>"
            + "".join(
                f"<tu><tuv lang='en'><seg>{s}</seg></tuv><tuv lang='de'><seg>{t}</seg></tuv></tu>" for s, t in rows(60)
            )
            + "</body></tmx>",
            (),
        ),
        (
            "c.xlf",
            "<xliff version='1.2'><file><body>"
            + "".join(f"<trans-unit><source>{s}</source><target>{t}</target></trans-unit>" for s, t in rows(60))
            + "</body></file></xliff>",
            (),
        ),
        ("c.zip", "", ()),
    ],
)
def test_text_in_one_file(folder: Path, name: str, content: str, options: tuple[str, ...]) -> None:
    """The configuration names the file, and preprocessing removes the held-out pairs from it."""
    (folder / name).write_text(content, encoding="utf-8")
    if name == "c.zip":
        with zipfile.ZipFile(folder / name, "w") as archive:
            for place, code in enumerate(CODES):
                archive.writestr(f"c.de-en.{code}", "".join(f"{pair[place]}\n" for pair in rows(60)))
    outcome = nmt("config", "init", "--corpus", name, *LANGUAGES, *options, "--hold-out", "5", "-o", "my.yaml")
    assert outcome.code == 0, outcome.stderr
    stem = name.partition(".")[0]
    made = sorted(path.name for path in folder.iterdir())
    assert made == sorted([name, "my.yaml", *(f"{stem}.{part}.{side}" for part in ("test", "valid") for side in CODES)])
    assert nmt("config", "check", "my.yaml").code == 0
    held_out = {
        tuple(Path(f"{stem}.{part}.{side}").read_text("utf-8").splitlines()[number] for side in CODES)
        for part in ("valid", "test")
        for number in range(5)
    }
    assert len(held_out) == 10
    assert held_out < set(rows(60))
    config = load_config(folder / "my.yaml")
    data = config.data
    assert name in (getattr(data.train[0], key) for key in PAIR_FILES)
    assert (data.train[0].source, data.filters.drop_held_out) == (None, True)
    with atomic_folder(folder / "filtered") as place:
        sets = [HeldOutSet("held out", load_parallel(pair)) for pair in (data.valid, *data.test)]
        with progress(None, "", "") as bar:
            filtered = filter_corpora(data, place, sets, bar=bar)
        kept = set(zip(filtered.lines(0), filtered.lines(1), strict=True))
    assert kept == set(rows(60)) - held_out
    assert [one.training_pairs for one in filtered.overlap] == [0, 0]
    before = (folder / "my.yaml").read_text()
    again = nmt("config", "init", "--corpus", name, *LANGUAGES, *options)
    assert_explained(again, f"{stem}.valid.en exists already", "--overwrite", codes=(2,))
    again = nmt(
        "config", "init", "--corpus", name, *LANGUAGES, *options, "--overwrite", "--hold-out", "5", "-o", "my.yaml"
    )
    assert (again.code, (folder / "my.yaml").read_text()) == (0, before)


def test_records_that_are_no_pairs_are_not_held_out(folder: Path) -> None:
    lines = [f"{s}\t{t}" for s, t in rows(40)]
    for place, broken in enumerate(("no tab", "\ttarget only", "source only\t", "three\tcolumns\there")):
        lines.insert(7 * place, broken)
    raw = [line.encode() for line in lines]
    raw.insert(11, b"not\tUTF-8: \xff")
    (folder / "c.tsv").write_bytes(b"\n".join(raw) + b"\n")
    outcome = nmt("config", "init", "--corpus", "c.tsv", *LANGUAGES, "--hold-out", "15", "-o", "my.yaml")
    assert outcome.code == 0, outcome.stderr
    held_out = [Path(f"c.{part}.en").read_text("utf-8").splitlines() for part in ("valid", "test")]
    assert {line for part in held_out for line in part} <= {s for s, _ in rows(40)}
    assert [len(part) for part in held_out] == [15, 15]


def test_given_validation_text_beside_one_file(folder: Path) -> None:
    (folder / "c.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in rows(60)), encoding="utf-8")
    for language, place in (("en", 0), ("de", 1)):
        (folder / f"v.{language}").write_text("".join(f"{pair[place]}\n" for pair in rows(4)), encoding="utf-8")
    valid = ("--valid-source", "v.en", "--valid-target", "v.de")
    outcome = nmt("config", "init", "--corpus", "c.tsv", *LANGUAGES, *valid, "-o", "my.yaml")
    assert outcome.code == 0, outcome.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["c.tsv", "my.yaml", "v.de", "v.en"]
    data = load_config(folder / "my.yaml").data
    assert (data.train[0].tsv, data.valid.source) == ("c.tsv", "v.en")
    assert not data.filters.drop_held_out


def test_files_beside_one_file_are_found_by_their_names(folder: Path) -> None:
    for name, lines in (("train", rows(60)), ("dev", rows(3)), ("test-a", rows(4)), ("test_b", rows(5))):
        content = "".join(json.dumps({"translation": {"en": s, "de": t}}) + "\n" for s, t in lines).encode()
        packed = name == "test_b"
        (folder / f"{name}.json{'.gz' * packed}").write_bytes(gzip.compress(content) if packed else content)
    fields = ("--source-field", "translation.en", "--target-field", "translation.de")
    outcome = nmt("config", "init", "--corpus", "train.json", *LANGUAGES, *fields, "-o", "my.yaml")
    assert outcome.code == 0, outcome.stderr
    data = load_config(folder / "my.yaml").data
    assert (data.train[0].jsonl, data.valid.jsonl) == ("train.json", "dev.json")
    assert {test.name: len(load_parallel(test).pairs) for test in data.test} == {"test-a": 4, "test_b": 5}
    assert not data.filters.drop_held_out


def test_quotation_marks_of_a_tsv_file(folder: Path) -> None:
    rest = "".join(f"{s}\t{t}\n" for s, t in rows(60))
    (folder / "c.tsv").write_text('English\tGerman\n"Say ""hi"""\t"Sag ""hi"""\n' + rest, encoding="utf-8")
    fields = ("--source-field", "English", "--target-field", "German")
    outcome = nmt("config", "init", "--corpus", "c.tsv", *LANGUAGES, *fields, "-o", "my.yaml")
    assert "quotation marks are read as those of CSV" in outcome.stderr
    assert next(iter(read_training(load_config(folder / "my.yaml").data.train[0]))) == ('Say "hi"', 'Sag "hi"')
    outcome = nmt("config", "init", "--corpus", "c.tsv", *LANGUAGES, "--overwrite", "-o", "my.yaml")
    assert "looks like a header ('English' and 'German')" in outcome.stderr
    assert "quotation marks of CSV, which are read as text" in outcome.stderr


def test_what_a_single_file_requires(folder: Path) -> None:
    (folder / "c.csv").write_text("English,German\na,b\n", encoding="utf-8")
    assert_explained(nmt("config", "init", "--corpus", "c.csv"), "--source-language", codes=(2,))
    assert_explained(nmt("config", "init", "--corpus", "c.csv", *LANGUAGES), "no column en", "1 'English'", codes=(1,))
    assert_explained(nmt("config", "init", "--corpus", "c.doc", *LANGUAGES), "c.doc", ".tmx", codes=(2,))
    (folder / "five.tsv").write_text("id\ta dog\t\tein Hund\tx\n" * 9, encoding="utf-8")
    outcome = nmt("config", "init", "--corpus", "five.tsv", *LANGUAGES)
    assert_explained(
        outcome, "9 of the first 9 lines do not have two columns", "4 'ein Hund'", "--source-field", codes=(2,)
    )
    both = ("--source", "a.en", "--target", "a.de")
    assert_explained(nmt("config", "init", "--corpus", "c.csv", *both), "--corpus excludes --source", codes=(2,))
    assert_explained(nmt("config", "init", "--source-field", "x", *both), "require --corpus", codes=(2,))
    assert not list(folder.glob("c.en"))


def test_suspicious_text_is_reported(folder: Path) -> None:
    for language, place in (("en", 0), ("de", 1)):
        lines = [f"[22:{n}] {pair[place]}" for n, pair in enumerate(rows(60))]
        (folder / f"verses.{language}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    outcome = nmt(
        "config", "init", "--source", "verses.en", "--target", "verses.de", "--hold-out", "5", "-o", "my.yaml"
    )
    assert "verses.en: 100% of the lines begin with a number or an id, such as '[22:0]'" in outcome.stderr
    assert "verses.train.de: 100%" in nmt("config", "check", "my.yaml").stderr
