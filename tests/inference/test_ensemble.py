"""Ensembles: the mean of what their members say, and the same as a single model where all members are that one."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cli_tools import assert_explained, nmt
from nmt.data.special_tokens import EOS
from nmt.data.tokenizer import Tokenizers
from nmt.errors import UsageError
from nmt.inference.ensemble import Average, Ensemble, MemberParts
from nmt.inference.model_file import ModelFile, load_model
from nmt.inference.translator import Translator
from tiny_translator import save_tiny_model, tiny_config, tiny_network, tiny_subword_model, tiny_translator

LINES = [
    "the red dog sees a cat .",
    "a man runs",
    "",
    "the old woman hears the small house and the big dog .",
    "the cat",
]
WIDER = {"attention": {"score": "general"}, "encoder": {"hidden_size": 16}}
AVERAGES: tuple[Average, ...] = ("probabilities", "log_probabilities")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelFile]:
    """Models of different architectures, all with random weights; and one that writes from right to left."""
    folder = tmp_path_factory.mktemp("models")
    kinds: dict[str, dict[str, Any]] = {
        "dot": {},
        "concat": {"attention": {"score": "concat"}},
        "wide": {
            "attention": {"score": "general"},
            "encoder": {"hidden_size": 16},
            "decoder": {"hidden_size": 20},
            "embedding_size": 24,
        },
        "blind": {"attention": {"score": "none"}},
    }
    for name, model in kinds.items():
        save_tiny_model(folder / f"{name}.safetensors", **model)
    return {name: load_model(folder / f"{name}.safetensors") for name in kinds}


def texts(translator: Translator) -> list[list[tuple[str, float]]]:
    return [[(one.text, one.score) for one in found.hypotheses] for found in translator.translate(LINES)]


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize(("beam_size", "copies"), [(1, 2), (4, 2), (4, 3)])
def test_an_ensemble_of_copies_translates_as_the_model(
    models: dict[str, ModelFile], average: str, beam_size: int, copies: int
) -> None:
    decoding = {"beam_size": beam_size, "n_best": beam_size, "ensemble_average": average, "device": "cpu"}
    alone = Translator.from_models([models["dot"]], decoding=decoding)
    together = Translator.from_models([models["dot"]] * copies, decoding=decoding)
    for one, other in zip(texts(alone), texts(together), strict=True):
        assert [text for text, _ in one] == [text for text, _ in other]
        assert [score for _, score in one] == pytest.approx([score for _, score in other], abs=1e-5)


def step_log_probs(
    members: list[Any], average: Average, weights: list[float]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    source, lengths = torch.tensor([[7, 8, 9, EOS], [5, 6, EOS, 0]]), torch.tensor([4, 3])
    ids = torch.tensor([2, 2])
    with torch.inference_mode():
        every = [Ensemble(members, weights=weights, average=average), *members]
        found = []
        for model in every:
            memory = model.encode(source, lengths)
            found.append(model.step(ids, model.init_state(memory), memory).log_probs)
    return found[0], found[1:]


@pytest.mark.parametrize("average", AVERAGES)
def test_a_step_is_the_weighted_mean_of_the_members(average: Average) -> None:
    members = [
        tiny_network(tiny_config()),
        tiny_network(tiny_config(**WIDER)),
    ]
    mean, each = step_log_probs(members, average, [3.0, 1.0])
    rows = [[value.double().tolist() for value in values] for values in each]
    for row in range(2):
        for piece in range(mean.shape[1]):
            a, b = rows[0][row][piece], rows[1][row][piece]
            if average == "probabilities":
                expected = math.log(0.75 * math.exp(a) + 0.25 * math.exp(b))
            else:
                expected = 0.75 * a + 0.25 * b
            assert float(mean[row, piece]) == pytest.approx(expected, abs=1e-5)


def test_an_impossible_piece_stays_possible_only_by_probabilities() -> None:
    class Sure:
        def __init__(self, log_probs: torch.Tensor) -> None:
            self.log_probs, self.state, self.weights = log_probs, torch.zeros(1), None

        def step(self, *_: Any) -> Any:
            return self

    members: list[Any] = [Sure(torch.tensor([[-math.inf, 0.0]])), Sure(torch.log(torch.tensor([[0.5, 0.5]])))]
    both = MemberParts((None, None))
    found = [
        Ensemble(members, weights=[1, 1], average=average).step(torch.zeros(1), both, both).log_probs[0].tolist()
        for average in AVERAGES
    ]
    assert found[0] == pytest.approx([math.log(0.25), math.log(0.75)])
    assert found[1] == [-math.inf, pytest.approx(0.5 * math.log(0.5))]


def test_different_architectures_form_an_ensemble_in_any_batch(models: dict[str, ModelFile]) -> None:
    members = [models[name] for name in ("dot", "concat", "wide", "blind")]
    decoding = {"beam_size": 3, "device": "cpu"}
    expected = texts(Translator.from_models(members, decoding={**decoding, "batch_sentences": 8}))
    for size in (1, 2):
        found = texts(Translator.from_models(members, decoding={**decoding, "batch_sentences": size}))
        assert [[text for text, _ in line] for line in found] == [[text for text, _ in line] for line in expected]
    heavy = Translator.from_models(members[:2], weights=[1.0, 1e-9], decoding=decoding)
    alone = Translator.from_models([members[0]], decoding=decoding)
    assert [line[:1] and line[0][0] for line in texts(heavy)] == [line[:1] and line[0][0] for line in texts(alone)]


def test_each_model_needs_a_weight_above_zero(models: dict[str, ModelFile]) -> None:
    members = [models["dot"], models["wide"]]
    with pytest.raises(UsageError, match="given 1 times for 2 models"):
        Translator.from_models(members, weights=[1.0], decoding={"device": "cpu"})
    with pytest.raises(UsageError, match=r"wide\.safetensors: a weight must be above 0"):
        Translator.from_models(members, weights=[1.0, 0.0], decoding={"device": "cpu"})
    with pytest.raises(UsageError, match="--shortlist"):
        Translator.from_models(members, decoding={"device": "cpu", "shortlist": True})


def test_incompatible_models_are_named(models: dict[str, ModelFile]) -> None:
    first = models["dot"]
    data = first.config.data.model_copy(update={"right_to_left": True})
    other_way = first.config.data.model_copy(update={"source_language": "de", "target_language": "eng"})
    others = {
        "one translates en to de, the other de to en": replace(
            first, config=first.config.model_copy(update={"data": other_way})
        ),
        "target subword models": replace(first, tokenizers=Tokenizers(tiny_subword_model(), tiny_subword_model(290))),
        "right to left": replace(first, config=first.config.model_copy(update={"data": data})),
    }
    for reason, other in others.items():
        with pytest.raises(UsageError, match=f"dot.safetensors and other cannot form an ensemble.*{reason}"):
            Translator.from_models([first, replace(other, path=Path("other"))], decoding={"device": "cpu"})


def test_the_command_line_takes_several_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, size in (("one", 12), ("two", 16)):
        save_tiny_model(tmp_path / f"{name}.safetensors", attention={"score": "general"}, encoder={"hidden_size": size})
    (tmp_path / "text.en").write_text("".join(line + "\n" for line in LINES), encoding="utf-8")
    one, two = ("--model", "one.safetensors"), ("--model", "two.safetensors")
    alone = nmt("translate", *one, "text.en", "--beam-size", "2")
    twins = nmt("translate", *one, *one, "text.en", "--beam-size", "2")
    assert alone.code == twins.code == 0, twins.stderr
    assert alone.stdout == twins.stdout
    mixed = nmt("translate", *one, *two, "--model-weight", "2", "--model-weight", "1", "text.en")
    assert mixed.code == 0, mixed.stderr
    assert len(mixed.stdout.splitlines()) == len(LINES)
    assert_explained(nmt("translate", *one, *two, "--model-weight", "1", "text.en"), "--model-weight", codes=(2,))
    scored = nmt("evaluate", *one, *two, "--source", "text.en", "--reference", "text.en", "--mbr", "chrf")
    assert scored.code == 0, scored.stderr
    assert "BLEU" in scored.stdout


def test_an_ensemble_of_one_model_is_the_model(models: dict[str, ModelFile]) -> None:
    alone = [translation.text for translation in tiny_translator(beam_size=2).translate(LINES)]
    one = Translator.from_models([models["dot"]], decoding={"beam_size": 2, "device": "cpu"})
    assert [translation.text for translation in one.translate(LINES)] == alone
