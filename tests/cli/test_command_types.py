"""The kinds of commands of the command line."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
import typer
from typer.core import TyperCommand
from typer.testing import CliRunner

from nmt.cli.command_types import Command


def run(kind: type[TyperCommand], arguments: list[str]) -> tuple[int, Any]:
    """Return the exit code of a command of a kind, and the values that its function received."""
    received: dict[str, Any] = {}
    app = typer.Typer(add_completion=False)

    @app.command(cls=kind)
    def command(
        name: Annotated[str, typer.Argument()],
        files: Annotated[list[str] | None, typer.Argument()] = None,
        count: Annotated[int | None, typer.Option(min=1)] = None,
        choice: Annotated[Literal["a", "b"] | None, typer.Option()] = None,
        several: Annotated[list[int] | None, typer.Option()] = None,
        pair: Annotated[tuple[int, int] | None, typer.Option()] = None,
        word: Annotated[str | None, typer.Option(parser=str.upper)] = None,
        checked: Annotated[int | None, typer.Option(callback=lambda value: value or 7)] = None,
        switch: Annotated[bool | None, typer.Option("--switch/--no-switch")] = None,
        ratio: float = 0.5,
    ) -> None:
        received.update(locals())

    code = CliRunner().invoke(app, arguments).exit_code
    received.pop("received", None)
    return code, received


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["x"],
        ["x", "y", "z"],
        ["x", "--count", "3", "--choice", "b", "--several", "1", "--several", "2", "--pair", "1", "2"],
        ["x", "--word", "abc", "--checked", "2", "--no-switch", "--ratio", "2"],
        ["x", "--count", "0"],
        ["x", "--choice", "c"],
        ["x", "--ratio", "much"],
    ],
)
def test_values_are_those_of_typer_whether_they_are_given_or_not(arguments: list[str]) -> None:
    assert run(Command, arguments) == run(TyperCommand, arguments)
