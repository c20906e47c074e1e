"""Hooks of the documentation site: pages that the code writes, and pages that live outside docs/.

mkdocs calls the `on_...` functions; see mkdocs.yml. On the code hosting site the same files are read as they are, so
every link is written for the repository, and rewritten here for the site.
"""

from __future__ import annotations

import posixpath
import re
import types
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from pymdownx.slugs import slugify

ROOT = Path(__file__).resolve().parents[2]
PAGES_ELSEWHERE = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "data/README.md": "guide/corpora.md",
    "configs/papers/README.md": "concepts/papers.md",
}
"""Files outside docs/, by their place in the repository, and the pages of the site that show them."""
DEFAULT_LANGUAGE = "en"
LANGUAGES = ("ko",)
"""Languages with a folder in docs/ that has the paths of the English pages."""
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
CODE = re.compile(r"`[^`\n]+`")
TABLE_ROW = re.compile(r"^\|.*$", flags=re.MULTILINE)
"""The hosting site needs a backslash before a bar in code in a table; the site's parser would show it."""
BLOCK = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)


def on_config(config: Any) -> Any:
    """Name headings of all scripts as the hosting site does, so that links to them work on both."""
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages whose text lies outside docs/."""
    for source, page in PAGES_ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Put generated text in place of its marker, and point all links to pages of the site."""
    uri = page.file.src_uri
    for marker, write in GENERATED.items():
        if marker in markdown:
            markdown = markdown.replace(marker, "\n".join(write()))
    markdown = TABLE_ROW.sub(lambda row: CODE.sub(lambda code: code[0].replace("\\|", "|"), row[0]), markdown)
    place = next((source for source, target in PAGES_ELSEWHERE.items() if target == uri), f"docs/{uri}")
    return relink(markdown, place=place, uri=uri, repository=config["repo_url"])


def on_page_context(context: Any, page: Any, config: Any, nav: Any) -> None:
    """Set the language of the page and of the texts around it, and link the page to its translation."""
    language, path = language_of(page.file.src_uri)
    config.theme["language"] = language
    pages = {each.file.src_uri for each in nav.pages}
    for each in config.extra["alternate"]:
        folder = "" if each["lang"] == DEFAULT_LANGUAGE else f"{each['lang']}/"
        uri = f"{folder}{path}" if f"{folder}{path}" in pages else f"{folder}index.md"
        each["link"] = uri.removesuffix(".md") + ".html"


