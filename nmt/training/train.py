"""Train the model of a configuration: preprocess the data, build the model, run the trainer."""

from __future__ import annotations

import contextlib
import math
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nmt import __version__, log
from nmt.config.schema import Config
from nmt.data.batching import Batch, Batches, fixed_batches
from nmt.data.familiarity import describe_training_text
from nmt.data.lengths import length_ratio, longest_source
from nmt.data.preprocess.preprocess import PreprocessedData, preprocess
from nmt.data.tokenizer import Tokenizers
from nmt.device import choose_device, choose_dtype, keep_freed_memory, set_threads
from nmt.errors import TrainingError
from nmt.inference.model_file import load_model
from nmt.log import logger
from nmt.metrics.corpus import check_tokenizers
from nmt.model import Seq2Seq
from nmt.training.averaging import Weights, copy_weights
from nmt.training.batch_tensors import make_batches
from nmt.training.checkpoint import Checkpoint, load_checkpoint
from nmt.training.diagnosis import DiagnosisContext
from nmt.training.initial_weights import (
    InitialModel,
    ParentModel,
    check_parent,
    load_initial,
    make_initial,
    parent_weights,
    save_initial,
)
from nmt.training.learner import Learner
from nmt.training.objectives.minimum_risk import make_sentence_scorer
from nmt.training.ranks import Ranks, check_same
from nmt.training.reporter import Reporter
from nmt.training.run_folder import RunFolder, content_digest, flatten
from nmt.training.space import check_space, estimate_space
from nmt.training.tracking import check_installed, open_tensorboard, open_trackers
from nmt.training.trainer import Trainer
from nmt.training.validation import Validator, unigram_loss, validation_digest

_VALIDATION_TOKENS = 2048
"""Batch size of the validation loss in pieces. It affects memory and speed only."""


def train(
    config: Config,
    *,
    resume: bool,
    overwrite: bool,
    init_from: Path | None,
    new_vocabulary: bool = False,
    ranks: Ranks | None = None,
) -> Path:
    """Train the model of `config` and return the run's folder.

    Args:
        config: The configuration. Its data is preprocessed if it has not been.
        resume: Resume the run from its newest checkpoint, bit for bit.
        overwrite: Replace an existing run of the same name.
        init_from: Model file with the initial weights and the tokenizers of a new run.
        new_vocabulary: With `init_from`: train new tokenizers, and keep the embeddings of common pieces.
        ranks: The processes of the training; see `join_ranks`. Default: this one alone.

    Raises:
        UsageError: The run exists (with `resume`: does not exist), or an option requires `init_from`.
        ConfigError: With `resume`: options differ from those of the run.
        DataError: The training data cannot be used.
        CheckpointError: A model file or checkpoint cannot be used.
        TrainingError: The run has diverged, or a batch does not fit into memory.
        Interrupted: The run was stopped by a signal; it can be resumed.
    """
    ranks = ranks or Ranks()
    with _opened_run(config, ranks) as run:
        if resume:
            return _resume(config, run, ranks)
        return _start(config, run, ranks, overwrite=overwrite, init_from=init_from, new_vocabulary=new_vocabulary)


def train_or_resume(
    config: Config,
    *,
    overwrite: bool = False,
    init_from: Path | None = None,
    new_vocabulary: bool = False,
    ranks: Ranks | None = None,
) -> Path:
    """Resume the run of this name if it has a checkpoint, else start it, and return its folder.

    A run without a checkpoint was interrupted before its first one, so that nothing is lost when it starts again.

    Args:
        config: The experiment.
        overwrite: Start again in any case.
        init_from: Model file whose weights a run starts with.
        new_vocabulary: With `init_from`: train new tokenizers.
        ranks: The processes of the training. Default: this one alone.

    Raises:
        NMTError: As `train`.
    """
    ranks = ranks or Ranks()
    with _opened_run(config, ranks) as run:
        if ranks.from_first(run.can_resume) and not overwrite:
            return _resume(config, run, ranks)
        replace = overwrite or not run.best.exists()
        return _start(config, run, ranks, overwrite=replace, init_from=init_from, new_vocabulary=new_vocabulary)


