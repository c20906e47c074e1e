"""Reads the file of a sweep. All problems are reported at once, each with its line and key."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nmt.config.inheritance import recipe_file, recipe_names
from nmt.config.paths import PathError, expand, resolve_input
from nmt.config.problems import ConfigSyntaxError, KeyPath, Problem, config_error, show
from nmt.config.validate import schema_problem
from nmt.config.yaml_document import YamlDocument, read_document
from nmt.sweep.schema import BASE, SearchedOption, Sweep

Found = tuple[KeyPath, str, str]
"""A key, what is wrong with it, and a hint."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


START_HINT = "configs/sweeps/ has examples, and the page Experiments of the guide describes the file"


def load_sweep(path: Path) -> Sweep:
    """Read a sweep; its base, corpus and the bases of its variants become paths relative to the current folder.

    Raises:
        ConfigError: Lists every problem with file, line and key.
    """
    try:
        document = read_document(path, start_hint=START_HINT)
    except ConfigSyntaxError as error:
        raise config_error(str(path), [error.problem]) from None
    problems = list(document.problems)
    sweep = _validate(document, problems)
    if sweep is not None:
        problems += _conflicts(sweep, document)
        sweep = _resolve(sweep, document, problems)
    if problems or sweep is None:
        raise config_error(str(path), problems)
    changes: dict[str, Any] = {} if sweep.name is not None else {"name": path.stem}
    if sweep.search is not None and "seeds" not in sweep.model_fields_set:
        changes["seeds"] = 1
    return sweep.model_copy(update=changes)


def _validate(document: YamlDocument, problems: list[Problem]) -> Sweep | None:
    try:
        return Sweep.model_validate(document.data, strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False):
            if detail["loc"] not in document.unread:
                problems.append(schema_problem(document, detail, root=Sweep))
        return None


def _conflicts(sweep: Sweep, document: YamlDocument) -> Iterator[Problem]:
    """Yield what the schema alone cannot find."""
    checks = (_variants, _options, _baseline, _measurements, _search)
    for path, text, hint in (found for check in checks for found in check(sweep)):
        yield Problem(document.place(path), path, text, hint)


def _variants(sweep: Sweep) -> Iterator[Found]:
    counts = Counter(variant.name for variant in sweep.variants)
    for index, variant in enumerate(sweep.variants):
        path: KeyPath = ("variants", index)
        if not NAME.fullmatch(variant.name) or variant.name == BASE:
            hint = "base is the base without changes" if variant.name == BASE else "use letters, digits and - _ ."
            yield (*path, "name"), f"{show(variant.name)} cannot be the name of a variant", hint
        elif counts[variant.name] > 1:
            yield (*path, "name"), f"{show(variant.name)} is the name of several variants", "rename one of them"
        if variant.base is None and sweep.base is None:
            yield path, "the variant has no configuration", "set base here, or base of the sweep"


def _options(sweep: Sweep) -> Iterator[Found]:
    lists: list[tuple[KeyPath, list[str]]] = [(("options",), sweep.options)]
    lists += [(("variants", index, "options"), variant.options) for index, variant in enumerate(sweep.variants)]
    for path, options in lists:
        for index, option in enumerate(options):
            if "=" not in option:
                hint = "write an option and its value, such as training.max_epochs=10"
                yield (*path, index), f"found {show(option)}, expected key.path=value", hint


def _baseline(sweep: Sweep) -> Iterator[Found]:
    names = [variant.name for variant in sweep.variants]
    if sweep.baseline == BASE and sweep.base is None:
        yield ("baseline",), "the sweep has no base to compare with", f"use null or {', '.join(names)}"
    elif sweep.baseline not in (BASE, None, *names):
        yield ("baseline",), f"{show(sweep.baseline)} is not a variant", f"use {BASE}, null or {', '.join(names)}"
    for index, variant in enumerate(sweep.variants):
        if variant.equal_parameters and sweep.baseline in (None, variant.name):
            hint = "set baseline to another variant"
            yield ("variants", index, "equal_parameters"), "equal_parameters requires a baseline", hint


