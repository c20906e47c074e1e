"""Every option of the toolkit, once: its name, type, default, unit and meaning.

A configuration file holds only what differs from these defaults. No other code has defaults of its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Whole = Annotated[int, Field(ge=0, le=2**31 - 1)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A group of options. Unknown keys are errors; values cannot change once they are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


# ---------------------------------------------------------------------------------------------------------- data


class Pair(Section):
    """Parallel text: two files of equal length, or one with a tab between the sides."""

    source: str | None = None
    """File with one source sentence a line (UTF-8; .gz, .bz2, .xz and .zst are unpacked)."""
    target: str | None = None
    """File with the translation of each line of `source`."""
    tsv: str | None = None
    """Instead of `source` and `target`: one file with source, tab, target on each line."""


class Corpus(Pair):
    """A training corpus."""

    weight: Positive = 1.0
    """How many times an epoch shows each pair: 2 shows all pairs twice, 0.5 a different half each epoch."""
    tag: str | None = None
    """A symbol put before each source sentence, such as `<bt>` for back-translated text."""


class TestSet(Pair):
    """A test set, used by `nmt evaluate` and never in training."""

    name: str = "test"
    """What reports call this test set."""


class Filters(Section):
    """Which training pairs are left out. Empty lines, broken UTF-8 and control characters always are."""

    max_words: Count = 250
    """Longest side, in words (in characters for Chinese, Japanese, Korean and Thai: four times as many)."""
    max_pieces: Count = 300
    """Longest side, in subword pieces."""
    max_length_ratio: Positive = 6.0
    """Longer side over shorter side, in words (in characters when a side is Chinese, Japanese, Korean or Thai)."""
    identical: bool = True
    """Leave out pairs whose two sides are the same text."""
    duplicates: bool = True
    """Leave out pairs that came before, word for word, in the same corpus or an earlier one."""


class Data(Section):
    """The text to learn from and to be measured on."""

    source_language: str
    """Language code of the source, such as `en`."""
    target_language: str
    """Language code of the target, such as `de`. It picks the tokenizer of BLEU for zh, ja and ko."""
    train: list[Corpus] = Field(min_length=1)
    """The training corpora."""
    valid: Pair
    """The validation set: chooses the best model, decides when to stop."""
    test: list[TestSet] = []
    """The test sets of `nmt evaluate`."""
    filters: Filters = Filters()
    """Which training pairs are left out."""
    prepared_folder: str = "prepared"
    """Where `nmt preprocess` keeps its results, one subfolder for each combination of text and options."""


# ----------------------------------------------------------------------------------------------------- tokenizer


class Tokenizer(Section):
    """The SentencePiece subword model that cuts text into pieces."""

    kind: Literal["unigram", "bpe"] = "unigram"
    """Segmentation algorithm (Kudo 2018; Sennrich et al. 2016)."""
    vocabulary_size: Count = 8000
    """Number of pieces (for each side, when `joint` is false). Lowered with a warning if the corpus is too small."""
    joint: bool = True
    """One subword model for both languages; false: one for each."""
    character_coverage: Annotated[float, Field(ge=0.98, le=1)] = 1.0
    """Share of characters that become pieces; use 0.9995 for Chinese and Japanese."""
    byte_fallback: bool = True
    """Write characters without a piece as bytes, so that nothing is ever unknown."""
    normalization: Literal["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"] = "nmt_nfkc"
    """Unicode normalisation before segmentation; `_cf` also folds case."""
    user_symbols: list[str] = []
    """Strings that are always one piece, such as placeholders."""
    max_training_lines: Count = 1_000_000
    """At most this many lines, sampled evenly, train the subword model."""
    sampling: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Segment the training text anew each time: the dropout probability of BPE-dropout (Provilkov et al. 2020),
    or the smoothing alpha of unigram sampling (Kudo 2018; the smaller, the more varied). 0: always the best."""


# --------------------------------------------------------------------------------------------------------- model


class Encoder(Section):
    """Reads the source sentence."""

    layers: Count = 1
    """Number of LSTM layers."""
    hidden_size: Count = 256
    """Units of each layer, in each direction."""
    bidirectional: bool = True
    """Read the sentence in both directions; the memory then has twice `hidden_size` features."""


class Decoder(Section):
    """Writes the target sentence."""

    layers: Count = 1
    """Number of LSTM layers."""
    hidden_size: Count = 512
    """Units of each layer."""
    bridge: Literal["zero", "last", "mean", "learned_last", "learned_mean"] = "learned_mean"
    """Initial state: zeros, the encoder's last state, the mean of its outputs, or a tanh layer over either."""