@contextlib.contextmanager
def _opened_run(config: Config, ranks: Ranks) -> Iterator[RunFolder]:
    """Yield the folder of a run, which rank 0 locks, after the checks that need no data.

    Raises:
        UsageError: The ranks have different configurations or versions, another process uses the run, or the package
            of a tracker is not installed.
        NMTError: A tokenizer that validation needs is not installed.
    """
    assert config.name is not None
    run = RunFolder(config.name)
    _warn_of_tokenizers(config)
    if ranks.is_first:
        check_installed(config.training.track)
    with run.lock() if ranks.is_first else contextlib.nullcontext():
        check_same(ranks, "configuration", flatten(config.model_dump(mode="json")), but=("training.threads",))
        check_same(ranks, "software", {"nmt": __version__, "torch": torch.__version__, "numpy": np.__version__})
        yield run


def _warn_of_tokenizers(config: Config) -> None:
    """Check the tokenizers of the metrics, before anything else is done.

    Raises:
        NMTError: A tokenizer that validation needs is not installed.
    """
    warning = check_tokenizers(config)
    if warning is not None:
        logger.warning("nmt evaluate: %s", warning)


def _start(
    config: Config, run: RunFolder, ranks: Ranks, *, overwrite: bool, init_from: Path | None, new_vocabulary: bool
) -> Path:
    """Start a run. An existing one is deleted after everything that can be refused has been checked."""
    machine = _prepare_machine(config, ranks)
    parent = ParentModel(init_from, load_model(init_from), new_vocabulary) if init_from is not None else None
    check_parent(config, parent)
    if ranks.is_first:
        run.check_new(overwrite=overwrite)
    tokenizers = parent.tokenizers if parent is not None else None
    data = ranks.first_before_others(lambda: preprocess(config, tokenizers=tokenizers))
    config = _with_length_limits(config, data)
    _seed(config.seed)
    initial = make_initial(config, data.tokenizers, parent, resumed=False)
    parts = _make_parts(
        config, data, initial.model.to(machine.device), machine, ranks, parent=_initial_weights(initial, parent)
    )
    if ranks.is_first:
        _check_space(config, run, data, parts, has_parent=parent is not None)
    _dry_run(parts)
    ranks.gather(None)  # all ranks have memory enough
    if ranks.is_first:
        run.start(config, data.tokenizers)
        if parent is not None:
            save_initial(run.initial, initial.model, config, data.tokenizers, parent)
    return _run(config, run, data, parts, notes=initial.notes, checkpoint=None)


def _resume(config: Config, run: RunFolder, ranks: Ranks) -> Path:
    """Resume a run from its newest checkpoint."""
    machine = _prepare_machine(config, ranks)
    if ranks.is_first:
        run.check_resumable(config)
    parent = load_initial(run.initial)
    checkpoint = _newest_checkpoint(run, ranks)
    run.check_batches(config, checkpoint, processes=ranks.size)
    saved = checkpoint.state["data_fingerprint"]
    given = parent.tokenizers if parent is not None else None
    data = ranks.first_before_others(lambda: preprocess(config, tokenizers=given, resumed=saved))
    fingerprint, tokenizers = data.fingerprint, run.tokenizers()
    if tokenizers is not None and not _same(tokenizers, data.tokenizers):
        logger.warning(
            "SentencePiece now learns another subword model from the same text and options, as another version of it "
            "may. The run keeps its own subword model, with which the text is segmented again"
        )
        data = ranks.first_before_others(lambda: preprocess(config, tokenizers=tokenizers, resumed=saved))
    config = _with_length_limits(config, data)
    run.check_data(checkpoint, data, fingerprint=fingerprint)
    _seed(config.seed)
    initial = make_initial(config, data.tokenizers, parent, resumed=True)
    weights = parent_weights(run.initial) if config.training.parent_l2 > 0 else None
    parts = _make_parts(config, data, initial.model.to(machine.device), machine, ranks, parent=weights)
    parts.validator.check(initial.model)
    if ranks.is_first:
        _check_space(config, run, data, parts, has_parent=parent is not None)
        run.reopen(config, checkpoint)
    return _run(config, run, data, parts, notes=initial.notes, checkpoint=checkpoint)


