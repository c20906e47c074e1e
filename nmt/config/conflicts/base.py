"""What a contradiction is, and how checks find options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nmt.config.problems import KeyPath
from nmt.config.schema import Config


@dataclass(frozen=True)
class Conflict:
    """Options that do not fit together; `paths` names them, the one to complain about first."""

    paths: tuple[KeyPath, ...]
    text: str
    hint: str
    switched_off: bool = False
    """The first option is set but has no effect, because of the second one."""


Check = Callable[[Config], Iterator[Conflict]]


def key(path: str) -> KeyPath:
    """`data.train.0.source` as a key path."""
    return tuple(int(part) if part.isdecimal() else part for part in path.split("."))


def value_at(config: Config, path: KeyPath) -> Any:
    """The value of an option."""
    value: Any = config
    for part in path:
        value = value[part] if isinstance(part, int) else getattr(value, part)
    return value


@dataclass(frozen=True)
class OnlyUsedWith:
    """An option that does nothing unless another one, its `switch`, has one of a few values (as YAML writes them)."""

    option: str
    switch: str
    values: tuple[str, ...]


def written(value: Any) -> str:
    """An option's value as YAML has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def without_effect(config: Config, rules: tuple[OnlyUsedWith, ...]) -> Iterator[Conflict]:
    """Options that were changed and that another option switches off."""
    for rule in rules:
        option, switch = key(rule.option), key(rule.switch)
        default = type(value_at(config, option[:-1])).model_fields[str(option[-1])].default
        value, chosen = value_at(config, option), value_at(config, switch)
        if written(chosen) not in rule.values and value != default:
            others = " or ".join(rule.values)
            message = f"found {written(value)}, but it has no effect with {rule.switch} {written(chosen)}"
            hint = f"leave it out (its default is {written(default)}), or write `{switch[-1]}: {others}`"
            yield Conflict((option, switch), message, hint, switched_off=True)


def without_amount(config: Config, section: str, amount: str) -> Iterator[Conflict]:
    """Options of `section` that were changed, while `amount`, how much there is of what they describe, is 0."""
    switch = key(f"{section}.{amount}")
    values = value_at(config, switch[:-1])
    if getattr(values, amount) > 0:
        return
    for name, field in type(values).model_fields.items():
        value = getattr(values, name)
        if name != amount and value != field.default:
            message = f"found {written(value)}, but it has no effect with {section}.{amount} 0"
            hint = f"leave it out (its default is {written(field.default)}), or give {amount} a value above 0"
            yield Conflict(((*switch[:-1], name), switch), message, hint, switched_off=True)
