"""Ensembles: several models are searched as one, with the mean of their distributions at each step.

B sentences, S source length, R rows, V vocabulary, N members.

Members must share their subword models, and may differ in seeds, sizes and architectures. Each has its own memory and
state. With weights w_i that sum to one, and p_i the distribution of member i,

    probabilities        p(y) = sum_i w_i p_i(y)                 a piece needs the support of one member
    log_probabilities    log p(y) = sum_i w_i log p_i(y)         a piece needs the support of all members

The second mean is not normalized again: where members disagree, all pieces lose probability.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from nmt.arrays import Array, namespace
from nmt.data.languages import find_language
from nmt.errors import UsageError
from nmt.inference.model_file import ModelFile
from nmt.inference.shortlist import AllowedTokens, RestrictableModel
from nmt.search import StepModel, StepOutput

Average = Literal["probabilities", "log_probabilities"]


class MemberParts(NamedTuple):
    """The memories or the states of all members."""

    members: tuple[Any, ...]

    def select(self, rows: Array) -> MemberParts:
        """Return `rows` of each member (indices [R'])."""
        return MemberParts(tuple(member.select(rows) for member in self.members))


class EnsembleOutput(NamedTuple):
    """The output of one step of all members."""

    log_probs: Array
    """The mean [R, V], float32."""
    state: MemberParts
    weights: Array | None
    """The mean attention [R, S] of the members with attention; None if no member has it."""


class Ensemble:
    """Several models that are searched as one."""

    def __init__(self, members: Sequence[StepModel[Any, Any]], *, weights: Sequence[float], average: Average) -> None:
        """Combine models.

        Args:
            members: At least one; all with the same vocabularies and on the same device.
            weights: The weight of each member, above zero; they are scaled to sum to one.
            average: Which mean is taken; see the module.
        """
        assert len(members) == len(weights) > 0
        self._members = tuple(members)
        self._weights = normalize_weights(weights)
        self._average = average

    def encode(self, source: Array, lengths: Array) -> MemberParts:
        """Encode with each member `source` [B, S] of `lengths` [B]."""
        return MemberParts(tuple(member.encode(source, lengths) for member in self._members))

    def init_state(self, memory: MemberParts) -> MemberParts:
        """Return the initial state of each member."""
        pairs = zip(self._members, memory.members, strict=True)
        return MemberParts(tuple(member.init_state(memory) for member, memory in pairs))

    def step(self, ids: Array, state: MemberParts, memory: MemberParts) -> EnsembleOutput:
        """Feed one piece to each row [R] of each member."""
        triples = zip(self._members, state.members, memory.members, strict=True)
        outputs = [member.step(ids, state, memory) for member, state, memory in triples]
        log_probs = mean([output.log_probs for output in outputs], weights=self._weights, average=self._average)
        return EnsembleOutput(
            log_probs, MemberParts(tuple(output.state for output in outputs)), self._attention(outputs)
        )

    def _attention(self, outputs: Sequence[StepOutput[Any]]) -> Array | None:
        pairs = zip(self._weights, outputs, strict=True)
        attending = [(weight, output.weights) for weight, output in pairs if output.weights is not None]
        if not attending:
            return None
        shares = normalize_weights([weight for weight, _ in attending])
        scaled = [share * attention for share, (_, attention) in zip(shares, attending, strict=True)]  # [R, S] each
        return sum(scaled[1:], start=scaled[0])  # [R, S]


class RestrictableEnsemble:
    """An ensemble that a shortlist can restrict."""

    def __init__(self, members: Sequence[RestrictableModel], *, weights: Sequence[float], average: Average) -> None:
        """Combine models; see `Ensemble`."""
        self._members = tuple(members)
        self._weights = weights
        self._average = average

    def restrict(self, allowed: AllowedTokens) -> Ensemble:
        """Return the ensemble restricted to these pieces."""
        members = [member.restrict(allowed) for member in self._members]
        return Ensemble(members, weights=self._weights, average=self._average)


def normalize_weights(weights: Sequence[float]) -> list[float]:
    """Return weights scaled to sum to one."""
    return [weight / sum(weights) for weight in weights]


def mean(log_probs: Sequence[Array], *, weights: Sequence[float], average: Average) -> Array:
    """Return the mean of log-probabilities; exactly the members' value where all agree.

    Args:
        log_probs: Of each member, float32, in any shape: distributions [R, V] or single pieces of them.
        weights: The weight of each member; they sum to one.
        average: Which mean is taken; see the module.
    """
    # A masked piece has -inf, and -inf minus -inf would be NaN.
    xp = namespace(log_probs[0])
    greatest = functools.reduce(xp.maximum, log_probs)
    greatest = xp.clip(greatest, min=float(xp.finfo(greatest.dtype).min))
    differences = [values - greatest for values in log_probs]
    if average == "log_probabilities":
        mean_difference = sum(weight * each for weight, each in zip(weights, differences, strict=True))
    else:
        mean_difference = xp.log(sum(weight * xp.exp(each) for weight, each in zip(weights, differences, strict=True)))
    return xp.clip(greatest + mean_difference, max=0.0)  # rounding must not make a probability above one


def check_compatible(models: Sequence[ModelFile]) -> None:
    """Make sure that models can form an ensemble.

    Raises:
        UsageError: Two models have different languages or subword models, or write in different directions.
    """
    first, *others = models
    for model in others:
        if languages_of(model) != languages_of(first):
            pairs = [" to ".join(languages_of(each)) for each in (first, model)]
            raise UsageError(
                f"{first.path} and {model.path} cannot form an ensemble: one translates {pairs[0]}, the other "
                f"{pairs[1]}. Name models of one direction."
            )
        for side in ("source", "target"):
            if getattr(model.tokenizers, side).fingerprint != getattr(first.tokenizers, side).fingerprint:
                raise UsageError(
                    f"{first.path} and {model.path} cannot form an ensemble: their {side} subword models differ. Train "
                    "the models on the same preprocessed data, or start the others with --init-from the first."
                )
        if model.config.data.right_to_left != first.config.data.right_to_left:
            raise UsageError(
                f"{first.path} and {model.path} cannot form an ensemble: one writes from left to right, the other from "
                "right to left. Use one of them to rerank the translations of the other with `nmt rerank`."
            )


def languages_of(model: ModelFile) -> tuple[str, str]:
    """Return the codes of the source and target language of a model. Different codes of a language are one."""
    data = model.config.data
    return find_language(data.source_language).code, find_language(data.target_language).code


def checked_weights(weights: Sequence[float] | None, models: Sequence[ModelFile]) -> list[float]:
    """Return the weight of each model; None means equal weights.

    Raises:
        UsageError: The number of weights is wrong, or a weight is not above zero.
    """
    if weights is None:
        return [1.0] * len(models)
    if len(weights) != len(models):
        raise UsageError(
            f"--model-weight is given {len(weights)} times for {len(models)} model{'s' * (len(models) > 1)}. Repeat "
            "it once for each model, or leave it out."
        )
    for weight, model in zip(weights, models, strict=True):
        if not 0 < weight < float("inf"):
            raise UsageError(
                f"--model-weight {weight:g} of {model.path}: a weight must be above 0. Leave the model out."
            )
    return list(weights)
