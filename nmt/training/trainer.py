"""The training loop: update, report, validate, save, stop.

All that changes from update to update is in the `TrainState` and the learner (weights, optimizer, learning rate,
average). A checkpoint holds both, so a resumed run continues bit for bit.

In a distributed training, every rank runs this loop. Rank 0 alone writes files. All ranks decide the same, because they
decide from values that all of them have.
"""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import Any

import torch

from nmt.config.schema import Config
from nmt.data.batching import Batches
from nmt.data.familiarity import TrainingText
from nmt.data.shortlist_table import ShortlistTable
from nmt.data.tokenizer import Tokenizers
from nmt.errors import CheckpointError, Interrupted, TrainingError
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
from nmt.training.heartbeat import Heartbeat, Pace
from nmt.training.improvement import LOSS_GAIN, Mark
from nmt.training.learner import LaunchedUpdate, Learner
from nmt.training.optimizer import optimizer_tensors, restore_optimizer
from nmt.training.ranks import Ranks, check_equal_weights
from nmt.training.reporter import Reporter, duration
from nmt.training.run_folder import RunFolder, provenance
from nmt.training.signals import STOPS, StopNow, StopRequest
from nmt.training.state import LogWindow, TrainState
from nmt.training.validation import ValidationResult, Validator, make_mark, write_translations


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
        identity: dict[str, str],
        ranks: Ranks | None = None,
    ) -> None:
        """Prepare a run at its start; see `resume` for one that continues.

        Args:
            config: The configuration.
            learner: The model with its optimizer.
            batches: The training batches.
            validator: Measures the model.
            tokenizers: The subword models.
            run: The folder of the run.
            reporter: Where reports go.
            fingerprint: The fingerprint of the preprocessed data.
            training_text: Facts about the training text for the model files.
            shortlist: The shortlist table of the model files.
            diagnosis: What validations are compared with.
            identity: Hashes for the checkpoints, by key: the training pairs and the validation.
            ranks: The processes of the training. Default: this one alone.
        """
        self.ranks = ranks or Ranks()
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
        self.identity = identity
        self.state = TrainState()
        self.pace = Pace()
        self.stop = StopRequest()
        self._unread: list[LaunchedUpdate] = []
        self._saved: tuple[Any, ...] | None = None
        self._restarted = False
        self._last_save = time.monotonic()
        self._score_decides = True
        self.uniform_loss = math.log(learner.model.output.weight.shape[0])

    # ------------------------------------------------------------------------------------------------ the loop

    def train(self) -> None:
        """Train until a limit is reached, patience is exhausted, or a signal arrives.

        Raises:
            Interrupted: A signal arrived; the state is saved.
            TrainingError: The run has diverged; the best model and the checkpoints are intact.
        """
        self.ranks.report_signal(lambda: self.stop.signal)
        with self.stop, Heartbeat(self._describe):
            try:
                if self.state.validation_due:
                    self._validate_training()
                self._train_until_done()
                self._finish()
            except StopNow:
                assert self.stop.signal is not None
                self._interrupt(self.stop.signal)

    def _train_until_done(self) -> None:
        state = self.state
        ranks = self.ranks
        prefetcher = Prefetcher(
            self.batches.shares(
                state.position,
                batches=self.options.accumulate * ranks.size,
                rank=ranks.rank,
                processes=ranks.size,
            )
        )
        try:
            with progress(self.learner.total_updates, "training", "update") as bar:
                bar.update(state.update)
                while not self._done():
                    start = time.monotonic()
                    share, position = next(prefetcher)
                    finished_epoch = position.epoch > state.position.epoch
                    self.learner.learning_rate.time_share = self._time_share()
                    self._unread.append(self.learner.launch(share, state.update + 1))
                    seconds, stop = self._agree(time.monotonic() - start)
                    state.advance(position, seconds)
                    self.pace.add(seconds)
                    bar.update(1)
                    self._after_update(finished_epoch)
                    if ranks.size == 1:
                        stop = self.stop.signal  # a single process need not wait for an update to agree
                    if stop is not None:
                        self._read_updates()
                        self._interrupt(stop)
                self._read_updates()
        finally:
            prefetcher.close()

    def _agree(self, seconds: float) -> tuple[float, int | None]:
        """Return the seconds of an update that rank 0 has measured, and a stop signal that any rank has got."""
        got = [float(self.stop.signal == number) for number in STOPS]
        own = seconds if self.ranks.is_first else 0.0
        seconds, *counts = self.ranks.sum([own, *got])
        return seconds, next((number for number, count in zip(STOPS, counts, strict=True) if count), None)

    def _after_update(self, finished_epoch: bool) -> None:
        options, state = self.options, self.state
        interval = options.validation.every_updates
        validate = finished_epoch if interval is None else state.update % interval == 0
        log = state.update % options.log_every == 0
        # All ranks read at the same updates: the clock has no say in it.
        if log or validate or self._checkpoint_update() or not self.learner.runs_ahead:
            self._read_updates()
        if log:
            self._report()
        if validate:
            self._validate_training()
        elif self._checkpoint_due() and not self._unread:
            self.save()

    def _read_updates(self) -> None:
        """Wait for the updates that have been launched, and count their numbers and the time of waiting."""
        start = time.monotonic()
        finished = self.learner.read(self._unread)
        if self.learner.runs_ahead:
            self.state.add_seconds(self._agree(time.monotonic() - start)[0])
        for stats in finished:
            self.state.add(stats)
            if self.state.consecutive_skipped >= self.options.max_nonfinite:
                self._diverge(f"{self.state.consecutive_skipped} updates in a row had infinite or undefined gradients")
        self._unread = []

    def _checkpoint_update(self) -> bool:
        updates = self.options.checkpoint_every_updates
        return updates is not None and self.state.update % updates == 0

    def _checkpoint_due(self) -> bool:
        minutes = self.options.checkpoint_every_minutes
        return self._checkpoint_update() or (minutes is not None and time.monotonic() - self._last_save >= 60 * minutes)

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
            reason = f"{state.stale_validations} validations without progress in {options.validation.metric}"
        if reason is not None:
            logger.info("training ends after %s", reason)
        return reason is not None

    def _finish(self) -> None:
        """Validate the last weights and their average, and log the best model."""
        state, average = self.state, self.learner.average
        if state.validated_update < state.update:
            self._validate_training()
        advice = still_improving(state.history, self.diagnosis)
        if advice is not None:
            logger.info("%s", advice)
        final = average.final()
        if final is not None:
            logger.info("validating the average of the %d best snapshots", self.options.averaging.count)
            self._validate(final, final=True)
            self.save()
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
        """Estimate the seconds until the first limit from the recent pace."""
        options, state = self.options, self.state
        updates = self.learner.total_updates - state.update
        interval = options.validation.every_updates or max(1, self.learner.total_updates // options.max_epochs)
        remaining = self.pace.estimate(updates, validations=updates / interval)
        if options.max_minutes is not None:
            until_limit = max(0.0, 60 * options.max_minutes - state.seconds)
            return until_limit if remaining is None else min(remaining, until_limit)
        return remaining

    def _time_share(self) -> float:
        """Return how much of `training.max_minutes` is over, 0 without such a limit."""
        limit = self.options.max_minutes
        return 0.0 if limit is None else min(1.0, self.state.seconds / (60 * limit))

    def _describe(self) -> str:
        """Describe the work in progress, for a log line between two reports."""
        state = self.state
        work = "validating after" if state.validation_due else "after"
        left = self._remaining()
        return f"epoch {state.position.epoch + 1}  {work} update {state.update}" + (
            f"  at most {duration(left)} left" if left is not None else ""
        )

    def _validate_training(self) -> None:
        """Save, then validate the current weights. If the score is on a plateau, lower the learning rate. Save again.

        A checkpoint before the validation is the place from which a run resumes that is killed in it.

        Raises:
            TrainingError: The ranks have different weights.
        """
        averages = {f"average.{name}": value for name, value in self.learner.average.tensors().items()}
        check_equal_weights(self.ranks, {**self.learner.weights, **averages}, self.state.update)
        self.state.validation_due = True
        self.save()
        progress_made = self._validate(self.learner.average.at_validation(self.learner.weights))
        self.state.validation_due = False
        if self.learner.learning_rate.observe(progress_made):
            logger.info(
                "%s on a plateau: learning rate lowered to %.2g",
                self.options.validation.metric,
                self.learner.learning_rate.at(self.state.update + 1),
            )
            if self.options.schedule.restart:
                self._restart()
        self.save()

    def _validate(self, weights: Weights, *, final: bool = False) -> bool:
        """Validate `weights`, save them if they are the best so far, and return whether training makes progress.

        Args:
            weights: The weights of the last update, or an average.
            final: They are an average after training, which says nothing about the progress of training.
        """
        state, options = self.state, self.options.validation
        result = self._measure(weights)
        self.pace.add_validation(result.seconds)
        mark = make_mark(options.metric, result)
        best = mark.is_better_than(state.best)
        self._explain_choice(mark, result)
        state.validated_update = state.update
        state.seconds += result.seconds
        self.reporter.valid(
            update=state.update,
            epoch=state.position.epoch,
            scores=result.scores,
            seconds=result.seconds,
            best=best,
            significant=mark.significant,
        )
        if result.translations and self.ranks.is_first:
            write_translations(self.run.translations / f"valid-{state.update:06d}.txt", result.translations)
        if best:
            state.best, state.best_score, state.best_update = mark, mark.score, state.update
            self._save_model(self.run.best, weights, result)
        self._keep_best(weights, mark.rank, result, final=final)
        if final:
            return False
        progress_made = self._record_progress(mark)
        self.learner.average.after_validation(weights, mark.rank)
        self._warn(result, mark.score)
        return progress_made

    def _measure(self, weights: Weights) -> ValidationResult:
        """Validate `weights`.

        Raises:
            StopNow: A rank got a stop signal meanwhile.
        """
        result, stopped = None, None
        try:
            with self.stop.immediately():
                result = self.validator.validate(self.learner.model_with(weights))
        except StopNow:
            stopped = self.stop.signal
        agreed = self.ranks.latest_signal(stopped)
        if agreed is not None:
            self.stop.signal = agreed
            raise StopNow
        assert result is not None
        return result

    def _record_progress(self, mark: Mark) -> bool:
        """Compare a validation with the best one of training, and return whether training makes progress."""
        state = self.state
        progress_made = mark.is_progress_after(state.progress, state.lowest_loss)
        if mark.is_better_than(state.progress):
            state.progress = mark
        if mark.loss < state.lowest_loss - LOSS_GAIN:
            state.lowest_loss = mark.loss
        state.stale_validations = 0 if progress_made else state.stale_validations + 1
        return progress_made

    def _explain_choice(self, mark: Mark, result: ValidationResult) -> None:
        """Log when the loss begins or ceases to decide in place of a score that is noise."""
        noise = result.noise
        if noise is None or mark.significant == self._score_decides:
            return
        self._score_decides = mark.significant
        metric = self.options.validation.metric
        if mark.significant:
            logger.info("%s is significant now and selects the best model", metric)
        else:
            logger.info(
                "%s %.2f cannot be distinguished from noise (%.2f by chance, standard error %.2f). Until it can, the "
                "validation loss selects the best model and counts for patience.",
                *(metric, result.scores[metric], noise.chance, noise.error),
            )

    def _keep_best(self, weights: Weights, rank: float, result: ValidationResult, *, final: bool) -> None:
        """Keep the models of the `keep_best` best validations in `models/`."""
        count, kept = self.options.keep_best, self.state.kept
        if count < 2 or final or not math.isfinite(rank):
            return
        update = self.state.update
        ranked = sorted([*(pair for pair in kept if pair[0] != update), (update, rank)], key=lambda pair: -pair[1])
        self.state.kept = ranked[:count]
        if (update, rank) in self.state.kept:
            self._save_model(self.run.model(update), weights, result)
        for old, _ in ranked[count:] if self.ranks.is_first else []:
            self.run.model(old).unlink(missing_ok=True)

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
        best = self._best_weights()
        if best is not None:
            self.learner.restart(best)
            self._restarted = True
            logger.info("continuing from the weights of update %d, the best so far", self.state.best_update)

    def _best_weights(self) -> Weights | None:
        """Return the weights of the best model, which rank 0 reads; None if there is none."""
        if not self.ranks.from_first(self.run.best.exists):
            return None
        if self.ranks.is_first:
            best = {name: value.to(self.learner.device) for name, value in load_model(self.run.best).weights.items()}
        else:
            best = {name: torch.empty_like(value) for name, value in self.learner.weights.items()}
        self.ranks.copy_from_first({name: best[name] for name in self.learner.weights})
        return best

    # ----------------------------------------------------------------------------------------- saving, stopping

    def _save_model(self, path: Path, weights: Weights, result: ValidationResult) -> None:
        if not self.ranks.is_first:
            return
        save_model(
            path,
            weights=weights,
            config=self.config,
            tokenizers=self.tokenizers,
            provenance=provenance(
                fingerprint=self.fingerprint,
                update=self.state.update,
                seconds=self.state.seconds,
                scores=result.scores,
                signatures=result.signatures or {},
                training_text=self.training_text,
            ),
            shortlist=self.shortlist,
        )

    def _version(self) -> tuple[Any, ...]:
        """Return what differs between two states that are both worth saving."""
        state = self.state
        return state.update, len(state.history), state.validation_due, state.best_update, state.best_score

    def save(self) -> None:
        """Write a checkpoint and delete old ones. A state that has been saved is not saved again."""
        state = self.state
        now = self._version()
        if not self.ranks.is_first or (now == self._saved and not self._restarted):
            return
        same_update = self._saved is not None and self._saved[0] == state.update and not self._restarted
        self.reporter.flush()
        checkpoint = Checkpoint(
            weights=self.learner.weights,
            optimizer=optimizer_tensors(self.learner.optimizer, self.learner.model),
            average=self.learner.average.tensors(),
            random=random_states(),
            state={
                "train_state": dataclasses.asdict(state),
                "learning_rate": self.learner.learning_rate.state(),
                "data_fingerprint": self.fingerprint,
                "total_updates": self.learner.total_updates,
                "batches_per_update": self.options.accumulate * self.ranks.size,
                "metrics_bytes": self.reporter.position,
                **self.identity,
            },
        )
        with self.stop.saving():
            save_checkpoint(
                self.run.checkpoint_folder(state.update),
                checkpoint,
                unchanged=("weights", "optimizer") if same_update else (),
            )
            self.run.keep_newest(self.options.keep_checkpoints)
        self._saved, self._restarted, self._last_save = now, False, time.monotonic()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Load `checkpoint`.

        Raises:
            CheckpointError: It does not fit the network or the optimizer.
        """
        try:
            self._restore(checkpoint)
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{self.run.path}: the newest checkpoint does not fit the network and the optimizer of the run. Delete "
                f"it, and resume from an older one, or start again with --init-from {self.run.best}."
            ) from error
        self._saved = self._version()
        logger.info("resumed %s from update %d", self.run.path, self.state.update)
        self._explain_rate(checkpoint.state)
        if checkpoint.state.get("validation", self.identity["validation"]) != self.identity["validation"]:
            self._compare_again()

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.state = TrainState.restored(checkpoint.state["train_state"])
        for name, value in self.learner.weights.items():
            if value.shape != checkpoint.weights[name].shape:  # `copy_` would broadcast it
                raise ValueError(name)
            value.copy_(checkpoint.weights[name])
        restore_optimizer(self.learner.optimizer, self.learner.model, checkpoint.optimizer)
        device = self.learner.device
        self.learner.average.restore({name: value.to(device) for name, value in checkpoint.average.items()})
        self.learner.learning_rate.restore(checkpoint.state["learning_rate"])
        restore_random(checkpoint.random)

    def _explain_rate(self, saved: dict[str, Any]) -> None:
        """Log the learning rate of a run whose schedule has another end than before."""
        rate, update = self.learner.learning_rate, self.state.update
        if saved.get("total_updates", rate.total_updates) != rate.total_updates and not self._ends_at_limit():
            last, following = rate.at(update, total_updates=saved["total_updates"]), rate.at(update + 1)
            logger.info(
                "the run may now make %d updates instead of %d: the learning rate of the %s schedule was %.2g and is "
                "%.2g at the next update",
                *(rate.total_updates, saved["total_updates"], rate.schedule.kind, last, following),
            )

    def _ends_at_limit(self) -> bool:
        return self.state.update >= self.learner.total_updates

    def _compare_again(self) -> None:
        """Measure the best model with changed validation options, which later validations are compared with."""
        state = self.state
        state.history, state.kept = [], []
        state.best, state.progress, state.lowest_loss = Mark(), Mark(), math.inf
        state.best_score, state.stale_validations, state.warned = -math.inf, 0, []
        logger.info("the validation set or its options have changed. Earlier scores are not compared with later ones")
        weights = self._best_weights()
        if weights is not None:
            result = self.validator.validate(self.learner.model_with(weights))
            state.best = make_mark(self.options.validation.metric, result)
            state.best_score = state.best.score
            shown = "  ".join(f"{name} {value:.2f}" for name, value in result.scores.items())
            logger.info("the best model so far, of update %d, has now  %s", state.best_update, shown)

    def _interrupt(self, signal_number: int) -> None:
        self.save()
        during = " in its validation, which is repeated" if self.state.validation_due else ""
        raise Interrupted(
            f"interrupted after update {self.state.update}{during}. Resume the run with --resume.",
            signal_number=signal_number,
        )

    def _diverge(self, reason: str) -> None:
        intact = f" The best model so far is intact: {self.run.best}." if self.run.best.exists() else ""
        raise TrainingError(
            f"training has diverged at update {self.state.update}: {reason}.{intact} Try a lower "
            f"training.optimizer.learning_rate, a longer training.schedule.warmup or a lower training.clip_norm"
        )
