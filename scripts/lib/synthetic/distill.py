"""`scripts/distill`: a student learns from what its teachers make of the training text."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.commands import count, run_command
from experiments.runs import write_json
from nmt.config import Config, load_config
from nmt.config.schema import CorpusConfig
from nmt.data.corpus import paths
from nmt.data.lines import read_lines, write_lines
from nmt.data.preprocess.filter_pass import filter_corpora
from nmt.evaluation.evaluate import TextTranslator
from nmt.evaluation.tuning import read_tuning_set
from nmt.inference.model_file import ModelFile, load_models
from nmt.inference.translator import Translator
from nmt.log import logger, progress
from nmt.metrics.sentence import UTILITIES, SentenceMetric, make_sentence_metric
from synthetic.configuration import Given, changed, read_given, written
from synthetic.learning import check_run, compare, train_run
from synthetic.made import Folder, digests
from synthetic.models import check_models
from synthetic.options import add_shared, make_parser, speed
from synthetic.options import parse as parse_with
from synthetic.screening import Row, Screen, in_words, write_pairs
from synthetic.translating import Method, read_candidates, translate_text

DROPPED = ("empty", "unfinished", "repetition")
ABOUT = """\
Sequence-level knowledge distillation (Kim & Rush 2016): one or several teachers, together, translate the training text
with beam search, and a student learns from their translations, beside the original ones. A student that is smaller
and faster comes close to its teachers, because what one model says is easier to learn than what many people say.
"""
DETAILS = """\
CONFIG is the student's configuration; what is smaller in it than in the teachers', key.path=value says. All teachers
translate in its direction, with the same subword models.

With --n-best N, a line gets the one of the N best translations that is closest to its reference, by sentence BLEU or
chrF: sequence-level interpolation in the paper. Translations with a flag of --drop are not used; a line without
another is left out.

Each corpus of CONFIG becomes a distilled one, with its weight and tag. With --keep original, the original ones come
first; a distilled pair equal to the original is dropped as its duplicate, unless data.filters.drop_duplicates is off.

The folder has translations.jsonl, the candidates for each line of source.LANGUAGE; train.*, the pairs; config.yaml,
which `nmt train` understands; report.json, the counts. The run is runs/NAME-distilled, and in the end the scores of
teachers and student on the validation set are printed. Ctrl-C stops; the same command goes on where it was.

For example:

  scripts/distill my.yaml --teacher runs/my-1 --teacher runs/my-2 model.encoder.hidden_size=128 \\
      model.decoder.hidden_size=256
  scripts/distill my.yaml --teacher runs/my --beam-size 10 --n-best 10 --keep none
"""


class Text(NamedTuple):
    """What the teachers translate, in files of as many lines."""

    source: Path
    reference: Path
    lines: list[int]
    """Of each corpus, one behind the other."""
    read: int
    """How many pairs the corpora have, with those that training would leave out."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; exit with code 2 if they make no sense."""
    parser = make_parser("scripts/distill", ABOUT, DETAILS)
    add = parser.add_argument
    add("--teacher", type=Path, action="append", required=True, metavar="MODEL", help="model file or run; repeatable")
    add(
        "--keep", choices=["original", "none"], default="original", help="original: the student sees both (%(default)s)"
    )
    add("--beam-size", type=count, metavar="N", help="hypotheses kept at each step (the first teacher's, or --n-best)")
    add("--n-best", type=count, default=1, metavar="N", help="candidates for each line (1)")
    add("--closest", choices=sorted(UTILITIES), default="bleu", help="metric that chooses among them (%(default)s)")
    add_shared(parser, out="data/NAME-distilled", drop=DROPPED)
    return parse_with(parser, arguments)


def run(options: argparse.Namespace) -> None:
    """Make the text, train the student, compare.

    Raises:
        NMTError: Something that the user can mend.
    """
    given = read_given(options.config, options.overrides)
    name = f"{given.config.name}-distilled"
    folder = Folder(options.out or Path("data") / name)
    train = corpora(given.config, folder.path, keep=options.keep)
    planned = changed(given, name, train)
    models = load_models(options.teacher)
    decoding = search(options, models)
    data = given.config.data
    check_models(
        models, source=data.source_language, target=data.target_language, purpose="--teacher", decoding=decoding
    )
    if not options.no_train:
        check_run(planned, overwrite=options.overwrite)
    folder.begin(
        {
            "models": [*digests([str(model.path) for model in models]).values()],
            "decoding": decoding,
            "text": digests([file for corpus in data.train for file in paths(corpus)]),
            "filters": data.filters.model_dump(mode="json"),
        },
        {"drop": options.drop, "closest": options.closest if options.n_best > 1 else None},
        overwrite=options.overwrite,
    )
    make_text(options, given.config, folder, Method([model.path for model in models], decoding | speed(options)))
    heading = f"{given.file}, on text that its teachers translated. Made by scripts/distill."
    folder.write_config(written(given, name, train, file=folder.config, heading=heading), overwrite=options.overwrite)
    logger.info("wrote %s", folder.config)
    if options.no_train:
        print(folder.config)
        return
    student = train_run(load_config(folder.config), init_from=None, overwrite=options.overwrite)
    print(scores(given, models, decoding | speed(options), student))


