"""`nmt translate` of one line imports what it needs: each module costs time and memory before the first word."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_tools import run_program
from tiny_translator import save_tiny_model

# Runs the program in this process, then prints the modules that it imported.
PROGRAM = """
import atexit, sys
before = set(sys.modules)  # what hooks of the environment imported
atexit.register(lambda: print(*set(sys.modules) - before, file=sys.stderr))
sys.argv = ["nmt", "translate", "-m", "model.safetensors"]
from nmt.cli import main
main()
"""

NEEDLESS = {
    "libraries": "torch array_api_compat charset_normalizer jinja2 lxml polib pygments regex rich sacrebleu tqdm yaml",
    "parts of numpy": "numpy.fft numpy.ma numpy.polynomial numpy.random numpy.testing",
    "OpenSSL": "_hashlib _ssl hashlib hmac",
    "networks and processes": "asyncio http http.client multiprocessing urllib.request concurrent.futures.process",
    "the standard library": "logging.config sqlite3 unittest xml",
    "other commands": "nmt.model nmt.training nmt.evaluation nmt.export nmt.metrics nmt.plots nmt.server nmt.web",
    "writing and reading YAML": "nmt.config.dump nmt.config.load nmt.config.yaml_document",
    "reading corpora": "nmt.data.corpus nmt.data.sources nmt.data.alignments nmt.data.batch nmt.data.ibm_model1",
    "alignments, documents, many files": "nmt.inference.aligner nmt.inference.documents.po nmt.cli.bulk_translation",
}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The modules that a translation of one line from standard input imports."""
    folder: Path = tmp_path_factory.mktemp("start")
    save_tiny_model(folder / "model.safetensors")
    done = run_program(PROGRAM, folder, "the red dog .\n")
    assert done.stdout.count("\n") == 1
    return set(done.stderr.split())


@pytest.mark.parametrize("kind", NEEDLESS)
def test_one_line_does_not_import_what_it_does_not_need(kind: str, imported: set[str]) -> None:
    assert {"numpy", "nmt.engine", "nmt.inference.translator"} <= imported
    assert not imported & set(NEEDLESS[kind].split())
