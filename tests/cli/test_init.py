"""`nmt config init` looks at a text, and writes a configuration that fits it, with reasons."""

from __future__ import annotations

import importlib.util
import random
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli_tools import assert_explained, contents, nmt
from nmt.cli.init import choices as starting_choices
from nmt.cli.init.choices import percent
from nmt.cli.init.corpus_files import TextFiles, hold_out
from nmt.cli.init.init import fitting
from nmt.cli.init.yaml_text import YamlEntry, changed, recipe_entries, render
from nmt.config import Config, load_config
from nmt.config.inheritance import recipe_file, recipe_names
from nmt.config.schema import PairConfig
from nmt.data.preprocess.corpus_stats import corpus_stats
from nmt.data.sample import take_sample
from nmt.data.words import comparable

ALPHABETS = {
    "en": "abcdefghijklmnopqrstuvwxyz",
    "de": "abcdefghijklmnopqrstuvwxyzäöüß",
    "ru": "абвгдежзиклмнопрстухцчшщэюя",
    "ja": "かきくけこさしすせそたちつてと日本語文学国人",
    "ko": "가나다라마바사아자차카타파하고노도로모보",
    "zh": "".join(chr(0x4E00 + 7 * number) for number in range(300)),
}
REASONED = {
    *("data.filters.max_words", "data.filters.max_length_ratio"),
    *("data.filters.drop_identical", "data.filters.drop_duplicates"),
    *("tokenizer.vocabulary_size", "tokenizer.joint", "tokenizer.character_coverage"),
    *("training.max_epochs", "evaluation.bleu_tokenizer"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sentences(language: str, count: int, *, seed: int = 1, most: int = 12) -> list[str]:
    generator = random.Random(f"{language}{seed}")
    letters = ALPHABETS[language]
    words = ["".join(generator.choices(letters, k=generator.randint(2, 7))) for _ in range(400)]
    between = "" if language in ("ja", "zh") else " "
    return [between.join(generator.choices(words, k=generator.randint(4, most))) for _ in range(count)]


def write(name: str, lines: Sequence[str], encoding: str = "utf-8") -> None:
    Path(name).write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))


def corpus(source: str, target: str, count: int, *, name: str = "train", seed: int = 1) -> None:
    for language in (source, target):
        write(f"{name}.{language}", sentences(language, count, seed=seed))


def init(source: str, target: str, *more: str, name: str = "train") -> Any:
    files = ("--source", f"{name}.{source}", "--target", f"{name}.{target}")
    return nmt("config", "init", *files, "-o", "new.yaml", *more)


def made(source: str, target: str, *more: str, name: str = "train") -> tuple[Config, str, str]:
    """Make a configuration, and return it, its text, and what was said meanwhile."""
    outcome = init(source, target, *more, name=name)
    assert (outcome.code, outcome.stdout) == (0, ""), outcome
    return load_config(Path("new.yaml")), Path("new.yaml").read_text("utf-8"), outcome.stderr


