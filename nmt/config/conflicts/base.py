"""Conflicts between options, and rules that several checks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nmt.config.problems import KeyPath
from nmt.config.schema import Config


@dataclass(frozen=True)
class Conflict:
    """Options that cannot be combined.

    Attributes:
        paths: the options. The error names the first one.
        text: what is wrong.
        hint: how to correct it.
        ignored: whether the first option has no effect because of the second one.
    """

    paths: tuple[KeyPath, ...]
    text: str
    hint: str
    ignored: bool = False


Check = Callable[[Config], Iterator[Conflict]]


def key(path: str) -> KeyPath:
    """Return the key path of a dotted name such as `data.train.0.source`."""
    return tuple(int(part) if part.isdecimal() else part for part in path.split("."))


def value_at(config: Config, path: KeyPath) -> Any:
    """Return the value of an option."""
    value: Any = config
    for part in path:
        value = value[part] if isinstance(part, int) else getattr(value, part)
    return value


@dataclass(frozen=True)
class OnlyUsedWith:
    """An option that is ignored unless another one, its `switch`, has one of some values, as written in YAML."""

    option: str
    switch: str
    values: tuple[str, ...]


def written(value: Any) -> str:
    """Return the value of an option as written in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def ignored_options(config: Config, rules: tuple[OnlyUsedWith, ...]) -> Iterator[Conflict]:
    """Yield options with values other than the default that are ignored because of another option."""
    for rule in rules:
        option, switch = key(rule.option), key(rule.switch)
        default = type(value_at(config, option[:-1])).model_fields[str(option[-1])].default
        value, chosen = value_at(config, option), value_at(config, switch)
        if written(chosen) not in rule.values and value != default:
            others = " or ".join(rule.values)
            message = f"found {written(value)}, but it has no effect with {rule.switch} {written(chosen)}"
            hint = f"leave it out (its default is {written(default)}), or write `{switch[-1]}: {others}`"
            yield Conflict((option, switch), message, hint, ignored=True)


def ignored_without(config: Config, section: str, amount: str) -> Iterator[Conflict]:
    """Yield options of `section` with values other than the default that are ignored because `amount` is 0."""
    switch = key(f"{section}.{amount}")
    values = value_at(config, switch[:-1])
    if getattr(values, amount) > 0:
        return
    for name, field in type(values).model_fields.items():
        value = getattr(values, name)
        if name != amount and value != field.default:
            message = f"found {written(value)}, but it has no effect with {section}.{amount} 0"
            hint = f"leave it out (its default is {written(field.default)}), or set {amount} above 0"
            yield Conflict(((*switch[:-1], name), switch), message, hint, ignored=True)
