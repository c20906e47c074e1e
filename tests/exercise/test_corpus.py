"""The corpus as a whole, its files, and the command that makes it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from exercise.corpus import make_corpus
from exercise.generator import LENGTHS, Generator, Pair, _range
from exercise.sampling.dice import Dice

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("train", "valid", "test", "more")
FILES = sorted(["corpus.json", *(f"{part}.{side}" for part in PARTS for side in ("en", "de", "align"))])

CONSTRUCTIONS = """
    adjective, mixed | adjective, strong | adjective, weak | adverb of frequency | adverb of manner | bei
    by vehicle | be: adjective | be: age | be: comparison | be: equality | be: intensified | be: place | be: profession
    city or country | clock time | comparative | coordinated main clauses: and | coordinated main clauses: but
    coordinated main clauses: connector | coordinated noun phrases | coordinated verb phrases | dative object
    direction, accusative | direction, dative | duration | every | expletive: clock | expletive: there is
    expletive: weather | fronted clause: als | fronted clause: bevor | fronted clause: nachdem | fronted clause: obwohl
    fronted clause: sobald | fronted clause: weil | fronted clause: wenn | fronted clause: während
    genitive of a thing | genitive preposition | gern | indirect question | inversion | kein | kein ... sondern
    kein as subject | modal verb | nicht | number | ordinal number | origin | personal pronoun | place behind a noun
    place, dative | possessive | possessive genitive | prepositional object | pronoun for a thing | question: adverb
    question: object | question: subject | question: which | question: yes or no | reflexive verb
    relative clause, accusative | relative clause, be | relative clause, dative | relative clause, prepositional
    relative clause, subject | relative clause, where | relative clause, whose | separable verb | so ... wie
    subordinate clause: als | subordinate clause: bevor | subordinate clause: bis | subordinate clause: damit
    subordinate clause: dass | subordinate clause: nachdem | subordinate clause: ob | subordinate clause: obwohl
    subordinate clause: sobald | subordinate clause: weil | subordinate clause: wenn | subordinate clause: während
    superlative | company | durch | für
    tense: past perfect | tense: present | tense: present perfect | tense: simple past | tense: will
    time: clock | time: date | time: day | time: day and clock | time: distance | time: during | time: month
    time: part | time: phrase | time: word | two objects | two-way preposition, accusative
    two-way preposition, dative | um ... zu | zu somebody | zu with infinitive
