"""The file that a site reads: the weights, with the options and the subword models in its metadata.

It is a safetensors file. The weights have the names and shapes of the model file, in float32 (F32), or in 8 bits (I8)
with one scale for each row. The metadata are strings:

    site_version       "1"
    model              JSON: the section `model` of the configuration
    decoding           JSON: the options of the search, with the defaults that depend on the model
    text               JSON: see `nmt.web.text_rules`
    source_tokenizer   base64: the SentencePiece model of the source
    target_tokenizer   base64: the SentencePiece model of the target; left out if both sides share one
"""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import DecodingConfig
from nmt.data.tensor_file import RawTensor, as_array, as_raw, write_tensors
from nmt.errors import UsageError
from nmt.inference.batch_search import DEFAULT_MAX_LENGTH_RATIO
from nmt.inference.model_file import ModelFile
from nmt.inference.segmentation import max_segment_pieces, sentence_separator
from nmt.log import logger
from nmt.search import make_length_normalization
from nmt.web.text_rules import text_rules

SITE_VERSION = "1"
SEARCH_OPTIONS = (
    *("beam_size", "stopping", "length_normalization", "max_length_constant", "max_length", "min_length"),
    *("min_length_ratio", "coverage_penalty", "repetition_penalty", "no_repeat_ngram", "split_sentences"),
)
"""Options that the engine of the site has, apart from those with a default that depends on the model."""
LEVELS = 127
"""Largest number of a weight in 8 bits."""


def site_data(model: ModelFile, decoding: DecodingConfig, *, int8: bool) -> bytes:
    """Return the content of the file.

    Args:
        model: The model.
        decoding: The options of the search.
        int8: Whether to store matrices in 8 bits.

    Raises:
        UsageError: The site cannot search with the options.
    """
    tokenizers = model.tokenizers
    metadata = {
        "site_version": SITE_VERSION,
        "model": json.dumps(model.config.model.model_dump(mode="json", exclude={"dropout", "initialization"})),
        "decoding": json.dumps(_search_options(model, decoding)),
        "text": json.dumps(text_rules(), ensure_ascii=False),
        "source_tokenizer": base64.b64encode(tokenizers.source.model_bytes).decode("ascii"),
    }
    if tokenizers.target.model_bytes != tokenizers.source.model_bytes:
        metadata["target_tokenizer"] = base64.b64encode(tokenizers.target.model_bytes).decode("ascii")
    tensors: dict[str, RawTensor] = {}
    for name, raw in model.tensors.items():
        values = as_array(raw).astype(np.float32)
        if int8 and values.ndim == 2:
            levels, scales = quantize_rows(values)
            tensors[name], tensors[f"{name}.scale"] = as_raw(levels), as_raw(scales)
        else:
            tensors[name] = as_raw(values)
    stream = io.BytesIO()
    write_tensors(stream, tensors, metadata)
    return stream.getvalue()


def quantize_rows(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return a matrix [O, I] in 8 bits [O, I], and the scale of each row [O]."""
    scales = np.abs(values).max(axis=1) / LEVELS  # [O]
    scales[scales == 0] = 1
    levels = np.rint(values / scales[:, np.newaxis]).astype(np.int8)
    return levels, scales.astype(np.float32)


def _search_options(model: ModelFile, decoding: DecodingConfig) -> dict[str, Any]:
    """Return the options of the search as the engine of the site reads them.

    Raises:
        UsageError: The site cannot search with the options.
    """
    for name, unusual in (("sampling", decoding.sampling), ("beam_groups", decoding.beam_groups > 1)):
        if unusual:
            raise UsageError(
                f"decoding.{name}: a site has beam search only. Set the usual value in the model with nmt tune, or "
                f"train with decoding.{name} at its default."
            )
    for name in ("shortlist", "protect"):
        if getattr(decoding, name):
            logger.warning("decoding.%s has no effect in a site", name)
    normalization = make_length_normalization(decoding.length_normalization, decoding.alpha)
    data = model.config.data
    ratio = decoding.max_length_ratio
    return {name: getattr(decoding, name) for name in SEARCH_OPTIONS} | {
        "alpha": normalization.alpha,
        "n_best": 1,
        "max_source_pieces": max_segment_pieces([model.config], {}),
        "max_length_ratio": DEFAULT_MAX_LENGTH_RATIO if ratio is None else ratio,
        "separator": sentence_separator(data.target_language, model.tokenizers.target),
        "right_to_left": data.right_to_left,
        "source_language": data.source_language,
        "target_language": data.target_language,
    }
