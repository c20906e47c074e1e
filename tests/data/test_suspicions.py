"""Warnings of parallel text that is read as it is, but looks like something else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from data_files import write_pairs
from nmt.config.schema import PairConfig
from nmt.data.suspicions import find_suspicions

GOOD = [(f"The dog number {n} sleeps, and we go.", f"Der Hund Nummer {n} schläft, und wir gehen.") for n in range(40)]
KHMER = "ខ្ញុំស្រលាញ់អ្នក។"


def messages(folder: Path, pairs: Sequence[tuple[str, str]], languages: tuple[str, str] = ("en", "de")) -> str:
    return "\n".join(text for _, text in find_suspicions(PairConfig(**write_pairs(folder, "x", pairs)), *languages))


def of_tsv(folder: Path, text: str) -> str:
    path = folder / "x.tsv"
    path.write_text(text, encoding="utf-8")
    return "\n".join(message for _, message in find_suspicions(PairConfig(tsv=str(path)), "en", "de"))


def test_good_text_is_not_suspicious(tmp_path: Path) -> None:
    assert messages(tmp_path, GOOD) == ""
    assert of_tsv(tmp_path, "".join(f"{source}\t{target}\n" for source, target in GOOD)) == ""
    dialogue = '"Hello," he said.\t"Hallo", sagte er.\n"Yes."\t"Ja."\n'
    assert of_tsv(tmp_path, dialogue * 20) == ""
    assert messages(tmp_path, [("1984 was a year.", "1984 war ein Jahr."), *GOOD]) == ""
    assert messages(tmp_path, [("I like you.", KHMER)] * 30, ("en", "km")) == ""


@pytest.mark.parametrize(
    ("source", "target"), [("en", "de"), ("English", "German"), ("\ufeffeng", '"deu"'), ("source", "target")]
)
def test_headers(tmp_path: Path, source: str, target: str) -> None:
    assert "looks like a header" in messages(tmp_path, [(source, target), *GOOD])
    found = of_tsv(tmp_path, f"{source}\t{target}\n" + "A dog\tEin Hund\n")
    assert 'Use csv with delimiter: "\\t", quotes: false, source_field: ' in found


def test_a_csv_file_without_declared_header(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("en,de\na,b\n", encoding="utf-8")
    ((_, message),) = find_suspicions(PairConfig(csv=str(path), source_field="1", target_field="2"), "en", "de")
    assert "Set header: true" in message
    assert not list(find_suspicions(PairConfig(csv=str(path), source_field="en", target_field="de"), "en", "de"))


def test_quotation_marks_of_csv(tmp_path: Path) -> None:
    found = of_tsv(tmp_path, 'a\tb\n"He said ""yes"" twice"\tc\n')
    assert "1 of the first 2 lines" in found
    assert 'Use csv with delimiter: "\\t", source_field: 1 and target_field: 2' in found


@pytest.mark.parametrize("prefix", ["[22:{}]", "1.{}", "({})", "{}.", "{}|", "b.GEN.1.{}"])
def test_prefixes_on_every_line(tmp_path: Path, prefix: str) -> None:
    pairs = [(f"{prefix.format(n + 1)} {source}", target) for n, (source, target) in enumerate(GOOD)]
    assert "100% of the lines begin with a number or an id" in messages(tmp_path, pairs)


def test_swapped_sides(tmp_path: Path) -> None:
    pairs = [("I like you.", KHMER)] * 30
    assert "the sides look swapped" in messages(tmp_path, pairs, ("km", "en"))


def test_tokenised_and_true_cased_text(tmp_path: Path) -> None:
    tokenised = [("The dog sleeps , and we go .", target) for _, target in GOOD]
    assert "100% of the lines look tokenised" in messages(tmp_path, tokenised)
    georgian = [("ბაღში ბევრი წითელი ყვავილებია.", target) for _, target in GOOD]
    assert messages(tmp_path, georgian) == ""
    lower = [(source.lower(), target) for source, target in GOOD]
    assert "no capital letters" in messages(tmp_path, lower)
    true_cased = [("the dog of Anna sleeps.", target) for _, target in GOOD]
    assert "100% of the lines begin with a small letter" in messages(tmp_path, true_cased)
    phrases = [("the dog of Anna" if number % 9 else "small Anna", target) for number, (_, target) in enumerate(GOOD)]
    entries = [("red dog" if number % 9 else "small Anna", target) for number, (_, target) in enumerate(GOOD)]
    assert "true-cased" in messages(tmp_path, phrases)
    assert "true-cased" not in messages(tmp_path, entries)
