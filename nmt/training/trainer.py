"""The training loop: update, report, validate, save, stop.

All that changes from update to update is in the `TrainState`, the learner (weights, optimizer, learning rate, average)
and the random generators. A checkpoint holds all three, so a resumed run continues bit for bit.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator

from nmt.config.schema import Config
from nmt.data.batching import Batch, Batches, Position
from nmt.data.familiarity import TrainingText
from nmt.data.shortlist_table import ShortlistTable
from nmt.data.tokenizer import Tokenizers
from nmt.errors import Interrupted, TrainingError
from nmt.inference.model_file import load_model, save_model
from nmt.log import logger, progress
from nmt.training.averaging import Weights
from nmt.training.batch_tensors import Prefetcher
from nmt.training.checkpoint import Checkpoint, random_states, restore_random, save_checkpoint
from nmt.training.diagnosis import (
    DiagnosisContext,
    ValidationRecord,
    diagnose,
    still_improving,
    text_facts,
    useless_output,
)
from nmt.training.learner import Learner
from nmt.training.optimizer import optimizer_tensors, restore_optimizer
from nmt.training.reporter import Reporter, duration
from nmt.training.run_folder import RunFolder, provenance
from nmt.training.signals import StopRequest
from nmt.training.state import LogWindow, TrainState
from nmt.training.validation import ValidationResult, Validator, maximized, write_translations


class Trainer:
    """Trains one model in one run folder."""

    def __init__(
        self,
        *,
        config: Config,
        learner: Learner,
        batches: Batches,
        validator: Validator,
        tokenizers: Tokenizers,
        run: RunFolder,
        reporter: Reporter,
        fingerprint: str,
        training_text: TrainingText,
        shortlist: ShortlistTable | None,
        diagnosis: DiagnosisContext,
    ) -> None:
        self.config = config
        self.options = config.training
        self.learner = learner
        self.batches = batches
        self.validator = validator
        self.tokenizers = tokenizers
        self.run = run
        self.reporter = reporter
        self.fingerprint = fingerprint
        self.training_text = training_text
        self.shortlist = shortlist
        self.diagnosis = diagnosis
        self.state = TrainState()
        self.uniform_loss = math.log(learner.model.output.weight.shape[0])

    # ------------------------------------------------------------------------------------------------ the loop

    def train(self) -> None:
        """Train until a limit is reached, patience is exhausted, or a signal arrives.

        Raises:
            Interrupted: A signal arrived; the state is saved.
            TrainingError: The run has diverged; the best model and the checkpoints are intact.
        """
        state = self.state
        prefetcher = Prefetcher(self.batches, state.position)
        try:
            with StopRequest() as stop, progress(self.learner.total_updates, "training", "update") as bar:
                bar.update(state.update)
                groups = self._groups(prefetcher)
                while not self._done():
                    start = time.monotonic()
                    group, position = next(groups)
                    finished_epoch = position.epoch > state.position.epoch
                    stats = self.learner.update(group, state.update + 1)
                    state.add(stats, position, time.monotonic() - start)
                    bar.update(1)
                    self._after_update(finished_epoch)
                    if stop.signal is not None:
                        self._interrupt(stop.signal)
        finally:
            prefetcher.close()
        self._finish()

    def _groups(self, prefetcher: Prefetcher) -> Iterator[tuple[list[Batch], Position]]:
        """Yield the batches of each update and the position after them. The last group of an epoch may be smaller."""
        group: list[Batch] = []
        for batch, position in prefetcher:
            group.append(batch)
            if len(group) == self.options.accumulate or position.epoch > self.state.position.epoch:
                yield group, position
                group = []

    def _after_update(self, finished_epoch: bool) -> None:
        options, state = self.options, self.state
        if state.consecutive_skipped >= options.max_nonfinite:
            self._diverge(f"{state.consecutive_skipped} updates in a row had infinite or undefined gradients")
        if state.update % options.log_every == 0:
            self._report()
        interval = options.validation.every_updates
        validate = finished_epoch if interval is None else state.update % interval == 0
        if validate:
            self._validate_training()
        interval = options.checkpoint_every_updates
        if validate or (interval is not None and state.update % interval == 0):
            self.save()

    def _done(self) -> bool:
        """Return whether training has reached a limit, and log the limit."""
        options, state = self.options, self.state
        reason = None
        if state.position.epoch >= options.max_epochs:
            reason = f"{options.max_epochs} epochs"
        elif options.max_updates is not None and state.update >= options.max_updates:
            reason = f"{options.max_updates} updates"
        elif options.max_minutes is not None and state.seconds >= 60 * options.max_minutes:
            reason = f"{options.max_minutes:g} minutes"
        elif options.validation.patience is not None and state.stale_validations >= options.validation.patience:
            reason = f"{state.stale_validations} validations without a better {options.validation.metric}"
        if reason is not None:
            logger.info("training ends after %s", reason)
        return reason is not None

    def _finish(self) -> None:
        """Validate the last weights and their average, and log the best model."""
        state, average = self.state, self.learner.average
        if state.validated_update < state.update:
            self._validate_training()
            self.save()
        advice = still_improving(state.history, self.diagnosis)
        if advice is not None:
            logger.info("%s", advice)
        final = average.final()
        if final is not None:
            logger.info("validating the average of the %d best snapshots", self.options.averaging.count)
            self._validate(final)
        if math.isfinite(state.best_score):
            metric = self.options.validation.metric
            if state.best_score < 0 and metric in ("bleu", "chrf"):
                metric = "loss"  # all translations scored 0
            logger.info(
                "best %s %.2f at update %d, after %s of training. The model is %s",
                metric,
                abs(state.best_score),
                state.best_update,
                duration(state.seconds),
                self.run.best,
            )
        problem = useless_output(state.history, state.best_update)
        if problem is not None:
            logger.warning("%s", problem)

    # -------------------------------------------------------------------------------------- reporting, validating

    def _report(self) -> None:
        state, window = self.state, self.state.window
        state.window = LogWindow()
        if window.updates == 0:
            return
        loss = window.loss / window.tokens
        self.reporter.train(
            update=state.update,
            epoch=state.position.epoch,
            loss=loss,
            learning_rate=self.learner.learning_rate.at(state.update),
            gradient_norm=window.gradient_norm / window.updates,
            components={name: total / max(count, 1) for name, (total, count) in window.components.items()},
            speed=window.tokens / window.seconds,
            skipped=window.skipped,
            remaining=self._remaining(),
        )
        if loss > 2 * self.uniform_loss + 1:
            self._diverge(f"the loss is {loss:.1f}, but that of a uniform distribution is {self.uniform_loss:.1f}")

    def _remaining(self) -> float | None:
        """Estimate the seconds until the first limit from the speed so far."""
        options, state = self.options, self.state
        shares = [state.update / self.learner.total_updates]
        if options.max_minutes is not None:
            shares.append(state.seconds / (60 * options.max_minutes))
        done = max(shares)
        return state.seconds * (1 / done - 1) if done > 0 else None

    def _validate_training(self) -> None:
        """Validate the current weights. If the score is on a plateau, lower the learning rate."""
        best = self._validate(self.learner.average.at_validation(self.learner.weights))
        if self.learner.learning_rate.observe(best):
            logger.info(
                "%s on a plateau: learning rate lowered to %.2g",
                self.options.validation.metric,
                self.learner.learning_rate.at(self.state.update + 1),
            )
            if self.options.schedule.restart:
                self._restart()

    def _validate(self, weights: Weights) -> bool:
        """Validate `weights`, save them if they are the best so far, and return whether they are."""
        state, options = self.state, self.options.validation
        result = self.validator.validate(self.learner.model_with(weights))
        score = maximized(options.metric, result.scores)
        best = score > state.best_score
        state.validated_update = state.update
        state.seconds += result.seconds
        state.stale_validations = 0 if best else state.stale_validations + 1
        self.learner.average.after_validation(weights, score)
        self.reporter.valid(
            update=state.update,
            epoch=state.position.epoch,
            scores=result.scores,
            seconds=result.seconds,
            best=best,
        )
        if result.translations:
            write_translations(self.run.translations / f"valid-{state.update:06d}.txt", result.translations)
        if best:
            state.best_score, state.best_update = score, state.update
            self._save_model(weights, result.scores)
        self._warn(result, score)
        return best

    def _warn(self, result: ValidationResult, score: float) -> None:
        """Report the findings of this validation that the last validation did not have."""
        state = self.state
        train_loss = state.take_train_loss()
        if train_loss is None:
            return  # No update since the last validation: these weights are an average.
        text = text_facts(result.translations, self.validator.references) if result.translations else None
        loss, rate = result.scores["loss"], self.learner.learning_rate.at(state.update)
        loss = math.inf if math.isnan(loss) else loss
        state.history.append(ValidationRecord(state.update, train_loss, loss, score, rate, text))
        findings = diagnose(state.history, self.diagnosis)
        for finding in findings:
            if finding.name not in state.warned:
                self.reporter.warning(
                    update=state.update, epoch=state.position.epoch, name=finding.name, text=finding.text
                )
        state.warned = [finding.name for finding in findings]

    def _restart(self) -> None:
        """Continue from the best weights, with a new optimizer."""
        if self.run.best.exists():
            self.learner.restart(load_model(self.run.best).weights)
            logger.info("continuing from the weights of update %d, the best so far", self.state.best_update)

    # ----------------------------------------------------------------------------------------- saving, stopping

    def _save_model(self, weights: Weights, scores: dict[str, float]) -> None:
        save_model(
            self.run.best,
            weights=weights,
            config=self.config,
            tokenizers=self.tokenizers,
            provenance=provenance(
                fingerprint=self.fingerprint,
                update=self.state.update,
                seconds=self.state.seconds,
                scores=scores,
                training_text=self.training_text,
            ),
            shortlist=self.shortlist,
        )

    def save(self) -> None:
        """Write a checkpoint and delete old ones."""
        checkpoint = Checkpoint(
            weights=self.learner.weights,
            optimizer=optimizer_tensors(self.learner.optimizer, self.learner.model),
            average=self.learner.average.tensors(),
            random=random_states(),
            state={
                "train_state": dataclasses.asdict(self.state),
                "learning_rate": self.learner.learning_rate.state(),
                "data_fingerprint": self.fingerprint,
            },
        )
        save_checkpoint(self.run.checkpoint_folder(self.state.update), checkpoint)
        self.run.keep_newest(self.options.keep_checkpoints)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Load `checkpoint`."""
        self.state = TrainState.restored(checkpoint.state["train_state"])
        for name, value in self.learner.weights.items():
            value.copy_(checkpoint.weights[name])
        restore_optimizer(self.learner.optimizer, self.learner.model, checkpoint.optimizer)
        device = self.learner.device
        self.learner.average.restore({name: value.to(device) for name, value in checkpoint.average.items()})
        self.learner.learning_rate.restore(checkpoint.state["learning_rate"])
        restore_random(checkpoint.random)
        logger.info("resumed %s from update %d", self.run.path, self.state.update)

    def _interrupt(self, signal_number: int) -> None:
        self.save()
        raise Interrupted(
            f"interrupted after update {self.state.update}. Resume the run with --resume.",
            signal_number=signal_number,
        )

    def _diverge(self, reason: str) -> None:
        intact = f" The best model so far is intact: {self.run.best}." if self.run.best.exists() else ""
        raise TrainingError(
            f"training has diverged at update {self.state.update}: {reason}.{intact} Try a lower "
            f"training.optimizer.learning_rate, a longer training.schedule.warmup or a lower training.clip_norm"
        )
