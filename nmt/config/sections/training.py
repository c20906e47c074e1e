"""The training run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nmt.config.sections.base import Count, Positive, Section, Share, Weight, Whole


class Optimizer(Section):
    """How gradients change the weights."""

    kind: Literal["adam", "adamw", "sgd"] = "adam"
    """Rule of the update (Kingma & Ba 2015; Loshchilov & Hutter 2019; plain descent)."""
    learning_rate: Positive = 1e-3
    """Peak learning rate."""
    beta1: Share = 0.9
    """adam and adamw: weight of the past in the mean of the gradients."""
    beta2: Share = 0.999
    """adam and adamw: weight of the past in the mean of their squares."""
    epsilon: Positive = 1e-8
    """adam and adamw: added to the denominator."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled for adamw, L2 for adam and sgd."""
    momentum: Share = 0.0
    """sgd: weight of the past in the step."""


class Schedule(Section):
    """How the learning rate changes."""

    kind: Literal["constant", "inverse_sqrt", "plateau", "linear", "cosine"] = "plateau"
    """After warmup: stay, fall with 1/sqrt(update), fall when validation stops improving, or fall to `final` at
    the end of training in a straight or cosine line."""
    warmup: Whole = 0
    """Updates over which the learning rate rises linearly from nothing."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """plateau: what the learning rate is multiplied with."""
    patience: Whole = 2
    """plateau: validations without improvement that are let pass before the learning rate falls."""
    restart: bool = False
    """plateau: when the learning rate falls, go back to the best weights so far, with a fresh optimiser (Denkowski &
    Neubig 2017)."""
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    """linear and cosine: learning rate at the end; plateau: lowest one; as a share of the peak."""


class Averaging(Section):
    """The averaged weights that validation and the model file use."""

    kind: Literal["none", "ema", "last", "best"] = "ema"
    """Exponential moving average of every update, or plain average of the last or best checkpoints."""
    decay: Share = 0.999
    """ema: weight of the past at each update (lower in the first updates)."""
    count: Count = 5
    """last and best: number of checkpoints."""


class Validation(Section):
    """When and how training is measured."""

    every_updates: Count | None = None
    """Updates between validations; by default once an epoch."""
    metrics: list[Literal["bleu", "chrf"]] = ["bleu", "chrf"]
    """Scores of real translations; loss and perplexity are always measured."""
    metric: Literal["loss", "perplexity", "bleu", "chrf"] = "bleu"
    """The one that chooses the best model and counts for patience."""
    max_sentences: Count = 2000
    """At most this many validation sentences are translated (the first ones)."""
    beam_size: Count = 1
    """Beam of the translations made during training."""
    samples: Whole = 3
    """Translations shown in the log each time."""
    patience: Count | None = 10
    """Stop after this many validations without improvement; null: never."""


class GuidedAlignment(Section):
    """Attention learns from given word alignments, the `alignment` files of `data.train` (Chen et al. 2016)."""

    weight: Weight = 0.0
    """Of the cross-entropy between given alignment and attention, beside the likelihood; 0: not learnt from."""
    final_weight: Weight | None = None
    """Weight at the end of `decay_updates`; by default the weight stays."""
    decay_updates: Count | None = None
    """Updates over which the weight changes to `final_weight`, in a straight line."""


class ScheduledSampling(Section):
    """The decoder is fed some predictions of its own (Bengio et al. 2015; in two passes, Mihaylova & Martins 2019)."""

    probability: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the target pieces that the decoder is fed which a first pass has predicted, at the end of the ramp; 0:
    none."""
    choice: Literal["best", "sample"] = "best"
    """What the first pass predicts: the most probable piece, or one drawn by probability."""
    start_updates: Whole = 0
    """Updates on the reference alone, before the ramp."""
    ramp_updates: Whole = 0
    """Updates over which the share rises from nothing to `probability`; 0: it is there at once."""
    ramp: Literal["linear", "inverse_sigmoid"] = "linear"
    """Rise in a straight line, or slowly at both ends: k / (k + exp(i / k)) of Bengio et al., with the k that is half
    way in the middle."""


