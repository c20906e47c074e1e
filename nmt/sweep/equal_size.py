"""Variants of equal size: hidden sizes that give a model as many parameters as the baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping

from nmt.config import Config
from nmt.config.schema import ModelConfig
from nmt.data.preprocess.preprocess import preprocess
from nmt.errors import UsageError
from nmt.log import logger
from nmt.model import build_model

TOLERANCE = 0.02
"""Largest relative difference of the number of parameters."""
STEP = 8
"""Sizes are multiples of it, which suits the kernels."""


def with_equal_parameters(configs: Mapping[str, Config], baseline: Config) -> dict[str, Config]:
    """Return configurations with another hidden size, so that each has as many parameters as the baseline.

    Encoder output and decoder get the same size. The text of the baseline is prepared, for its vocabulary.

    Raises:
        NMTError: The text cannot be read.
        UsageError: No size gives a variant as many parameters.
    """
    tokenizers = preprocess(baseline).tokenizers
    sizes = tokenizers.source.size, tokenizers.target.size
    budget = count_parameters(baseline.model, sizes)
    sized = {}
    for name, config in configs.items():
        model = fit(config.model, sizes, budget=budget, name=name)
        sized[name] = config.model_copy(update={"model": model})
        found = count_parameters(model, sizes)
        logger.info("%s: hidden size %d, %s parameters", name, model.decoder.hidden_size, f"{found:,}")
    return sized


def fit(model: ModelConfig, sizes: tuple[int, int], *, budget: int, name: str) -> ModelConfig:
    """Return a model with the hidden size that brings its parameters closest to `budget`.

    Args:
        model: The model; its hidden size is replaced.
        sizes: Number of pieces of the source and of the target vocabulary.
        budget: Wanted number of parameters.
        name: Name of the variant, for messages.

    Raises:
        UsageError: No size comes close enough.
    """
    ideal = ideal_size(model, sizes, budget=budget)
    for step in (STEP, 2):
        found = resized(model, max(step, round(ideal / step) * step))
        distance = abs(count_parameters(found, sizes) / budget - 1)
        if distance <= TOLERANCE:
            return found
    raise UsageError(
        f"no hidden size of {name} has the {budget:,} parameters of the baseline: the closest one differs by "
        f"{distance:.0%}. Make the baseline larger"
    )


def ideal_size(model: ModelConfig, sizes: tuple[int, int], *, budget: int) -> float:
    """Return the hidden size, as a fraction, that would give a model `budget` parameters; 0 if all are too many.

    Matrices have the size on one side or on both, so the number is a h^2 + b h + c. Three counts determine a, b, c.
    """
    first, second, third = (count_parameters(resized(model, STEP * number), sizes) for number in (1, 2, 3))
    a = (third - 2 * second + first) / (2 * STEP**2)
    b = (second - first) / STEP - 3 * a * STEP
    c = first - a * STEP**2 - b * STEP
    return (math.sqrt(b * b + 4 * a * (budget - c)) - b) / (2 * a) if budget > c else 0.0


def resized(model: ModelConfig, hidden_size: int) -> ModelConfig:
    """Return `model` with another size of the decoder and of the encoder's output."""
    encoder = hidden_size // 2 if model.encoder.bidirectional else hidden_size
    return model.model_copy(
        update={
            "encoder": model.encoder.model_copy(update={"hidden_size": encoder}),
            "decoder": model.decoder.model_copy(update={"hidden_size": hidden_size}),
        }
    )


def count_parameters(model: ModelConfig, sizes: tuple[int, int]) -> int:
    """Count the weights of a network for these vocabularies; a shared weight counts once."""
    network = build_model(model, source_size=sizes[0], target_size=sizes[1])
    return sum(weight.numel() for weight in network.parameters())
