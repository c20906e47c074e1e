"""Writes the notebook of each lesson: a page of docs, in each language, whose code blocks are cells.

The page is what people edit and review. Its `.ipynb` is generated with jupytext. A test compares them and runs the
cells.

Run `python scripts/lib/notebooks.py` after a change of a lesson.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jupytext
import nbformat

FOLDER = Path(__file__).resolve().parents[2] / "docs"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def lessons() -> list[Path]:
    """Return the pages that are notebooks."""
    return sorted(FOLDER.rglob("lesson*.md"))


def notebook(page: Path) -> Any:
    """Return the notebook of a page. The same page gives the same notebook."""
    book = jupytext.read(page, fmt="md")
    book.metadata = {"kernelspec": KERNEL}
    for number, cell in enumerate(book.cells):
        cell.id = f"cell-{number}"
        cell.metadata = {}
    return book


if __name__ == "__main__":
    for page in lessons():
        page.with_suffix(".ipynb").write_text(nbformat.writes(notebook(page), version=4) + "\n", encoding="utf-8")
