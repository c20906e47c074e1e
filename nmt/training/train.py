"""From a configuration to a trained run."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import torch

from nmt import log
from nmt.config.schema import Config
from nmt.data.batching import fixed_batches
from nmt.data.lengths import length_ratio, longest_source
from nmt.data.preprocess.preprocess import PreprocessedData, preprocess
from nmt.device import choose_device, choose_dtype, keep_freed_memory, set_threads
from nmt.errors import TrainingError
from nmt.inference.model_file import load_model
from nmt.log import logger
from nmt.model import Seq2Seq
from nmt.training.batch_tensors import make_batches
from nmt.training.diagnosis import DiagnosisContext
from nmt.training.initial_weights import (
    ParentModel,
    check_parent,
    load_initial,
    make_initial,
    parent_weights,
    save_initial,
)
from nmt.training.learner import Learner
from nmt.training.objectives.minimum_risk import make_sentence_scorer
from nmt.training.reporter import Reporter
from nmt.training.run_folder import RunFolder
from nmt.training.trainer import Trainer
from nmt.training.validation import Validator, loss_by_frequency

_VALIDATION_TOKENS = 2048
"""Pieces in a batch of the validation loss: it changes memory and speed only."""


def train(
    config: Config, *, resume: bool, overwrite: bool, init_from: Path | None, new_vocabulary: bool = False
) -> Path:
    """Train the model of `config` and return the run's folder.

    Args:
        config: The experiment; its data is prepared first if need be.
        resume: Continue the run from its newest checkpoint, bit for bit.
        overwrite: Start anew where a run of that name exists.
        init_from: Model file whose weights and subword model the new run starts with.
        new_vocabulary: With `init_from`: learn new subword models, and take over the rows of the pieces that remain.

    Raises:
        UsageError: The run exists (or, with `resume`, does not), or options need a parent that is not given.
        ConfigError: `resume` with options that contradict the run.
        DataError, CheckpointError, TrainingError, Interrupted: As they say.
    """
    assert config.name is not None
    run = RunFolder(config.name)
    device = choose_device(config.training.device)
    dtype = choose_dtype(config.training.precision, device)
    set_threads(config.training.threads)
    keep_freed_memory()
    parent: ParentModel | None
    if resume:
        run.check_resumable(config)
        parent = load_initial(run.initial)
    else:
        parent = ParentModel(init_from, load_model(init_from), new_vocabulary) if init_from is not None else None
        check_parent(config, parent)
        run.check_new(overwrite=overwrite)
    prepared = preprocess(config, tokenizers=parent.tokenizers if parent is not None else None)
    config = _with_length_limits(config, prepared)
    checkpoint = run.reopen(config, fingerprint=prepared.fingerprint) if resume else None
    _seed(config.seed)
    initial = make_initial(config, prepared.tokenizers, parent, resumed=resume)
    if not resume:
        run.start(config)
        if parent is not None:
            save_initial(run.initial, initial.model, config, prepared.tokenizers, parent)
    run.mark_latest()
    log.add_file(run.log)
    for note in initial.notes:
        logger.info("%s", note)
    model = initial.model.to(device)
    logger.info(
        "%s: %s parameters, %s in %s on %s",
        run.path,
        f"{sum(parameter.numel() for parameter in model.parameters()):,}",
        f"{len(prepared.train):,} pairs",
        {torch.bfloat16: "bf16", torch.float32: "fp32"}[dtype],
        device,
    )
    with Reporter(
        metrics=run.metrics, tensorboard=run.tensorboard if config.training.tensorboard else None
    ) as reporter:
        trainer = _make_trainer(config, prepared, model, run, reporter, device, dtype)
        if checkpoint is not None:
            trainer.resume(checkpoint)
        else:
            _dry_run(trainer)
        trainer.train()
    return run.path


def _with_length_limits(config: Config, prepared: PreprocessedData) -> Config:
    """Return `config` with the limits that its training text suggests, where none are given.

    They are the longest source that is translated at once, and the longest translation.
    """
    decoding, train = config.decoding, prepared.train
    found: dict[str, float] = {}
    if decoding.max_source_pieces is None:
        longest, joining = longest_source(train.source_lengths), config.data.concatenation
        most = config.data.filters.max_pieces
        found["max_source_pieces"] = min(most, joining.max_pairs * longest) if joining.ratio > 0 else longest
    if decoding.max_length_ratio is None:
        found["max_length_ratio"] = length_ratio(
            train.source_lengths, train.target_lengths, constant=decoding.max_length_constant
        )
    return config.model_copy(update={"decoding": decoding.model_copy(update=found)})


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _make_trainer(
    config: Config,
    prepared: PreprocessedData,
    model: Seq2Seq,
    run: RunFolder,
    reporter: Reporter,
    device: torch.device,
    dtype: torch.dtype,
) -> Trainer:
    options, tokenizers = config.training, prepared.tokenizers
    batches = make_batches(config, prepared)
    validation_batches = fixed_batches(
        tokenizers.source.encode([source for source, _ in prepared.valid]),
        tokenizers.target.encode([target for _, target in prepared.valid]),
        batch_tokens=_VALIDATION_TOKENS,
        batch_sentences=None,
    )
    validator = Validator(
        config=config,
        pairs=prepared.valid,
        batches=validation_batches,
        tokenizers=tokenizers,
        device=device,
        dtype=dtype,
    )
    total_updates = math.ceil(batches.count(0) / options.accumulate) * options.max_epochs
    if options.max_updates is not None:
        total_updates = min(total_updates, options.max_updates)
    learner = Learner(
        model=model,
        options=options,
        total_updates=total_updates,
        device=device,
        dtype=dtype,
        seed=config.seed,
        judge=make_sentence_scorer(config, tokenizers.target) if options.objective == "minimum_risk" else None,
        parent=parent_weights(run.initial) if options.parent_l2 > 0 else None,
    )
    return Trainer(
        config=config,
        learner=learner,
        batches=batches,
        validator=validator,
        tokenizers=tokenizers,
        run=run,
        reporter=reporter,
        fingerprint=prepared.fingerprint,
        shortlist=prepared.shortlist,
        yardstick=DiagnosisContext(
            metric=options.validation.metric,
            peak=options.optimizer.learning_rate,
            schedule=options.schedule,
            by_frequency=loss_by_frequency(
                prepared.train.count_target_pieces(tokenizers.target.size), validation_batches
            ),
        ),
    )


def _dry_run(trainer: Trainer) -> None:
    """Try the largest batch first, so that memory problems show at once and not after an hour."""
    batch = trainer.batches.worst()
    try:
        trainer.learner.rehearse(batch)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
            raise
        raise TrainingError(
            f"the largest batch ({batch.source.shape[0]} pairs of up to {batch.source.shape[1]} and "
            f"{batch.target_input.shape[1]} pieces) does not fit into memory: lower training.batch_tokens, "
            f"data.filters.max_pieces or the sizes in model"
        ) from error
