"""Several models that translate together: at each step the next piece is chosen by the mean of what they say.

R rows, V vocabulary, N members.

Members may differ in all but their subword models: in seeds, sizes, architectures. Each has a memory and a state of its
own. With weights w_i that sum to one, and p_i the distribution of member i,

    probabilities        p(y) = sum_i w_i p_i(y)                 what any member likes stays possible
    log_probabilities    log p(y) = sum_i w_i log p_i(y)         a piece must please all of them

The second is not normalised again: where members disagree, all pieces lose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from nmt.config.decoding import change_decoding
from nmt.config.schema import Decoding
from nmt.device import choose_device, set_threads
from nmt.errors import UsageError
from nmt.inference.model_file import ModelFile
from nmt.inference.packing import ready_to_search
from nmt.inference.text import part_separator
from nmt.inference.translator import Translator
from nmt.log import logger
from nmt.search import StepModel, StepOutput

Average = Literal["probabilities", "log_probabilities"]


class Parts(NamedTuple):
    """The memories, or the states, of all members."""

    members: tuple[Any, ...]

    def select(self, rows: Tensor) -> Parts:
        """Return what belongs to `rows` of each member."""
        return Parts(tuple(member.select(rows) for member in self.members))


class EnsembleOutput(NamedTuple):
    """What one step of all members gives."""

    log_probs: Tensor
    """Of the mean [R, V], float32."""
    state: Parts
    weights: Tensor | None
    """The members' attention, averaged likewise [R, S]; None if one has none."""


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
        self._weights = [weight / sum(weights) for weight in weights]
        self._average = average

    def encode(self, source: Tensor, lengths: Tensor) -> Parts:
        """Let each member encode `source` [B, S] of `lengths` [B]."""
        return Parts(tuple(member.encode(source, lengths) for member in self._members))

    def init_state(self, memory: Parts) -> Parts:
        """Return each member's first state."""
        own = zip(self._members, memory.members, strict=True)
        return Parts(tuple(member.init_state(memory) for member, memory in own))

    def step(self, ids: Tensor, state: Parts, memory: Parts) -> EnsembleOutput:
        """Feed one piece to each row [R] of each member."""
        own = zip(self._members, state.members, memory.members, strict=True)
        outputs = [member.step(ids, state, memory) for member, state, memory in own]
        log_probs = self._mean([output.log_probs for output in outputs])
        return EnsembleOutput(log_probs, Parts(tuple(output.state for output in outputs)), self._attention(outputs))

    def _mean(self, log_probs: Sequence[Tensor]) -> Tensor:
        """Return the mean of the members' distributions [R, V]; exactly theirs, where all are the same."""
        pairs = list(zip(self._weights, log_probs, strict=True))
        # What a member excludes has minus infinity; in differences to the greatest, that must stay a number.
        greatest = torch.stack(list(log_probs)).amax(0).clamp_min(torch.finfo(torch.float32).min)
        if self._average == "log_probabilities":
            mean = torch.stack([weight * (values - greatest) for weight, values in pairs]).sum(0)
        else:
            mean = torch.stack([weight * (values - greatest).exp() for weight, values in pairs]).sum(0).log()
        return (greatest + mean).clamp_max(0.0)  # rounding must not make a probability above one

    def _attention(self, outputs: Sequence[StepOutput[Any]]) -> Tensor | None:
        found = [output.weights for output in outputs if output.weights is not None]
        if len(found) < len(outputs):
            return None
        return torch.stack([weight * weights for weight, weights in zip(self._weights, found, strict=True)]).sum(0)


class Member(NamedTuple):
    """One of the models."""

    name: str
    """What messages call it: its path."""
    file: ModelFile


def ensemble_translator(
    members: Sequence[Member], *, weights: Sequence[float] | None = None, decoding: Mapping[str, Any]
) -> Translator:
    """Make a translator of several model files.

    Args:
        members: The models, the same one twice if need be.
        weights: How much each counts, above zero; None: all the same.
        decoding: Options in place of those of the first member; see `Translator.load`.

    Raises:
        UsageError: The members cannot translate together, the weights are not theirs, or options cannot be used.
        CheckpointError: Weights of a network do not fit its configuration.
    """
    check_members(members)
    files = [member.file for member in members]
    options = _options(files[0].config.decoding, decoding)
    if options.threads is not None:
        set_threads(options.threads)
    device = choose_device(options.device)
    data = [file.config.data for file in files]
    return Translator(
        Ensemble(
            [ready_to_search(file.network(device), options.precision, device) for file in files],
            weights=_checked(weights, [member.name for member in members]),
            average=options.ensemble_average,
        ),
        files[0].tokenizers,
        decoding=options,
        device=device,
        max_source_pieces=min(each.filters.max_pieces for each in data),
        separator=part_separator(data[0].target_language),
    )


def check_members(members: Sequence[Member]) -> None:
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
                    "the members from the same prepared data, or start the others with --init-from the first"
                )
        if file.config.data.right_to_left != expected.config.data.right_to_left:
            raise UsageError(
                f"{first} and {name} cannot translate together: one writes from left to right, the other from right "
                "to left; let one of them choose among the other's translations with `nmt rerank`"
            )


def _options(own: Decoding, given: Mapping[str, Any]) -> Decoding:
    """Return the options of an ensemble.

    Raises:
        UsageError: They cannot be used.
    """
    if given.get("shortlist"):
        raise UsageError("--shortlist goes with a single model; an ensemble looks at the whole vocabulary")
    options = change_decoding(own, given)
    if options.shortlist:
        logger.info("an ensemble looks at the whole vocabulary: the first model's shortlist is not used")
        options = options.model_copy(update={"shortlist": False})
    return options


def _checked(weights: Sequence[float] | None, names: Sequence[str]) -> list[float]:
    if weights is None:
        return [1.0] * len(names)
    if len(weights) != len(names):
        raise UsageError(
            f"--model-weight is given {len(weights)} times for {len(names)} models; give it once for each, or never"
        )
    for weight, name in zip(weights, names, strict=True):
        if not 0 < weight < float("inf"):
            raise UsageError(f"--model-weight {weight:g} of {name}: a weight must be above 0; leave the model out")
    return list(weights)
