"""Command-line options generated from the options of the configuration."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import Parameter
from typing import Annotated, Any

import typer
from pydantic import ConfigDict, TypeAdapter, ValidationError

from nmt.config.introspection import flag, options_of
from nmt.config.schema import DecodingConfig, Section
from nmt.config.validate import refusal
from nmt.errors import UsageError

COMPUTATION = ("batch_sentences", "device", "threads", "cuda_graphs")
"""Decoding options of commands that translate or score with the search of the model."""


def with_options(
    parameter: str,
    section: type[Section],
    names: Sequence[str] | None = None,
    *,
    defaults: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the options of a section to a command.

    Name, type, limits, choices, help and default of each option come from the schema.

    Args:
        parameter: the parameter of the command that receives the options: a dictionary by key. An option that was not
            given is None.
        section: the section.
        names: the keys of the options. None means all of them.
        defaults: the default stated in the help of an option, for commands with another default than the schema.
    """
    stated = defaults or {}
    generated = {name: _annotation(section, name, stated.get(name)) for name in names or options_of(section)}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        parameters = list(_insert(signature, parameter, generated))

        @functools.wraps(command)
        def run(**given: Any) -> None:
            values = {name: given.pop(name) for name in generated}
            command(**given, **{parameter: values})

        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {entry.name: entry.annotation for entry in parameters}
        return run

    return decorate


def with_decoding(
    *names: str, defaults: Mapping[str, str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds decoding options to a command, for its parameter `decoding`.

    Args:
        names: the keys of the options. None means all of them.
        defaults: the default stated in the help of an option, for commands with another default than the schema.
    """
    return with_options("decoding", DecodingConfig, names or None, defaults=defaults)


def _insert(signature: inspect.Signature, replaced: str, generated: Mapping[str, Any]) -> Iterator[Parameter]:
    """Yield the parameters of a command, with the generated ones in place of `replaced`."""
    for parameter in signature.parameters.values():
        if parameter.name != replaced:
            yield parameter.replace(kind=Parameter.KEYWORD_ONLY)
            continue
        for name, annotation in generated.items():
            yield Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _annotation(section: type[Section], name: str, default: str | None) -> Any:
    """Return the annotation from which Typer makes an option. `default` is stated in its help."""
    option, long = options_of(section)[name], flag(name, section)
    panel = option.command_line.panel if option.command_line else None
    if option.kind is bool:
        switch = f"{long}/--no-{long.removeprefix('--')}"
        return Annotated[
            bool | None,
            typer.Option(switch, help=help_of(section, name, default), show_default=False, rich_help_panel=panel),
        ]

    def parse(text: str) -> Any:
        return _parse(section, name, text)

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in option.choices if choice.startswith(incomplete)]

    return Annotated[
        str | None,
        typer.Option(
            long,
            parser=parse,
            metavar=f"<{'|'.join(option.choices) or option.kind.__name__}>",
            help=help_of(section, name, default),
            show_default=False,
            autocompletion=complete,
            rich_help_panel=panel,
        ),
    ]


def help_of(section: type[Section], name: str, default: str | None = None) -> str:
    """Return the help of an option: the first paragraph of its documentation, with its default.

    Keys of the section become names of options: `sampling` becomes --sampling. A given default replaces the default
    of the schema.
    """
    options = options_of(section)
    option = options[name]
    text = re.sub("`([a-z_]+)`", lambda key: flag(key[1], section) if key[1] in options else key[0], option.summary)
    if default is not None:
        return f"{text.partition('Default: ')[0].rstrip()} Default: {default}."
    if "Default: " in text or option.required:
        return text
    value = {True: "on", False: "off"}[option.default] if option.kind is bool else option.default
    return f"{text} Default: {value:g}." if isinstance(value, float) else f"{text} Default: {value}."


def _parse(section: type[Section], name: str, text: str) -> Any:
    """Return the value of an option.

    Raises:
        UsageError: the schema refuses it. The message has the words of an error in a configuration.
    """
    option, info = options_of(section)[name], section.model_fields[name]
    value: Any = text
    if option.kind in (int, float):
        from nmt.config.yaml_document import read_number  # PyYAML is slow to import

        with contextlib.suppress(ValueError):  # a number of too many digits stays text, and is refused below
            value = read_number(text.strip())
    kind: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))
    try:
        return adapter.validate_python(value, strict=True)
    except ValidationError:
        raise UsageError(refusal(flag(name, section), option, value)) from None
