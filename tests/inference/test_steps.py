"""The arrays of `nmt attention --steps`, recomputed from the model file with plain numpy: no code of the engine."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.cells import cell_len
from safetensors.numpy import load_file

from cli_tools import assert_explained, nmt
from model_options import model_options, rows
from nmt.config.schema import ModelConfig
from nmt.inference.model_file import load_model
from nmt.inference.steps import LineSteps, Step, StepRecorder, architecture_notes, equations
from nmt.plots.steps_page import OTHER_FORMULAS
from nmt.plots.steps_texts import TEXTS
from tiny_translator import save_tiny_model

SOURCE, TARGET = "the red dog sleeps .", "a dog sees"
BOS, EOS = 2, 3
Vector = NDArray[np.float64]

PLACEMENTS: list[dict[str, Any]] = [
    {"attention": {}},
    {"attention": {"input_feeding": True}},
    {"attention": {"placement": "bottom"}, "decoder": {"layers": 2, "hidden_size": 24}},
    {"attention": {"placement": "bottom", "input_feeding": True}, "decoder": {"layers": 2, "hidden_size": 24}},
    {"attention": {"placement": "conditional"}},
    {"attention": {"placement": "conditional", "input_feeding": True}},
    {"attention": {}, "decoder": {"output": "deep", "hidden_size": 24}},
    {"attention": {"context_gate": True}, "decoder": {"output": "linear", "hidden_size": 24}},
]
SCORES = ("dot", "scaled_dot", "general", "concat", "additive")


def sigmoid(x: Vector) -> Vector:
    return np.asarray(1 / (1 + np.exp(-x)))


class ByHand:
    """An LSTM with attention of one global head. Vectors have one dimension, and sums are written out."""

    def __init__(self, path: Path, options: ModelConfig) -> None:
        self.w = {name: value.astype(np.float64) for name, value in load_file(path).items()}
        self.options = options

    def lstm(self, prefix: str, x: Vector, h: Vector, c: Vector) -> tuple[Vector, Vector]:
        w = self.w
        gates = w[f"{prefix}.weight_ih_l0"] @ x + w[f"{prefix}.bias_ih_l0"]
        gates = gates + w[f"{prefix}.weight_hh_l0"] @ h + w[f"{prefix}.bias_hh_l0"]
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    def encode(self, ids: list[int]) -> list[Vector]:
        embedded = [self.w["encoder.embeddings.table.weight"][piece] for piece in ids]
        sides = []
        for name, words in (("forward_cell", embedded), ("backward_cell", embedded[::-1])):
            h = c = np.zeros(self.options.encoder.hidden_size)
            states = []
            for x in words:
                h, c = self.lstm(f"encoder.layers.0.{name}", x, h, c)
                states.append(h)
            sides.append(states if name == "forward_cell" else states[::-1])
        return [np.concatenate(pair) for pair in zip(*sides, strict=True)]

    def score(self, q: Vector, h: Vector) -> float:
        kind, w, prefix = self.options.attention.score, self.w, "decoder.attention.score"
        if kind in ("dot", "scaled_dot"):
            return float(q @ h) / (len(q) ** 0.5 if kind == "scaled_dot" else 1.0)
        if kind == "general":
            return float(q @ (w[f"{prefix}.projection.weight"] @ h))
        hidden = w[f"{prefix}.query_projection.weight"] @ q + w[f"{prefix}.key_projection.weight"] @ h
        if kind == "additive":
            hidden = hidden + w[f"{prefix}.query_projection.bias"]
        return float(w[f"{prefix}.vector.weight"][0] @ np.tanh(hidden))

    def attend(self, found: dict[str, Vector], q: Vector, memory: list[Vector]) -> Vector:
        scores = np.array([self.score(q, h) for h in memory])
        weights = np.exp(scores) / np.exp(scores).sum()
        context = np.sum([a * h for a, h in zip(weights, memory, strict=True)], axis=0)
        found |= {"query": q, "scores": scores[None], "weights": weights[None], "context": context}
        return np.asarray(context)

    def steps(self, source: list[int], target: list[int]) -> list[dict[str, Vector]]:
        """The arrays of each step by the name of their stage."""
        options, w = self.options, self.w
        memory = self.encode(source)
        layers = options.decoder.layers
        start = np.tanh(w["bridge.projection.weight"] @ np.mean(memory, axis=0) + w["bridge.projection.bias"])
        states = [(h, np.zeros_like(h)) for h in np.split(start, layers)]
        feed = np.zeros(options.embedding_size)
        results = []
        for piece in [BOS, *target]:
            embedded = w["decoder.embeddings.table.weight"][piece]
            found: dict[str, Vector] = {"input": embedded}
            x = embedded
            if options.attention.input_feeding:
                found["feed"] = feed
                x = np.concatenate([embedded, feed])
            for level in range(layers):
                if level and options.attention.placement == "bottom":
                    x = np.concatenate([x, found["context"]])
                state = self.lstm(f"decoder.layers.{level}", x, *states[level])
                if level == 0 and options.attention.placement == "conditional":
                    context = self.attend(found, state[0], memory)
                    state = self.lstm("decoder.second_transition", context, *state)
                states[level] = state
                x = state[0]
                if level == 0 and options.attention.placement == "bottom":
                    self.attend(found, x, memory)
            if options.attention.placement == "top":
                self.attend(found, x, memory)
            else:
                found["state"] = x
            feed = self.finish(found, x, embedded)
            results.append(found)
        return results

    def finish(self, found: dict[str, Vector], state: Vector, embedded: Vector) -> Vector:
        options, w, context = self.options, self.w, found["context"]
        deep = options.decoder.output == "deep"
        found["concatenation"] = np.concatenate([context, state, embedded] if deep else [context, state])
        weight = w["decoder.attentional_layer.weight"]
        if options.attention.context_gate:
            every = np.concatenate([context, state, embedded])
            prefix = "decoder.attentional_layer.gate"
            z = found["gate"] = sigmoid(w[f"{prefix}.weight"] @ every + w[f"{prefix}.bias"])
            size = len(context)
            combined = z * (weight[:, :size] @ context) + (1 - z) * (weight[:, size:] @ state)
        else:
            combined = weight @ found["concatenation"]
            if deep:
                combined = combined + w["decoder.attentional_layer.bias"]
        found["combined"] = combined
        attentional = combined if options.decoder.output == "linear" else np.tanh(combined)
        found["attentional"] = attentional
        logits = w["decoder.embeddings.table.weight"] @ attentional + w["output.bias"]
        found["output"] = np.exp(logits) / np.exp(logits).sum()
        return np.asarray(attentional)


def recorded(path: Path, target: str | None = TARGET) -> LineSteps:
    recorder = StepRecorder(load_model(path), decoding={"device": "cpu"})
    (line,) = recorder.record([SOURCE], None if target is None else [target])
    assert line is not None
    return line


def arrays_of(step: Step) -> dict[str, Any]:
    return {stage.name: stage.values for stage in step.stages}


@pytest.mark.parametrize("placement", PLACEMENTS, ids=str)
@pytest.mark.parametrize("score", SCORES)
def test_every_number_follows_from_the_model_file(tmp_path: Path, score: str, placement: dict[str, Any]) -> None:
    path = tmp_path / "model.safetensors"
    options = {**placement, "attention": {**placement["attention"], "score": score}}
    save_tiny_model(path, **options)
    file = load_model(path)
    source = [*file.tokenizers.source.encode([SOURCE])[0], EOS]
    target = file.tokenizers.target.encode([TARGET])[0]
    expected = ByHand(path, file.config.model).steps(source, target)
    (segment,) = recorded(path).segments
    assert len(segment.steps) == len(expected) == len(target) + 1
    for step, numbers, piece in zip(segment.steps, expected, [*target, EOS], strict=True):
        found = arrays_of(step)
        found.pop("projected_query", None)
        assert set(found) == set(numbers)
        for name, values in numbers.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-3, atol=1e-4, err_msg=name)
        order = np.argsort(-numbers["output"], kind="stable")[: len(step.best)]
        assert [one.probability for one in step.best] == pytest.approx(numbers["output"][order], abs=1e-4)
        assert step.probability == pytest.approx(numbers["output"][piece], abs=1e-4)


@pytest.mark.parametrize("row", rows()[::6], ids=lambda row: f"{row['attention.score']}-{row['attention.placement']}")
def test_every_architecture_has_steps_that_fit_a_terminal(tmp_path: Path, row: dict[str, Any]) -> None:
    path = tmp_path / "model.safetensors"
    save_tiny_model(path, **model_options(row))
    config = load_model(path).config.model
    (segment,) = recorded(path).segments
    for step in segment.steps:
        found = arrays_of(step)
        assert list(found) == list(equations(config))
        if config.attention.score != "none":
            weights, values = found["weights"], segment.values
            assert weights.shape == (config.attention.heads, len(segment.source))
            context = np.concatenate([a @ v for a, v in zip(weights, values, strict=True)])
            np.testing.assert_allclose(found["context"], context, rtol=1e-3, atol=1e-4)
    outcome = nmt("attention", "-m", str(path), "--device", "cpu", "--steps", SOURCE, "--target", TARGET)
    assert outcome.code == 0, outcome.stderr
    lines = outcome.stdout.splitlines()
    assert max(map(cell_len, lines[2 + len(architecture_notes(config)) :])) <= 80
    for note in architecture_notes(config):
        assert TEXTS["en"][note] in lines
    for equation in equations(config).values():
        assert outcome.stdout.count(f"{equation}  [") >= len(segment.steps)


def test_json_has_the_recorded_numbers_of_the_own_translation(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_tiny_model(path)
    printed = nmt("attention", "-m", str(path), "--device", "cpu", "--steps", "--format", "json", SOURCE)
    (row,) = json.loads(printed.stdout)
    line = recorded(path, None)
    assert (row["line"], row["source"], row["translation"]) == (1, SOURCE, line.translation)
    assert row["translation"] == nmt("translate", "-m", str(path), stdin=SOURCE.encode()).stdout.rstrip("\n")
    (segment,), (known,) = row["segments"], line.segments
    assert segment["source_pieces"] == known.source
    np.testing.assert_allclose(segment["keys"], known.keys, atol=1e-5)
    for found, step in zip(segment["steps"], known.steps, strict=True):
        assert [stage["name"] for stage in found["stages"]] == [stage.name for stage in step.stages]
        for stage, values in zip(found["stages"], step.stages, strict=True):
            assert stage["shape"] == list(values.values.shape)
            if stage["name"] == "output":
                assert stage["values"] is None
            else:
                np.testing.assert_allclose(stage["values"], values.values, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--level", "words"), "--level"),
        (("--format", "pharaoh"), "pharaoh"),
        (("-o", "a.png"), "png"),
        (("--gold", "gold.align"), "--steps"),
    ],
)
def test_options_that_do_not_fit_steps(tmp_path: Path, arguments: tuple[str, ...], part: str) -> None:
    save_tiny_model(tmp_path / "model.safetensors")
    outcome = nmt("attention", "-m", "model.safetensors", "--steps", *arguments, SOURCE, folder=tmp_path)
    assert_explained(outcome, part)


DRIVER = """
<script>
{
const result = {errors: []};
window.addEventListener("error", event => result.errors.push(event.message));
const press = key => document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
const now = () => [document.querySelector("[aria-current=step]").textContent, position,
  document.getElementById("now").textContent];
const numbers = id => [...document.querySelectorAll(`#stage-${id} td.number`)].map(one => Number(one.textContent));
result.start = now();
press("ArrowRight");
result.right = now();
press("End");
result.end = now();
press("ArrowRight");
result.behind = now();
press("Home");
document.getElementById("next").click();
result.button = now();
const source = document.querySelector("[data-source='1']");
if (source) source.dispatchEvent(new MouseEvent("mouseenter"));
result.key = document.getElementById("key").textContent;
const details = document.querySelector("#stage-query details");
if (details) details.open = true;
result.own = numbers("weights");
const formula = document.getElementById("formula");
result.formulas = [...formula.options].map(one => [one.value, one.disabled]);
result.others = {};
for (const option of formula.options) if (!option.disabled) {
  formula.value = option.value;
  formula.dispatchEvent(new Event("change"));
  result.others[option.value] = [numbers("weights"), document.getElementById("what-if").hidden];
}
result.unnamed = [...document.querySelectorAll("canvas:not([aria-label]), button:empty")].length;
result.wide = document.documentElement.scrollWidth > innerWidth;
document.body.append(Object.assign(document.createElement("pre"), {id: "result", textContent: JSON.stringify(result)}));
}
</script>
"""


def page_of(folder: Path, *arguments: str, **options: Any) -> str:
    save_tiny_model(folder / "model.safetensors", **options)
    arguments = ("--steps", SOURCE, "--target", TARGET, "-o", "page.html", "--overwrite", *arguments)
    outcome = nmt("attention", "-m", "model.safetensors", "--device", "cpu", *arguments, folder=folder)
    assert outcome.code == 0, outcome.stderr
    return (folder / "page.html").read_text(encoding="utf-8")


def drive(folder: Path, page: str) -> dict[str, Any]:
    """Step, hover and select in a browser, and return what the page showed."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no browser is installed")
    (folder / "driven.html").write_text(page.replace("</body>", DRIVER + "</body>"), encoding="utf-8")
    flags = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=500,800",
        f"--user-data-dir={folder}/profile",
    )
    command = [browser, *flags, "--dump-dom", (folder / "driven.html").as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout.decode())
    assert found is not None, done.stderr.decode()[-2000:]
    result: dict[str, Any] = json.loads(html.unescape(found[1]))
    return result