def language_of(uri: str) -> tuple[str, str]:
    """Split the place of a page in the site into its language and the place of the English page."""
    folder, _, path = uri.partition("/")
    return (folder, path) if folder in LANGUAGES else (DEFAULT_LANGUAGE, uri)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Make sure that a browser fetches nothing from elsewhere to show the page.

    Raises:
        PluginError: The page loads a script, style, font or picture from another host.
    """
    found = re.search(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>", output)
    if found and 'rel="canonical"' not in found[0]:
        raise PluginError(f"{page.file.src_uri}: the page loads something from another host: {found[0]}")
    return output


def relink(markdown: str, *, place: str, uri: str, repository: str | None) -> str:
    """Rewrite the links of a page for the site, outside code blocks.

    Args:
        markdown: The page.
        place: Where its text is in the repository.
        uri: Where the page is in the site.
        repository: Address of the repository. Without it, a link to a file that the site lacks becomes the file's name.
    """

    def replace(match: re.Match[str]) -> str:
        mark, label, target = match.groups()
        path, _, fragment = target.partition("#")
        if not path or re.match(r"[a-z]+:", target):
            return match[0]
        repo_path = posixpath.normpath(posixpath.join(posixpath.dirname(place), path))
        page = {**PAGES_ELSEWHERE, "README.md": "index.md"}.get(repo_path)
        if page is None and repo_path.startswith("docs/"):
            page = repo_path.removeprefix("docs/")
        if page is not None:
            relative = posixpath.relpath(page, posixpath.dirname(uri) or ".")
            return f"{mark}[{label}]({relative}{'#' + fragment if fragment else ''})"
        if repository:
            line = f"#{fragment}" if fragment else ""
            return f"{mark}[{label}]({repository.rstrip('/')}/blob/main/{repo_path}{line})"
        return label if label.strip("`") in (path, repo_path) else f"{label} (`{repo_path}`)"

    parts, end = [], 0
    for block in BLOCK.finditer(markdown):
        parts += [LINK.sub(replace, markdown[end : block.start()]), block[0]]
        end = block.end()
    return "".join([*parts, LINK.sub(replace, markdown[end:])])


def command_pages() -> Iterator[str]:
    """Write every command: usage, help text, examples, arguments, and options by panel."""
    import typer.main

    from nmt.cli import app

    yield from _command(typer.main.get_command(app), ("nmt",))


def _command(command: Any, names: tuple[str, ...]) -> Iterator[str]:
    import typer

    context = typer.Context(command, info_name=" ".join(names))
    subcommands = getattr(command, "commands", {})
    usage = " ".join([*names, *command.collect_usage_pieces(context)])
    yield from (f"{'##' if len(names) < 3 else '###'} {' '.join(names)}", "", "```text", usage, "```", "")
    yield from _help(command.help or "")
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    yield from _table("Argument", [(one.metavar or one.name.upper(), one) for one in arguments])
    panels: dict[str, list[tuple[str, Any]]] = {}
    for one in options:
        panel = getattr(one, "rich_help_panel", None) or "Option"
        panels.setdefault(panel, []).append((", ".join([*one.opts, *one.secondary_opts]), one))
    for panel, rows in panels.items():
        yield from _table(panel, rows)
    for name, inner in subcommands.items():
        yield from _command(inner.load() if hasattr(inner, "load") else inner, (*names, name))


def _help(text: str) -> Iterator[str]:
    """A help text as Markdown: an indented paragraph is an example."""
    examples: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.replace("\b", "").strip("\n")):
        if paragraph.startswith((" ", "nmt ", "echo ")):
            examples += map(str.strip, paragraph.splitlines())
            continue
        yield from _example_block(examples)
        examples = []
        yield from (" ".join(paragraph.split()), "")
    yield from _example_block(examples)


def _example_block(examples: list[str]) -> Iterator[str]:
    if examples:
        yield from ("```bash", *examples, "```", "")


def _table(title: str, rows: list[tuple[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    cells = []
    for name, one in rows:
        default = one.default() if callable(one.default) else one.default
        shown = "" if default in (None, False, (), []) else _code(str(getattr(default, "value", default)))
        value = "" if getattr(one, "is_flag", False) else _value(one)
        meaning = _cell(one.help or "") + (" Required." if one.required else "")
        cells.append((_code(name), value, meaning, shown))
    heading = (title, "Value", "Meaning", "Default")
    columns = [number for number in range(4) if any(row[number] for row in cells)]
    for row in (heading, ("---",) * 4, *cells):
        yield "| " + " | ".join(row[number] for number in columns) + " |"
    yield ""


def _value(parameter: Any) -> str:
    """What an option takes: its choices, its kind of number with the bounds, or the name of its value."""
    kind = parameter.type_descriptor.annotation
    while get_origin(kind) in (list, Union, types.UnionType, Annotated):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(_code(str(choice.value)) for choice in kind)
    if get_origin(kind) is Literal:
        return ", ".join(_code(str(choice)) for choice in get_args(kind))
    name = {int: "whole number", float: "number"}.get(kind)
    if name is None:
        return _code(parameter.metavar) if parameter.metavar and parameter.param_type_name == "option" else ""
    limits = (("at least", parameter.min), ("at most", parameter.max))
    bounds = " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)
    return f"{name}, {bounds}" if bounds else name


def configuration_page() -> Iterator[str]:
    """Write every key of the schema: type and bounds, default, meaning; a section a heading."""
    from nmt.config.introspection import options_of
    from nmt.config.schema import WithBase

    def section(kind: Any, path: str) -> Iterator[str]:
        options = options_of(kind)
        values = {name: one for name, one in options.items() if one.section is None and not _sections(one)}
        if values:
            yield from ("| Key | Value | Meaning | Default |", "| --- | --- | --- | --- |")
        for name, one in values.items():
            default = "" if one.required else _code(_yaml(one.default))
            meaning = _cell(one.doc) + (" Required." if one.required else "")
            yield f"| {_code(path + name)} | {_cell(one.expected)} | {meaning} | {default} |"
        yield ""
        for name, one in options.items():
            inner = one.section or _sections(one)
            if inner:
                suffix = "" if one.section else ".N"
                heading = f"{path}{name}{suffix}"
                level = "#" * min(4, 2 + heading.removesuffix(".N").count("."))
                yield from (f"{level} {heading}", "", _cell(one.doc), "")
                if not one.section:
                    yield from ("A list of entries. N is the number of an entry, from 0.", "")
                yield from section(inner, f"{heading}.")

    yield from section(WithBase, "")


def _sections(option: Any) -> Any:
    return option.item.section if option.item is not None else None


def _yaml(value: Any) -> str:
    from nmt.config.dump import one_line

    return one_line(value)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    """Text for a cell of a table; angle brackets and stars outside code are text, no markup."""
    words: Iterable[str] = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(one if one.startswith("`") else re.sub(r"([<>*_|\[\]])", r"\\\1", one) for one in words)


GENERATED: dict[str, Callable[[], Iterator[str]]] = {
    "<!-- generated: commands -->": command_pages,
    "<!-- generated: configuration -->": configuration_page,
}
"""Markers in pages of docs/reference, and what takes their place."""