def _newest_checkpoint(run: RunFolder, ranks: Ranks) -> Checkpoint:
    """Return the newest checkpoint that can be read. Rank 0 chooses it, and all ranks read the same files."""
    if ranks.is_first:
        checkpoint = run.newest_checkpoint()
    update = ranks.from_first(lambda: int(checkpoint.state["train_state"]["update"]))
    if not ranks.is_first:
        checkpoint = load_checkpoint(run.checkpoint_folder(update))
    check_same(ranks, "checkpoint", flatten(checkpoint.state))
    return checkpoint


def _check_space(config: Config, run: RunFolder, data: PreprocessedData, parts: _Parts, *, has_parent: bool) -> None:
    """Check the free disk space; see `check_space`."""
    tokenizers, table = data.tokenizers, data.shortlist
    models = {tokenizer.fingerprint: tokenizer.model_bytes for tokenizer in (tokenizers.source, tokenizers.target)}
    other = sum(4 * len(content) // 3 for content in models.values())  # in base64
    other += 0 if table is None else table.translations.nbytes + table.frequent.nbytes
    check_space(run, estimate_space(parts.learner.model, config.training, other=other, has_parent=has_parent))


class _Machine(NamedTuple):
    device: torch.device
    dtype: torch.dtype


def _prepare_machine(config: Config, ranks: Ranks) -> _Machine:
    device = choose_device(config.training.device, number=ranks.local_rank if ranks.size > 1 else None)
    dtype = choose_dtype(config.training.precision, device)
    check_same(ranks, "machine", {"device": device.type, "precision": str(dtype)})
    set_threads(config.training.threads, processes=ranks.local_size)
    keep_freed_memory()
    ranks.connect(device)
    return _Machine(device, dtype)


def _same(first: Tokenizers, second: Tokenizers) -> bool:
    return (first.source.fingerprint, first.target.fingerprint) == (
        second.source.fingerprint,
        second.target.fingerprint,
    )


def _initial_weights(initial: InitialModel, parent: ParentModel | None) -> Weights | None:
    """Return a copy of the weights with which a run with a parent starts."""
    return None if parent is None else copy_weights(dict(initial.model.named_parameters()))


def _run(
    config: Config,
    run: RunFolder,
    data: PreprocessedData,
    parts: _Parts,
    *,
    notes: list[str],
    checkpoint: Checkpoint | None,
) -> Path:
    """Train in a folder that is ready."""
    learner = parts.learner
    ranks = learner.ranks
    if ranks.is_first:
        run.mark_latest()
        log.add_file(run.log)
    for note in notes:
        logger.info("%s", note)
    logger.info(
        "%s: %s parameters, %s in %s on %s%s",
        run.path,
        f"{sum(parameter.numel() for parameter in learner.model.parameters()):,}",
        f"{len(data.train):,} pairs",
        {torch.bfloat16: "bf16", torch.float32: "fp32"}[learner.dtype],
        learner.device.type,
        f", {ranks.size} processes" if ranks.size > 1 else "",
    )
    schedule, minutes = config.training.schedule, config.training.max_minutes
    if minutes is not None and schedule.kind in ("linear", "cosine"):
        logger.info(
            "the %s schedule ends after %g minutes or %d updates, whichever limit comes first",
            *(schedule.kind, minutes, learner.total_updates),
        )
    with Reporter(
        metrics=run.metrics if ranks.is_first else Path(os.devnull),
        **_trackers(config, run, checkpoint) if ranks.is_first else {},
    ) as reporter:
        trainer = _make_trainer(config, data, parts, run, reporter)
        if checkpoint is not None:
            trainer.resume(checkpoint)
        trainer.train()
    return run.path


def _trackers(config: Config, run: RunFolder, checkpoint: Checkpoint | None) -> dict[str, Any]:
    """Return the arguments of the reporter that concern trackers."""
    options, update = config.training, None if checkpoint is None else checkpoint.state["train_state"]["update"]
    return {
        "tensorboard": open_tensorboard(run.tensorboard, resumed_update=update) if options.tensorboard else None,
        "trackers": open_trackers(options.track, run.path, flatten(config.model_dump(mode="json"))),
        "resumed_update": update,
    }


def _with_length_limits(config: Config, data: PreprocessedData) -> Config:
    """Return `config` with values from the training text for the limits it leaves open.

    These are the longest source segment and the length ratio of the longest translation.
    """
    decoding, train = config.decoding, data.train
    limits: dict[str, float] = {}
    if decoding.max_source_pieces is None:
        longest, concatenation = longest_source(train.source_lengths), config.data.concatenation
        if concatenation.ratio > 0:
            longest = min(config.data.filters.max_pieces, concatenation.max_pairs * longest)
        limits["max_source_pieces"] = longest
    if decoding.max_length_ratio is None:
        limits["max_length_ratio"] = length_ratio(
            train.source_lengths, train.target_lengths, constant=decoding.max_length_constant
        )
    return config.model_copy(update={"decoding": decoding.model_copy(update=limits)})


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class _Parts(NamedTuple):
    """The parts of a trainer that do not touch the folder of the run."""

    learner: Learner
    batches: Batches
    validator: Validator
    validation_batches: list[Batch]


def _make_parts(
    config: Config, data: PreprocessedData, model: Seq2Seq, machine: _Machine, ranks: Ranks, *, parent: Weights | None
) -> _Parts:
    options, tokenizers = config.training, data.tokenizers
    batches = make_batches(config, data)
    validation_batches = fixed_batches(
        tokenizers.source.encode([source for source, _ in data.valid]),
        tokenizers.target.encode([target for _, target in data.valid]),
        batch_tokens=_VALIDATION_TOKENS,
        batch_sentences=None,
    )
    validator = Validator(
        config=config,
        pairs=data.valid,
        batches=validation_batches,
        tokenizers=tokenizers,
        device=machine.device,
        dtype=machine.dtype,
        ranks=ranks,
    )
    total_updates = math.ceil(batches.count(0) / (options.accumulate * ranks.size)) * options.max_epochs
    if options.max_updates is not None:
        total_updates = min(total_updates, options.max_updates)
    learner = Learner(
        model=model,
        options=options,
        total_updates=total_updates,
        device=machine.device,
        dtype=machine.dtype,
        seed=config.seed,
        scorer=make_sentence_scorer(config, tokenizers.target) if options.objective == "minimum_risk" else None,
        parent=parent if options.parent_l2 > 0 else None,
        ranks=ranks,
    )
    return _Parts(learner, batches, validator, validation_batches)


def _make_trainer(config: Config, data: PreprocessedData, parts: _Parts, run: RunFolder, reporter: Reporter) -> Trainer:
    options, ranks = config.training, parts.learner.ranks
    identity = {"data_content": content_digest(data.folder), "validation": validation_digest(config, data.valid)}
    check_same(ranks, "data", {"data_fingerprint": data.fingerprint, **identity})
    return Trainer(
        config=config,
        learner=parts.learner,
        batches=parts.batches,
        validator=parts.validator,
        tokenizers=data.tokenizers,
        run=run,
        reporter=reporter,
        fingerprint=data.fingerprint,
        training_text=describe_training_text(data.train, data.tokenizers),
        shortlist=data.shortlist,
        diagnosis=DiagnosisContext(
            metric=options.validation.metric,
            peak=options.optimizer.learning_rate,
            schedule=options.schedule,
            unigram_loss=unigram_loss(
                data.train.count_target_pieces(data.tokenizers.target.size), parts.validation_batches
            ),
        ),
        identity=identity,
        ranks=ranks,
    )


def _dry_run(parts: _Parts) -> None:
    """Run the largest batch and one validation sentence without an update, so that a lack of anything shows at once."""
    parts.validator.check(parts.learner.model)
    batch = parts.batches.largest()
    try:
        parts.learner.dry_run(batch)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
            raise
        raise TrainingError(
            f"the largest batch ({batch.source.shape[0]} pairs of up to {batch.source.shape[1]} source and "
            f"{batch.target_input.shape[1]} target pieces) does not fit into memory. Lower training.batch_tokens, "
            f"data.filters.max_pieces or the sizes in the model section"
        ) from error