class Attention(Section):
    """Lets each target position look at every source position."""

    score: Literal["none", "dot", "general", "additive"] = "dot"
    """How query and key are compared: not at all, q.k, q.Wk (Luong et al. 2015), or v.tanh(Wq+Uk) (Bahdanau et al.
    2015)."""
    placement: Literal["top", "bottom"] = "top"
    """Query from the top decoder layer (Luong), or from the bottom one with the context passed on to the upper
    layers and the output (GNMT, RNMT+)."""
    size: Count | None = None
    """Features of the additive score's tanh layer; by default the decoder's hidden size."""


class Dropout(Section):
    """Probabilities of leaving things out during training."""

    embedding: Share = 0.2
    """Features of the embeddings."""
    layers: Share = 0.2
    """Features between recurrent layers, and of the encoder's output."""
    output: Share = 0.2
    """Features of the attentional state, before the output layer."""
    source_words: Share = 0.0
    """Whole source embeddings (word dropout, Gal & Ghahramani 2016)."""
    target_words: Share = 0.0
    """Whole target embeddings that the decoder is fed."""


class Initialization(Section):
    """Values before training."""

    kind: Literal["uniform", "normal", "xavier"] = "xavier"
    """Distribution of the weight matrices; `xavier` picks its own scale."""
    scale: Positive = 0.1
    """Half-width of `uniform`, standard deviation of `normal`."""
    forget_bias: float = 1.0
    """Initial bias of the LSTM forget gates (Jozefowicz et al. 2015)."""


class Model(Section):
    """The network."""

    embedding_size: Count = 256
    """Features of a piece's embedding, on both sides."""
    scale_embeddings: bool = True
    """Multiply embeddings by sqrt(embedding_size), so that a table that suits the output layer suits the input too
    (Vaswani et al. 2017)."""
    encoder: Encoder = Encoder()
    """Reads the source sentence."""
    decoder: Decoder = Decoder()
    """Writes the target sentence."""
    attention: Attention = Attention()
    """Lets each target position look at every source position."""
    tying: Literal["none", "two_way", "three_way"] = "two_way"
    """Share the target embedding with the output layer (Press & Wolf 2017); three_way: with the source's too."""
    dropout: Dropout = Dropout()
    """Probabilities of leaving things out during training."""
    initialization: Initialization = Initialization()
    """Values before training."""


# ------------------------------------------------------------------------------------------------------ training


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


class Training(Section):
    """The training run."""

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
    max_nonfinite: Count = 20
    """Updates in a row skipped for infinite or undefined gradients before the run stops."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Of matrix products; auto: bf16 where the machine computes it natively. Weights stay fp32."""
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


# ------------------------------------------------------------------------------------------ decoding, evaluation


class Decoding(Section):
    """How translations are searched for."""

    beam_size: Count = 5
    """Hypotheses kept at each step; 1 is greedy search."""
    n_best: Count = 1
    """Translations given for each sentence."""
    length_normalization: Literal["none", "average", "gnmt"] = "average"
    """What the log-probability of a hypothesis of n pieces is divided by: 1, n^alpha, or ((5+n)/6)^alpha (Wu et al.
    2016)."""
    alpha: Annotated[float, Field(ge=0)] | None = None
    """Exponent of the length normalisation; by default 1 for average and 0.6 for gnmt."""
    max_length_ratio: Annotated[float, Field(ge=0)] = 2.0
    """Longest translation, in pieces: this times the source's pieces plus `max_length_constant`."""
    max_length_constant: Whole = 20
    """Pieces that every translation may have, however short its source."""
    batch_sentences: Count = 64
    """Sentences translated together; changes speed, never text."""
    precision: Literal["auto", "bf16", "fp32"] = "fp32"
    """Of matrix products; with fp32 a translation does not depend on its batch."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto: on a CUDA device where there is one."""
    threads: Count | None = None
    """Processor threads; by default all cores."""


class Evaluation(Section):
    """How translations are scored."""

    metrics: list[Literal["bleu", "chrf", "ter"]] = ["bleu", "chrf", "ter"]
    """Printed by `nmt evaluate`."""
    bleu_tokenizer: Literal["auto", "13a", "intl", "zh", "ja-mecab", "ko-mecab", "flores200", "char", "none"] = "auto"
    """sacreBLEU's tokenizer; auto: by target language (zh, ja-mecab, ko-mecab, else 13a)."""
    lowercase: bool = False
    """Score without regard to case."""


class Config(Section):
    """A whole experiment."""

    name: str | None = None
    """Name of the run, `runs/<name>/`; by default the file's name."""
    seed: Whole = 1
    """Seed of everything random."""
    data: Data
    """The text to learn from and to be measured on."""
    tokenizer: Tokenizer = Tokenizer()
    """The subword model that cuts text into pieces."""
    model: Model = Model()
    """The network."""
    training: Training = Training()
    """The training run."""
    decoding: Decoding = Decoding()
    """How translations are searched for."""
    evaluation: Evaluation = Evaluation()
    """How translations are scored."""
