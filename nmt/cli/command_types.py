"""The kinds of commands: help in plain text, and modules that are imported only when a command needs them."""

from __future__ import annotations

import importlib
import textwrap
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

INDENT = "  "
LEFT_COLUMN = 26
"""Maximum width of the names of options beside their help. Longer names have a line of their own."""


def write_paragraphs(formatter: Any, text: str) -> None:
    """Write the text of a docstring: paragraphs wrapped to the width of the terminal, indented ones as they are."""
    for paragraph in text.split("\n\n"):
        lines = paragraph.rstrip().splitlines() if paragraph.startswith(INDENT) else _wrap(paragraph, formatter.width)
        formatter.write_paragraph()
        formatter.write("".join(f"{line}\n" for line in lines))


def write_parameters(command: TyperCommand | TyperGroup, context: Any, formatter: Any) -> None:
    """Write the arguments of a command, then its options under the headings that they name."""
    headings: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
    parameters: list[Any] = command.get_params(context)
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            headings["Arguments"].append((parameter.metavar or parameter.name, parameter.help or ""))
        elif (record := parameter.get_help_record(context)) is not None:
            heading = getattr(parameter, "rich_help_panel", None) or "Options"
            headings.setdefault(heading, []).append((record[0], parameter.help or ""))
    for heading, rows in headings.items():
        if rows:
            formatter.write(f"\n{heading}:\n")
            _write_columns(formatter, rows)


def _write_columns(formatter: Any, rows: list[tuple[str, str]]) -> None:
    """Write names and their help side by side. Long names have a line of their own."""
    left = min(LEFT_COLUMN, max(len(name) for name, _ in rows))
    margin = " " * (len(INDENT) + left + len(INDENT))
    for name, text in rows:
        first, *others = _wrap(text, formatter.width - len(margin))
        if len(name) > left:
            formatter.write(f"{INDENT}{name}\n{margin}{first}\n")
        else:
            formatter.write(f"{INDENT}{name:<{left}}{INDENT}{first}\n")
        formatter.write("".join(f"{margin}{line}\n" for line in others))


def _wrap(text: str, width: int) -> list[str]:
    """Break a paragraph into lines, between words only: names of options contain hyphens."""
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False) or [""]


def skip_absent_values(parameter: Any) -> None:
    """Let a parameter return None without conversion if it was not given and has no default.

    The result is that of Typer, which first builds a validator for the type. A command has 50 options, most of them
    not given.
    """
    process = parameter.process_value
    converted = parameter.required or parameter.multiple or parameter.nargs != 1 or parameter.callback is not None
    if not converted:
        parameter.process_value = lambda ctx, value: None if value is None else process(ctx, value)


class Command(TyperCommand):
    """A command with plain help, which converts only the values that were given."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        for parameter in self.params:
            skip_absent_values(parameter)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the description."""
        write_paragraphs(formatter, self.help or "")

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options."""
        write_parameters(self, ctx, formatter)


class CommandGroup(TyperGroup):
    """A group of commands with plain help."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the description."""
        write_paragraphs(formatter, self.help or "")

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options and the list of commands."""
        write_parameters(self, ctx, formatter)
        self.format_commands(ctx, formatter)


class LazyCommand(TyperCommand):
    """Stands for a command whose module is imported when the command runs, shows its help or completes its options."""

    def __init__(self, name: str, target: str, short_help: str) -> None:
        """Declares the command.

        Args:
            name: what users type.
            target: the function, or the Typer application of a group, as `module:attribute`.
            short_help: one line for the list of commands.
        """
        super().__init__(name, short_help=short_help, rich_markup_mode=None)
        self._target = target

    def load(self) -> TyperCommand | TyperGroup:
        """Import the module and return the command itself."""
        module, _, attribute = self._target.partition(":")
        value = getattr(importlib.import_module(module), attribute)
        if not isinstance(value, typer.Typer):
            app = typer.Typer(add_completion=False, rich_markup_mode=None)
            app.command(self.name, cls=Command)(value)
            value = app
        command: Any = typer.main.get_command(value)
        command.name = self.name
        return command  # type: ignore[no-any-return]

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Let the command itself parse its arguments."""
        return self.load().make_context(info_name, args, parent=parent, **extra)
