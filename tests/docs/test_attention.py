"""docs/concepts/attention.md names code, options and commands that exist."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

import code_links
from cli_tools import ROOT
from diagrams import FOLDER, PICTURES
from nmt.config.introspection import find
from nmt.config.schema import AttentionConfig
from nmt.model.attention import Attention, DotScore
from nmt.model.layers import AttentionalLayer
from nmt.model.memory import Memory

PAGE = ROOT / "docs" / "concepts" / "attention.md"
TEXT = PAGE.read_text(encoding="utf-8")
SHOWN = re.sub(r"<!--.*?-->", "", TEXT, flags=re.DOTALL)


def test_enough_code_is_named() -> None:
    assert len({link["symbol"] for link in code_links.LINK.finditer(TEXT)}) > 15


@pytest.mark.parametrize("page", code_links.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_code_lead_to_the_line_of_its_definition(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert code_links.with_lines(text, page.parent) == text, "run: python scripts/lib/code_links.py"


def test_a_link_to_code_gets_the_line_of_its_class_or_method(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n\nclass A:\n    y = 2\n    def f(self): ...\n", encoding="utf-8")
    text = "[`A`](a.py) and [`A.f`](a.py#L1), ![`A`](a.py), [a](a.py)"
    assert code_links.with_lines(text, tmp_path) == "[`A`](a.py#L3) and [`A.f`](a.py#L5), ![`A`](a.py), [a](a.py)"
    with pytest.raises(KeyError, match="B"):
        code_links.with_lines("[`B`](a.py)", tmp_path)


def test_every_score_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", SHOWN, flags=re.MULTILINE)
    assert {*rows, "none"} == set(get_args(AttentionConfig.model_fields["score"].annotation))


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:model|training)\.[a-z_.]+)`", TEXT))))
def test_options_that_are_named_exist(path: str) -> None:
    assert find(tuple(path.split("."))) is not None


def test_pictures_that_are_shown_are_there_and_small() -> None:
    pictures = [PAGE.parent / path for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", SHOWN)]
    assert all(picture.is_file() for picture in pictures)
    assert sum(picture.stat().st_size for picture in pictures) < 300_000


def test_scripts_and_configurations_that_are_named_are_there() -> None:
    named = set(re.findall(r"(?<![\w/])((?:scripts|configs)/[a-z0-9_./-]+)", SHOWN))
    assert {"scripts/fetch_data", "configs/sweeps/long-exercise.yaml"} <= named
    assert all((ROOT / path).is_file() for path in named)


def worked_example() -> tuple[str, str, str]:
    """The steps by hand, the code, and what it prints."""
    (section,) = re.findall(r"^## A worked example$(.*?)^## ", TEXT, flags=re.DOTALL | re.MULTILINE)
    (code,), (printed,) = (re.findall(rf"```{kind}\n(.*?)```", section, flags=re.DOTALL) for kind in ("python", "text"))
    return section[: section.index("```")], code, printed


def run_example() -> tuple[dict[str, Any], str]:
    """The variables of the code of the page, and what it prints."""
    variables: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(worked_example()[1], variables)
    return variables, output.getvalue()


def test_the_worked_example_prints_what_the_page_shows() -> None:
    assert run_example()[1] == worked_example()[2]


def test_the_numbers_by_hand_are_those_of_the_code() -> None:
    by_hand, variables = worked_example()[0], run_example()[0]
    for name in ("h_1", "h_2", "h_3", "s"):
        (shown,) = re.findall(rf"(?<!\w){name} = \[(.*?)\]", by_hand)
        known = variables["s"] if name == "s" else variables["h"][int(name[2:]) - 1]
        assert [float(number) for number in shown.split(",")] == known.tolist()
    steps = dict(re.findall(r"^(\d)\. (.*)$", by_hand, flags=re.MULTILINE))
    scores, powers = variables["e"], np.exp(variables["e"])
    product = variables["W"] @ variables["j"]
    expected = {
        "1": scores,
        "2": [*powers, powers.sum(), *variables["a"]],
        "3": [*variables["a"], *variables["c"]],
        "5": [product[0], variables["t"][0]],
        "6": [variables["p"][0]],
    }
    for number, values in expected.items():
        shown = [float(found) for found in re.findall(r"(?<![\w^.])\d+(?:\.\d+)?", steps[number])]
        for value in values:
            assert any(abs(value - one) < 6e-4 for one in shown), (number, value)


def test_the_classes_compute_the_worked_example() -> None:
    variables, _ = run_example()
    h, s, weight = (torch.tensor(variables[name], dtype=torch.float32) for name in ("h", "s", "W"))
    attention = Attention(score=DotScore(scale=1.0), window=None, memory_size=3, heads=1, coverage=False, dropout=0.0)
    keys, values = attention.keys_and_values(h[None])
    memory = Memory(h[None], keys, torch.ones(1, 3, dtype=torch.bool), (), values)
    context, weights = attention(s[None, None], memory)
    layer = AttentionalLayer(
        kind="attentional", context_size=3, hidden_size=3, embedding_size=3, output_size=3, gated=False
    )
    with torch.no_grad():
        layer.weight.copy_(weight)
        state = layer(context, s[None, None], s[None, None])
    for found, name in ((weights, "a"), (context, "c"), (state, "t")):
        np.testing.assert_allclose(found[0, 0].numpy(), variables[name], rtol=1e-5)


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_are_those_of_the_script_and_shown(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PICTURES[name](), "run: python scripts/lib/diagrams.py"
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    assert any(f"images/{name})" in one.read_text(encoding="utf-8") for one in pages)
