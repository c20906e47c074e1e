"""Conflicts between names, languages and text files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nmt.config.conflicts.base import Check, Conflict, ignored_without, key
from nmt.config.file_names import name_problem
from nmt.config.problems import KeyPath, show
from nmt.config.schema import PAIR_FILES, SINGLE_FILES, Config, PairConfig


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
    """Check that each parallel text is two files or one file with both sides, with the options of its kind."""
    for path, pair in every_pair(config):
        sides = {side: (*path, side) for side in PAIR_FILES}
        given = [side for side in sides if getattr(pair, side) is not None]
        single = [side for side in given if side in SINGLE_FILES]
        involved = tuple(sides[side] for side in given) + tuple(sides.values())
        hint = f"write `source:` and `target:`, or one of {', '.join(SINGLE_FILES)} alone"
        if not given:
            yield Conflict((path, *involved), "no text, expected source and target, or a file with both sides", hint)
        elif single and len(given) > 1:
            others = [side for side in given if side != single[-1]]
            message = f"{single[-1]} cannot be combined with {' and '.join(others)}"
            yield Conflict((sides[single[-1]], *involved), message, hint)
        elif not single and len(given) == 1:
            missing = "target" if given == ["source"] else "source"
            yield Conflict(involved, f"{given[0]} requires {missing}", hint)
        elif not single and pair.source == pair.target and pair.source:
            message = f"source and target are the same file, {show(pair.source)}"
            yield Conflict((sides["target"], sides["source"]), message, "write a different file for each side")
        else:
            yield from _fields(path, pair, single[0] if single else "source")


FIELDS = {
    "csv": "names of columns, or their numbers from 1",
    "jsonl": "keys such as translation.en",
    "tmx": "language codes of the file",
    "opus": "language codes of the zip file",
}
"""What the fields of each kind of file are."""


def _fields(path: KeyPath, pair: PairConfig, kind: str) -> Iterator[Conflict]:
    """Check the options of a parallel text that is one file."""
    file = (*path, kind)
    for side in ("source_field", "target_field"):
        value = getattr(pair, side)
        if kind in FIELDS and value is None:
            yield Conflict((file, (*path, side)), f"{kind} requires {side}", f"write {FIELDS[kind]}")
        elif kind not in FIELDS and value is not None:
            yield Conflict(((*path, side), file), f"{side} is not used with {kind}", "leave it out")
    if kind in FIELDS and pair.source_field is not None and pair.source_field == pair.target_field:
        message = f"source_field and target_field are both {show(pair.source_field)}"
        yield Conflict(((*path, "target_field"), (*path, "source_field")), message, "write a different one for each")
    for option in ("delimiter", "quotes", "header"):
        if kind != "csv" and option in pair.model_fields_set and getattr(pair, option) != _default(option):
            yield Conflict(((*path, option), file), f"{option} requires csv", "leave it out")


def _default(option: str) -> object:
    return PairConfig.model_fields[option].default


def concatenation(config: Config) -> Iterator[Conflict]:
    """Check for options of concatenation that are ignored because the ratio is 0."""
    yield from ignored_without(config, "data.concatenation", "ratio")


CHECKS: tuple[Check, ...] = (names, languages, pairs, concatenation)
