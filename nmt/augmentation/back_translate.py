"""Back-translation (Sennrich et al. 2016) and self-training: monolingual text, translated, as a second corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nmt.augmentation.configuration import BaseExperiment, new_config, new_config_text, read_experiment
from nmt.augmentation.folder import SyntheticFolder, digests
from nmt.augmentation.models import check_models
from nmt.augmentation.monolingual import Monolingual
from nmt.augmentation.options import AugmentationOptions
from nmt.augmentation.screening import Screen, TranslatedLine, describe_counts, write_pairs
from nmt.augmentation.training import SystemScore, check_run, measure_systems, train_run
from nmt.augmentation.translations import TranslationMethod, read_hypotheses, translate_text
from nmt.config import load_config
from nmt.config.file_names import path_in
from nmt.config.schema import Config, CorpusConfig
from nmt.data.corpus import paths
from nmt.data.languages import LINES_TO_DETECT
from nmt.data.lines import read_lines
from nmt.data.preprocess.filters import PairFilter, make_filter
from nmt.data.streams import write_json
from nmt.errors import DataError, UsageError
from nmt.evaluation.evaluate import TextTranslator
from nmt.evaluation.tuning import read_tuning_set
from nmt.inference.find_model import find_model
from nmt.inference.model_file import ModelFile, load_model, load_models
from nmt.inference.translator import Translator
from nmt.log import logger

DROPPED = ("empty", "unfinished", "length_ratio", "repetition", "copied_source")
TOP_K = 10


@dataclass(frozen=True, kw_only=True)
class BackTranslateOptions(AugmentationOptions):
    """Which text is translated, by which models, and how the pairs are used."""

    monolingual: tuple[Path, ...]
    reverse: tuple[Path, ...] = ()
    """Models that translate the target language into the source language."""
    models: tuple[Path, ...] = ()
    """Models for self-training: they translate the source language."""
    self_training: bool = False
    max_lines: int | None = None
    search: Literal["top-k", "sampling", "beam"] | None = None
    """None: top-k, or beam for self-training."""
    top_k: int | None = None
    temperature: float | None = None
    seed: int | None = None
    beam_size: int | None = None
    length_ratio: float | None = None
    """Largest ratio of the lengths of a pair; None: that of the configuration's filters."""
    weight: float = 1.0
    tag: str | None = None
    init_from: Path | None = None
    """Model whose weights the new run starts with."""

    def __post_init__(self) -> None:
        """Check that the options fit together.

        Raises:
            UsageError: They do not.
        """
        super().__post_init__()
        if self.self_training and (self.reverse or not self.models):
            raise UsageError("--self-training requires --model, and cannot be used with --reverse")
        if not self.self_training and (self.models or not self.reverse):
            raise UsageError("back-translation requires --reverse. --model is for --self-training")
        if not self.monolingual:
            raise UsageError("--monolingual FILE is missing: the text to translate")
        search = self.search_kind
        unused = {
            "beam": ("top_k", "temperature", "seed"),
            "sampling": ("top_k", "beam_size"),
            "top-k": ("beam_size",),
        }
        for name in unused[search]:
            if getattr(self, name) is not None:
                raise UsageError(f"--{name.replace('_', '-')} has no effect with --search {search}")
        if not self.train and self.init_from is not None:
            raise UsageError("--init-from cannot be used with --no-train")

    @property
    def search_kind(self) -> Literal["top-k", "sampling", "beam"]:
        """How the models search, with the default filled in."""
        return self.search or ("beam" if self.self_training else "top-k")

    @property
    def translating_models(self) -> tuple[Path, ...]:
        """The models that translate the monolingual text."""
        return self.models if self.self_training else self.reverse

    @property
    def method(self) -> str:
        """The name of the method."""
        return "self-training" if self.self_training else "back-translation"


class BackTranslated(NamedTuple):
    """The result of back-translation."""

    config: Path
    """The configuration of the new run."""
    scores: list[SystemScore] | None
    """Before and after; None if nothing was trained."""


