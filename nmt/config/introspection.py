"""Reads the schema: the options, their expected values, and the keys that are similar to an unknown key."""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
import linecache
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic.fields import FieldInfo

from nmt.config.problems import KeyPath, dotted
from nmt.config.schema import CommandLine, DecodingConfig, FilePath, Section, WithBase


@dataclass(frozen=True)
class Option:
    """One option of the schema.

    Attributes:
        kind: the Python type without `None`: int, float, bool, str, list, `Literal[...]` or a section.
        nullable: whether `null` is allowed.
        bounds: the limits of a number, in words: "of at least 1".
        item: of a list: the option of its items.
        required: whether the key has no default.
        default: the default, if there is one.
        command_line: how the option appears on the command line, for options that do.
        path: how a path is used, for options that are paths.
        place: the section and the key of the option, if it has a key.
    """

    kind: Any
    nullable: bool
    bounds: str
    item: Option | None
    required: bool
    default: Any
    command_line: CommandLine | None = None
    path: Literal["input", "output"] | None = None
    place: tuple[type[Section], str] | None = None

    @property
    def paragraphs(self) -> list[str]:
        """The paragraphs of the documentation, each on one line."""
        text = docstrings(self.place[0]).get(self.place[1], "") if self.place else ""
        return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]

    @property
    def doc(self) -> str:
        """The documentation, on one line."""
        return " ".join(self.paragraphs)

    @property
    def summary(self) -> str:
        """The first paragraph of the documentation, on one line: the help on the command line."""
        return self.paragraphs[0]

    @property
    def section(self) -> type[Section] | None:
        """The section class, if the option is a section."""
        return self.kind if isinstance(self.kind, type) and issubclass(self.kind, Section) else None

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words, if the option is a choice between words."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def expected(self) -> str:
        """Describe the values that a file may have, such as "a number above 0 or null"."""
        return self.expected_value + (" or null" if self.nullable else "")

    @property
    def expected_value(self) -> str:
        """Describe the values that are not null."""
        if self.section is not None:
            return f"a section with {', '.join(self.section.model_fields)}"
        if self.choices:
            return f"one of {', '.join(self.choices)}" if len(self.choices) > 1 else self.choices[0]
        if self.item is not None:
            items = "sections" if self.item.section else self.item.expected
            return f"a list of {items.removeprefix('one of ')}{self.bounds}"
        name = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[self.kind]
        return f"{name} {self.bounds}".rstrip()


def option(
    annotation: Any,
    metadata: list[Any],
    info: FieldInfo | None = None,
    place: tuple[type[Section], str] | None = None,
) -> Option:
    """Return the option of an annotation such as `Annotated[int, Field(ge=1)] | None`."""
    nullable = False
    metadata = list(metadata)
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *extra = get_args(annotation)
            for entry in extra:
                metadata += entry.metadata if isinstance(entry, FieldInfo) else [entry]
        elif origin in (Union, types.UnionType):
            nullable = True
            (annotation,) = (argument for argument in get_args(annotation) if argument is not type(None))
        else:
            break
    return Option(
        kind=list if origin is list else annotation,
        nullable=nullable,
        bounds=_bounds(metadata),
        item=option(get_args(annotation)[0], []) if origin is list else None,
        required=info.is_required() if info else False,
        default=None if info is None or info.is_required() else info.default,
        command_line=next((entry for entry in metadata if isinstance(entry, CommandLine)), None),
        path=next((entry.use for entry in metadata if isinstance(entry, FilePath)), None),
        place=place,
    )


def _bounds(metadata: list[Any]) -> str:
    words = []
    for entry in metadata:
        if isinstance(entry, MinLen):
            words.append(f", at least {entry.min_length}")
        for kind, name, word in (
            (Ge, "ge", "of at least"),
            (Gt, "gt", "above"),
            (Le, "le", "at most"),
            (Lt, "lt", "below"),
        ):
            if isinstance(entry, kind):
                limit = getattr(entry, name)
                if limit < 2**31 - 1:
                    words.append(f"{word} {limit:g}")
    return " and ".join(words)


@functools.cache
def options_of(section: type[Section]) -> dict[str, Option]:
    """Return the options of a section by key."""
    fields = section.model_fields
    return {name: option(info.annotation, info.metadata, info, (section, name)) for name, info in fields.items()}


@functools.cache
def docstrings(section: type[Section]) -> dict[str, str]:
    """Return the docstring below the declaration of each option of a section, by key.

    They are read from the source of one section when they are needed. Pydantic reads those of all sections while it
    defines them, which takes a tenth of the time of a translation.
    """
    texts: dict[str, str] = {}
    for kind in reversed(section.__mro__):
        lines = linecache.getlines(inspect.getfile(kind)) if issubclass(kind, Section) else []
        found = re.search(rf"^class {kind.__name__}\(.*?(?=^\S|\Z)", "".join(lines), re.DOTALL | re.MULTILINE)
        (declared,) = ast.parse(found[0] if found else "class Unknown: pass").body
        assert isinstance(declared, ast.ClassDef)
        for entry, below in pairwise(declared.body):
            if (
                isinstance(entry, ast.AnnAssign)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                texts[ast.unparse(entry.target)] = inspect.cleandoc(str(below.value.value))
    return texts


def flag(name: str, section: type[Section] = DecodingConfig) -> str:
    """Return the name of an option on the command line, such as `--beam-size`."""
    command_line = options_of(section)[name].command_line
    return (command_line.flag if command_line else None) or f"--{name.replace('_', '-')}"


def find(path: KeyPath, root: type[Section] = WithBase) -> Option | None:
    """Return the option at a key path, or None if the schema has no such key. Items of lists are options too."""
    current = Option(root, nullable=False, bounds="", item=None, required=True, default=None)
    for part in path:
        following: Option | None = None
        if isinstance(part, int):
            following = current.item
        elif current.section is not None:
            following = options_of(current.section).get(part)
        if following is None:
            return None
        current = following
    return current


def walk(section: type[Section] = WithBase, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Option]]:
    """Yield every option with its path. The items of a list of sections have the number 0."""
    for name, entry in options_of(section).items():
        yield (*path, name), entry
        inner = entry.section or (entry.item.section if entry.item else None)
        if inner is not None:
            yield from walk(inner, (*path, name) if entry.section else (*path, name, 0))


