"""Points the links of the documentation that name code at the line where that code is defined.

A link such as [`DotScore`](../../nmt/model/attention.py#L90) names a class, a function, or a method as Class.method. A
test compares the pages with `with_lines`.

Run `python scripts/lib/code_links.py` after a change of the code.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<!!)\[`(?P<symbol>[\w.]+)`\]\((?P<file>[^)#\s]+\.py)(?:#L\d+)?\)")


@lru_cache
def definitions(file: Path) -> dict[str, int]:
    """Return the line of each class, function and method (as Class.method) of a module."""
    found: dict[str, int] = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = node.lineno
        if isinstance(node, ast.ClassDef):
            methods = [inner for inner in node.body if isinstance(inner, ast.FunctionDef)]
            found |= {f"{node.name}.{inner.name}": inner.lineno for inner in methods}
    return found


def with_lines(text: str, folder: Path) -> str:
    """Return a page with the right line in each link that names code.

    Args:
        text: The page, Markdown.
        folder: The folder that its links are relative to.

    Raises:
        KeyError: A link names a symbol that its file does not define.
    """

    def replace(link: re.Match[str]) -> str:
        symbol, file = link["symbol"], link["file"]
        lines = definitions((folder / file).resolve())
        if symbol not in lines:
            raise KeyError(f"{file} does not define {symbol}")
        return f"[`{symbol}`]({file}#L{lines[symbol]})"

    return LINK.sub(replace, text)


def pages() -> list[Path]:
    """Return the pages whose links are kept right."""
    return sorted((ROOT / "docs").rglob("*.md"))


if __name__ == "__main__":
    for page in pages():
        before = page.read_text(encoding="utf-8")
        after = with_lines(before, page.parent)
        if after != before:
            page.write_text(after, encoding="utf-8")
