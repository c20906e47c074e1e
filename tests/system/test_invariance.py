"""A line has the same translation in every way to translate it: batches, orders, threads, processes, pipes, Python."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

import nmt
from cli_tools import nmt as command
from cli_tools import nmt_warm
from nmt.data.lines import write_lines
from nmt.inference.streaming import SourceLine
from toy_experiments import toy_pairs
from toy_teachers import save_teacher

ODD = ["", "   ", "🙂", "dog " * 60, "<b>the dog</b> sees 3.14 € .", "собака видит дом", "the " + "x" * 300]
LINES = [*(source for source, _ in toy_pairs(9, seed=3)), *ODD]
BEAM = {"beam_size": 4, "n_best": 1, "precision": "fp32"}
MODES: dict[str, dict[str, Any]] = {
    "greedy": {**BEAM, "beam_size": 1},
    "beam": BEAM,
    "n_best": {**BEAM, "n_best": 3},
    "sampling": {"sampling": True, "n_best": 3, "seed": 7, "precision": "fp32"},
    "ensemble": BEAM,
    "prefixes": BEAM,
    "required": BEAM,
    "avoid": BEAM,
    "terminology": BEAM,
}
TERMS = {"dog": "Katze", "house": "Baum"}
AVOIDED = ["Hund", "Vogel"]
WORDS = ["Hund", "Baum", "heute"]

Hypotheses = list[tuple[str, float]]
"""Text and score of the n-best list of a line."""


class Case(NamedTuple):
    """Lines and how they are translated."""

    mode: str
    order: Sequence[int]

    @property
    def requests(self) -> list[SourceLine]:
        """The lines in their order, with their constraints. A constraint belongs to its line."""
        found = []
        for number in self.order:
            word = WORDS[number % len(WORDS)]
            prefix = word if self.mode == "prefixes" else ""
            required = (word,) if self.mode == "required" else ()
            found.append(SourceLine(LINES[number], prefix=prefix, required=required))
        return found

    @property
    def models(self) -> list[Path]:
        names = ["one", "two"] if self.mode == "ensemble" else ["one"]
        return [Path(f"{name}.safetensors").absolute() for name in names]


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two models of random weights in the current folder."""
    monkeypatch.chdir(tmp_path)
    save_teacher(Path("one.safetensors"))
    save_teacher(Path("two.safetensors"), seed=9)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def arguments(case: Case, *options: str) -> list[str]:
    """Return the command that translates a case from its file, and write its files."""
    requests = case.requests
    write_lines("source", [request.text for request in requests])
    files: Mapping[str, list[str]] = {
        "prefixes": [request.prefix for request in requests],
        "required": ["\t".join(request.required) for request in requests],
        "avoid": AVOIDED,
        "terminology": [f"{source}\t{target}" for source, target in TERMS.items()],
    }
    words = ["translate", "--quiet", "--format", "jsonl"]
    for model in case.models:
        words += ["--model", str(model)]
    for name, value in MODES[case.mode].items():
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    if case.mode in files:
        write_lines(case.mode, files[case.mode])
        words += [f"--{case.mode}", case.mode]
    return [*words, *options]


def read(output: str) -> list[Hypotheses]:
    lines = output.split("\n")[:-1]
    return [[(one["text"], one["score"]) for one in json.loads(line)["hypotheses"]] for line in lines]


def from_file(*options: str) -> Callable[[Case], list[Hypotheses]]:
    def translate(case: Case) -> list[Hypotheses]:
        done = command(*arguments(case, *options), "source")
        assert done.code == 0, done.stderr
        return read(done.stdout)

    return translate


def from_pipe(*options: str) -> Callable[[Case], list[Hypotheses]]:
    def translate(case: Case) -> list[Hypotheses]:
        words = arguments(case, *options)
        done = nmt_warm(*words, folder=Path(), stdin=Path("source").read_bytes())
        assert done.code == 0, done.stderr
        return read(done.stdout)

    return translate


def from_python(give: Callable[[list[SourceLine]], Any]) -> Callable[[Case], list[Hypotheses]]:
    def translate(case: Case) -> list[Hypotheses]:
        steering: dict[str, Any] = {}
        if case.mode == "avoid":
            steering["avoid"] = AVOIDED
        if case.mode == "terminology":
            steering["terminology"] = TERMS
        model = nmt.load(case.models, **MODES[case.mode]).with_options(**steering)
        found = model.translate(give(case.requests))
        return [[(one.text, one.score) for one in translation.hypotheses] for translation in found]

    return translate


WAYS: dict[str, Callable[[Case], list[Hypotheses]]] = {
    **{f"batch of {size}": from_file("--batch-size", str(size)) for size in (1, 7, 64)},
    "one thread": from_file("--threads", "1"),
    "a list in Python": from_python(list),
    "an iterator in Python": from_python(iter),
}
PROCESSES: dict[str, Callable[[Case], list[Hypotheses]]] = {
    "standard input": from_pipe(),
    "two processes": from_pipe("--processes", "2"),
}


def differing(wanted: Sequence[Hypotheses], found: Sequence[Hypotheses]) -> list[int]:
    """Return the numbers of the lines whose hypotheses are not the same, with scores within 0.0001."""
    return [
        number
        for number, (one, other) in enumerate(zip(wanted, found, strict=True))
        if [text for text, _ in one] != [text for text, _ in other]
        or any(abs(a - b) > 1e-4 for (_, a), (_, b) in zip(one, other, strict=True))
    ]


def assert_the_same(mode: str, ways: Mapping[str, Callable[[Case], list[Hypotheses]]]) -> None:
    case = Case(mode, range(len(LINES)))
    wanted = from_file()(case)
    assert len(wanted) == len(LINES)
    assert len({one[0][0] for one in wanted if one}) > len(LINES) / 4  # the models say something
    for name, way in ways.items():
        assert differing(wanted, way(case)) == [], name


@pytest.mark.parametrize("mode", MODES)
def test_every_way_gives_the_same_translations(mode: str) -> None:
    assert_the_same(mode, WAYS)


def test_other_processes_give_the_same_translations() -> None:
    assert_the_same("n_best", PROCESSES)


@pytest.mark.slow  # starts three processes for each mode, which translate as the one above
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "n_best"])
def test_other_processes_give_the_same_translations_in_every_mode(mode: str) -> None:
    assert_the_same(mode, PROCESSES)


# A sample depends on the number of its line.
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "sampling"])
def test_the_order_of_the_lines_changes_no_translation(mode: str) -> None:
    numbers = range(len(LINES))
    wanted = from_file()(Case(mode, numbers))
    for order in (random.Random(1).sample(numbers, len(LINES)), sorted(numbers, key=lambda number: len(LINES[number]))):
        found = from_file()(Case(mode, order))
        assert differing([wanted[number] for number in order], found) == []
