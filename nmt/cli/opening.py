"""Opens the model that a command works with."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nmt.cli.options import Utilities
    from nmt.evaluation.mbr import ConsensusTranslator
    from nmt.inference.ensemble import Member
    from nmt.inference.model_file import ModelFile
    from nmt.inference.translator import Translator


def open_model(model: Path | None) -> ModelFile:
    """Load the model that is meant: a file, the folder of a run, or (None) what `find_model` finds.

    Raises:
        UsageError: there is no model.
        CheckpointError: the file is not a model file, or is damaged.
    """
    from nmt.inference.find import find_model

    path = find_model(model)  # before the slow import, so that a wrong path is told at once
    from nmt.inference.model_file import load_model

    return load_model(path)


def open_models(models: Sequence[Path] | None) -> list[Member]:
    """Load the models that are meant, one or several; none given: what `find_model` finds.

    Raises:
        UsageError: there is no model.
        CheckpointError: a file is not a model file, or is damaged.
    """
    from nmt.inference.find import find_model

    paths = [find_model(model) for model in models] if models else [find_model(None)]
    from nmt.inference.ensemble import Member
    from nmt.inference.model_file import load_model

    return [Member(str(path), load_model(path)) for path in paths]


def translator_of(
    members: Sequence[Member], weights: Sequence[float] | None, *, alignments: bool = False, **decoding: Any
) -> Translator:
    """Make a translator of one model or several, with decoding options as they come from the command line.

    With `alignments`, one model keeps what it takes to align its translations.

    Raises:
        UsageError: the models do not go together, or the options cannot be used.
        CheckpointError: the weights of a model do not fit its configuration.
    """
    from nmt.inference.ensemble import ensemble_translator

    if len(members) == 1 and not weights:
        return make_translator(members[0].file, alignments=alignments, **decoding)
    return ensemble_translator(members, weights=weights or None, decoding=decoding_options(**decoding))


def choosing_translator(
    members: Sequence[Member],
    weights: Sequence[float] | None,
    mbr: Utilities | None,
    *,
    alignments: bool = False,
    **decoding: Any,
) -> Translator | ConsensusTranslator:
    """Make a translator; with `mbr` one that chooses by minimum Bayes risk: among all that the beam keeps, or samples.

    Raises:
        UsageError, CheckpointError: see `translator_of`; or there would be nothing to choose from.
        NMTError: the tokenizer that BLEU needs is not installed.
    """
    if mbr is None:
        return translator_of(members, weights, alignments=alignments, **decoding)
    from nmt.config.decoding import change_decoding
    from nmt.evaluation.mbr import ConsensusTranslator
    from nmt.evaluation.utility import make_utility

    config = members[0].file.config
    options = change_decoding(config.decoding, decoding_options(**decoding))
    count = options.n_best if options.sampling else options.beam_size
    if count == 1:
        larger = "--n-best" if options.sampling else "--beam-size"
        raise UsageError(f"--mbr chooses among several translations, and with {larger} 1 there is only one; raise it")
    utility = make_utility(
        mbr.value,
        bleu_tokenizer=config.evaluation.bleu_tokenizer,
        lowercase=config.evaluation.lowercase,
        target_language=config.data.target_language,
    )
    candidates = translator_of(members, weights, alignments=alignments, **{**decoding, "n_best": count})
    return ConsensusTranslator(candidates, utility, n_best=options.n_best)


def make_translator(model: ModelFile, *, alignments: bool = False, **decoding: Any) -> Translator:
    """Make a translator, with decoding options as they come from the command line (None is the model's own).

    Raises:
        UsageError: the options cannot be used.
        CheckpointError: the model's weights do not fit its configuration.
    """
    from nmt.inference.translator import Translator

    return Translator.from_model_file(model, decoding=decoding_options(**decoding), alignments=alignments)


def decoding_options(**decoding: Any) -> dict[str, Any]:
    """Return decoding options as they come from the command line in the form of the configuration."""
    return {name: value.value if isinstance(value, Enum) else value for name, value in decoding.items()}
