"""A shortlist table for a model file that has none."""

from __future__ import annotations

from pathlib import Path

from nmt.config.schema import Shortlist
from nmt.data.preparation.preprocess import open_prepared
from nmt.data.shortlist import make_shortlist
from nmt.data.storage.store import SIDES, Store
from nmt.errors import DataError, UsageError
from nmt.inference.model_file import ModelFile, save_model


def add_shortlist(file: ModelFile, path: Path, *, translations: int | None, frequent: int | None) -> None:
    """Write a model file with a new table, learnt from the prepared data that the model was trained on.

    Args:
        file: The model.
        path: Where to write it; may be where it was read from.
        translations: `data.shortlist.translations`; None: what the model's configuration says, or the usual number.
        frequent: `data.shortlist.frequent`, likewise.

    Raises:
        UsageError: The data is not here.
        CheckpointError: The file cannot be written.
    """
    options = _options(file.config.data.shortlist, translations, frequent)
    table = make_shortlist(
        _training_pairs(file), file.tokenizers, translations=options.translations, frequent=options.frequent
    )
    data = file.config.data.model_copy(update={"shortlist": options})
    save_model(
        path,
        weights=file.weights,
        config=file.config.model_copy(update={"data": data}),
        tokenizers=file.tokenizers,
        provenance=file.provenance,
        shortlist=table,
    )


def _options(own: Shortlist, translations: int | None, frequent: int | None) -> Shortlist:
    """Return a model's options with those that are given; a model that was made without a table gets the usual one."""
    usual = own if own.translations else Shortlist()
    return Shortlist(
        translations=usual.translations if translations is None else translations,
        frequent=usual.frequent if frequent is None else frequent,
    )


def _training_pairs(file: ModelFile) -> Store:
    fingerprint = file.provenance.get("data_fingerprint")
    if not isinstance(fingerprint, str):
        raise UsageError("the model file does not say what data it was trained on, so no shortlist can be learnt")
    try:
        store, tokenizers = open_prepared(file.config, fingerprint)
    except (DataError, OSError) as error:
        raise UsageError(
            f"the prepared training data of the model is not in {Path(file.config.data.prepared_folder)}: go to the "
            "folder where it was trained, and if need be make the data again with `nmt preprocess`"
        ) from error
    for side in SIDES:
        if getattr(tokenizers, side).fingerprint != getattr(file.tokenizers, side).fingerprint:
            raise UsageError("the prepared training data is cut into other pieces than those of the model")
    return store