def back_translate(config_file: Path, overrides: Sequence[str], options: BackTranslateOptions) -> BackTranslated:
    """Translate monolingual text, train on it as one more corpus, and compare scores.

    Args:
        config_file: The configuration of the new model.
        overrides: Options for the new run.
        options: How to make the text.

    Raises:
        NMTError: A file, a model or an option is not valid. Interrupted after a signal, with everything saved.
    """
    experiment = read_experiment(config_file, overrides)
    name = f"{experiment.config.name}-{'self-trained' if options.self_training else 'back-translated'}"
    folder = SyntheticFolder(options.output or Path("data") / name)
    with folder.lock():
        return _back_translate(experiment, name, folder, options)


def _back_translate(
    experiment: BaseExperiment, name: str, folder: SyntheticFolder, options: BackTranslateOptions
) -> BackTranslated:
    config = experiment.config
    train = [*config.data.train, _synthetic_corpus(options, config, folder.path)]
    planned = new_config(experiment, name, train)
    start = None if options.init_from is None else find_model(options.init_from)
    if start is not None and options.tag is not None:
        _check_tag(options.tag, start)
    models = load_models(options.translating_models)
    decoding = search_options(options)
    _check_direction(options, config, models, decoding)
    if options.train:
        check_run(planned, overwrite=options.overwrite)
    _begin(options, config, folder, models, decoding)
    method = TranslationMethod([model.path for model in models], decoding | options.speed())
    _make_text(options, config, folder, method)
    heading = f"{experiment.file}, with text of {options.method} as one more corpus. Made by `nmt back-translate`."
    content = new_config_text(experiment, name, train, file=folder.config, heading=heading)
    folder.write_config(content, overwrite=options.overwrite)
    logger.info("wrote %s", folder.config)
    if not options.train:
        return BackTranslated(folder.config, None)
    trained = train_run(load_config(folder.config), init_from=start, overwrite=options.overwrite)
    return BackTranslated(folder.config, _measure(options, config, start, trained))


def _synthetic_corpus(options: BackTranslateOptions, config: Config, folder: Path) -> CorpusConfig:
    data = config.data
    source, target = (
        str(path_in(folder, f"train.{language}")) for language in (data.source_language, data.target_language)
    )
    return CorpusConfig(source=source, target=target, weight=options.weight, tag=options.tag)


def search_options(options: BackTranslateOptions) -> dict[str, Any]:
    """Return the decoding options that translate the monolingual text."""
    common = {"n_best": 1, "precision": options.precision}
    if options.search_kind == "beam":
        return {**common, "sampling": False, "beam_size": options.beam_size}
    sampling = {**common, "sampling": True, "temperature": options.temperature, "seed": options.seed}
    return sampling if options.search_kind == "sampling" else {**sampling, "top_k": options.top_k or TOP_K}


def _check_direction(
    options: BackTranslateOptions, config: Config, models: Sequence[ModelFile], decoding: dict[str, Any]
) -> None:
    languages = (config.data.source_language, config.data.target_language)
    source, target = languages if options.self_training else languages[::-1]
    option = "--model" if options.self_training else "--reverse"
    check_models(models, source=source, target=target, option=option, decoding=decoding)


def _check_tag(tag: str, start: Path) -> None:
    """Make sure that the tag is one subword piece of the model that training starts from."""
    subwords = load_model(start).tokenizers.source
    if tag not in subwords.pieces(subwords.encode([tag])[0]):
        raise UsageError(
            f"--tag {tag} is not a symbol of {start}, which would split it. Leave out --tag, or leave out --init-from "
            "to train a model that learns the symbol"
        )


