"""What a translator is made of, got ready from model files: of one model, or of several that translate together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from nmt.config.decoding import change_decoding
from nmt.config.schema import Decoding
from nmt.data.shortlist import ShortlistTable
from nmt.data.subwords.tokenizer import Tokenizers
from nmt.device import choose_device, choose_dtype, choose_precision, set_threads
from nmt.errors import UsageError
from nmt.inference.aligner import Aligner
from nmt.inference.lines.parts import longest_part
from nmt.inference.lines.text import part_separator
from nmt.inference.networks.ensemble import Average, Ensemble, LimitableEnsemble, Member, check_members, checked_weights
from nmt.inference.networks.packing import ready_to_search
from nmt.inference.networks.shortlist import Limitable, LimitableNetwork, Shortlist
from nmt.log import logger
from nmt.model import Seq2Seq
from nmt.search import StepModel


class Ingredients(NamedTuple):
    """What `Translator` keeps; it says what each is."""

    model: StepModel[Any, Any]
    tokenizers: Tokenizers
    decoding: Decoding
    device: torch.device
    max_source_pieces: int | None
    separator: str
    shortlist: Shortlist | None
    aligner: Aligner | None
    symbols: Sequence[str]


def get_ready(
    members: Sequence[Member], *, weights: Sequence[float] | None, decoding: Mapping[str, Any], alignments: bool
) -> Ingredients:
    """Make networks and all else; see `Translator.from_members`."""
    check_members(members)
    counts = checked_weights(weights, members)
    first = members[0].file
    options = change_decoding(first.config.decoding, decoding)
    table = _table(members) if options.shortlist else None
    if options.threads is not None:
        set_threads(options.threads)
    device = choose_device(options.device)
    networks = [member.file.network(device) for member in members]
    model, limitable = _searched(networks, counts, options, device)
    return Ingredients(
        model=model,
        tokenizers=first.tokenizers,
        decoding=options,
        device=device,
        max_source_pieces=longest_part([member.file.config for member in members], decoding),
        separator=part_separator(first.config.data.target_language),
        shortlist=None
        if table is None
        else Shortlist(limitable, table, target_size=first.tokenizers.target.size, device=device),
        aligner=_aligner(members, networks, counts, options, device) if alignments or options.protect else None,
        symbols=first.config.tokenizer.user_symbols,
    )


def _searched(
    networks: Sequence[Seq2Seq], counts: Sequence[float], options: Decoding, device: torch.device
) -> tuple[StepModel[Any, Any], Limitable]:
    """Return what is searched, whole and in a form that a shortlist can cut down."""
    precision = choose_precision(options.precision, device)
    ready = [ready_to_search(network, options.precision, device) for network in networks]
    pairs = zip(ready, networks, strict=True)
    limitable = [LimitableNetwork(packed, network.output, precision=precision) for packed, network in pairs]
    if len(networks) == 1:
        return ready[0], limitable[0]
    average: Average = options.ensemble_average
    return (
        Ensemble(ready, weights=counts, average=average),
        LimitableEnsemble(limitable, weights=counts, average=average),
    )


def _table(members: Sequence[Member]) -> ShortlistTable:
    """Return the shortlist table of the first model that has one: the vocabularies are the same.

    Raises:
        UsageError: There is none.
    """
    for name, file in members:
        if file.shortlist is not None:
            if len(members) > 1:
                logger.info("all models look at the shortlist of %s", name)
            return file.shortlist
    missing = "the model file has no table" if len(members) == 1 else "none of the model files has a table"
    raise UsageError(
        f"--shortlist: {missing} for it. `nmt shortlist MODEL` adds one, in the folder where the model was trained; "
        "--no-shortlist looks at the whole vocabulary."
    )


def _aligner(
    members: Sequence[Member],
    networks: Sequence[Seq2Seq],
    counts: Sequence[float],
    options: Decoding,
    device: torch.device,
) -> Aligner | None:
    """Return what tells where the models look on average, but for those without attention; None if all are such."""
    looking = [
        (network, count)
        for (_, file), network, count in zip(members, networks, counts, strict=True)
        if file.config.model.attention.score != "none"
    ]
    if not looking:
        return None
    return Aligner(
        [network for network, _ in looking],
        members[0].file.tokenizers,
        device=device,
        dtype=choose_dtype(options.precision, device) if device.type == "cuda" else torch.float32,
        batch_sentences=options.batch_sentences,
        weights=[count for _, count in looking],
    )