class MinimumRisk(Section):
    """Minimum risk training: sampled translations that score better become more probable (Shen et al. 2016)."""

    metric: Literal["bleu", "chrf"] = "bleu"
    """Score of a sampled sentence; 1 minus it is the risk. BLEU is smoothed."""
    samples: Count = 20
    """Translations drawn for each sentence; equal ones count once."""
    sharpness: Positive = 0.005
    """Exponent of the probabilities before they are shared out among the samples (the paper's alpha)."""
    reference: bool = True
    """Count the reference among the samples."""
    likelihood_weight: Weight = 0.0
    """Of the reference's negative log-likelihood a piece, added to the risk."""
    max_length_ratio: Positive = 1.5
    """Longest sample, in pieces: this times the reference's pieces plus `max_length_constant`."""
    max_length_constant: Whole = 5
    """Pieces that every sample may have, however short its reference."""


class Training(Section):
    """The training run."""

    objective: Literal["likelihood", "minimum_risk"] = "likelihood"
    """What an update improves: the probability of the references, or the expected score of sampled translations.
    The second fine-tunes a model (`--init-from`)."""
    batch_tokens: Count = 4096
    """Pieces in a batch on its longer side, padding included."""
    batch_sentences: Count | None = None
    """At most this many pairs in a batch."""
    accumulate: Count = 1
    """Batches whose gradients make one update."""
    shuffle_window: Count = 100_000
    """Pairs that are sorted by length together; bounds memory."""
    max_epochs: Count = 50
    """Stop after this many passes over the training data."""
    max_updates: Count | None = None
    """Stop after this many updates; null: no limit."""
    max_minutes: Positive | None = None
    """Stop after this much training time, resumed time included."""
    optimizer: Optimizer = Optimizer()
    """How gradients change the weights."""
    schedule: Schedule = Schedule()
    """How the learning rate changes."""
    averaging: Averaging = Averaging()
    """The averaged weights that validation and the model file use."""
    validation: Validation = Validation()
    """When and how training is measured."""
    clip_norm: Positive | None = 1.0
    """Largest norm of the gradient; null: no clipping."""
    label_smoothing: Share = 0.1
    """Probability spread evenly over the vocabulary (Szegedy et al. 2016)."""
    r_drop: Weight = 0.0
    """Weight of the divergence between two passes with different dropout (the alpha of Wu et al. 2021); doubles the
    time of an update. 0: one pass."""
    scheduled_sampling: ScheduledSampling = ScheduledSampling()
    """The decoder is fed some predictions of its own in place of the reference, as it will be when it translates."""
    coverage_loss: Weight = 0.0
    """Weight of attention to source positions that were attended to before (See et al. 2017)."""
    guided_alignment: GuidedAlignment = GuidedAlignment()
    """Attention learns from given word alignments."""
    minimum_risk: MinimumRisk = MinimumRisk()
    """Options of the objective `minimum_risk`."""
    parent_l2: Weight = 0.0
    """With `--init-from`: weight of the squared distance from the weights that training starts with (Barone et al.
    2017), beside the loss a piece."""
    frozen: list[str] = []
    """Parameters that keep their values, by name, such as `encoder.*` or `*.embeddings.*`."""
    max_nonfinite: Count = 20
    """Updates in a row skipped for infinite or undefined gradients before the run stops."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Of matrix products; auto: bf16 where the machine computes it natively. Weights stay fp32. A processor that has no
    kernels for bf16 computes in fp32, with a warning."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto: on a CUDA device where there is one."""
    threads: Count | None = None
    """Processor threads; by default all cores."""
    log_every: Count = 50
    """Updates between log lines."""
    checkpoint_every_updates: Count | None = None
    """Updates between checkpoints, besides the one at each validation."""
    keep_checkpoints: Count = 1
    """Newest checkpoints kept for --resume."""
    tensorboard: bool = True
    """Write TensorBoard curves when the package is installed."""