def sections() -> set[type[Section]]:
    """Return the sections of a configuration, also those whose lists they are the items of."""
    kinds = (entry.section or (entry.item.section if entry.item else None) for _, entry in walk())
    return {kind for kind in kinds if kind is not None}


ALIASES_FROM_OTHER_TOOLKITS = {
    "extends": "base",
    "include": "base",
    "inherit": "base",
    "src": "source",
    "tgt": "target",
    "trg": "target",
    "src_lang": "source_language",
    "tgt_lang": "target_language",
    "dev": "valid",
    "validation_data": "valid",
    "remove_duplicates": "drop_duplicates",
    "user_defined_symbols": "user_symbols",
    "model_type": "kind",
    "type": "kind",
    "lr": "learning_rate",
    "vocab_size": "vocabulary_size",
    "vocab": "vocabulary_size",
    "batch_size": "batch_tokens",
    "epochs": "max_epochs",
    "num_epochs": "max_epochs",
    "updates": "max_updates",
    "steps": "max_updates",
    "train_steps": "max_updates",
    "max_steps": "max_updates",
    "valid_steps": "every_updates",
    "eval_steps": "every_updates",
    "save_checkpoint_steps": "checkpoint_every_updates",
    "keep_last_checkpoints": "keep_checkpoints",
    "early_stopping": "patience",
    "max_grad_norm": "clip_norm",
    "clip_grad_norm": "clip_norm",
    "grad_clip": "clip_norm",
    "accum_count": "accumulate",
    "gradient_accumulation": "accumulate",
    "warmup_steps": "warmup",
    "lr_scheduler": "schedule",
    "scheduler": "schedule",
    "num_layers": "layers",
    "n_layers": "layers",
    "rnn_size": "hidden_size",
    "hidden_dim": "hidden_size",
    "emb_size": "embedding_size",
    "embedding_dim": "embedding_size",
    "word_vec_size": "embedding_size",
    "tie_embeddings": "tying",
    "tied_embeddings": "tying",
    "share_embeddings": "tying",
    "beam": "beam_size",
    "nbest": "n_best",
    "length_penalty": "length_normalization",
    "lenpen": "length_normalization",
    "max_len": "max_length_constant",
    "bidir": "bidirectional",
    "brnn": "bidirectional",
    "ema": "averaging",
    "fp16": "precision",
    "gpu": "device",
    "use_cuda": "device",
    "num_workers": "threads",
    "out_dir": "name",
    "model_dir": "name",
    "save_model": "name",
}
"""Names of options in other toolkits, with the names of this toolkit."""


def meant_here(path: KeyPath, root: type[Section] = WithBase) -> list[str]:
    """Return keys of the same section that are similar to the unknown key at `path`."""
    parent = find(path[:-1], root)
    siblings = list(options_of(parent.section)) if parent is not None and parent.section is not None else []
    name = _our_name(str(path[-1]), siblings)
    return [name] if name in siblings else difflib.get_close_matches(name, siblings, n=2, cutoff=0.6)


def unknown_key_hint(path: KeyPath, root: type[Section] = WithBase) -> str:
    """Return a hint for an unknown key: a similar key of the section, or the section where the key belongs."""
    parent = find(path[:-1], root)
    siblings = list(options_of(parent.section)) if parent is not None and parent.section is not None else []
    key, here = str(path[-1]), meant_here(path, root)
    if root is not WithBase:
        return f"did you mean {' or '.join(here)}?" if here else f"the keys here are {', '.join(siblings)}"
    if "." in key and find(tuple(key.split("."))) is not None:
        return f"sections are nested: write `{key.split('.')[0]}:` and, indented below it, the rest"
    name = _our_name(key, siblings)
    near = [dotted((*path[:-1], sibling)) for sibling in here]
    if name not in siblings:
        near += _paths_by_name().get(name, [])
    if not near:
        close = difflib.get_close_matches(name, _paths_by_name(), n=2, cutoff=0.75)
        near = [where for key in close for where in _paths_by_name()[key]]
    near = list(dict.fromkeys(near))[:5]
    if near:
        return f"did you mean {' or '.join(near)}?" if here else f"it belongs elsewhere: {' or '.join(near)}"
    return f"the keys here are {', '.join(siblings)}" if siblings else "`nmt config schema` lists all keys"


def _our_name(key: str, siblings: list[str]) -> str:
    """Return an unknown key in the spelling of the schema, or the key of the schema with the same meaning."""
    spelling = key.strip().replace("-", "_").replace(" ", "_").lower()
    known = spelling in siblings or spelling in _paths_by_name()
    return spelling if known else ALIASES_FROM_OTHER_TOOLKITS.get(spelling, spelling)


@functools.cache
def _paths_by_name() -> dict[str, list[str]]:
    paths: dict[str, list[str]] = {}
    for path, _ in walk():
        paths.setdefault(str(path[-1]), []).append(dotted(path))
    return paths
