"""`scripts/back_translate`: monolingual text, translated, as a second training corpus."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.commands import count, run_command
from experiments.runs import write_json
from nmt.config import load_config
from nmt.config.schema import Config, CorpusConfig
from nmt.data.corpus import paths
from nmt.data.lines import read_lines
from nmt.data.preprocess.filters import PairFilter, make_filter
from nmt.errors import DataError, UsageError
from nmt.evaluation.evaluate import TextTranslator
from nmt.evaluation.tuning import read_tuning_set
from nmt.inference.find_model import find_model
from nmt.inference.model_file import ModelFile, load_model, load_models
from nmt.inference.translator import Translator
from nmt.log import logger
from synthetic.configuration import changed, read_given, written
from synthetic.learning import check_run, compare, train_run
from synthetic.made import Folder, digests
from synthetic.models import check_models
from synthetic.monolingual import Monolingual
from synthetic.options import add_shared, make_parser, speed
from synthetic.options import parse as parse_with
from synthetic.screening import Row, Screen, in_words, write_pairs
from synthetic.translating import Method, read_candidates, translate_text

DROPPED = ("empty", "unfinished", "length_ratio", "repetition", "copied_source")
TOP_K = 10
ABOUT = """\
Back-translation (Sennrich et al. 2016): a model of the other direction translates text of the target language, and the
pairs become a second training corpus, whose target side people have written. By default its translations are drawn
among the ten most probable pieces at each step, so that they vary; --search beam takes the most probable ones. Which
is better depends on the text (Edunov et al. 2018). With --self-training, the model of
CONFIG translates text of the source language.
"""
DETAILS = f"""\
CONFIG is the configuration of the new model. The model of --reverse translates from its target language into its source
language; that of --self-training, given by --model, as CONFIG does. Several translate together.

Lines of the monolingual text are left out that the filters of CONFIG would leave out, that came before, or that are in
its validation or test sets. Pairs are dropped for a flag of --drop, as copies of the line (whatever their case), and
for the ratio of their lengths. All of it is counted.

The folder has translations.jsonl, the translation of each line of monolingual.LANGUAGE; train.*, the pairs;
config.yaml, which `nmt train` understands; report.json, the counts. The run is runs/NAME-back-translated (or
-self-trained). In the end its scores on the validation set are printed, and those of the model that it started from.
Ctrl-C stops; the same command goes on where it was.

With --init-from, a trained model goes on with the larger text. A --tag must then be one of its symbols: of its
tokenizer.user_symbols, or a tag that it was trained with.

For example:

  scripts/back_translate my.yaml --reverse runs/my-reverse --monolingual news.de --tag "<bt>"
  scripts/back_translate my.yaml --reverse runs/my-reverse --monolingual news.de --top-k {TOP_K} --init-from runs/my
  scripts/back_translate my.yaml --self-training --model runs/my --monolingual news.en --weight 0.5
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; exit with code 2 if they make no sense."""
    parser = make_parser("scripts/back_translate", ABOUT, DETAILS)
    add = parser.add_argument
    add("--reverse", type=Path, action="append", metavar="MODEL", help="model file or run; repeatable")
    add("--self-training", action="store_true", help="translate text of the source language, with --model")
    add("--model", type=Path, action="append", metavar="MODEL", help="of --self-training; repeatable")
    add("--monolingual", type=Path, action="append", required=True, metavar="FILE", help="a line each; repeatable")
    add("--lines", type=count, metavar="N", help="translate at most so many (all)")
    add(
        "--search",
        choices=["top-k", "sampling", "beam"],
        help="draw among the most probable pieces, or among all, or search (top-k; beam with --self-training)",
    )
    add("--top-k", type=count, metavar="N", help=f"with --search top-k ({TOP_K})")
    add("--temperature", type=_above_zero, metavar="T", help="of drawing (1)")
    add("--seed", type=int, metavar="N", help="of drawing (1)")
    add("--beam-size", type=count, metavar="N", help="with --search beam (the model's)")
    add("--length-ratio", type=_above_zero, metavar="R", help="longer side over shorter side (data.filters of CONFIG)")
    add("--weight", type=_above_zero, default=1.0, metavar="W", help="how often an epoch shows each new pair (1)")
    add("--tag", metavar="SYMBOL", help='put before each new source, such as "<bt>" (none)')
    add("--init-from", type=Path, metavar="MODEL", help="go on with the weights of this model")
    add_shared(parser, out="data/NAME-back-translated", drop=DROPPED)
    options = parse_with(parser, arguments)
    _check(parser, options)
    return options


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Make sure that the options go together."""
    needed, other = ("model", "reverse") if options.self_training else ("reverse", "model")
    if not getattr(options, needed):
        parser.error(f"--{needed} is missing: the model that translates the monolingual text")
    if getattr(options, other):
        parser.error("--self-training goes with --model, and back-translation with --reverse")
    options.search = options.search or ("beam" if options.self_training else "top-k")
    if options.search == "beam":
        drawing = [name for name in ("top_k", "temperature", "seed") if getattr(options, name) is not None]
        if drawing:
            parser.error(f"--{drawing[0].replace('_', '-')} has no effect with --search beam")
    elif options.beam_size is not None:
        parser.error(f"--beam-size has no effect with --search {options.search}")
    if options.search == "sampling" and options.top_k is not None:
        parser.error("--top-k has no effect with --search sampling")
    if options.no_train and options.init_from is not None:
        parser.error("--init-from is for training, and --no-train leaves it out")