def _begin(
    options: BackTranslateOptions,
    config: Config,
    folder: SyntheticFolder,
    models: Sequence[ModelFile],
    decoding: dict[str, Any],
) -> None:
    held_out = [file for pair in (config.data.valid, *config.data.test) for file in paths(pair)]
    translations = {
        "models": [*digests([model.path for model in models]).values()],
        "decoding": decoding,
        "text": digests([*options.monolingual, *held_out]),
        "lines": options.max_lines,
        "max_words": config.data.filters.max_words,
    }
    pairs = {"drop": list(options.drop), "length_ratio": _ratio(options, config)}
    folder.begin(translations, pairs, overwrite=options.overwrite)


def _make_text(
    options: BackTranslateOptions, config: Config, folder: SyntheticFolder, method: TranslationMethod
) -> None:
    """Translate the monolingual text, and write the usable pairs and a report.

    Raises:
        DataError: No line or no pair is left.
    """
    side = 0 if options.self_training else 1
    data = config.data
    languages = (data.source_language, data.target_language)
    text = path_in(folder.path, f"monolingual.{languages[side]}")
    monolingual = Monolingual(options.monolingual, config=config, side=side, max_lines=options.max_lines)
    monolingual.write(text)
    dropped = dict(monolingual.dropped.most_common())
    logger.info("%s lines read, dropped: %s", f"{monolingual.read:,}", describe_counts(dropped))
    if monolingual.read == sum(dropped.values()):
        files = " and ".join(map(str, options.monolingual))
        raise DataError(f"{files}: no line is left. Dropped: {describe_counts(dropped)}.")
    translate_text(method, text, folder.translations, processes=options.processes)
    pair_filter = _pair_filter(options, config, side, text, folder.translations)
    screen = Screen(options.drop, pair_filter=pair_filter, copies=False)
    source, target = (path_in(folder.path, f"train.{language}") for language in languages)
    write_pairs(_pairs(screen, text, folder.translations, side), source, target)
    counts = screen.counts()
    translated = screen.kept + sum(counts["dropped"].values())
    write_json(folder.report, {"read": monolingual.read, "left_out": dropped, "translated": translated, **counts})
    logger.info("%s pairs, dropped: %s", f"{screen.kept:,}", describe_counts(counts["dropped"]))


def _pairs(screen: Screen, text: Path, translations: Path, side: int) -> Iterator[tuple[str, str]]:
    """Yield the usable pairs, source before target."""
    columns = zip(read_lines(text, keep_broken=False), read_hypotheses(translations), strict=True)
    for line, hypotheses in columns:
        (translation,) = screen.choose([TranslatedLine(line, hypotheses)])
        if translation is not None:
            yield (line, translation) if side == 0 else (translation, line)


def _ratio(options: BackTranslateOptions, config: Config) -> float:
    return options.length_ratio or config.data.filters.max_length_ratio


def _pair_filter(
    options: BackTranslateOptions, config: Config, side: int, text: Path, translations: Path
) -> PairFilter:
    """Return the filter of a line and its translation. The first lines of both files decide the unit of lengths."""
    languages = (config.data.source_language, config.data.target_language)
    hypotheses = islice(read_hypotheses(translations), LINES_TO_DETECT)
    return make_filter(
        max_words=config.data.filters.max_words,
        max_ratio=_ratio(options, config),
        identical=False,
        source_language=languages[side],
        target_language=languages[1 - side],
        source_lines=list(islice(read_lines(text, keep_broken=False), LINES_TO_DETECT)),
        target_lines=[best[0].text for best in hypotheses if best],
    )


def _measure(options: BackTranslateOptions, config: Config, start: Path | None, trained: Path) -> list[SystemScore]:
    """Score the new model on the validation set, and the model that it started from or that translated its text."""
    before = start
    if before is None and options.self_training and len(options.models) == 1:
        before = find_model(options.models[0])
    systems: dict[str, TextTranslator] = {}
    if before is not None:
        systems[f"before ({before})"] = Translator.load(before, decoding=options.speed())
    systems["after"] = Translator.load(find_model(trained), decoding=options.speed())
    return measure_systems(systems, read_tuning_set(config, None, None))
