"""Several models that translate together: at each step the next piece is chosen by the mean of what they say.

R rows, V vocabulary, N members.

Members may differ in all but their subword models: in seeds, sizes, architectures. Each has a memory and a state of its
own. With weights w_i that sum to one, and p_i the distribution of member i,

    probabilities        p(y) = sum_i w_i p_i(y)                 what any member likes stays possible
    log_probabilities    log p(y) = sum_i w_i log p_i(y)         a piece must please all of them

The second is not normalised again: where members disagree, all pieces lose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from nmt.config.schema import DecodingConfig
from nmt.errors import UsageError
from nmt.inference.model_file import ModelFile
from nmt.inference.shortlist import AllowedTokens, RestrictableModel
from nmt.search import StepModel, StepOutput

Average = Literal["probabilities", "log_probabilities"]


class MemberParts(NamedTuple):
    """The memories, or the states, of all members."""

    members: tuple[Any, ...]

    def select(self, rows: Tensor) -> MemberParts:
        """Return what belongs to `rows` of each member."""
        return MemberParts(tuple(member.select(rows) for member in self.members))


class EnsembleOutput(NamedTuple):
    """What one step of all members gives."""

    log_probs: Tensor
    """Of the mean [R, V], float32."""
    state: MemberParts
    weights: Tensor | None
    """The members' attention, averaged likewise [R, S]; those without say nothing. None if none has any."""


class Ensemble:
    """Models that are searched as if they were one."""

    def __init__(self, members: Sequence[StepModel[Any, Any]], *, weights: Sequence[float], average: Average) -> None:
        """Keep the members.

        Args:
            members: At least one; all with the same vocabularies and on the same device.
            weights: How much each member counts, above zero; they are scaled to sum to one.
            average: What is averaged; see the heading.
        """
        assert len(members) == len(weights) > 0
        self._members = tuple(members)
        self._weights = shares(weights)
        self._average = average

    def encode(self, source: Tensor, lengths: Tensor) -> MemberParts:
        """Let each member encode `source` [B, S] of `lengths` [B]."""
        return MemberParts(tuple(member.encode(source, lengths) for member in self._members))

    def init_state(self, memory: MemberParts) -> MemberParts:
        """Return each member's first state."""
        own = zip(self._members, memory.members, strict=True)
        return MemberParts(tuple(member.init_state(memory) for member, memory in own))

    def step(self, ids: Tensor, state: MemberParts, memory: MemberParts) -> EnsembleOutput:
        """Feed one piece to each row [R] of each member."""
        own = zip(self._members, state.members, memory.members, strict=True)
        outputs = [member.step(ids, state, memory) for member, state, memory in own]
        log_probs = mean([output.log_probs for output in outputs], weights=self._weights, average=self._average)
        return EnsembleOutput(
            log_probs, MemberParts(tuple(output.state for output in outputs)), self._attention(outputs)
        )

    def _attention(self, outputs: Sequence[StepOutput[Any]]) -> Tensor | None:
        pairs = zip(self._weights, outputs, strict=True)
        found = [(weight, output.weights) for weight, output in pairs if output.weights is not None]
        if not found:
            return None
        counts = shares([weight for weight, _ in found])
        return torch.stack([count * weights for count, (_, weights) in zip(counts, found, strict=True)]).sum(0)


class RestrictableEnsemble:
    """Models that look together at the pieces of one shortlist."""

    def __init__(self, members: Sequence[RestrictableModel], *, weights: Sequence[float], average: Average) -> None:
        """Keep the members; see `Ensemble`."""
        self._members = tuple(members)
        self._weights = weights
        self._average = average

    def limit(self, listed: AllowedTokens) -> Ensemble:
        """Return the ensemble with these pieces alone."""
        members = [member.limit(listed) for member in self._members]
        return Ensemble(members, weights=self._weights, average=self._average)


def shares(weights: Sequence[float]) -> list[float]:
    """Return weights scaled to sum to one."""
    return [weight / sum(weights) for weight in weights]


def mean(log_probs: Sequence[Tensor], *, weights: Sequence[float], average: Average) -> Tensor:
    """Return the mean of what members say; exactly theirs, where all say the same.

    Args:
        log_probs: Of each member, float32: whole distributions or single pieces of them, in any shape.
        weights: How much each member counts; they sum to one.
        average: What is averaged; see the heading.
    """
    pairs = list(zip(weights, log_probs, strict=True))
    # What a member excludes has minus infinity; in differences to the greatest, that must stay a number.
    greatest = torch.stack(list(log_probs)).amax(0).clamp_min(torch.finfo(torch.float32).min)
    if average == "log_probabilities":
        found = torch.stack([weight * (values - greatest) for weight, values in pairs]).sum(0)
    else:
        found = torch.stack([weight * (values - greatest).exp() for weight, values in pairs]).sum(0).log()
    return (greatest + found).clamp_max(0.0)  # rounding must not make a probability above one


class EnsembleMember(NamedTuple):
    """One of the models."""

    name: str
    """What messages call it: its path."""
    file: ModelFile

    def with_decoding(self, decoding: DecodingConfig) -> EnsembleMember:
        """Return the model with these options as its own."""
        config = self.file.config.model_copy(update={"decoding": decoding})
        return self._replace(file=replace(self.file, config=config))


def check_compatible(members: Sequence[EnsembleMember]) -> None:
    """Make sure that models can translate together.

    Raises:
        UsageError: Two of them have different subword models, or write in different directions; both are named.
    """
    (first, expected), *others = members
    for name, file in others:
        for side in ("source", "target"):
            if getattr(file.tokenizers, side).fingerprint != getattr(expected.tokenizers, side).fingerprint:
                raise UsageError(
                    f"{first} and {name} cannot translate together: their subword models of the {side} differ. Train "
                    "the members from the same preprocessed data, or start the others with --init-from the first"
                )
        if file.config.data.right_to_left != expected.config.data.right_to_left:
            raise UsageError(
                f"{first} and {name} cannot translate together: one writes from left to right, the other from right "
                "to left; let one of them choose among the other's translations with `nmt rerank`"
            )


def checked_weights(weights: Sequence[float] | None, members: Sequence[EnsembleMember]) -> list[float]:
    """Return how much each member counts; None: all the same.

    Raises:
        UsageError: There are too few or too many, or one is not above zero.
    """
    if weights is None:
        return [1.0] * len(members)
    if len(weights) != len(members):
        raise UsageError(
            f"--model-weight is given {len(weights)} times for {len(members)} model{'s' * (len(members) > 1)}; give it "
            "once for each, or never"
        )
    for weight, (name, _) in zip(weights, members, strict=True):
        if not 0 < weight < float("inf"):
            raise UsageError(f"--model-weight {weight:g} of {name}: a weight must be above 0; leave the model out")
    return list(weights)
