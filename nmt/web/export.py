"""Writes the folder of a site."""

from __future__ import annotations

import shutil
from pathlib import Path

from nmt.config.schema import DecodingConfig
from nmt.data.atomic_folder import atomic_folder
from nmt.errors import DataError
from nmt.inference.model_file import ModelFile
from nmt.web.model_data import site_data

SITE = Path(__file__).parent / "site"
STYLE_SHEET = Path(__file__).parents[1] / "server" / "page" / "page.css"
MODEL_NAME = "model.safetensors"


def write_site(model: ModelFile, folder: Path, *, decoding: DecodingConfig, int8: bool = False) -> dict[str, int]:
    """Write a folder of static files that translates in the browser. An existing folder is replaced.

    Args:
        model: The model.
        folder: The folder, which appears when it is complete.
        decoding: The options of the search.
        int8: Whether to store the matrices in 8 bits.

    Returns:
        The size of each file in bytes.

    Raises:
        UsageError: The site cannot search with the options.
        DataError: The folder cannot be written.
    """
    data = site_data(model, decoding, int8=int8)
    try:
        with atomic_folder(folder) as temporary:
            for path in [*sorted(SITE.iterdir()), STYLE_SHEET]:
                shutil.copyfile(path, temporary / path.name)
            (temporary / MODEL_NAME).write_bytes(data)
    except OSError as error:
        raise DataError(f"{folder}: the site cannot be written: {error.strerror or error}.") from error
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
