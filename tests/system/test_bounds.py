"""Every input has a bound: what is larger is refused in a short sentence, before it costs time or memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from nmt.config import load_config
from nmt.config.yaml_document import MAX_VALUES, parse_value
from nmt.errors import ConfigError, NMTError, UsageError
from nmt.inference.batch_search import MAX_HYPOTHESES, BatchSearcher
from nmt.inference.constraints import (
    MAX_AVOIDED_LETTERS,
    MAX_PHRASE_LETTERS,
    MAX_PREFIX_LETTERS,
    MAX_PREFIX_PIECES,
    MAX_REQUIRED_LETTERS,
    ConstraintCompiler,
    SearchJob,
    Terminology,
)
from nmt.inference.streaming import SourceLine
from nmt.search import TokenHypothesis
from tiny_translator import tiny_tokenizers, tiny_translator
from toy_experiments import TOY_CONFIG

LONGEST_ERROR = 6000
CORPUS = "    - {source: train.en, target: train.de}\n"
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{letter}: &{letter} [{','.join([f'*{before}'] * 10)}]\n"
    for before, letter in zip("abcdefgh", "bcdefghi", strict=True)
)
CONFIGURATIONS = {
    "unknown keys": (TOY_CONFIG + "".join(f"key{number}: 1\n" for number in range(3000)), "and 2,980 more"),
    "almost known keys": (
        TOY_CONFIG.replace("training:\n", "training:\n" + "".join(f"  max_epoch{n}: 1\n" for n in range(1500))),
        "did you mean training.max_epochs",
    ),
    "wrong entries": (TOY_CONFIG.replace(CORPUS, "    - {source: 1, target: x}\n" * 1500), "and 1,480 more"),
    "too many keys": (TOY_CONFIG + "".join(f"key{number}: 1\n" for number in range(MAX_VALUES)), "values"),
    "long keys": (TOY_CONFIG + "".join(f"{'k' * 800}{number}: 1\n" for number in range(900)), "unknown key"),
    "a long value": (TOY_CONFIG.replace("kind: bpe", "kind: " + "x" * 900_000), "tokenizer.kind"),
    "a long name": (TOY_CONFIG.replace("name: toy\n", f"name: {'x' * 900_000}\n"), "150 bytes"),
    "a long tag": (f"a: !{'x' * 900_000} 1", "tag"),
    "a long base": (f"base: {'x' * 900_000}", "base"),
    "a long file": ("#" * 1_000_001, "1,000,000 characters"),
    "a long number": (TOY_CONFIG.replace("seed: 5", f"seed: {'9' * 4300}"), "2147483647"),
    "multiplying aliases": (LAUGHS, "alias"),
    "chained aliases": ("a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 3000)), "levels"),
    "an alias of itself": ("a: &a [*a]", "refers to itself"),
    "deep brackets": ("[" * 100_000, "levels"),
    "deep sections": ("".join(f"{' ' * depth}a:\n" for depth in range(500)), "levels"),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_huge_configuration_is_refused_in_a_short_text(name: str, tmp_path: Path) -> None:
    text, says = CONFIGURATIONS[name]
    file = tmp_path / "huge.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(file, check_files=False)
    assert says in str(caught.value)
    assert len(str(caught.value)) < LONGEST_ERROR


@pytest.mark.parametrize(
    "override", [f"{'a.' * 5000}b=1", f"seed={'[' * 5000}", f"seed={'9' * 100_000}", f"x{'y' * 100_000}=1", "a" * 10**6]
)
def test_a_huge_override_is_refused_in_a_short_text(override: str, tmp_path: Path) -> None:
    file = tmp_path / "good.yaml"
    file.write_text(TOY_CONFIG, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(file, [override], check_files=False)
    assert len(str(caught.value)) < LONGEST_ERROR
    with pytest.raises(UsageError) as refused:
        parse_value("[" * 5000)
    assert len(str(refused.value)) < 200


def test_thousands_of_correct_entries_are_accepted(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    file.write_text(TOY_CONFIG.replace(CORPUS, CORPUS * 2000), encoding="utf-8")
    assert len(load_config(file, check_files=False).data.train) == 2000


def compiled(*, prefix: str = "", required: tuple[str, ...] = (), terms: dict[str, str] | None = None) -> object:
    compiler = ConstraintCompiler(tiny_tokenizers().target, terminology=Terminology(terms or {}) if terms else None)
    return compiler.compile(SourceLine("dog cat", prefix=prefix, required=required, number=7), ["dog cat"])


@pytest.mark.parametrize(
    ("attempt", "says"),
    [
        (lambda: compiled(prefix="x" * (MAX_PREFIX_LETTERS + 1)), "line 7"),
        (lambda: compiled(prefix="a dog . " * 1000), f"more than {MAX_PREFIX_PIECES:,}"),
        (lambda: compiled(required=("x" * (MAX_PHRASE_LETTERS + 1),)), "line 7"),
        (lambda: compiled(required=("x" * 10**6,)), "1,000,000 letters"),
        (lambda: compiled(required=("漢" * 150,)), "450 letters"),
        (lambda: compiled(required=tuple(f"dog{number}" for number in range(300))), "300 required phrases"),
        (lambda: compiled(terms={"dog": "d" * 280, "cat": "c" * 280}), f"more than {MAX_REQUIRED_LETTERS}"),
        (
            lambda: ConstraintCompiler(tiny_tokenizers().target, avoid=[f"dog{number}" for number in range(9999)]),
            f"more than {MAX_AVOIDED_LETTERS:,}",
        ),
        (lambda: ConstraintCompiler(tiny_tokenizers().target, avoid=["x" * 500]), "500 letters"),
    ],
)
def test_huge_constraints_are_refused_in_a_short_text(attempt: Callable[[], object], says: str) -> None:
    with pytest.raises(NMTError) as caught:
        attempt()
    assert says in str(caught.value)
    assert len(str(caught.value)) < 400


def test_constraints_up_to_the_bounds_are_accepted() -> None:
    assert compiled(prefix="dog " * 300)
    assert compiled(required=("the dog " * (MAX_PHRASE_LETTERS // 8),))
    assert compiled(required=tuple(f"dog {number}" for number in range(40)))


@pytest.mark.parametrize("options", [{"beam_size": 1000}, {"sampling": True, "n_best": 1000}, {"beam_size": 3}])
def test_a_huge_beam_makes_small_batches(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def search(self: BatchSearcher, jobs: Sequence[SearchJob]) -> list[list[TokenHypothesis]]:
        sizes.append(len(jobs))
        return [[TokenHypothesis([], 0.0, 0.0, [0.0], True)] for _ in jobs]

    monkeypatch.setattr(BatchSearcher, "_search_batch", search)
    translator = tiny_translator(batch_sentences=64, **options)
    list(translator.translate([f"dog {number}" for number in range(64)]))
    assert sum(sizes) == 64
    assert max(sizes) * options.get("n_best", options.get("beam_size", 1)) <= MAX_HYPOTHESES
