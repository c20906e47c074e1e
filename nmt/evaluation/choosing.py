"""A translator of one model or several, with all that it may be told: what `nmt translate` and `nmt.load` work with.

Stands in this room because choosing by minimum Bayes risk does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nmt.config.decoding_overrides import override_decoding
from nmt.errors import UsageError
from nmt.inference.ensemble import EnsembleMember
from nmt.inference.mbr import ConsensusTranslator
from nmt.inference.translator import Translator
from nmt.metrics.sentence import UTILITIES, make_utility


def choosing_translator(
    members: Sequence[EnsembleMember],
    *,
    weights: Sequence[float] | None = None,
    mbr: str | None = None,
    decoding: Mapping[str, Any],
    alignments: bool = False,
) -> Translator | ConsensusTranslator:
    """Make a translator; with `mbr` one that chooses by minimum Bayes risk: among all that the beam keeps, or samples.

    Args:
        members: The models, at least one.
        weights: How much each of several counts; None: all the same.
        mbr: The metric by which candidates are compared, `chrf` or `bleu`. None: the best one of the search is taken.
        decoding: Options in place of those of the first model; see `Translator.load`.
        alignments: Keep what it takes to align translations.

    Raises:
        UsageError: The models do not go together, options cannot be used, or there would be nothing to choose from.
        CheckpointError: The weights of a model do not fit its configuration.
        NMTError: The tokenizer that BLEU needs is not installed.
    """
    if mbr is None:
        return Translator.from_members(members, weights=weights, decoding=decoding, alignments=alignments)
    if mbr not in UTILITIES:
        raise UsageError(f"--mbr: found {mbr!r}, expected {' or '.join(UTILITIES)}")
    config = members[0].file.config
    options = override_decoding(config.decoding, decoding)
    count = options.n_best if options.sampling else options.beam_size
    if count == 1:
        larger = "--n-best" if options.sampling else "--beam-size"
        raise UsageError(f"--mbr chooses among several translations, and with {larger} 1 there is only one; raise it")
    utility = make_utility(
        mbr,
        bleu_tokenizer=config.evaluation.bleu_tokenizer,
        lowercase=config.evaluation.lowercase,
        target_language=config.data.target_language,
    )
    wider = {**decoding, "n_best": count}
    candidates = Translator.from_members(members, weights=weights, decoding=wider, alignments=alignments)
    return ConsensusTranslator(candidates, utility, n_best=options.n_best)
