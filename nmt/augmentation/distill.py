"""Sequence-level knowledge distillation (Kim & Rush 2016): a student learns from its teachers' translations."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nmt.augmentation.configuration import BaseExperiment, new_config, new_config_text, read_experiment
from nmt.augmentation.folder import SyntheticFolder, digests
from nmt.augmentation.models import check_models
from nmt.augmentation.options import AugmentationOptions
from nmt.augmentation.screening import Screen, TranslatedLine, describe_counts, write_pairs
from nmt.augmentation.training import SystemScore, check_run, measure_systems, train_run
from nmt.augmentation.translations import TranslationMethod, read_hypotheses, translate_text
from nmt.config import Config, load_config
from nmt.config.file_names import path_in
from nmt.config.schema import CorpusConfig
from nmt.data.corpus import paths
from nmt.data.lines import read_lines, write_lines
from nmt.data.preprocess.filter_pass import filter_corpora
from nmt.data.streams import write_json
from nmt.evaluation.evaluate import TextTranslator
from nmt.evaluation.tuning import read_tuning_set
from nmt.inference.model_file import ModelFile, load_models
from nmt.inference.translator import Translator
from nmt.log import logger, progress
from nmt.metrics.sentence import SentenceMetric, make_sentence_metric

DROPPED = ("empty", "unfinished", "repetition")


@dataclass(frozen=True, kw_only=True)
class DistillOptions(AugmentationOptions):
    """How the teachers translate and what the student learns from."""

    teachers: tuple[Path, ...]
    keep: Literal["original", "none"] = "original"
    """Whether the student also learns from the original pairs."""
    beam_size: int | None = None
    """None: that of the first teacher, or `n_best` if that is larger."""
    n_best: int = 1
    """Hypotheses for each line."""
    closest: str = "bleu"
    """Sentence metric that chooses the hypothesis closest to the reference."""


class Distilled(NamedTuple):
    """The result of distillation."""

    config: Path
    """The configuration of the student."""
    scores: list[SystemScore] | None
    """Of teachers and student; None if nothing was trained."""


class TeacherText(NamedTuple):
    """The text that the teachers translate, and its references, in files of the same length."""

    source: Path
    reference: Path
    lines: list[int]
    """Number of lines of each corpus; the corpora are concatenated."""
    read: int
    """Number of pairs of the corpora before filtering."""


def distill(config: Path, overrides: Sequence[str], options: DistillOptions) -> Distilled:
    """Translate the training text with the teachers, train the student and compare their scores.

    Args:
        config: The student's configuration.
        overrides: Options for the student.
        options: How to distill.

    Raises:
        NMTError: A file, a model or an option is not valid. Interrupted after a signal, with everything saved.
    """
    experiment = read_experiment(config, overrides)
    name = f"{experiment.config.name}-distilled"
    folder = SyntheticFolder(options.output or Path("data") / name)
    with folder.lock():
        return _distill(experiment, name, folder, options)


def _distill(experiment: BaseExperiment, name: str, folder: SyntheticFolder, options: DistillOptions) -> Distilled:
    data = experiment.config.data
    train = student_corpora(experiment.config, folder.path, keep=options.keep)
    planned = new_config(experiment, name, train)
    models = load_models(options.teachers)
    decoding = _search(options, models)
    languages = {"source": data.source_language, "target": data.target_language}
    check_models(models, **languages, option="--teacher", decoding=decoding)
    if options.train:
        check_run(planned, overwrite=options.overwrite)
    folder.begin(
        {
            "models": [*digests([model.path for model in models]).values()],
            "decoding": decoding,
            "text": digests([file for corpus in data.train for file in paths(corpus)]),
            "filters": data.filters.model_dump(mode="json", exclude={"drop_held_out"}),  # affects only the student
        },
        {"drop": list(options.drop), "closest": options.closest if options.n_best > 1 else None},
        overwrite=options.overwrite,
    )
    method = TranslationMethod([model.path for model in models], decoding | options.speed())
    _make_text(options, experiment.config, folder, method)
    heading = f"{experiment.file}, on text that its teachers translated. Made by `nmt distill`."
    content = new_config_text(experiment, name, train, file=folder.config, heading=heading)
    folder.write_config(content, overwrite=options.overwrite)
    logger.info("wrote %s", folder.config)
    if not options.train:
        return Distilled(folder.config, None)
    student = train_run(load_config(folder.config), init_from=None, overwrite=options.overwrite)
    return Distilled(folder.config, _measure(experiment, models, decoding | options.speed(), student))


def _search(options: DistillOptions, models: Sequence[ModelFile]) -> dict[str, Any]:
    own = models[0].config.decoding.beam_size
    return {
        "sampling": False,
        "n_best": options.n_best,
        "beam_size": options.beam_size or max(own, options.n_best),
        "precision": options.precision,
    }


def student_corpora(config: Config, folder: Path, *, keep: str) -> list[CorpusConfig]:
    """Return the training corpora of the student: the original ones if they are kept, then the distilled ones."""
    several = len(config.data.train) > 1
    distilled = []
    for number, corpus in enumerate(config.data.train, 1):
        stem = f"train-{number}" if several else "train"
        languages = (config.data.source_language, config.data.target_language)
        source, target = (str(path_in(folder, f"{stem}.{language}")) for language in languages)
        distilled.append(CorpusConfig(source=source, target=target, weight=corpus.weight, tag=corpus.tag))
    return [*(config.data.train if keep == "original" else []), *distilled]


def _make_text(options: DistillOptions, config: Config, folder: SyntheticFolder, method: TranslationMethod) -> None:
    """Translate the training text, and write the usable pairs and a report."""
    text = write_teacher_text(config, folder.path)
    translate_text(method, text.source, folder.translations, processes=options.processes)
    screen = Screen(options.drop, metric=_metric(config, options.closest) if options.n_best > 1 else None)
    pairs = zip(*(read_lines(file, keep_broken=False) for file in (text.source, text.reference)), strict=True)
    lines = (
        TranslatedLine(line, hypotheses, reference)
        for (line, reference), hypotheses in zip(pairs, read_hypotheses(folder.translations), strict=True)
    )
    distilled = student_corpora(config, folder.path, keep="none")
    for corpus, count in zip(distilled, text.lines, strict=True):
        source, target = map(Path, paths(corpus))
        write_pairs(_chosen(screen, lines, count), source, target)
    counts = screen.counts()
    write_json(folder.report, {"read": text.read, "translated": sum(text.lines), **counts})
    shown = f"{screen.kept:,}", f"{sum(text.lines):,}", describe_counts(counts["dropped"])
    logger.info("%s of %s lines distilled, dropped: %s", *shown)


def _metric(config: Config, name: str) -> SentenceMetric:
    scoring = config.evaluation
    return make_sentence_metric(
        name,
        bleu_tokenizer=scoring.bleu_tokenizer,
        lowercase=scoring.lowercase,
        target_language=config.data.target_language,
    )


def _chosen(screen: Screen, lines: Iterator[TranslatedLine], count: int) -> Iterator[tuple[str, str]]:
    """Yield the usable pairs of the next `count` lines."""
    for _ in range(count):
        one = next(lines)
        (text,) = screen.choose([one])
        if text is not None:
            yield one.line, text


def write_teacher_text(config: Config, folder: Path) -> TeacherText:
    """Write the pairs that training would use, unpacked and filtered.

    Raises:
        DataError: A corpus cannot be read, or no pair is left.
    """
    data = config.data
    source, reference = folder / f"source.{data.source_language}", folder / f"reference.{data.target_language}"
    work = folder / ".selection"
    shutil.rmtree(work, ignore_errors=True)  # of a command that was killed
    work.mkdir()
    try:
        with progress(None, "read", "pairs") as bar:
            selection = filter_corpora(data, work, bar=bar)
        for side, file in enumerate((source, reference)):
            write_lines(file, selection.lines(side))
        lines = [selection.count_kept(corpus) for corpus in selection.corpora]
    finally:
        shutil.rmtree(work)
    return TeacherText(source, reference, lines, sum(corpus.read for corpus in selection.corpora))


def _measure(
    experiment: BaseExperiment, models: Sequence[ModelFile], decoding: dict[str, Any], student: Path
) -> list[SystemScore]:
    """Score teachers and student on the validation set."""
    teachers = "teacher" if len(models) == 1 else f"{len(models)} teachers together"
    systems: dict[str, TextTranslator] = {
        teachers: Translator.from_models(models, decoding={**decoding, "n_best": 1}),
        # The student uses its own search options.
        "student": Translator.load(student, decoding={name: decoding[name] for name in ("device", "threads")}),
    }
    return measure_systems(systems, read_tuning_set(experiment.config, None, None))
