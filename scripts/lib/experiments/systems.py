"""The three systems of the experiment with long sentences, with as many parameters each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nmt.config import Config, load_config
from nmt.config.schema import ModelConfig
from nmt.data.preprocess.preprocess import preprocess
from nmt.errors import UsageError
from nmt.log import logger
from nmt.model import build_model

TOLERANCE = 0.02
"""How far the parameters of a system may be from those of the one with attention, as a share of them."""
STEP = 8
"""Sizes are multiples of it, which kernels like."""


class System(NamedTuple):
    """One of the systems, as it differs from the configuration, which is that of the one with attention."""

    name: str
    title: str
    structure: tuple[str, ...] = ()
    """Options that make it what it is."""
    tuning: tuple[str, ...] = ()
    """Options that suit it; those of the command line win over them."""


# What reaches the decoder is the encoder's last state alone. Read from its end, the source leaves its first words, with
# which the translation starts, freshest in that state (Sutskever et al. 2014).
VECTOR = ("model.attention.score=none", "model.encoder.bidirectional=false", "model.encoder.reversed=true")

SYSTEMS = (
    System(
        name="rnn",
        title="RNN",
        structure=(*VECTOR, "model.encoder.cell=rnn", "model.decoder.cell=rnn", "model.decoder.bridge=last"),
        tuning=("training.optimizer.learning_rate=1e-3",),
    ),
    System(name="lstm", title="LSTM", structure=VECTOR),
    System(name="attention", title="LSTM with attention"),
)


def configure(file: Path, overrides: Sequence[str]) -> dict[str, Config]:
    """Return the configuration of each system by its name, all with the parameters of the one with attention.

    Args:
        file: The configuration of the one with attention.
        overrides: Options for all systems.

    Raises:
        NMTError: The configuration cannot be used, or its text cannot.
        UsageError: There is no size that gives a system as many parameters.
    """
    attending = load_config(file, overrides)
    tokenizers = preprocess(attending).tokenizers
    sizes = tokenizers.source.size, tokenizers.target.size
    budget = count_parameters(attending.model, sizes)
    configs = {}
    for system in SYSTEMS:
        config = attending
        if system.structure:
            # Any size will do here, if only the two sides fit: the right one is found below.
            any_size = [f"model.{side}.hidden_size={STEP}" for side in ("encoder", "decoder")]
            config = load_config(file, [*system.tuning, *overrides, *system.structure, *any_size])
            config = config.model_copy(update={"model": fit(config.model, sizes, budget=budget, name=system.name)})
        configs[system.name] = config
        found = count_parameters(config.model, sizes)
        logger.info("%s: hidden size %d, %s parameters", system.title, config.model.decoder.hidden_size, f"{found:,}")
    return configs


def fit(model: ModelConfig, sizes: tuple[int, int], *, budget: int, name: str) -> ModelConfig:
    """Return a model with the hidden size that brings its parameters closest to `budget`.

    Args:
        model: The rest of it.
        sizes: Pieces of the source and of the target vocabulary.
        budget: How many parameters it should have.
        name: What the system is called.

    Raises:
        UsageError: None comes close enough.
    """
    ideal = ideal_size(model, sizes, budget=budget)
    for step in (STEP, 2):
        found = resized(model, max(step, round(ideal / step) * step))
        distance = abs(count_parameters(found, sizes) / budget - 1)
        if distance <= TOLERANCE:
            return found
    raise UsageError(
        f"no hidden size gives {name} the {budget:,} parameters of the model with attention; the closest one is "
        f"{distance:.0%} off: make that model larger"
    )


def ideal_size(model: ModelConfig, sizes: tuple[int, int], *, budget: int) -> float:
    """Return the hidden size, as a fraction, that would give a model `budget` parameters; 0 if all are too many.

    Matrices have the size on one side or on both, so the parameters are a h^2 + b h + c; three counts tell a, b, c.
    """
    first, second, third = (count_parameters(resized(model, STEP * number), sizes) for number in (1, 2, 3))
    a = (third - 2 * second + first) / (2 * STEP**2)
    b = (second - first) / STEP - 3 * a * STEP
    c = first - a * STEP**2 - b * STEP
    return (math.sqrt(b * b + 4 * a * (budget - c)) - b) / (2 * a) if budget > c else 0.0


def resized(model: ModelConfig, hidden_size: int) -> ModelConfig:
    """Return `model` with a decoder of another size, and an encoder whose output has it too."""
    encoder = hidden_size // 2 if model.encoder.bidirectional else hidden_size
    return model.model_copy(
        update={
            "encoder": model.encoder.model_copy(update={"hidden_size": encoder}),
            "decoder": model.decoder.model_copy(update={"hidden_size": hidden_size}),
        }
    )


def count_parameters(model: ModelConfig, sizes: tuple[int, int]) -> int:
    """Count the weights of a network for these vocabularies; shared ones once."""
    network = build_model(model, source_size=sizes[0], target_size=sizes[1])
    return sum(weight.numel() for weight in network.parameters())