def search(options: argparse.Namespace, models: Sequence[ModelFile]) -> dict[str, Any]:
    """Return how the teachers search."""
    own = models[0].config.decoding.beam_size
    return {
        "sampling": False,
        "n_best": options.n_best,
        "beam_size": options.beam_size or max(own, options.n_best),
        "precision": options.precision,
    }


def corpora(config: Config, folder: Path, *, keep: str) -> list[CorpusConfig]:
    """Return the training corpora of the student."""
    several = len(config.data.train) > 1
    distilled = []
    for number, corpus in enumerate(config.data.train, 1):
        stem = f"train-{number}" if several else "train"
        files = {
            "source": str(folder / f"{stem}.{config.data.source_language}"),
            "target": str(folder / f"{stem}.{config.data.target_language}"),
        }
        distilled.append(corpus.model_copy(update={**files, "tsv": None, "alignment": None}))
    return [*(config.data.train if keep == "original" else []), *distilled]


def make_text(options: argparse.Namespace, config: Config, folder: Folder, method: Method) -> None:
    """Translate the training text, and write the pairs that can be used.

    Raises:
        NMTError: Something that the user can mend.
    """
    text = write_source(config, folder.path)
    translate_text(method, text.source, folder.translations, processes=options.processes)
    screen = Screen(options.drop, metric=_metric(config, options.closest) if options.n_best > 1 else None)
    rows = zip(*(read_lines(file, keep_broken=False) for file in (text.source, text.reference)), strict=True)
    pairs = (
        (line, reference, candidates)
        for (line, reference), candidates in zip(rows, read_candidates(folder.translations), strict=True)
    )
    distilled = corpora(config, folder.path, keep="none")
    for corpus, lines in zip(distilled, text.lines, strict=True):
        source, target = map(Path, paths(corpus))
        write_pairs(_chosen(screen, pairs, lines), source, target)
    counts = screen.counts()
    write_json(folder.report, {"read": text.read, "translated": sum(text.lines), **counts})
    logger.info(
        "%s of %s lines distilled; dropped: %s",
        *(f"{screen.kept:,}", f"{sum(text.lines):,}", in_words(counts["dropped"])),
    )


def _metric(config: Config, name: str) -> SentenceMetric:
    scoring = config.evaluation
    return make_sentence_metric(
        name,
        bleu_tokenizer=scoring.bleu_tokenizer,
        lowercase=scoring.lowercase,
        target_language=config.data.target_language,
    )


def _chosen(screen: Screen, rows: Iterator[tuple[str, str, list[Any]]], lines: int) -> Iterator[tuple[str, str]]:
    """Give the pairs of the next so many lines."""
    for _ in range(lines):
        line, reference, candidates = next(rows)
        (text,) = screen.choose([Row(line, candidates, reference)])
        if text is not None:
            yield line, text


def write_source(config: Config, folder: Path) -> Text:
    """Write what the teachers translate: the pairs that training would use, by their text.

    Raises:
        DataError: A corpus cannot be read, or no pair is left.
    """
    data = config.data
    source, reference = folder / f"source.{data.source_language}", folder / f"reference.{data.target_language}"
    work = folder / ".selection"
    shutil.rmtree(work, ignore_errors=True)  # what a run left that was killed
    work.mkdir()
    try:
        with progress(None, "read", "pairs") as bar:
            selection = filter_corpora(data, work, bar=bar)
        for file, texts in ((source, selection.sources), (reference, selection.targets)):
            blocks = selection.blocks(0, len(selection.kept))
            write_lines(file, (line for block in blocks for line in texts.lines(block)))
        lines = [int(selection.kept[corpus.start : corpus.end].sum()) for corpus in selection.corpora]
    finally:
        shutil.rmtree(work)
    return Text(source, reference, lines, sum(corpus.read for corpus in selection.corpora))


def scores(given: Given, models: Sequence[ModelFile], decoding: dict[str, Any], student: Path) -> str:
    """Return a table of what teachers and student score on the validation set."""
    teachers = "teacher" if len(models) == 1 else f"{len(models)} teachers together"
    systems: dict[str, TextTranslator] = {
        teachers: Translator.from_models(models, decoding={**decoding, "n_best": 1}),
        # The student searches in its own way.
        "student": Translator.load(student, decoding={name: decoding[name] for name in ("device", "threads")}),
    }
    return compare(systems, read_tuning_set(given.config, None, None))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(lambda: run(parse(arguments)))


if __name__ == "__main__":
    sys.exit(main())
