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
from nmt.data.preprocess import Prepared, prepare
from nmt.device import choose_device, choose_dtype, keep_freed_memory, set_threads
from nmt.errors import CheckpointError, TrainingError
from nmt.inference.model_file import ModelFile, load_model
from nmt.log import logger
from nmt.model import Seq2Seq, build_model
from nmt.training.batches import make_batches
from nmt.training.learner import Learner
from nmt.training.report import Reporter
from nmt.training.run import RunFolder
from nmt.training.trainer import Trainer
from nmt.training.validation import Validator

_VALIDATION_TOKENS = 2048
"""Pieces in a batch of the validation loss: it changes memory and speed only."""


def train(config: Config, *, resume: bool, overwrite: bool, init_from: Path | None) -> Path:
    """Train the model of `config` and return the run's folder.

    Args:
        config: The experiment; its data is prepared first if need be.
        resume: Continue the run from its newest checkpoint, bit for bit.
        overwrite: Start anew where a run of that name exists.
        init_from: Model file whose weights and subword model the new run starts with.

    Raises:
        UsageError: The run exists (or, with `resume`, does not).
        ConfigError: `resume` with options that contradict the run.
        DataError, CheckpointError, TrainingError, Interrupted: As they say.
    """
    assert config.name is not None
    run = RunFolder(config.name)
    device = choose_device(config.training.device)
    dtype = choose_dtype(config.training.precision, device)
    set_threads(config.training.threads)
    keep_freed_memory()
    parent = load_model(init_from) if init_from is not None else None
    if resume:
        run.check_resumable(config)
    else:
        run.check_new(overwrite=overwrite)
    prepared = prepare(config, tokenizers=parent.tokenizers if parent is not None else None)
    checkpoint = run.reopen(config, fingerprint=prepared.fingerprint) if resume else None
    if checkpoint is None:
        run.start(config)
    run.mark_latest()
    log.add_file(run.log)
    _seed(config.seed)
    model = _make_model(config, prepared, parent).to(device)
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
            _rehearse(trainer)
        trainer.train()
    return run.path


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _make_model(config: Config, prepared: Prepared, parent: ModelFile | None) -> Seq2Seq:
    tokenizers = prepared.tokenizers
    model = build_model(config.model, source_size=tokenizers.source.size, target_size=tokenizers.target.size)
    if parent is not None:
        own = dict(model.named_parameters())
        if {name: value.shape for name, value in own.items()} != {n: v.shape for n, v in parent.weights.items()}:
            raise CheckpointError(
                "--init-from: the parent's network has another shape than this configuration's model section; "
                "copy that section from `nmt info` of the parent"
            )
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(parent.weights[name])
    return model


def _make_trainer(
    config: Config,
    prepared: Prepared,
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
    )


def _rehearse(trainer: Trainer) -> None:
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
