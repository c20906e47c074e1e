"""Options of the model that make no sense together, or that another option switches off."""

from __future__ import annotations

from typing import Any

import pytest

from model_options import problems_of

NONSENSE: dict[str, tuple[dict[str, Any], str, str]] = {
    "feeding of nothing": (
        {"attention": {"score": "none", "input_feeding": True}},
        "model.attention.input_feeding: input_feeding true requires attention, but attention.score is none",
        "choose a score",
    ),
    "gate of nothing": (
        {"attention": {"score": "none", "context_gate": True}},
        "context_gate true requires",
        "leave it",
    ),
    "heads of nothing": ({"attention": {"score": "none", "heads": 4}}, "heads 4 requires attention", "leave it"),
    "scope of nothing": ({"attention": {"score": "none", "scope": "local_m"}}, "scope local_m requires", "leave it"),
    "dropout of nothing": (
        {"attention": {"score": "none"}, "dropout": {"attention": 0.1}},
        "model.dropout.attention: attention 0.1 requires",
        "leave it",
    ),
    "lexical model of nothing": (
        {"attention": {"score": "none"}, "lexical_model": True},
        "lexical_model true requires attention",
        "leave it",
    ),
    "coverage of a product": (
        {"attention": {"score": "general", "coverage": True}},
        "requires a score with a tanh layer, but score is general",
        "score: additive",
    ),
    "window of everything": ({"attention": {"window": 3}}, "no effect with model.attention.scope global", "local_m"),
    "size of a product": ({"attention": {"size": 3}}, "score dot and one head", "more `heads`"),
    "uneven heads": (
        {"attention": {"score": "general", "heads": 3}},
        "512 features (model.decoder.hidden_size) cannot be divided among 3 heads",
        "heads: 2",
    ),
    "uneven heads of a tanh layer": (
        {"attention": {"score": "additive", "heads": 4, "size": 6}},
        "6 features (model.attention.size) cannot be divided among 4 heads",
        "heads: 3",
    ),
    "uneven heads of the memory": (
        {"attention": {"score": "additive", "heads": 8, "size": 8}, "encoder": {"hidden_size": 6}},
        "12 features (model.encoder.hidden_size) cannot be divided among 8 heads",
        "heads: 6",
    ),
    "scaled dot of unequal sizes": (
        {"attention": {"score": "scaled_dot"}, "decoder": {"hidden_size": 100}},
        "scaled dot attention requires equal sizes",
        "score: general",
    ),
    "dot over layers of one way": (
        {"encoder": {"layers": 2, "bidirectional_layers": 1}},
        "the encoder's output has 256 features",
        "hidden_size: 256",
    ),
    "both ways in no way": (
        {"encoder": {"bidirectional": False, "bidirectional_layers": 1}, "decoder": {"hidden_size": 256}},
        "no effect with model.encoder.bidirectional false",
        "bidirectional: true",
    ),
    "more layers both ways than layers": (
        {"encoder": {"layers": 2, "bidirectional_layers": 3}},
        "found 3, but the encoder has 2 layers",
        "increase `layers`",
    ),
    "alternating both ways": ({"encoder": {"alternating": True, "layers": 4}}, "no such layer", "bidirectional: false"),
    "alternating alone": (
        {"encoder": {"alternating": True, "bidirectional": False}, "decoder": {"hidden_size": 256}},
        "reverses every second unidirectional layer",
        "leave it out",
    ),
    "reversed both ways": ({"encoder": {"reversed": True}}, "has no effect", "bidirectional: false"),
    "residuals above the top": ({"encoder": {"residual_from": 3}}, "found 3, but the encoder has 1 layer", "layers: 3"),
    "residuals of unequal sizes": (
        {"decoder": {"residual_from": 1, "layers": 2}},
        "model.decoder.residual_from: layer 1 cannot add 256 input features to 512",
        "residual_from: 2",
    ),
    "residuals after both ways": (
        {
            "encoder": {"layers": 3, "bidirectional_layers": 1, "residual_from": 2},
            "decoder": {"hidden_size": 256},
        },
        "layer 2 cannot add 512 input features to 256",
        "residual_from: 3",
    ),
    "last of unequal layers": (
        {
            "encoder": {"layers": 2, "bidirectional_layers": 1},
            "decoder": {"hidden_size": 256, "layers": 2, "bridge": "last"},
        },
        "the encoder's layers have 512 and 256 features",
        "learned_last",
    ),
    "variational nothing": (
        {"dropout": {"embedding": 0, "layers": 0, "output": 0, "variational": True}},
        "is 0",
        "increase one",
    ),
    "forget gates of a GRU": (
        {"encoder": {"cell": "gru"}, "decoder": {"cell": "rnn"}, "initialization": {"forget_bias": 0.5}},
        "gru and rnn have no forget gates",
        "cell: lstm",
    ),
}


@pytest.mark.parametrize(("model", "text", "hint"), NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_refused_with_a_reason(model: dict[str, Any], text: str, hint: str) -> None:
    problems = problems_of(model)
    assert len(problems) == 1
    said, advice = problems[0].split("; ", 1) if "; " in problems[0] else (problems[0], "")
    assert text in problems[0]
    assert hint in advice, (said, advice)


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"attention": {"heads": 4, "size": 64}},
        {"attention": {"score": "none"}, "decoder": {"output": "deep"}},
        {"encoder": {"bidirectional": False, "layers": 2, "alternating": True}, "decoder": {"hidden_size": 256}},
        {"encoder": {"cell": "gru"}, "initialization": {"forget_bias": 0.5}},
        {"attention": {"placement": "conditional", "input_feeding": True, "score": "additive", "coverage": True}},
    ],
)
def test_sense_is_not(model: dict[str, Any]) -> None:
    assert problems_of(model) == []
