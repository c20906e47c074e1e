"""Writes a site: a folder, or one file."""

from __future__ import annotations

from pathlib import Path

from nmt.config.schema import DecodingConfig
from nmt.data.atomic_file import replace_file
from nmt.data.atomic_folder import atomic_folder
from nmt.errors import DataError
from nmt.inference.model_file import ModelFile
from nmt.web.model_data import site_data
from nmt.web.single_file import single_file

SITE = Path(__file__).parent / "site"
SHARED = [Path(__file__).parents[1] / "server" / "page" / name for name in ("page.css", "interface.js", "view.js")]
"""Files of the page of nmt serve that a site has too."""
MODEL_NAME = "model.safetensors"


def write_site(
    model: ModelFile, output: Path, *, decoding: DecodingConfig, int8: bool = False, one_file: bool = False
) -> dict[str, int]:
    """Write static files that translate in the browser. An existing site is replaced.

    Args:
        model: The model.
        output: The folder or the file, which appears when it is complete.
        decoding: The options of the search.
        int8: Whether to store the matrices in 8 bits.
        one_file: Whether to write one HTML file instead of a folder.

    Returns:
        The size of each file in bytes.

    Raises:
        UsageError: The site cannot search with the options.
        DataError: The output cannot be written.
    """
    files = {path.name: path.read_bytes() for path in _own_files()}
    files[MODEL_NAME] = site_data(model, decoding, int8=int8)
    try:
        if one_file:
            content = single_file(files)
            with replace_file(output) as stream:
                stream.write(content)
            return {output.name: len(content)}
        with atomic_folder(output) as temporary:
            for name, content in files.items():
                (temporary / name).write_bytes(content)
    except OSError as error:
        raise DataError(f"{output}: the site cannot be written: {error.strerror or error}.") from error
    return {name: len(content) for name, content in files.items()}


def site_names() -> list[str]:
    """Return the names of all files of a site."""
    return [*(path.name for path in _own_files()), MODEL_NAME]


def _own_files() -> list[Path]:
    return [*sorted(SITE.iterdir()), *SHARED]
