"""Conflicts between names, languages and text files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nmt.config.conflicts.base import Check, Conflict, ignored_without, key
from nmt.config.problems import KeyPath, show
from nmt.config.schema import Config, PairConfig

FORBIDDEN_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\u2028\u2029]')


def name_problem(name: str) -> tuple[str, str] | None:
    """Return why a text cannot be a file name on every system, with a hint, or None if it can."""
    if not name.strip():
        return "found an empty name", "write a name such as baseline-1"
    if FORBIDDEN_IN_NAMES.search(name):
        return f"{show(name)} cannot be the name of a folder", 'leave out / \\ : * ? " < > | and control characters'
    if name != name.strip() or name.startswith((".", "-")) or name.endswith("."):
        return f"{show(name)} starts or ends with a dot, a dash or a space", "start and end with a letter or a digit"
    if len(name.encode("utf-8", "surrogatepass")) > 150:
        return "found a name of more than 150 bytes", "shorten it"
    return None


def names(config: Config) -> Iterator[Conflict]:
    """Check names of the run and the test sets, which become names of folders and files."""
    problem = name_problem(config.name) if config.name is not None else None
    if config.name is not None and config.name.lower() in ("latest", "last"):
        problem = (f"{show(config.name)} is taken: runs/latest points to the newest run", "choose another name")
    if problem:
        yield Conflict((key("name"),), *problem)
    seen: dict[str, int] = {}
    for index, test in enumerate(config.data.test):
        path = key(f"data.test.{index}.name")
        problem = name_problem(test.name)
        if problem:
            yield Conflict((path,), *problem)
        first = seen.setdefault(test.name.lower(), index)
        if first != index:
            message = f"the name {show(test.name)} is also the name of data.test.{first}"
            yield Conflict((path, key(f"data.test.{first}.name")), message, "write different names")
    if not config.data.preprocessed_folder.strip():
        yield Conflict((key("data.preprocessed_folder"),), "found an empty path", "leave it out for `preprocessed`")


LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*\Z")


def languages(config: Config) -> Iterator[Conflict]:
    """Check the language codes, which select the tokenizer of BLEU and the counting of words."""
    for side in ("source_language", "target_language"):
        code = getattr(config.data, side)
        if not LANGUAGE.match(code):
            message = f"found {show(code)}, expected a language code of two or three letters"
            yield Conflict((key(f"data.{side}"),), message, "such as en, de, pt-BR, zh or yue")


def every_pair(config: Config) -> Iterator[tuple[KeyPath, PairConfig]]:
    """Yield all parallel texts with their key paths."""
    yield from ((key(f"data.train.{index}"), corpus) for index, corpus in enumerate(config.data.train))
    yield key("data.valid"), config.data.valid
    yield from ((key(f"data.test.{index}"), test) for index, test in enumerate(config.data.test))


def pairs(config: Config) -> Iterator[Conflict]:
    """Check that each parallel text is two files or one TSV file."""
    for path, pair in every_pair(config):
        sides = {side: (*path, side) for side in ("source", "target", "tsv")}
        given = [side for side in sides if getattr(pair, side) is not None]
        involved = tuple(sides[side] for side in given) + tuple(sides.values())
        hint = "write `source:` and `target:`, or `tsv:` alone"
        if not given:
            yield Conflict((path, *involved), "no text, expected source and target, or tsv", hint)
        elif "tsv" in given and len(given) > 1:
            yield Conflict((sides["tsv"], *involved), f"tsv cannot be combined with {' and '.join(given[:-1])}", hint)
        elif len(given) == 1 and given != ["tsv"]:
            missing = "target" if given == ["source"] else "source"
            yield Conflict(involved, f"{given[0]} requires {missing}", hint)
        elif given != ["tsv"] and pair.source == pair.target and pair.source:
            message = f"source and target are the same file, {show(pair.source)}"
            yield Conflict((sides["target"], sides["source"]), message, "write a different file for each side")


def concatenation(config: Config) -> Iterator[Conflict]:
    """Check for options of concatenation that are ignored because the ratio is 0."""
    yield from ignored_without(config, "data.concatenation", "ratio")


CHECKS: tuple[Check, ...] = (names, languages, pairs, concatenation)