def test_the_page_is_stepped_pointed_at_and_its_formula_switched(tmp_path: Path) -> None:
    page = page_of(tmp_path, attention={"score": "scaled_dot"})
    (segment,) = recorded(tmp_path / "model.safetensors").segments
    shown = drive(tmp_path, page)
    pieces, last = [step.piece for step in segment.steps], len(segment.steps) - 1
    assert (shown["errors"], shown["unnamed"], shown["wide"]) == ([], 0, False)
    assert shown["start"][:2] == [pieces[0], 0]
    assert shown["right"][:2] == shown["button"][:2] == [pieces[1], 1]
    assert shown["end"] == shown["behind"]
    assert shown["end"][:2] == [pieces[-1], last]
    assert segment.source[1] in shown["key"]
    arrays = arrays_of(segment.steps[1])
    table = np.stack([arrays["scores"][0], arrays["weights"][0]], axis=1).reshape(-1)
    np.testing.assert_allclose(shown["own"], table, atol=6e-3)
    assert segment.keys is not None
    dots = segment.keys[0] @ arrays["query"]
    lengths = np.linalg.norm(segment.keys[0], axis=1) * np.linalg.norm(arrays["query"])
    for name, scores in (("own", arrays["scores"][0]), ("dot", dots), ("cosine", dots / lengths)):
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        numbers, hidden = shown["others"][name]
        np.testing.assert_allclose(numbers, np.stack([scores, weights], axis=1).reshape(-1), atol=6e-3)
        assert hidden == (name == "own")
    known = [["own", False], *([one.name, not one.enabled] for one in OTHER_FORMULAS if one.name != "scaled_dot")]
    assert shown["formulas"] == known


@pytest.mark.parametrize(
    "options",
    [{"attention": {"score": "none"}}, {"attention": {"score": "additive", "heads": 2, "scope": "local_p"}}],
    ids=lambda options: options["attention"]["score"],
)
def test_the_page_of_other_architectures_runs_in_korean(tmp_path: Path, options: dict[str, Any]) -> None:
    page = page_of(tmp_path, "--language", "ko", **options)
    assert '<html lang="ko">' in page
    for note in architecture_notes(load_model(tmp_path / "model.safetensors").config.model):
        assert TEXTS["ko"][note] in page
    shown = drive(tmp_path, page)
    assert (shown["errors"], shown["unnamed"], shown["wide"]) == ([], 0, False)
    assert shown["right"][1] == 1


def test_the_page_loads_nothing_and_no_piece_ends_its_data(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert not re.search(r"https?://|src=|@import|url\(", page)
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert "<" not in data
    assert len(json.loads(data)["segments"]) == 1


def test_both_languages_have_the_same_texts() -> None:
    english, korean = TEXTS["en"], TEXTS["ko"]
    assert list(english) == list(korean)
    for name, text in english.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", korean[name])), name
