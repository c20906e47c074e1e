"""Contradictions: options that are each allowed and cannot all be meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nmt.config.problems import KeyPath, show
from nmt.config.schema import Config, Corpus, Decoding, Pair


@dataclass(frozen=True)
class Contradiction:
    """Options that do not fit together; `paths` names them, the one to complain about first."""

    paths: tuple[KeyPath, ...]
    text: str
    hint: str
    switched_off: bool = False
    """The first option is set but has no effect, because of the second one."""


Check = Callable[[Config], Iterator[Contradiction]]


def contradictions(config: Config) -> Iterator[Contradiction]:
    """Everything in a configuration that cannot be meant together."""
    for check in (names, languages, pairs, symbols, vocabulary, sizes, without_effect, schedules, measures, searches):
        yield from check(config)


def key(path: str) -> KeyPath:
    """`data.train.0.source` as a key path."""
    return tuple(int(part) if part.isdecimal() else part for part in path.split("."))


def value_at(config: Config, path: KeyPath) -> Any:
    """The value of an option."""
    value: Any = config
    for part in path:
        value = value[part] if isinstance(part, int) else getattr(value, part)
    return value


# ------------------------------------------------------------------------------------------------- names, data

FORBIDDEN_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\u2028\u2029]')


def name_problem(name: str) -> tuple[str, str] | None:
    """What keeps a text from being the name of a file or folder everywhere, and the hint; None when nothing does."""
    if not name.strip():
        return "found an empty name", "write a name such as baseline-1"
    if FORBIDDEN_IN_NAMES.search(name):
        return f"{show(name)} cannot be the name of a folder", 'leave out / \\ : * ? " < > | and control characters'
    if name != name.strip() or name.startswith((".", "-")) or name.endswith("."):
        return f"{show(name)} starts or ends with a dot, a dash or a space", "start and end with a letter or a digit"
    if len(name.encode("utf-8", "surrogatepass")) > 150:
        return "found a name of more than 150 bytes", "shorten it"
    return None


def names(config: Config) -> Iterator[Contradiction]:
    """The run and the test sets become folders and files."""
    problem = name_problem(config.name) if config.name is not None else None
    if config.name is not None and config.name.lower() in ("latest", "last"):
        problem = (f"{show(config.name)} is taken: runs/latest points to the newest run", "choose another name")
    if problem:
        yield Contradiction((key("name"),), *problem)
    seen: dict[str, int] = {}
    for index, test in enumerate(config.data.test):
        path = key(f"data.test.{index}.name")
        problem = name_problem(test.name)
        if problem:
            yield Contradiction((path,), *problem)
        first = seen.setdefault(test.name.lower(), index)
        if first != index:
            message = f"two test sets are called {show(test.name)}, this one and data.test.{first}"
            yield Contradiction((path, key(f"data.test.{first}.name")), message, "give each its own `name:`")
    if not config.data.prepared_folder.strip():
        yield Contradiction((key("data.prepared_folder"),), "found an empty path", "leave it out for `prepared`")


LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*\Z")


def languages(config: Config) -> Iterator[Contradiction]:
    """Codes, not names: the tokenizer of BLEU and the counting of words depend on them."""
    for side in ("source_language", "target_language"):
        code = getattr(config.data, side)
        if not LANGUAGE.match(code):
            message = f"found {show(code)}, expected a language code of two or three letters"
            yield Contradiction((key(f"data.{side}"),), message, "such as en, de, pt-BR, zh or yue")


def every_pair(config: Config) -> Iterator[tuple[KeyPath, Pair]]:
    """All parallel text, with its place in the configuration."""
    yield from ((key(f"data.train.{index}"), corpus) for index, corpus in enumerate(config.data.train))
    yield key("data.valid"), config.data.valid
    yield from ((key(f"data.test.{index}"), test) for index, test in enumerate(config.data.test))


def pairs(config: Config) -> Iterator[Contradiction]:
    """Parallel text is two files or one TSV file."""
    for path, pair in every_pair(config):
        sides = {side: (*path, side) for side in ("source", "target", "tsv")}
        given = [side for side in sides if getattr(pair, side) is not None]
        involved = tuple(sides[side] for side in given) + tuple(sides.values())
        hint = "write `source:` and `target:`, or `tsv:` alone"
        if not given:
            yield Contradiction((path, *involved), "no text: neither source and target, nor tsv", hint)
        elif "tsv" in given and len(given) > 1:
            yield Contradiction((sides["tsv"], *involved), f"tsv given together with {' and '.join(given[:-1])}", hint)
        elif len(given) == 1 and given != ["tsv"]:
            missing = "target" if given == ["source"] else "source"
            yield Contradiction(involved, f"{given[0]} given without {missing}", hint)
        elif given != ["tsv"] and pair.source == pair.target and pair.source:
            message = f"source and target are the same file, {show(pair.source)}"
            yield Contradiction((sides["target"], sides["source"]), message, "name the file of each side")


RESERVED_SYMBOLS = ("<pad>", "<unk>", "<s>", "</s>")


def symbols(config: Config) -> Iterator[Contradiction]:
    """Symbols must survive segmentation in one piece."""
    seen: set[str] = set()
    for index, symbol in enumerate(config.tokenizer.user_symbols):
        path = key(f"tokenizer.user_symbols.{index}")
        yield from _symbol(path, symbol)
        if symbol in seen:
            yield Contradiction((path,), f"the symbol {show(symbol)} stands in the list twice", "keep one of the two")
        seen.add(symbol)
    for path, pair in every_pair(config):
        if isinstance(pair, Corpus) and pair.tag is not None:
            yield from _symbol((*path, "tag"), pair.tag)


def _symbol(path: KeyPath, symbol: str) -> Iterator[Contradiction]:
    if not symbol:
        yield Contradiction((path,), "found an empty symbol", "leave it out")
    elif any(character.isspace() or character == "\u2581" for character in symbol):
        yield Contradiction((path,), f"the symbol {show(symbol)} holds a space", "write it without, such as <name>")
    elif symbol in RESERVED_SYMBOLS:
        message = f"the symbol {show(symbol)} is used by every subword model"
        yield Contradiction((path,), message, f"choose another than {', '.join(RESERVED_SYMBOLS)}")


def vocabulary(config: Config) -> Iterator[Contradiction]:
    """The smallest vocabulary holds the special pieces, the bytes and the symbols."""
    options = config.tokenizer
    needed = len(RESERVED_SYMBOLS) + 256 * options.byte_fallback + len(options.user_symbols) + 1
    if options.vocabulary_size < needed:
        paths = (key("tokenizer.vocabulary_size"), key("tokenizer.byte_fallback"), key("tokenizer.user_symbols"))
        parts = f"{len(RESERVED_SYMBOLS)} special pieces" + (", 256 bytes" if options.byte_fallback else "")
        parts += f", {len(options.user_symbols)} user symbols" if options.user_symbols else ""
        message = f"vocabulary_size {options.vocabulary_size} is too small for {parts} and the text itself"
        hint = "write 500 or more" + (", or `byte_fallback: false`" if options.byte_fallback else "")
        yield Contradiction(paths, message, hint)


# ------------------------------------------------------------------------------------------------------- model


def sizes(config: Config) -> Iterator[Contradiction]:
    """Vectors that are compared, copied or shared must have the same size."""
    model, encoder, decoder = config.model, config.model.encoder, config.model.decoder
    if model.tying == "three_way" and not config.tokenizer.joint:
        yield Contradiction(
            (key("model.tying"), key("tokenizer.joint")),
            "three_way tying shares one table between both languages, but tokenizer.joint is false",
            "write `tying: two_way`, or `joint: true` under tokenizer",
        )
    memory = encoder.hidden_size * (2 if encoder.bidirectional else 1)
    shape = tuple(
        key(f"model.{name}") for name in ("decoder.hidden_size", "encoder.hidden_size", "encoder.bidirectional")
    )
    given = f"decoder.hidden_size is {decoder.hidden_size}, the encoder's output has {memory} features"
    fitting = f"write `hidden_size: {memory}` under model.decoder"
    if model.attention.score == "dot" and decoder.hidden_size != memory:
        paths = (key("model.attention.score"), *shape)
        yield Contradiction(paths, f"dot attention needs equal sizes: {given}", f"write `score: general`, or {fitting}")
    if decoder.bridge in ("last", "mean") and decoder.hidden_size != memory:
        paths = (key("model.decoder.bridge"), *shape)
        message = f"bridge {decoder.bridge} copies the encoder's state as it is: {given}"
        yield Contradiction(paths, message, f"write `bridge: learned_{decoder.bridge}`, or {fitting}")
    if decoder.bridge == "last" and decoder.layers != encoder.layers:
        yield Contradiction(
            (key("model.decoder.bridge"), key("model.decoder.layers"), key("model.encoder.layers")),
            f"bridge last copies layer by layer: the decoder has {decoder.layers}, the encoder {encoder.layers}",
            "write `bridge: learned_last`, or as many layers on both sides",
        )
    if model.attention.score == "none":
        yield from _no_attention(config)


def _no_attention(config: Config) -> Iterator[Contradiction]:
    score = key("model.attention.score")
    if config.model.attention.placement == "bottom":
        message = "placement bottom says where attention stands, but attention.score is none"
        yield Contradiction((key("model.attention.placement"), score), message, "leave it out, or choose a score")
    if config.model.decoder.bridge == "zero":
        message = "bridge zero with attention.score none: the decoder would see nothing of the source sentence"
        yield Contradiction((key("model.decoder.bridge"), score), message, "write `bridge: learned_last`")


@dataclass(frozen=True)
class OnlyWith:
    """An option that does nothing unless another one, its `switch`, has one of a few values."""

    option: str
    switch: str
    values: tuple[str, ...]


ONLY_WITH = (
    OnlyWith("model.attention.size", "model.attention.score", ("additive",)),
    OnlyWith("model.initialization.scale", "model.initialization.kind", ("uniform", "normal")),
    OnlyWith("training.optimizer.momentum", "training.optimizer.kind", ("sgd",)),
    OnlyWith("training.optimizer.beta1", "training.optimizer.kind", ("adam", "adamw")),
    OnlyWith("training.optimizer.beta2", "training.optimizer.kind", ("adam", "adamw")),
    OnlyWith("training.optimizer.epsilon", "training.optimizer.kind", ("adam", "adamw")),
    OnlyWith("training.schedule.factor", "training.schedule.kind", ("plateau",)),
    OnlyWith("training.schedule.patience", "training.schedule.kind", ("plateau",)),
    OnlyWith("training.schedule.final", "training.schedule.kind", ("plateau", "linear", "cosine")),
    OnlyWith("training.averaging.decay", "training.averaging.kind", ("ema",)),
    OnlyWith("training.averaging.count", "training.averaging.kind", ("last", "best")),
)


def without_effect(config: Config) -> Iterator[Contradiction]:
    """Options that were changed and that another option switches off."""
    for rule in ONLY_WITH:
        option, switch = key(rule.option), key(rule.switch)
        default = type(value_at(config, option[:-1])).model_fields[str(option[-1])].default
        value, chosen = value_at(config, option), value_at(config, switch)
        if chosen not in rule.values and value != default:
            others = " or ".join(rule.values)
            message = f"found {value:g}, but it has no effect with {rule.switch} {chosen}"
            back = "null" if default is None else f"{default:g}"
            hint = f"leave it out (its default is {back}), or write `{switch[-1]}: {others}`"
            yield Contradiction((option, switch), message, hint, switched_off=True)


# ------------------------------------------------------------------------------------------ training, decoding


def schedules(config: Config) -> Iterator[Contradiction]:
    """A schedule must get where it goes."""
    training, schedule = config.training, config.training.schedule
    warmup = key("training.schedule.warmup")
    if training.max_updates is not None and schedule.warmup >= training.max_updates:
        message = f"warmup takes {schedule.warmup} updates, but training ends after {training.max_updates}"
        yield Contradiction(
            (warmup, key("training.max_updates")), message, "lower warmup or raise training.max_updates"
        )
    if schedule.kind == "inverse_sqrt" and schedule.warmup == 0:
        message = "inverse_sqrt falls from the end of warmup, and there is no warmup"
        hint = "write `warmup: 4000`, or the number of updates over which the learning rate should rise"
        yield Contradiction((key("training.schedule.kind"), warmup), message, hint)


def measures(config: Config) -> Iterator[Contradiction]:
    """What chooses the best model must be measured."""
    validation = config.training.validation
    path = key("training.validation.metric")
    listed = key("training.validation.metrics")
    if validation.metric in ("bleu", "chrf") and validation.metric not in validation.metrics:
        message = f"{validation.metric} is not measured: metrics is [{', '.join(validation.metrics)}]"
        other = validation.metrics[0] if validation.metrics else "loss"
        yield Contradiction((path, listed), message, f"add {validation.metric} to metrics, or write `metric: {other}`")
    for where in (listed, key("evaluation.metrics")):
        metrics = value_at(config, where)
        if len(set(metrics)) != len(metrics):
            yield Contradiction((where,), f"found [{', '.join(metrics)}], the same metric twice", "name each once")
    if not config.evaluation.metrics:
        yield Contradiction(
            (key("evaluation.metrics"),), "found an empty list", "name at least one metric, such as bleu"
        )
    if config.evaluation.bleu_tokenizer != "auto" and "bleu" not in config.evaluation.metrics:
        path = key("evaluation.bleu_tokenizer")
        message = "a tokenizer of BLEU, but evaluation.metrics has no bleu"
        yield Contradiction((path, key("evaluation.metrics")), message, "leave it out, or add bleu to metrics")


def searches(config: Config) -> Iterator[Contradiction]:
    """A search can give only what it keeps."""
    yield from search_contradictions(config.decoding)


def search_contradictions(decoding: Decoding) -> Iterator[Contradiction]:
    """What cannot be meant together in the options of a search."""
    if decoding.n_best > decoding.beam_size:
        paths = (key("decoding.n_best"), key("decoding.beam_size"))
        message = f"n_best {decoding.n_best} is more than beam_size {decoding.beam_size}"
        yield Contradiction(paths, message, f"write `beam_size: {decoding.n_best}` or more, or lower n_best")
    if decoding.alpha is not None and decoding.length_normalization == "none":
        paths = (key("decoding.alpha"), key("decoding.length_normalization"))
        message = f"alpha {decoding.alpha:g} has no effect with length_normalization none"
        yield Contradiction(paths, message, "leave it out, or write `length_normalization: average` or gnmt")
    if decoding.max_length_ratio == 0 and decoding.max_length_constant == 0:
        paths = (key("decoding.max_length_ratio"), key("decoding.max_length_constant"))
        message = "max_length_ratio and max_length_constant are both 0, so every translation would be empty"
        yield Contradiction(paths, message, "raise one of the two")


def remarks(config: Config) -> Iterator[str]:
    """What is allowed and probably not meant, in words for a warning."""
    schedule, patience = config.training.schedule, config.training.validation.patience
    if schedule.kind == "plateau" and patience is not None and patience <= schedule.patience:
        yield (
            f"training stops after {patience} validations without improvement (training.validation.patience), before "
            f"the learning rate falls (training.schedule.patience {schedule.patience}); raise the first or lower "
            "the second"
        )