def reasons(text: str) -> dict[str, str]:
    """The comment behind each option, or right above it."""
    found, path, above = {}, [""], ""
    for line in text.split("\n"):
        content = line.strip()
        if content.startswith("#"):
            above += content
        elif content and not content.startswith("-"):
            path = [*path[: (len(line) - len(line.lstrip())) // 2], content.partition(":")[0]]
            found[".".join(path)] = content.partition(" #")[2] + above
            above = ""
        else:
            above = ""
    return found


# ------------------------------------------------------------------------------------------------ what is written


@pytest.mark.parametrize("pair", [("en", "de"), ("en", "ru"), ("ja", "en"), ("zh", "ko")], ids="-".join)
def test_what_is_written_is_a_whole_configuration(pair: tuple[str, str]) -> None:
    corpus(*pair, 120)
    corpus(*pair, 6, name="valid", seed=2)
    config, text, _ = made(*pair)
    assert nmt("config", "check", "new.yaml").code == 0
    assert (config.data.source_language, config.data.target_language) == pair
    said = reasons(text)
    assert set(said) >= REASONED
    assert all(len(said[path]) > 10 for path in REASONED), {path: said[path] for path in REASONED if not said[path]}
    assert all(len(line) <= 121 for line in text.split("\n")), "fits into a terminal"
    assert yaml.safe_load(text).keys() == {"data", "tokenizer", "model", "training", "decoding", "evaluation"}


@pytest.mark.parametrize("recipe", recipe_names())
def test_all_that_the_text_does_not_decide_is_that_of_the_recipe(recipe: str) -> None:
    corpus("en", "de", 120)
    corpus("en", "de", 6, name="valid")
    config, text, _ = made("en", "de", "--recipe", recipe)
    assert f"from the recipe {recipe} " in text
    Path("based.yaml").write_text(
        f"base: {recipe}\ndata:\n  source_language: en\n  target_language: de\n  train:\n    - source: train.en\n"
        "      target: train.de\n  valid: {source: valid.en, target: valid.de}\n",
        "utf-8",
    )
    based = load_config(Path("based.yaml"))
    assert config.decoding == based.decoding
    assert config.model == based.model
    schedule = {"schedule": based.training.schedule, "validation": based.training.validation}
    assert config.training.model_copy(update=schedule) == based.training


def test_the_same_text_gives_the_same_configuration() -> None:
    corpus("en", "de", 50)
    corpus("en", "de", 6, name="valid")
    once = made("en", "de")[1]
    assert init("en", "de", "--overwrite").code == 0
    assert Path("new.yaml").read_text("utf-8") == once


@pytest.mark.parametrize(
    ("pair", "joint"), [(("en", "de"), True), (("en", "ru"), False), (("ru", "en"), False), (("ja", "en"), False)]
)
def test_different_scripts_share_no_vocabulary(pair: tuple[str, str], joint: bool) -> None:
    corpus(*pair, 60)
    corpus(*pair, 5, name="valid")
    config, text, _ = made(*pair)
    assert config.tokenizer.joint is joint
    assert config.model.tying == ("three_way" if joint else "two_way")
    if not joint:
        assert "share no pieces" in reasons(text)["tokenizer.joint"]
        assert "target and output share a table" in reasons(text)["model.tying"]


def test_more_text_more_pieces_and_characters_always_fit() -> None:
    sizes = []
    for count in (40, 400, 4000):
        corpus("en", "de", count)
        corpus("en", "de", 5, name="valid")
        sizes.append(made("en", "de", "--overwrite")[0].tokenizer.vocabulary_size)
    assert sizes == sorted(sizes)
    assert all(size % 100 == 0 and size > 256 + 4 for size in sizes)
    write("train.zh", [chr(0x4E00 + number) + "的" for number in range(3000)])
    write("train.en", ["a word"] * 3000)
    write("valid.zh", ["的"] * 5)
    config, text, _ = made("zh", "en", "--overwrite")
    assert config.tokenizer.vocabulary_size > 3000 + 256
    assert config.tokenizer.character_coverage == 0.9995
    assert "written as bytes" in reasons(text)["tokenizer.character_coverage"]


def test_words_that_are_not_cut_anew_have_larger_pieces_and_more_passes() -> None:
    for language in ("en", "de"):
        many_words = [line for seed in range(20) for line in sentences(language, 200, seed=seed)]
        write(f"train.{language}", many_words)
    sample = take_sample(PairConfig(source="train.en", target="train.de"))
    text = corpus_stats(sample, source_language="en", target_language="de")
    file = recipe_file("low-resource-cpu")
    assert file is not None
    sizes, passes = [], []
    for sampling in ("0.1", "0.0"):
        recipe = changed(recipe_entries(file), [YamlEntry(("tokenizer", "sampling"), sampling, "")])
        found = {".".join(entry.path): entry for entry in starting_choices.choices(text, recipe)}
        sizes.append(int(found["tokenizer.vocabulary_size"].value))
        passes.append(int(re.findall(r"about ([\d,]+) updates each", found["training.max_epochs"].comment)[0]))
    assert sizes[0] < sizes[1]
    assert passes[0] > passes[1] > 0, "fewer pieces are fewer updates for each pass"


def test_a_vocabulary_for_one_side_is_smaller_than_one_for_both() -> None:
    sizes = {}
    for other in ("de", "ru"):
        corpus("en", other, 1000)
        corpus("en", other, 5, name="valid")
        sizes[other] = made("en", other, "--overwrite")[0].tokenizer.vocabulary_size
    assert sizes["ru"] < sizes["de"], "joint for English and German, one for each side for English and Russian"


def test_short_trainings_warm_up_and_are_measured_before_they_end() -> None:
    corpus("en", "de", 200)
    corpus("en", "de", 5, name="valid")
    config, text, _ = made("en", "de")
    said = reasons(text)["training.max_epochs"]
    each, total = (int(number.replace(",", "")) for number in re.findall(r"([\d,]+) (?:updates|in total)", said))
    assert total == pytest.approx(each * config.training.max_epochs, rel=0.1)
    assert 0 < config.training.schedule.warmup <= total / 5
    assert 0 < (config.training.validation.every_updates or 0) <= total / 5


@pytest.mark.parametrize(
    ("pairs", "with_gpu", "without"),
    [
        *[(1, "low-resource", "low-resource-cpu"), (10_000, "low-resource", "low-resource-cpu")],
        *[(15_001, "low-resource", "small-cpu"), (29_000, "low-resource", "small-cpu")],
        *[(70_000, "low-resource", "small-cpu"), (100_000, "medium", "medium")],
        *[(1_000_000, "medium", "medium"), (1_000_001, "large", "large"), (10**9, "large", "large")],
    ],
)
def test_the_number_of_pairs_chooses_the_recipe(pairs: int, with_gpu: str, without: str) -> None:
    assert (fitting(pairs, gpu=True), fitting(pairs, gpu=False)) == (with_gpu, without)
    assert {with_gpu, without} <= set(recipe_names())


@pytest.mark.parametrize(("gpu", "found", "other"), [(False, "-cpu", ""), (True, "", "-cpu")])
def test_the_machine_chooses_the_recipe_and_the_other_one_is_told(
    gpu: bool, found: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.cli.init.init._has_gpu", lambda: gpu)
    corpus("en", "de", 20)
    corpus("en", "de", 5, name="valid")
    command = ("config", "init", "--source", "train.en", "--target", "train.de")
    outcome = nmt(*command)
    assert f"from the recipe low-resource{found} " in outcome.stdout
    assert f"recipe low-resource{found} for a machine with" in outcome.stderr
    assert outcome.stderr.rstrip().removesuffix(")").endswith(f"--recipe low-resource{other}")
    for name in ("low-resource", "low-resource-cpu", "small-cpu", "medium"):
        assert "--recipe" not in nmt(*command, "--recipe", name).stderr


def test_what_was_seen_is_told() -> None:
    write("train.en", ["one two three", "one two three", "same", *sentences("en", 17)])
    write("train.de", ["eins zwei drei", "eins zwei drei", "same", *sentences("de", 17)])
    corpus("en", "de", 5, name="valid")
    text = made("en", "de")[1]
    assert "Statistics of train.en and train.de:" in text
    assert "20 pairs" in text
    assert "letters: Latin 100%" in text
    assert "5.0% identical sides" in text
    assert "duplicates: 5.0%" in text


def test_the_exercise_corpus_is_looked_at_if_it_is_there() -> None:
    before = nmt("config", "init").stdout
    assert "Statistics of" not in before
    Path("data/exercise").mkdir(parents=True)
    corpus("en", "de", 30, name="data/exercise/train")
    after = nmt("config", "init").stdout
    assert "Statistics of data/exercise/train.en" in after
    assert "recipe low-resource-cpu" in before
    assert "recipe low-resource-cpu" in after


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize(
    ("language", "tokenizer"), [("ja", "ja-mecab"), ("ko", "ko-mecab"), ("zh", "zh"), ("de", "13a")]
)
def test_bleu_has_the_tokenizer_of_the_target_or_one_that_is_installed(
    language: str, tokenizer: str, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    modules = starting_choices.MECAB.values()
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: installed or None if name in modules else real(name, *rest)
    )
    corpus("en", language, 40)
    corpus("en", language, 5, name="valid")
    config, text, _ = made("en", language)
    why = reasons(text)["evaluation.bleu_tokenizer"]
    assert tokenizer in why
    if installed or language in ("zh", "de"):
        assert config.evaluation.bleu_tokenizer == "auto"
    else:
        assert config.evaluation.bleu_tokenizer == "char"
        assert f'pip install "sacrebleu[{language}]"' in why


def test_long_lines_widen_the_filters_and_are_warned_of() -> None:
    for language in ("en", "de"):
        write(f"train.{language}", [" ".join(sentences(language, 50, seed=number)) for number in range(20)])
        write(f"valid.{language}", sentences(language, 5))
    config, _, said = made("en", "de")
    longest = max(len(line.split()) for line in Path("train.en").read_text("utf-8").split("\n"))
    assert config.data.filters.max_words > max(longest, 250)
    assert 300 < config.data.filters.max_pieces <= config.training.batch_tokens / 2
    assert "Models translate single sentences better" in said
    assert "too long" not in said, "the configuration that was made leaves them in"


def test_names_of_files_cannot_break_the_configuration() -> None:
    name = 'a\nseed: 7\n# "b": {'
    corpus("en", "de", 30, name=name)
    corpus("en", "de", 5, name="valid")
    valid = ("--valid-source", "valid.en", "--valid-target", "valid.de")
    config, _, _ = made("en", "de", *valid, name=name)
    assert config.data.train[0].source == f"{name}.en"
    assert config.seed == load_config(Path("new.yaml"), ["seed=1"]).seed


# --------------------------------------------------------------------------------------------------- files and splits


def test_pairs_are_set_aside_where_there_is_no_validation_text() -> None:
    corpus("en", "de", 200, name="all")
    config, _, said = made("en", "de", name="all")
    data = config.data
    assert (data.train[0].source, data.valid.target) == ("all.train.en", "all.valid.de")
    assert [test.name for test in data.test] == ["held_out"]
    assert "split off 10 pairs for validation (all.valid.en, all.valid.de)" in said
    parts = [
        list(zip(*(Path(f"all.{part}.{side}").read_text("utf-8").splitlines() for side in ("en", "de")), strict=True))
        for part in ("train", "valid", "test")
    ]
    assert [len(part) for part in parts] == [180, 10, 10]
    whole = list(zip(sentences("en", 200), sentences("de", 200), strict=True))
    assert sorted(pair for part in parts for pair in part) == sorted(whole), "nothing lost, nothing twice, still pairs"
    rows = [whole.index(pair) for pair in parts[1]]
    assert max(b - a for a, b in pairwise(rows)) < 40, "evenly from all over the text"
    assert nmt("config", "check", "new.yaml").code == 0


def test_what_is_held_out_is_not_trained_on_even_if_it_is_repeated() -> None:
    lines = [(f"line {number % 97}", f"Zeile {number % 97}") for number in range(1000)]
    for side, language in enumerate(("en", "de")):
        write(f"all.{language}", [pair[side] for pair in lines])
    made("en", "de", "--hold-out", "20", name="all")
    train = set(Path("all.train.en").read_text("utf-8").splitlines())
    for part in ("valid", "test"):
        assert not train & set(Path(f"all.{part}.en").read_text("utf-8").splitlines()), part
    assert len(train) >= 50


def test_a_split_is_not_made_twice_and_replaces_nothing_unasked() -> None:
    corpus("en", "de", 100, name="all")
    write("all.valid.en", ["my own"])
    before = contents(Path())
    assert_explained(init("en", "de", "--overwrite", name="all"), "all.valid.en exists already", codes=(2,))
    assert contents(Path()) == before
    Path("all.valid.en").unlink()
    made("en", "de", name="all")
    again = init("en", "de", "--overwrite", name="all")
    assert_explained(again, "use --source all.train.en --target all.train.de", codes=(2,))
    config = made("en", "de", "--overwrite", name="all.train")[0]
    assert (config.data.valid.source, config.data.test[0].source) == ("all.valid.en", "all.test.en")


def test_a_text_that_cannot_be_written_about_is_not_split() -> None:
    corpus("en", "de", 100, name="all")
    Path("folder").mkdir()
    before = contents(Path())
    files = ("--source", "all.en", "--target", "all.de")
    for output, says in (("nowhere/new.yaml", "no such folder: nowhere"), ("folder", "folder is a folder")):
        assert_explained(nmt("config", "init", *files, "-o", output), says, codes=(2,))
        assert contents(Path()) == before


@pytest.mark.parametrize("valid", ["valid", "val", "dev"])
def test_validation_and_test_are_found_by_their_names(valid: str) -> None:
    corpus("en", "de", 40, name="news.train.clean")
    for name in (valid, "test", "test2016"):
        corpus("en", "de", 4, name=f"news.{name}.clean")
    write("news.testing.clean.en", ["has no other side"])
    before = contents(Path())
    config = made("en", "de", name="news.train.clean")[0]
    assert config.data.valid.source == f"news.{valid}.clean.en"
    assert [(test.name, test.target) for test in config.data.test] == [
        ("test", "news.test.clean.de"),
        ("test2016", "news.test2016.clean.de"),
    ]
    assert contents(Path()).keys() - before.keys() == {"new.yaml"}


def test_a_training_file_is_never_taken_for_validation_or_test() -> None:
    write("train.en", sentences("en", 40))
    write("deutsch.de", sentences("de", 40))
    for name in ("valid.en", "test.en"):
        write(name, sentences("en", 40))
    outcome = nmt("config", "init", "--source", "train.en", "--target", "deutsch.de", "-o", "new.yaml")
    assert outcome.code == 0
    data = load_config(Path("new.yaml")).data
    assert data.valid.target == "deutsch.valid.de"
    assert [test.name for test in data.test] == ["held_out"]


def test_languages_are_seen_in_the_text_where_names_do_not_tell() -> None:
    write("train.txt", sentences("ja", 40))
    write("train.tgt", sentences("ko", 40))
    write("valid.txt", sentences("ja", 4))
    write("valid.tgt", sentences("ko", 4))
    outcome = nmt("config", "init", "--source", "train.txt", "--target", "train.tgt", "-o", "new.yaml")
    assert outcome.code == 0, outcome
    assert "assuming that train.txt is ja, because it is in" in outcome.stderr
    data = load_config(Path("new.yaml")).data
    assert (data.source_language, data.target_language) == ("ja", "ko")


# ----------------------------------------------------------------------------------------------- warnings and errors


def test_few_pairs_are_warned_of() -> None:
    corpus("en", "de", 60)
    corpus("en", "de", 4, name="valid")
    said = made("en", "de")[2]
    assert "warning: 60 pairs are too few" in said
    assert "--init-from" in said


def test_dirt_and_wrong_languages_are_warned_of() -> None:
    lines = sentences("ja", 30)
    write("train.en", [*lines, *lines])
    write("train.de", [*sentences("de", 30), *sentences("de", 30)])
    write("valid.en", lines[:3])
    write("valid.de", lines[:3])
    said = made("en", "de")[2]
    assert "50% of the pairs will be filtered out: duplicate" in said
    assert "train.en looks like ja, but its language is en" in said


def test_an_ordinary_text_has_no_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.cli.init.init.FEW_PAIRS", 10)
    for name, count in (("train", 60), ("valid", 4)):
        for language in ("en", "de"):
            write(f"{name}.{language}", [line.capitalize() for line in sentences(language, count)])
    assert "warning" not in made("en", "de")[2]


GIVEN = ("--source", "train.en", "--target", "train.de")
BAD = [
    (["--source", "train.en", "--target", "train.de", "--recipe", "tiny"], ["--recipe tiny", *recipe_names()]),
    (["--source", "empty.en", "--target", "empty.de"], ["empty.en and empty.de are empty"]),
    (["--source", "nowhere.en", "--target", "train.de"], ["nowhere.en", "no such file"]),
    (["--source", "train.en", "--target", "short.de"], ["train.en has 30 lines", "short.de has 9"]),
    (["--source", "train.en", "--target", "train.en"], ["train.en is the file of both sides"]),
    (["--source", "train.en", "--target", "latin.de"], ["latin.de, line 1", "not UTF-8", "iconv"]),
    (["--source", "one.en", "--target", "one.de"], ["no validation text", "one.en", "--valid-source"]),
    ([*GIVEN, "--valid-source", "short.de", "--valid-target", "train.de"], ["short.de has 9 lines"]),
    ([*GIVEN, "--valid-source", "train.en", "--valid-target", "latin.de"], ["latin.de", "line 1", "UTF-8"]),
    ([*GIVEN, "--test-source", "empty.en", "--test-target", "empty.de"], ["empty.en and empty.de", "no lines"]),
    (["--source", "train.en", "--target", "train.de", "--test-source", "x.en", "--test-target", "x.de"], ["x.en"]),
    (["--source", "train.en", "--target", "train.de", "--target-language", "German"], ["--target-language", "German"]),
    (["--source", "train.en", "--target", "train.src"], ["train.src", "--target-language"]),
    (["--source", "train.en", "--target", "train.de", "-o", "mine.yaml"], ["mine.yaml exists", "--overwrite"]),
    (["--source", "bytes.en", "--target", "train.de"], ["bytes.en"]),
]  # fmt: skip


@pytest.mark.parametrize("valid", [True, False])
def test_another_encoding_is_an_error_with_and_without_validation_text(valid: bool) -> None:
    write("train.en", sentences("en", 30))
    write("train.de", ["größer"] * 30, "latin-1")
    if valid:
        corpus("en", "de", 4, name="valid")
    before = contents(Path())
    assert_explained(init("en", "de"), "train.de, line 1: the byte 0xf6", "iconv", codes=(1,))
    assert contents(Path()) == before


def test_a_few_broken_lines_are_left_out_and_no_error() -> None:
    corpus("en", "de", 60)
    corpus("en", "de", 4, name="valid")
    with Path("train.de").open("ab") as file:
        file.write("größer\n".encode("latin-1") * 10)
    with Path("train.en").open("ab") as file:
        file.write(b"larger\n" * 10)
    config, text, said = made("en", "de")
    assert config.data.target_language == "de"
    assert "14% of the pairs will be filtered out: wrong encoding" in said
    assert "14% wrong encoding" in text


@pytest.mark.parametrize(("arguments", "says"), BAD)
def test_what_cannot_be_used_is_explained_and_nothing_is_written(arguments: list[str], says: list[str]) -> None:
    corpus("en", "de", 30)
    write("train.src", sentences("de", 30))
    write("short.de", sentences("de", 9))
    write("one.en", ["a"])
    write("one.de", ["b"])
    write("empty.en", [])
    write("empty.de", [])
    write("latin.de", ["größer"] * 30, "latin-1")
    Path("bytes.en").write_bytes(b"\xff\xfe\x00\n" * 30)
    Path("mine.yaml").write_text("mine\n", "utf-8")
    before = contents(Path())
    assert_explained(nmt("config", "init", *arguments), *says)
    assert contents(Path()) == before


def test_the_next_command_is_named_and_no_file_is_replaced(folder: Path) -> None:
    corpus("en", "ru", 80, name="all")
    arguments = ("config", "init", "--source", "all.en", "--target", "all.ru")
    done = nmt(*arguments, "-o", "new.yaml", folder=folder)
    assert (done.code, done.stdout) == (0, ""), done
    assert "next step: nmt config check new.yaml" in done.stderr
    again = nmt(*arguments, "-o", "new.yaml", folder=folder)
    assert_explained(again, "new.yaml exists already", codes=(2,))


def test_the_help_names_all_recipes() -> None:
    help_text = nmt("config", "init", "--help", variables={"COLUMNS": "200", "TERM": "dumb"}).stdout
    assert all(name in help_text for name in recipe_names())


# --------------------------------------------------------------------------------------------------------- its parts


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_are_read_and_written_as_yaml_reads_them(name: str) -> None:
    file = recipe_file(name)
    assert file is not None
    expected = yaml.safe_load(file.read_text("utf-8"))
    base = expected.pop("base", None)
    written = yaml.safe_load(render(recipe_entries(file)))

    def contains(whole: Any, part: Any) -> bool:
        if isinstance(part, dict):
            return all(key in whole and contains(whole[key], value) for key, value in part.items())
        return bool(whole == part)

    assert contains(written, expected)
    assert base is not None or written == expected


def test_changes_take_the_place_of_options_or_stand_at_the_end_of_their_section() -> None:
    entries = [YamlEntry(("a",), "", "about a"), YamlEntry(("a", "x"), "1", "why"), YamlEntry(("b",), "2", "")]
    changes = [
        YamlEntry(("a", "x"), "3", "because"),
        YamlEntry(("a", "y", "z"), "4", ""),
        YamlEntry(("c", "d"), "5", "new"),
    ]
    text = render(changed(entries, changes))
    assert yaml.safe_load(text) == {"a": {"x": 3, "y": {"z": 4}}, "b": 2, "c": {"d": 5}}
    assert "# about a\na:" in text
    assert "x: 3 # because" in text
    assert "d: 5 # new" in text


def test_long_reasons_stand_above_their_option() -> None:
    reason = "word " * 60
    text = render([YamlEntry(("a",), "", ""), YamlEntry(("a", "b"), "1", reason.strip())])
    *above, last = text.rstrip("\n").split("\n")[1:]
    assert last == "  b: 1"
    assert len(above) > 1
    assert all(line.startswith("  # ") and len(line) <= 120 for line in above)
    assert "".join(above).count("word") == 60


@pytest.mark.parametrize(
    ("share", "text"), [(0, "none"), (0.0004, "less than 0.1%"), (0.034, "3.4%"), (0.1, "10%"), (1, "100%")]
)
def test_shares_as_people_read_them(share: float, text: str) -> None:
    assert percent(share) == text


def test_held_out_text_does_not_stand_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources and targets of the held-out parts are in no other part, in no equivalent spelling."""
    monkeypatch.chdir(tmp_path)
    spellings = ("é", "e\u0301")
    pairs = [(f"{spellings[number % 2]} {number // 2} source", f"target {number % 37}") for number in range(60)]
    pairs += [(f"source {number}", f"a target {number}") for number in range(40)]
    for name, lines in zip(("all.en", "all.fr"), zip(*pairs, strict=True), strict=True):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    train, *held_out = hold_out(TextFiles(tmp_path / "all.en", tmp_path / "all.fr"), 10, overwrite=False)
    texts = [
        [(comparable(source), comparable(target)) for source, target in part.read()] for part in (train, *held_out)
    ]
    for column in (0, 1):
        one, two, three = ({pair[column] for pair in part} for part in texts)
        assert not one & two
        assert not one & three
        assert not two & three
    assert [len(part) for part in texts] == [80, 10, 10], "nothing is removed if enough pairs occur once"


@pytest.mark.parametrize("once", [46, 10])
def test_held_out_text_counts_all_pairs(tmp_path: Path, caplog: pytest.LogCaptureFixture, once: int) -> None:
    """The warning counts all training pairs, also those that could not be held out, and pairs that were removed."""
    repeated = 80 - once
    lines = [f"{number} once" for number in range(once)] + [f"{number // 2} twice" for number in range(repeated)]
    for name in ("all.en", "all.fr"):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    with caplog.at_level("WARNING"):
        train, *held_out = hold_out(TextFiles(tmp_path / "all.en", tmp_path / "all.fr"), 10, overwrite=False)
    left = len(list(train.read()))
    assert [len(list(part.read())) for part in held_out] == [10, 10]
    assert f"only {left} of 80 pairs remain for training" in caplog.text
    assert ("were removed" in caplog.text) == (left < 60) == (once == 10)