def _measurements(sweep: Sweep) -> Iterator[Found]:
    if "aer" in sweep.metrics and sweep.gold is None:
        yield ("metrics",), "aer requires gold links", "set gold to their file"
    if "aer" not in sweep.metrics and sweep.gold is not None:
        yield ("gold",), "gold links require the metric aer", "add aer to metrics"
    for name in ("bounds", "figure") if sweep.by_length is not None else ():
        bounds = getattr(sweep.by_length, name)
        if any(after <= before for before, after in pairwise(bounds)) or (name == "bounds" and not bounds):
            yield ("by_length", name), "the bounds must rise", "such as [10, 20, 30]"


def _search(sweep: Sweep) -> Iterator[Found]:
    if sweep.search is None:
        if not sweep.variants:
            yield ("variants",), "the sweep has no variants", "list variants, or set search"
        return
    if sweep.variants:
        yield ("search",), "search and variants exclude each other", "remove one of them"
    if sweep.base is None:
        yield ("search",), "a search requires a base", "set base"
    if sweep.score_on == "test":
        hint = "remove score_on, and score the best trial with `nmt evaluate`"
        yield ("score_on",), "a search must not choose options by the test set", hint
    counts = Counter(option.key for option in sweep.search.options)
    for index, option in enumerate(sweep.search.options):
        path: KeyPath = ("search", "options", index)
        if counts[option.key] > 1:
            yield (*path, "key"), f"{show(option.key)} occurs several times", "remove all but one"
        yield from ((path, text, hint) for text, hint in _range_problems(option))


def _range_problems(option: SearchedOption) -> Iterator[tuple[str, str]]:
    low, high = option.low, option.high
    if option.choices is not None:
        if low is not None or high is not None or option.step is not None or option.log:
            yield "choices exclude low, high, step and log", "keep the choices or the range"
        if len(option.choices) < 2:
            yield "a search needs several choices", "such as [[model.encoder.cell=lstm], [model.encoder.cell=gru]]"
        for each in (each for options in option.choices for each in options if "=" not in each):
            yield f"found {show(each)}, expected key.path=value", "such as model.encoder.cell=lstm"
    elif low is None or high is None:
        yield "low and high, or choices, are missing", "such as low: 1e-4, high: 1e-2, log: true"
    elif not low < high:
        yield f"found low {show(low)} and high {show(high)}", "low must be below high"
    elif option.log and (low <= 0 or option.step is not None):
        yield "log requires a range above 0 without a step", "raise low, or remove log or step"


def _resolve(sweep: Sweep, document: YamlDocument, problems: list[Problem]) -> Sweep:
    """Replace names of recipes and paths relative to the sweep file."""
    folder = Path(document.file).parent

    def resolved(given: str | None, path: KeyPath) -> str | None:
        if given is None:
            return None
        recipe = recipe_file(given)
        try:
            file = recipe if recipe is not None else folder / expand(given)
        except PathError as error:
            problems.append(Problem(document.place(path), path, str(error), error.hint))
            return given
        if not file.is_file():
            hint = f"paths are relative to the folder of {document.file}. Recipes: {', '.join(recipe_names())}"
            problems.append(Problem(document.place(path), path, f"no such file: {file}", hint))
        return str(file)

    variants = [
        variant.model_copy(update={"base": resolved(variant.base, ("variants", index, "base"))})
        for index, variant in enumerate(sweep.variants)
    ]
    files = {name: resolved(getattr(sweep, name), (name,)) for name in ("base", "corpus")}
    if sweep.gold is not None:
        try:
            files["gold"], _ = resolve_input(sweep.gold, document.place(("gold",)))
        except PathError as error:
            problems.append(Problem(document.place(("gold",)), ("gold",), str(error), error.hint))
    return sweep.model_copy(update={**files, "variants": variants})
