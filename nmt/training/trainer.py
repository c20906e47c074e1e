"""The training loop: update, report, validate, save, stop.

Everything that changes from update to update is in `TrainState`, the learner (weights, optimiser, learning rate,
average) and the random generators, and all of that is in a checkpoint: a resumed run goes on bit for bit.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator

from nmt.config.schema import Config
from nmt.data.batching import Batch, Batches, Position
from nmt.data.shortlist_table import ShortlistTable
from nmt.data.tokenizer import Tokenizers
from nmt.errors import Interrupted, TrainingError
from nmt.inference.model_file import load_model, save_model
from nmt.log import logger, progress
from nmt.training.averaging import Weights
from nmt.training.batch_tensors import Prefetcher
from nmt.training.checkpoint import Checkpoint, random_states, restore_random, save_checkpoint
from nmt.training.diagnosis import DiagnosisContext, ValidationRecord, diagnose, still_improving, text_facts
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
        shortlist: ShortlistTable | None,
        yardstick: DiagnosisContext,
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
        self.shortlist = shortlist
        self.yardstick = yardstick
        self.progress = TrainState()
        self.uniform_loss = math.log(learner.model.output.weight.shape[0])

    # ------------------------------------------------------------------------------------------------ the loop

    def train(self) -> None:
        """Train until a limit is reached, patience runs out, or a signal comes.

        Raises:
            Interrupted: After a signal, with everything saved.
            TrainingError: The run diverged; the best model and the checkpoints are intact.
        """
        state = self.progress
        prefetcher = Prefetcher(self.batches, state.position)
        try:
            with StopRequest() as stop, progress(self.learner.total_updates, "training", "update") as bar:
                bar.update(state.update)
                groups = self._groups(prefetcher)
                while not self._done():
                    began = time.monotonic()
                    group, position = next(groups)
                    finished_epoch = position.epoch > state.position.epoch
                    learned = self.learner.update(group, state.update + 1)
                    state.add(learned, position, time.monotonic() - began)
                    bar.update(1)
                    self._after_update(finished_epoch)
                    if stop.signal is not None:
                        self._interrupted(stop.signal)
        finally:
            prefetcher.close()
        self._finish()

    def _groups(self, prefetcher: Prefetcher) -> Iterator[tuple[list[Batch], Position]]:
        """Yield the batches of each update and the position after them; an epoch's last update may have fewer."""
        group: list[Batch] = []
        for batch, position in prefetcher:
            group.append(batch)
            if len(group) == self.options.accumulate or position.epoch > self.progress.position.epoch:
                yield group, position
                group = []

    def _after_update(self, finished_epoch: bool) -> None:
        options, state = self.options, self.progress
        if state.nonfinite >= options.max_nonfinite:
            self._diverged(f"{state.nonfinite} updates in a row had infinite or undefined gradients")
        if state.update % options.log_every == 0:
            self._report()
        every = options.validation.every_updates
        validate = finished_epoch if every is None else state.update % every == 0
        if validate:
            self._validate_training()
        each = options.checkpoint_every_updates
        if validate or (each is not None and state.update % each == 0):
            self.save()

    def _done(self) -> bool:
        """Say why training is over, if it is."""
        options, state = self.options, self.progress
        reason = None
        if state.position.epoch >= options.max_epochs:
            reason = f"{options.max_epochs} epochs"
        elif options.max_updates is not None and state.update >= options.max_updates:
            reason = f"{options.max_updates} updates"
        elif options.max_minutes is not None and state.seconds >= 60 * options.max_minutes:
            reason = f"{options.max_minutes:g} minutes"
        elif options.validation.patience is not None and state.stale >= options.validation.patience:
            reason = f"{state.stale} validations without a better {options.validation.metric}"
        if reason is not None:
            logger.info("training ends after %s", reason)
        return reason is not None

    def _finish(self) -> None:
        """Validate what has not been validated yet, and say where the best model is."""
        state, average = self.progress, self.learner.average
        if state.validated < state.update:
            self._validate_training()
            self.save()
        advice = still_improving(state.history, self.yardstick)
        if advice is not None:
            logger.info("%s", advice)
        final = average.final()
        if final is not None:
            logger.info("the average of the %d best snapshots:", self.options.averaging.count)
            self._validate(final)
        if math.isfinite(state.best):
            metric = self.options.validation.metric
            logger.info(
                "best %s %.2f, of update %d; %s of training; the model is %s",
                metric,
                abs(state.best),
                state.best_update,
                duration(state.seconds),
                self.run.best,
            )

    # -------------------------------------------------------------------------------------- reporting, validating

    def _report(self) -> None:
        state, window = self.progress, self.progress.window
        state.window = LogWindow()
        if window.updates == 0:
            return
        loss = window.loss / window.tokens
        self.reporter.train(
            update=state.update,
            epoch=state.position.epoch,
            loss=loss,
            learning_rate=self.learner.rate.at(state.update),
            gradient_norm=window.norm / window.updates,
            parts={name: total / max(count, 1) for name, (total, count) in window.parts.items()},
            speed=window.tokens / window.seconds,
            skipped=window.skipped,
            remaining=self._remaining(),
        )
        if loss > 2 * self.uniform_loss + 1:
            self._diverged(f"the loss is {loss:.1f}, where guessing evenly costs {self.uniform_loss:.1f}")

    def _remaining(self) -> float | None:
        """Estimate the seconds until the first limit, from the pace so far."""
        options, state = self.options, self.progress
        shares = [state.update / self.learner.total_updates]
        if options.max_minutes is not None:
            shares.append(state.seconds / (60 * options.max_minutes))
        done = max(shares)
        return state.seconds * (1 / done - 1) if done > 0 else None

    def _validate_training(self) -> None:
        """Measure the weights that training has come to; where they have not got better for a while, learn slower."""
        best = self._validate(self.learner.average.at_validation(self.learner.weights))
        if self.learner.rate.observe(best):
            logger.info(
                "no better %s for a while: learning rate lowered to %.2g",
                self.options.validation.metric,
                self.learner.rate.at(self.progress.update + 1),
            )
            if self.options.schedule.restart:
                self._restart()

    def _validate(self, weights: Weights) -> bool:
        """Measure `weights`; keep them, and return True, if they are the best so far."""
        state, options = self.progress, self.options.validation
        validated = self.validator.validate(self.learner.model_with(weights))
        worth = maximized(options.metric, validated.scores)
        best = worth > state.best
        state.validated = state.update
        state.seconds += validated.seconds
        state.stale = 0 if best else state.stale + 1
        self.learner.average.after_validation(weights, worth)
        self.reporter.valid(
            update=state.update,
            epoch=state.position.epoch,
            scores=validated.scores,
            seconds=validated.seconds,
            best=best,
        )
        if validated.translations:
            write_translations(self.run.translations / f"valid-{state.update:06d}.txt", validated.translations)
        if best:
            state.best, state.best_update = worth, state.update
            self._save_model(weights, validated.scores)
        self._warn(validated, worth)
        return best

    def _warn(self, validated: ValidationResult, worth: float) -> None:
        """Say what this validation shows to be wrong, as far as the last one did not."""
        state = self.progress
        training_loss = state.take_training_loss()
        if training_loss is None:
            return  # The weights alone are others, such as an average: the run has not gone on.
        text = text_facts(validated.translations, self.validator.references) if validated.translations else None
        loss, rate = validated.scores["loss"], self.learner.rate.at(state.update)
        loss = math.inf if math.isnan(loss) else loss
        state.history.append(ValidationRecord(state.update, training_loss, loss, worth, rate, text))
        findings = diagnose(state.history, self.yardstick)
        for finding in findings:
            if finding.name not in state.warned:
                self.reporter.warning(
                    update=state.update, epoch=state.position.epoch, name=finding.name, text=finding.text
                )
        state.warned = [finding.name for finding in findings]

    def _restart(self) -> None:
        """Go on from the best weights, as if training started from them."""
        if self.run.best.exists():
            self.learner.restart(load_model(self.run.best).weights)
            logger.info("going on from the weights of update %d", self.progress.best_update)

    # ----------------------------------------------------------------------------------------- saving, stopping

    def _save_model(self, weights: Weights, scores: dict[str, float]) -> None:
        save_model(
            self.run.best,
            weights=weights,
            config=self.config,
            tokenizers=self.tokenizers,
            provenance=provenance(
                fingerprint=self.fingerprint, update=self.progress.update, seconds=self.progress.seconds, scores=scores
            ),
            shortlist=self.shortlist,
        )

    def save(self) -> None:
        """Write a checkpoint and let go of older ones."""
        state = dataclasses.asdict(self.progress)
        checkpoint = Checkpoint(
            weights=self.learner.weights,
            optimizer=optimizer_tensors(self.learner.optimizer),
            average=self.learner.average.tensors(),
            random=random_states(),
            state={"progress": state, "rate": self.learner.rate.state(), "fingerprint": self.fingerprint},
        )
        save_checkpoint(self.run.checkpoint_folder(self.progress.update), checkpoint)
        self.run.keep_newest(self.options.keep_checkpoints)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue from `checkpoint`."""
        self.progress = TrainState.restored(checkpoint.state["progress"])
        for name, value in self.learner.weights.items():
            value.copy_(checkpoint.weights[name])
        restore_optimizer(self.learner.optimizer, checkpoint.optimizer)
        device = self.learner.device
        self.learner.average.restore({name: value.to(device) for name, value in checkpoint.average.items()})
        self.learner.rate.restore(checkpoint.state["rate"])
        restore_random(checkpoint.random)
        logger.info("resuming %s at update %d", self.run.path, self.progress.update)

    def _interrupted(self, signal_number: int) -> None:
        self.save()
        raise Interrupted(
            f"interrupted; everything up to update {self.progress.update} is saved: continue with --resume",
            signal_number=signal_number,
        )

    def _diverged(self, what: str) -> None:
        kept = f"; the best model so far is intact: {self.run.best}" if self.run.best.exists() else ""
        raise TrainingError(
            f"training has diverged at update {self.progress.update}: {what}{kept}. "
            f"Try a lower training.optimizer.learning_rate, a longer training.schedule.warmup "
            f"or a smaller training.clip_norm"
        )