"""


@pytest.fixture(scope="module", params=["small", pytest.param("default", marks=pytest.mark.slow)])
def corpus(request, small) -> dict[str, list[Pair]]:
    """A small corpus, and the default one."""
    if request.param == "small":
        return small
    generator = Generator(seed=1)
    return {split: generator.pairs(size) for split, size in (("train", 20_000), ("valid", 500), ("test", 500))}


@pytest.fixture(scope="module")
def pairs(corpus) -> list[Pair]:
    return [pair for split in corpus.values() for pair in split]


def plain(sentence: str) -> list[str]:
    return sentence.lower().replace(",", "").replace(".", "").replace("?", "").split()


def test_the_same_seed_gives_the_same_pairs_and_another_seed_others():
    first, again, other = (Generator(seed=seed).pairs(50) for seed in (1, 1, 2))
    assert first == again
    assert not {pair.english for pair in first} & {pair.english for pair in other}


def test_pairs_do_not_depend_on_hash_randomisation():
    code = (
        "from exercise.generator import Generator\n"
        "for pair in Generator(seed=3).pairs(60): print(pair.english, pair.german, pair.alignment)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            cwd=ROOT / "scripts" / "lib",
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(outputs) == 1


def test_the_random_choices_are_those_of_every_version_of_python():
    dice = Dice(seed=1)
    assert [dice.between(1, 1000) for _ in range(5)] == [135, 848, 764, 256, 496]
    items = list(range(8))
    dice.shuffle(items)
    assert sorted(items) == list(range(8))
    assert dice.weighted((("never", 0.0), ("always", 1.0))) == "always"


def test_no_sentence_comes_twice_on_either_side(pairs):
    assert len({pair.english for pair in pairs}) == len(pairs)
    assert len({pair.german for pair in pairs}) == len(pairs)


def test_lengths_are_spread_as_planned(corpus):
    for split in corpus.values():
        lengths = [len(pair.english.split()) for pair in split]
        for (low, high), share in LENGTHS:
            assert sum(low <= length <= high for length in lengths) == pytest.approx(share * len(split), abs=1)
        assert all(3 <= len(pair.german.split()) <= 60 for pair in split)
    assert {len(pair.english.split()) for pair in corpus["train"]} == set(range(3, 61))


def test_there_are_enough_long_sentences_to_test_with(corpus):
    lengths = [len(pair.english.split()) for pair in corpus["test"]]
    assert sum(length > 30 for length in lengths) >= 65
    assert sum(length > 45 for length in lengths) >= 25


def test_the_vocabulary_is_rich_and_its_words_come_often(corpus):
    english = Counter(word for pair in corpus["train"] for word in plain(pair.english))
    german = Counter(word for pair in corpus["train"] for word in plain(pair.german))
    assert len(english) >= 1000
    size = len(corpus["train"])
    assert len(german) >= (1800 if size == 20_000 else 1600)
    tested = [word for pair in corpus["test"] for word in plain(pair.german)]
    assert sum(german[word] < size // 2000 for word in tested) < 0.01 * len(tested)


def test_every_construction_occurs(pairs):
    found = Counter(construction for pair in pairs for construction in pair.constructions)
    expected = {name.strip() for line in CONSTRUCTIONS.strip().splitlines() for name in line.split("|")}
    assert set(found) == expected
    assert min(found.values()) >= len(pairs) / 1050


def test_every_english_sentence_has_one_translation():
    """The same words never have two translations: what varies in German is decided by the English."""
    generator = Generator(seed=1)
    seen: dict[str, str] = {}
    every = [pair for pair in (generator._pair(3, 5) for _ in range(3000)) if pair]
    for pair in every:
        assert seen.setdefault(pair.english, pair.german) == pair.german
    assert len(every) - len(seen) > 20


def test_alignments_are_in_range_and_cover_every_token(pairs):
    for pair in pairs:
        english, german = pair.english.split(), pair.german.split()
        assert list(pair.alignment) == sorted(set(pair.alignment))
        assert {i for i, _ in pair.alignment} == set(range(len(english))), pair
        assert {j for _, j in pair.alignment} == set(range(len(german))), pair


def test_names_and_numbers_are_aligned_with_themselves(pairs):
    same = {
        "Anna": "Anna",
        "Peter": "Peter",
        "Berlin": "Berlin",
        "Tuesday": "Dienstag",
        "Monday": "Montag",
        "because": "weil",
    }
    checked = 0
    for pair in pairs:
        english, german = (
            side.replace(",", "").replace(".", "").replace("?", "").split() for side in (pair.english, pair.german)
        )
        for i, j in pair.alignment:
            if english[i] in same and english.count(english[i]) == 1 and german[j] not in ("wegen", "um"):
                assert german[j].lower() == same[english[i]].lower(), pair
                checked += 1
    assert checked > 500


def test_noun_phrases_are_aligned_in_order(pairs):
    """Within article, adjective and noun the order is the same in both languages."""
    checked = 0
    for pair in pairs:
        english = pair.english.lower().split()
        places = {i: [j for k, j in pair.alignment if k == i] for i in range(len(english))}
        for i in range(len(english) - 1):
            possessor = english[i + 1].rstrip(",.?").endswith(("'s", "'"))
            here, there = places[i], places[i + 1]
            if english[i] not in ("the", "a", "an", "my", "our", "this") or possessor or english[i - 1] == "not":
                continue
            if len(here) == len(there) == 1:
                assert here <= there, pair
                checked += 1
    assert checked > 1000


# ----------------------------------------------------------------------------------------------------------- files


def read(folder: Path, name: str) -> list[str]:
    return (folder / name).read_bytes().decode().removesuffix("\n").split("\n")


def test_files(tmp_path):
    sizes = {"train": 60, "valid": 10, "test": 20, "more": 30}
    assert make_corpus(folder=tmp_path / "new" / "folder", seed=1, sizes=sizes)
    folder = tmp_path / "new" / "folder"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    sentences: list[str] = []
    for split, size in sizes.items():
        english, german, links = (read(folder, f"{split}.{side}") for side in ("en", "de", "align"))
        assert len(english) == len(german) == len(links) == size
        sentences += english + german
        for left, right, line in zip(english, german, links, strict=True):
            for link in line.split(" "):
                i, j = map(int, link.split("-"))
                assert i < len(left.split(" "))
                assert j < len(right.split(" "))
    assert len(set(sentences)) == len(sentences)
    note = json.loads((folder / "corpus.json").read_text())
    assert note["seed"] == 1
    assert note["sizes"] == sizes
    assert "exercise corpus" in note["about"].lower()
    assert note["constructions"]


def test_files_that_are_up_to_date_are_left_alone(tmp_path):
    sizes = {"train": 20, "valid": 5, "test": 5}
    make_corpus(folder=tmp_path, seed=1, sizes=sizes)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    assert not make_corpus(folder=tmp_path, seed=1, sizes=sizes)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before

    (tmp_path / "valid.de").write_text("something else\n")
    assert make_corpus(folder=tmp_path, seed=1, sizes=sizes)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        name: text for name, (text, _) in before.items()
    }

    (tmp_path / "test.align").unlink()
    assert make_corpus(folder=tmp_path, seed=1, sizes=sizes)
    (tmp_path / "corpus.json").write_text("{")
    assert make_corpus(folder=tmp_path, seed=1, sizes=sizes)
    assert make_corpus(folder=tmp_path, seed=2, sizes=sizes)
    assert make_corpus(folder=tmp_path, seed=2, sizes={**sizes, "train": 21})


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        make_corpus(folder=tmp_path / "file", seed=1, sizes={"train": 1, "valid": 1, "test": 1})


def run(*options: str | Path, cwd: Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "scripts" / "fetch_data", "exercise", *options]
    return subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=60)


def test_the_command(tmp_path):
    options = ["--output", "some corpus", "--seed", "5", "--train", "30", "--valid", "4", "--test", "6", "--more", "5"]
    first = run(*options, cwd=tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    assert "30 train" in first.stdout
    assert sorted(path.name for path in (tmp_path / "some corpus").iterdir()) == FILES
    second = run(*options, cwd=tmp_path)
    assert (second.returncode, second.stderr) == (0, "")
    assert "up to date" in second.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--train", "-1"], "less than 0"), (["--train", "many"], "invalid"), (["--seed", "x"], "invalid")],
)
def test_wrong_options(tmp_path, options, message):
    result = run("--output", "corpus", *options, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unusable_folder_is_reported_without_traceback(tmp_path):
    (tmp_path / "corpus").write_text("")
    result = run("--output", "corpus", "--train", "1", "--valid", "1", "--test", "1", "--more", "0", cwd=tmp_path)
    assert result.returncode == 1
    assert "error: corpus cannot be written to" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_script_works_from_anywhere_and_in_a_path_with_spaces(tmp_path):
    home = tmp_path / "a house with spaces"
    shutil.copytree(ROOT / "scripts" / "lib" / "exercise", home / "scripts" / "lib" / "exercise")
    shutil.copy2(ROOT / "scripts" / "fetch_data", home / "scripts" / "fetch_data")
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    result = run("--train", "10", "--valid", "2", "--test", "2", "--more", "2", cwd=elsewhere, root=home)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (home / "data" / "exercise").iterdir()) == FILES
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("worth_a_process", [1, 1000])
def test_further_training_text_leaves_the_other_parts_as_they_are(tmp_path, monkeypatch, worth_a_process):
    monkeypatch.setattr("exercise.corpus.WORTH_A_PROCESS", worth_a_process)
    sizes = {"train": 30, "valid": 5, "test": 5}
    make_corpus(folder=tmp_path / "small", seed=1, sizes=sizes)
    make_corpus(folder=tmp_path / "large", seed=1, sizes={**sizes, "more": 30})
    for split in sizes:
        for side in ("en", "de", "align"):
            name = f"{split}.{side}"
            assert (tmp_path / "small" / name).read_bytes() == (tmp_path / "large" / name).read_bytes()
    texts = [line for split in (*sizes, "more") for line in read(tmp_path / "large", f"{split}.en")]
    assert len(set(texts)) == len(texts) == 70


def test_a_second_process_generates_the_same_text(tmp_path, monkeypatch):
    sizes = {"train": 400, "valid": 5, "test": 5, "more": 400}
    texts = []
    for worth_a_process in (1, 1000):
        monkeypatch.setattr("exercise.corpus.WORTH_A_PROCESS", worth_a_process)
        make_corpus(folder=tmp_path / str(worth_a_process), seed=1, sizes=sizes)
        texts.append([(tmp_path / str(worth_a_process) / name).read_bytes() for name in FILES])
    assert texts[0] == texts[1]
    every = [line for split in sizes for line in read(tmp_path / "1", f"{split}.en")]
    assert len(set(every)) == len(every) == sum(sizes.values())


def test_a_pair_with_a_sentence_of_another_generator_is_replaced():
    first, second = Generator(seed=1), Generator(seed=1)
    pairs = first.pairs(300)
    taken = {pair.english for pair in pairs[:100]} | {pair.german for pair in pairs[100:150]}
    others = second.without(taken, second.pairs(300))
    assert len(others) == len({pair.english for pair in others}) == 300
    assert not taken & {side for pair in others for side in (pair.english, pair.german)}
    assert set(pairs[150:]) <= set(others)
    lengths = [sorted(_range(pair) for pair in some) for some in (pairs, others)]
    assert lengths[0] == lengths[1]


@pytest.mark.slow  # generates 21,000 pairs
def test_the_examples_of_the_quickstart_are_in_the_test_set():
    script = (ROOT / "scripts" / "quickstart").read_text(encoding="utf-8")
    (block,) = re.findall(r"^examples='(.*?)'$", script, flags=re.MULTILINE | re.DOTALL)
    generator = Generator(seed=1)
    for count in (20_000, 500):
        generator.pairs(count)
    known = {pair.english for pair in generator.pairs(500)}
    assert {line.split("|")[1] for line in block.splitlines()} <= known


def test_the_examples_in_the_readme_are_of_the_default_corpus(pairs):
    readme = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"^\| ([A-Z][^|]+[.?]) \| ([A-ZÄÖÜ][^|]+[.?]) \|$", readme, flags=re.MULTILINE)
    assert len(examples) >= 8
    words = {word for pair in pairs for word in plain(f"{pair.english} {pair.german}")}
    assert {word for example in examples for word in plain(" ".join(example))} <= words
    if len(pairs) > 20_000:
        known = {(pair.english, pair.german) for pair in pairs}
        assert [example for example in examples if example not in known] == []
