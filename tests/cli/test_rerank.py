"""`nmt rerank`: more models judge the candidates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cli_tools import assert_explained, nmt
from nmt.evaluation.reranking import NBestList, RerankScores, ranking, tune_weights, weight_grid
from nmt.inference.model_file import load_model, save_model
from nmt.inference.results import SentencePair
from nmt.inference.scorer import Scorer
from tiny_translator import save_tiny_model, tiny_config, tiny_network, tiny_tokenizers

LINES = ["the red dog sees a cat .", "", "the old woman hears the small house .", "the cat or the dog"]
SCORING = {"bleu_tokenizer": "auto", "lowercase": False, "target_language": "de"}


def test_the_grid_has_all_weights_that_sum_to_one_the_most_alike_first() -> None:
    for features, count in ((1, 1), (2, 11), (3, 66)):
        grid = list(weight_grid(features))
        assert len({tuple(weights.round(6)) for weights in grid}) == len(grid) == count
        assert all(weights.sum() == pytest.approx(1) and (weights >= 0).all() for weights in grid)
        spread = [float(weights.std()) for weights in grid]
        assert spread == sorted(spread)


def test_tuned_weights_find_the_feature_that_knows() -> None:
    """The second feature likes the right candidate, the first another one, the third says nothing."""
    texts = ["ein Hund schläft hier nicht", "die Katze sieht ein Haus dort", "das alte Haus ist rot und groß"]
    sentences = [
        RerankScores(
            NBestList(text, ["falsch", text], [-1.0, -2.0]),
            np.array([[-1.0, -3.0, -1.0], [-2.0, -1.0, -1.0]]),
        )
        for text in texts
    ]
    tuned = tune_weights(sentences, texts, metric="chrf", **SCORING)
    assert tuned.score == pytest.approx(100)
    assert tuned.score_before < 30
    assert [ranking(sentence, tuned.weights)[0] for sentence in sentences] == [1, 1, 1]


def test_lines_without_candidates_count_as_empty_translations() -> None:
    blank = RerankScores(NBestList("", [], []), np.zeros((0, 2)))
    one = RerankScores(NBestList("a", ["ein Hund", "eine Katze"], [-1, -2]), np.array([[-1.0, -1.0], [-2.0, -2.0]]))
    tuned = tune_weights([blank, one], ["", "ein Hund"], metric="chrf", **SCORING)
    assert tuned.score == pytest.approx(100)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, one that writes from right to left, one of the other direction, and candidates of the first."""
    folder = tmp_path_factory.mktemp("models")
    save_tiny_model(folder / "first.safetensors")
    data = tiny_config().data
    changes = {
        "backward": {"right_to_left": True},
        "reverse": {"source_language": "de", "target_language": "en"},
    }
    for name, change in changes.items():
        config = tiny_config().model_copy(update={"data": data.model_copy(update=change)})
        save_model(
            folder / f"{name}.safetensors",
            weights=dict(tiny_network(config).named_parameters()),
            config=config,
            tokenizers=tiny_tokenizers(),
            provenance={},
        )
    (folder / "text.en").write_text("".join(line + "\n" for line in LINES), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        common = ("--model", "first.safetensors", "text.en", "--beam-size", "4", "--n-best", "4")
        found = nmt("translate", *common, "--format", "jsonl")
        assert found.code == 0, found.stderr
        (folder / "text.jsonl").write_text(found.stdout, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _there(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models)


JUDGES = ("--model", "backward.safetensors", "--reverse", "reverse.safetensors")


def test_features_are_the_scores_of_the_models(models: Path) -> None:
    outcome = nmt("rerank", "text.jsonl", *JUDGES, "--format", "jsonl")
    assert outcome.code == 0, outcome.stderr
    records = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert [record["source"] for record in records] == LINES
    assert records[1]["hypotheses"] == []
    backward, reverse = (
        Scorer.from_models([load_model(models / f"{name}.safetensors")], decoding={"device": "cpu"})
        for name in ("backward", "reverse")
    )
    for record in records:
        scores = [one["score"] for one in record["hypotheses"]]
        assert scores == sorted(scores, reverse=True)
        for one in record["hypotheses"]:
            found = one["features"]
            (there,) = backward.score([SentencePair(record["source"], one["text"])])
            (back,) = reverse.score([SentencePair(one["text"], record["source"])])
            assert there is not None
            assert back is not None
            own = one["log_probability"] / len(one["piece_log_probabilities"])
            assert list(found) == ["search", "model 1", "reverse 1"]
            assert list(found.values()) == pytest.approx([own, there.mean, back.mean], abs=1e-4)
            assert one["score"] == pytest.approx(sum(found.values()) / 3, abs=1e-4)


def test_weights_are_found_kept_and_used(models: Path, tmp_path: Path) -> None:
    weights, reference = tmp_path / "weights.json", tmp_path / "text.de"
    records = map(json.loads, Path("text.jsonl").read_text(encoding="utf-8").splitlines())
    last = [(record["hypotheses"] or [{"text": ""}])[-1]["text"] for record in records]
    reference.write_text("".join(line + "\n" for line in last), encoding="utf-8")
    common = ("rerank", "text.jsonl", *JUDGES, "--weights", str(weights))
    tuned = nmt(*common, "--reference", str(reference), "--metric", "chrf")
    assert tuned.code == 0, tuned.stderr
    assert sum(json.loads(weights.read_text(encoding="utf-8")).values()) == pytest.approx(1, abs=1e-3)
    shown = {line.rsplit(maxsplit=1)[0].strip(): line.split()[-1] for line in tuned.stdout.splitlines() if line.strip()}
    assert float(shown["reranked"]) >= float(shown["before"])
    chosen = nmt(*common)
    assert chosen.code == 0, chosen.stderr
    assert chosen.stdout.count("\n") == len(LINES)
    (tmp_path / "chosen.de").write_text(chosen.stdout, encoding="utf-8")
    scored = nmt("evaluate", "--hypothesis", str(tmp_path / "chosen.de"), "--reference", str(reference), "--json")
    assert f"{json.loads(scored.stdout)[0]['chrf']:.2f}" == shown["reranked"]
    assert_explained(nmt(*common, "--reference", str(reference)), "exists already", codes=(2,))
    fewer = nmt("rerank", "text.jsonl", *JUDGES[:2], "--weights", str(weights))
    assert_explained(fewer, "reverse 1, search", codes=(2,))


def test_what_cannot_be_reranked_is_said(tmp_path: Path) -> None:
    plain = tmp_path / "plain.jsonl"
    plain.write_text('{"source": "a", "target": "b"}\n', encoding="utf-8")
    assert_explained(nmt("rerank", "text.jsonl"), "--model or --reverse", codes=(2,))
    assert_explained(nmt("rerank", str(plain), *JUDGES), "n-best lists", codes=(1,))
    both = nmt("rerank", "text.jsonl", "--model", "reverse.safetensors", "--model", "first.safetensors")
    assert_explained(both, "do not have the same languages", codes=(2,))
    assert_explained(nmt("rerank", "text.jsonl", *JUDGES, "--reference", "text.en"), "--weights", codes=(2,))
    short = tmp_path / "short.de"
    short.write_text("a\n", encoding="utf-8")
    outcome = nmt("rerank", "text.jsonl", *JUDGES, "--weights", "w.json", "--reference", str(short))
    assert_explained(outcome, "the input has 4 lines", codes=(1,))


@pytest.mark.parametrize(
    "weight", ["NaN", "Infinity", "1e999", '"nan"', "true", "null", "[1]", "9" * 400, '1, "search": 2']
)
def test_weights_are_finite_numbers(weight: str, models: Path, tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text(f'{{"model 1": 1, "search": {weight}}}', encoding="utf-8")
    outcome = nmt(
        *("rerank", str(models / "text.jsonl"), "-m", str(models / "backward.safetensors"), "--quiet"),
        *("--weights", str(tmp_path / "w.json")),
    )
    assert_explained(outcome, "w.json")


@pytest.mark.parametrize("value", ["NaN", "-Infinity", '"-1.5"', "null", "9" * 400, "[]"])
@pytest.mark.parametrize("key", ["log_probability", "piece_log_probabilities"])
def test_scores_are_finite_numbers(key: str, value: str, models: Path, tmp_path: Path) -> None:
    lines = (models / "text.jsonl").read_text(encoding="utf-8").splitlines()
    record = json.loads(lines[2])
    record["hypotheses"][1][key] = "HERE" if key == "log_probability" else ["HERE"]
    lines[2] = json.dumps(record).replace('"HERE"', value)
    (tmp_path / "n.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    outcome = nmt(
        *("rerank", str(tmp_path / "n.jsonl"), "-m", str(models / "backward.safetensors"), "--quiet"),
        *("-o", str(tmp_path / "out")),
    )
    assert_explained(outcome, "line 3")
    assert not (tmp_path / "out").exists()