def _above_zero(text: str) -> float:
    """Read a number above 0."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def run(options: argparse.Namespace) -> None:
    """Make the text, train, compare.

    Raises:
        NMTError: Something that the user can mend.
    """
    given = read_given(options.config, options.overrides)
    config = given.config
    name = f"{config.name}-{'self-trained' if options.self_training else 'back-translated'}"
    folder = Folder(options.out or Path("data") / name)
    train = [*config.data.train, synthetic_corpus(options, config, folder.path)]
    planned = changed(given, name, train)
    start = None if options.init_from is None else find_model(options.init_from)
    if start is not None and options.tag is not None:
        _check_tag(options.tag, start)
    models = load_models(options.model if options.self_training else options.reverse)
    decoding = search(options)
    _check_direction(options, config, models, decoding)
    if not options.no_train:
        check_run(planned, overwrite=options.overwrite)
    begin(options, config, folder, models, decoding)
    make_text(options, config, folder, Method([model.path for model in models], decoding | speed(options)))
    way = "self-training" if options.self_training else "back-translation"
    heading = f"{given.file}, with the text of {way} as one more corpus. Made by scripts/back_translate."
    folder.write_config(written(given, name, train, file=folder.config, heading=heading), overwrite=options.overwrite)
    logger.info("wrote %s", folder.config)
    if options.no_train:
        print(folder.config)
        return
    trained = train_run(load_config(folder.config), init_from=start, overwrite=options.overwrite)
    before = start if start is not None else _own_model(options)
    systems: dict[str, TextTranslator] = {} if before is None else {f"before ({before})": _load(before, options)}
    print(compare({**systems, "after": _load(find_model(trained), options)}, read_tuning_set(config, None, None)))


def synthetic_corpus(options: argparse.Namespace, config: Config, folder: Path) -> CorpusConfig:
    """Return the new corpus."""
    data = config.data
    source, target = (str(folder / f"train.{language}") for language in (data.source_language, data.target_language))
    return CorpusConfig(source=source, target=target, weight=options.weight, tag=options.tag)


def search(options: argparse.Namespace) -> dict[str, Any]:
    """Return how the monolingual text is translated."""
    common = {"n_best": 1, "precision": options.precision}
    if options.search == "beam":
        return {**common, "sampling": False, "beam_size": options.beam_size}
    drawing = {**common, "sampling": True, "temperature": options.temperature, "seed": options.seed}
    return drawing if options.search == "sampling" else {**drawing, "top_k": options.top_k or TOP_K}


def _check_direction(
    options: argparse.Namespace, config: Config, models: Sequence[ModelFile], decoding: dict[str, Any]
) -> None:
    languages = (config.data.source_language, config.data.target_language)
    source, target = languages if options.self_training else languages[::-1]
    purpose = "--model" if options.self_training else "--reverse"
    check_models(models, source=source, target=target, purpose=purpose, decoding=decoding)


def _check_tag(tag: str, start: Path) -> None:
    """Make sure that the model to go on with can tell the tag from text."""
    subwords = load_model(start).tokenizers.source
    if tag not in subwords.pieces(subwords.encode([tag])[0]):
        raise UsageError(
            f"--tag {tag} is no symbol of {start}, which would see it in parts: leave out --tag, or leave out "
            "--init-from to train a model that learns it"
        )


def begin(
    options: argparse.Namespace,
    config: Config,
    folder: Folder,
    models: Sequence[ModelFile],
    decoding: dict[str, Any],
) -> None:
    """Get the folder ready.

    Raises:
        UsageError: There is text in it that was made with something else.
        DataError: A file cannot be read.
    """
    held_out = [file for pair in (config.data.valid, *config.data.test) for file in paths(pair)]
    translations = {
        "models": [*digests([str(model.path) for model in models]).values()],
        "decoding": decoding,
        "text": digests([*options.monolingual, *held_out]),
        "lines": options.lines,
        "max_words": config.data.filters.max_words,
    }
    pairs = {"drop": options.drop, "length_ratio": _ratio(options, config)}
    folder.begin(translations, pairs, overwrite=options.overwrite)


def make_text(options: argparse.Namespace, config: Config, folder: Folder, method: Method) -> None:
    """Translate the monolingual text, and write the pairs that can be used.

    Raises:
        NMTError: Something that the user can mend.
    """
    side = 0 if options.self_training else 1
    data = config.data
    languages = (data.source_language, data.target_language)
    text = folder.path / f"monolingual.{languages[side]}"
    monolingual = Monolingual(options.monolingual, config=config, side=side, most=options.lines)
    monolingual.write(text)
    left_out = dict(monolingual.left_out.most_common())
    logger.info("%s lines read; left out: %s", f"{monolingual.read:,}", in_words(left_out))
    if monolingual.read == sum(left_out.values()):
        raise DataError(f"{' and '.join(map(str, options.monolingual))}: no line is left; {in_words(left_out)}")
    translate_text(method, text, folder.translations, processes=options.processes)
    screen = Screen(options.drop, pair_filter=_pair_filter(options, config, languages[side]), copies=False)
    source, target = (folder.path / f"train.{language}" for language in languages)
    write_pairs(_pairs(screen, text, folder.translations, side), source, target)
    counts = screen.counts()
    translated = screen.kept + sum(counts["dropped"].values())
    write_json(folder.report, {"read": monolingual.read, "left_out": left_out, "translated": translated, **counts})
    logger.info("%s pairs; dropped: %s", f"{screen.kept:,}", in_words(counts["dropped"]))


def _pairs(screen: Screen, text: Path, translations: Path, side: int) -> Iterator[tuple[str, str]]:
    """Give the pairs that stay, source before target."""
    columns = zip(read_lines(text, keep_broken=False), read_candidates(translations), strict=True)
    for line, candidates in columns:
        (translation,) = screen.choose([Row(line, candidates)])
        if translation is not None:
            yield (line, translation) if side == 0 else (translation, line)


def _ratio(options: argparse.Namespace, config: Config) -> float:
    ratio: float = options.length_ratio or config.data.filters.max_length_ratio
    return ratio


def _pair_filter(options: argparse.Namespace, config: Config, language: str) -> PairFilter:
    """Return what judges a line in `language` with its translation."""
    data = config.data
    other = data.target_language if language == data.source_language else data.source_language
    return make_filter(
        max_words=data.filters.max_words,
        max_ratio=_ratio(options, config),
        identical=False,
        source_language=language,
        target_language=other,
    )


def _own_model(options: argparse.Namespace) -> Path | None:
    """Return the model that translated for its own training, if it was one."""
    return find_model(options.model[0]) if options.self_training and len(options.model) == 1 else None


def _load(model: Path, options: argparse.Namespace) -> Translator:
    return Translator.load(model, decoding=speed(options))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(lambda: run(parse(arguments)))


if __name__ == "__main__":
    sys.exit(main())
