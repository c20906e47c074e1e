"""Train the model of a configuration: preprocess the data, build the model, run the trainer."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import torch

from nmt import log
from nmt.config.schema import Config
from nmt.data.batching import fixed_batches
from nmt.data.familiarity import describe_training_text
from nmt.data.lengths import length_ratio, longest_source
from nmt.data.preprocess.preprocess import PreprocessedData, preprocess
from nmt.device import choose_device, choose_dtype, keep_freed_memory, set_threads
from nmt.errors import TrainingError
from nmt.inference.model_file import load_model
from nmt.log import logger
from nmt.metrics.corpus import check_tokenizers
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
from nmt.training.validation import Validator, unigram_loss

_VALIDATION_TOKENS = 2048
"""Batch size of the validation loss in pieces. It affects memory and speed only."""


def train(
    config: Config, *, resume: bool, overwrite: bool, init_from: Path | None, new_vocabulary: bool = False
) -> Path:
    """Train the model of `config` and return the run's folder.

    Args:
        config: The configuration. Its data is preprocessed if it has not been.
        resume: Resume the run from its newest checkpoint, bit for bit.
        overwrite: Replace an existing run of the same name.
        init_from: Model file with the initial weights and the tokenizers of a new run.
        new_vocabulary: With `init_from`: train new tokenizers, and keep the embeddings of common pieces.

    Raises:
        UsageError: The run exists (with `resume`: does not exist), or an option requires `init_from`.
        ConfigError: With `resume`: options differ from those of the run.
        DataError: The training data cannot be used.
        CheckpointError: A model file or checkpoint cannot be used.
        TrainingError: The run has diverged, or a batch does not fit into memory.
        Interrupted: The run was stopped by a signal; it can be resumed.
    """
    assert config.name is not None
    run = RunFolder(config.name)
    warning = check_tokenizers(config)
    if warning is not None:
        logger.warning("nmt evaluate: %s", warning)
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
    data = preprocess(config, tokenizers=parent.tokenizers if parent is not None else None)
    config = _with_length_limits(config, data)
    checkpoint = run.reopen(config, fingerprint=data.fingerprint) if resume else None
    _seed(config.seed)
    initial = make_initial(config, data.tokenizers, parent, resumed=resume)
    if not resume:
        run.start(config)
        if parent is not None:
            save_initial(run.initial, initial.model, config, data.tokenizers, parent)
    run.mark_latest()
    log.add_file(run.log)
    for note in initial.notes:
        logger.info("%s", note)
    model = initial.model.to(device)
    logger.info(
        "%s: %s parameters, %s in %s on %s",
        run.path,
        f"{sum(parameter.numel() for parameter in model.parameters()):,}",
        f"{len(data.train):,} pairs",
        {torch.bfloat16: "bf16", torch.float32: "fp32"}[dtype],
        device,
    )
    with Reporter(
        metrics=run.metrics, tensorboard=run.tensorboard if config.training.tensorboard else None
    ) as reporter:
        trainer = _make_trainer(config, data, model, run, reporter, device, dtype)
        if checkpoint is not None:
            trainer.resume(checkpoint)
        else:
            _dry_run(trainer)
        trainer.train()
    return run.path


def train_or_resume(config: Config, *, overwrite: bool = False, init_from: Path | None = None) -> Path:
    """Resume the run of this name if it has a checkpoint, else start it, and return its folder.

    A run without a checkpoint was interrupted before its first one, so that nothing is lost when it starts again.

    Args:
        config: The experiment.
        overwrite: Start again in any case.
        init_from: Model file whose weights a run starts with.

    Raises:
        NMTError: As `train`.
    """
    assert config.name is not None
    resume = bool(RunFolder(config.name).all_checkpoints()) and not overwrite
    return train(config, resume=resume, overwrite=not resume, init_from=None if resume else init_from)


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


def _make_trainer(
    config: Config,
    data: PreprocessedData,
    model: Seq2Seq,
    run: RunFolder,
    reporter: Reporter,
    device: torch.device,
    dtype: torch.dtype,
) -> Trainer:
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
        scorer=make_sentence_scorer(config, tokenizers.target) if options.objective == "minimum_risk" else None,
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
        fingerprint=data.fingerprint,
        training_text=describe_training_text(data.train, tokenizers),
        shortlist=data.shortlist,
        diagnosis=DiagnosisContext(
            metric=options.validation.metric,
            peak=options.optimizer.learning_rate,
            schedule=options.schedule,
            unigram_loss=unigram_loss(data.train.count_target_pieces(tokenizers.target.size), validation_batches),
        ),
    )


def _dry_run(trainer: Trainer) -> None:
    """Run the largest batch once without an update, so that a lack of memory shows at once."""
    batch = trainer.batches.largest()
    try:
        trainer.learner.dry_run(batch)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
            raise
        raise TrainingError(
            f"the largest batch ({batch.source.shape[0]} pairs of up to {batch.source.shape[1]} source and "
            f"{batch.target_input.shape[1]} target pieces) does not fit into memory. Lower training.batch_tokens, "
            f"data.filters.max_pieces or the sizes in the model section"
        ) from error
