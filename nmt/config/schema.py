"""What all sections are made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(ge=1, le=2**31 - 1)]
NonNegativeInt = Annotated[int, Field(ge=0, le=2**31 - 1)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A group of options. Unknown keys are errors; values cannot change once they are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class PairConfig(Section):
    """Parallel text: two files of equal length, or one with a tab between the sides."""

    source: str | None = None
    """File with one source sentence a line (UTF-8; .gz, .bz2, .xz and .zst are unpacked)."""
    target: str | None = None
    """File with the translation of each line of `source`."""
    tsv: str | None = None
    """Instead of `source` and `target`: one file with source, tab, target on each line."""


class CorpusConfig(PairConfig):
    """A training corpus."""

    weight: PositiveFloat = 1.0
    """How many times an epoch shows each pair: 2 shows all pairs twice, 0.5 a different half each epoch."""
    tag: str | None = None
    """A symbol put before each source sentence, such as `<bt>` for back-translated text."""
    alignment: str | None = None
    """File with the word alignment of each pair: links `i-j` from 0, words being what spaces separate in the line
    (Pharaoh format). What `training.guided_alignment` learns from."""


class TestSetConfig(PairConfig):
    """A test set, used by `nmt evaluate` and never in training."""

    name: str = "test"
    """What reports call this test set."""


class FiltersConfig(Section):
    """Which training pairs are left out. Empty lines, broken UTF-8 and control characters always are."""

    max_words: PositiveInt = 250
    """Longest side, in words (in characters for Chinese, Japanese, Korean and Thai: four times as many)."""
    max_pieces: PositiveInt = 300
    """Longest side, in subword pieces."""
    max_length_ratio: PositiveFloat = 6.0
    """Longer side over shorter side, in words (in characters when a side is Chinese, Japanese, Korean or Thai)."""
    identical: bool = True
    """Leave out pairs whose two sides are the same text."""
    duplicates: bool = True
    """Leave out pairs that came before, word for word, in the same corpus or an earlier one."""


class ShortlistConfig(Section):
    """Likely translations of each piece, learnt from the training text (IBM Model 1) and kept in the model file."""

    translations: NonNegativeInt = 20
    """Target pieces for each source piece, besides the frequent ones; 0: no table is made."""
    frequent: NonNegativeInt = 200
    """The most frequent target pieces, which every translation may use."""


class ConcatenationConfig(Section):
    """Extra training examples that are several pairs one after another (Kondo et al. 2021, Nguyen et al. 2021)."""

    share: NonNegativeFloat = 0.0
    """How many there are for each pair that an epoch shows, beside the pairs themselves and drawn anew each epoch; 0:
    none."""
    most: Annotated[int, Field(ge=2, le=1000)] = 2
    """Such an example has from two to so many pairs; fewer where it would have more than `filters.max_pieces` on a
    side."""


class DataConfig(Section):
    """The text to learn from and to be measured on."""

    source_language: str
    """Language code of the source, such as `en`."""
    target_language: str
    """Language code of the target, such as `de`. It picks the tokenizer of BLEU for zh, ja and ko."""
    train: list[CorpusConfig] = Field(min_length=1)
    """The training corpora."""
    valid: PairConfig
    """The validation set: chooses the best model, decides when to stop."""
    test: list[TestSetConfig] = []
    """The test sets of `nmt evaluate`."""
    filters: FiltersConfig = FiltersConfig()
    """Which training pairs are left out."""
    concatenation: ConcatenationConfig = ConcatenationConfig()
    """Extra training examples that are several pairs one after another, so that long inputs are nothing new."""
    right_to_left: bool = False
    """Learn to write the target from its last piece to its first. Such a model sees what one that writes forwards does
    not, and so is good at choosing among that one's translations (`nmt rerank`). Translations read as ever."""
    shortlist: ShortlistConfig = ShortlistConfig()
    """Likely translations of each piece, for `decoding.shortlist`."""
    preprocessed_folder: str = "preprocessed"
    """Where `nmt preprocess` keeps its results, one subfolder for each combination of text and options."""


class TokenizerConfig(Section):
    """The SentencePiece subword model that cuts text into pieces."""

    kind: Literal["unigram", "bpe"] = "unigram"
    """Segmentation algorithm (Kudo 2018; Sennrich et al. 2016)."""
    vocabulary_size: PositiveInt = 8000
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
    max_training_lines: PositiveInt = 1_000_000
    """At most this many lines, sampled evenly, train the subword model."""
    sampling: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Segment the training text anew each time: the dropout probability of BPE-dropout (Provilkov et al. 2020),
    or the smoothing alpha of unigram sampling (Kudo 2018; the smaller, the more varied). 0: always the best."""


Cell = Literal["rnn", "gru", "lstm", "layer_norm_lstm"]


class EncoderConfig(Section):
    """Reads the source sentence."""

    cell: Cell = "lstm"
    """What a layer computes at each position: tanh RNN (Elman 1990), GRU (Cho et al. 2014), LSTM (Hochreiter &
    Schmidhuber 1997), or LSTM with each gate normalised (RNMT+, Chen et al. 2018; takes about twice as long)."""
    layers: PositiveInt = 1
    """Number of recurrent layers."""
    hidden_size: PositiveInt = 256
    """Units of each layer, in each direction."""
    bidirectional: bool = True
    """Read the sentence in both directions; the memory then has twice `hidden_size` features."""
    bidirectional_layers: PositiveInt | None = None
    """How many of the first layers read both ways, the others only one (GNMT, Wu et al. 2016: 1); by default all."""
    alternating: bool = False
    """Every second layer that reads one way reads it from the other end (Zhou et al. 2016)."""
    residual_from: PositiveInt | None = None
    """The first layer to whose output its input is added, counted from 1 (Wu et al. 2016); by default none."""
    reversed: bool = False
    """Read the sentence from its end, the end mark still last (Sutskever et al. 2014)."""


class DecoderConfig(Section):
    """Writes the target sentence."""

    cell: Cell = "lstm"
    """What a layer computes at each position; as for the encoder, and chosen apart from it."""
    layers: PositiveInt = 1
    """Number of recurrent layers."""
    hidden_size: PositiveInt = 512
    """Units of each layer."""
    residual_from: PositiveInt | None = None
    """The first layer to whose output its input is added, counted from 1 (Wu et al. 2016); by default none."""
    bridge: Literal["zero", "last", "last_with_cells", "mean", "learned_last", "learned_mean"] = "learned_mean"
    """Initial state: zeros, the encoder's last hidden state, that with its memory cell, the mean of its outputs, or a
    tanh layer over the last one or the mean."""
    output: Literal["attentional", "deep", "linear"] = "attentional"
    """What the output layer reads, with context c, state h, embedding e: tanh(W[c;h]) (Luong et al. 2015), deep:
    tanh(W[c;h;e]+b) (Bahdanau et al. 2015, as in Nematus), or W[c;h]."""


class AttentionConfig(Section):
    """Lets each target position look at every source position."""

    score: Literal["none", "dot", "scaled_dot", "general", "concat", "additive"] = "dot"
    """How query and key are compared: not at all, q.k, q.k/sqrt(size) (Vaswani et al. 2017), q.Wk or v.tanh(W[q;k])
    (Luong et al. 2015), or v.tanh(Wq+Uk+b) (Bahdanau et al. 2015)."""
    heads: PositiveInt = 1
    """How many attentions look side by side, each at its share of the features (Vaswani et al. 2017)."""
    scope: Literal["global", "local_m", "local_p"] = "global"
    """Look at every position, or at a window around the target's own position (local_m) or around a predicted one
    (local_p, Luong et al. 2015)."""
    window: PositiveInt = 10
    """Positions on either side of a local window's centre."""
    coverage: bool = False
    """Let the score see how much attention each position has had so far (Tu et al. 2016, See et al. 2017)."""
    placement: Literal["top", "bottom", "conditional"] = "top"
    """Query from the top decoder layer (Luong), from the bottom one with the context passed on to the upper layers
    and the output (GNMT, RNMT+), or between two transitions of the bottom layer (Bahdanau, Nematus; slower)."""
    input_feeding: bool = False
    """Feed the last attentional state with the next piece (Luong et al. 2015); training is slower, as positions can
    then only run one after the other."""
    context_gate: bool = False
    """Weigh context against state, feature by feature, where the two are combined (Tu et al. 2017, both sides)."""
    size: PositiveInt | None = None
    """Features of the tanh layer of additive and concat, and of what several heads of dot and scaled_dot compare; by
    default the decoder's hidden size."""


class DropoutConfig(Section):
    """Probabilities of leaving things out during training."""

    embedding: Fraction = 0.2
    """Features of the embeddings."""
    layers: Fraction = 0.2
    """Features between recurrent layers, and of the encoder's output."""
    recurrent: Fraction = 0.0
    """Features of the state that a layer carries to the next position, the same ones at every position of a sentence
    (Gal & Ghahramani 2016); training is slower, as no fused kernel does this."""
    attention: Fraction = 0.0
    """Attention weights."""
    output: Fraction = 0.2
    """Features of the attentional state, before the output layer."""
    variational: bool = False
    """Leave out the same features of embeddings, layers and output at every position of a sentence (Gal & Ghahramani
    2016)."""
    source_words: Fraction = 0.0
    """Whole source embeddings (word dropout, Gal & Ghahramani 2016)."""
    target_words: Fraction = 0.0
    """Whole target embeddings that the decoder is fed."""


class InitializationConfig(Section):
    """Values before training."""

    kind: Literal["uniform", "normal", "xavier"] = "xavier"
    """Distribution of the weight matrices; `xavier` picks its own scale."""
    scale: PositiveFloat = 0.1
    """Half-width of `uniform`, standard deviation of `normal`."""
    forget_bias: float = 1.0
    """Initial bias of the LSTM forget gates (Jozefowicz et al. 2015)."""
    source_embeddings: str | None = None
    """Text file of vectors (a word and `embedding_size` numbers a line, as of fastText and GloVe) that replace the
    random embeddings of the source pieces that spell a whole word of it."""
    target_embeddings: str | None = None
    """The same for the target pieces."""


class ModelConfig(Section):
    """The network."""

    embedding_size: PositiveInt = 256
    """Features of a piece's embedding, on both sides."""
    scale_embeddings: bool = True
    """Multiply embeddings by sqrt(embedding_size), so that a table that suits the output layer suits the input too
    (Vaswani et al. 2017)."""
    encoder: EncoderConfig = EncoderConfig()
    """Reads the source sentence."""
    decoder: DecoderConfig = DecoderConfig()
    """Writes the target sentence."""
    attention: AttentionConfig = AttentionConfig()
    """Lets each target position look at every source position."""
    lexical_model: bool = False
    """Add to the output what the attended source embeddings alone say of the next piece (Nguyen & Chiang 2018)."""
    tying: Literal["none", "two_way", "three_way"] = "two_way"
    """Share the target embedding with the output layer (Press & Wolf 2017); three_way: with the source's too."""
    dropout: DropoutConfig = DropoutConfig()
    """Probabilities of leaving things out during training."""
    initialization: InitializationConfig = InitializationConfig()
    """Values before training."""


class OptimizerConfig(Section):
    """How gradients change the weights."""

    kind: Literal["adam", "adamw", "sgd"] = "adam"
    """Rule of the update (Kingma & Ba 2015; Loshchilov & Hutter 2019; plain descent)."""
    learning_rate: PositiveFloat = 1e-3
    """Peak learning rate."""
    beta1: Fraction = 0.9
    """adam and adamw: weight of the past in the mean of the gradients."""
    beta2: Fraction = 0.999
    """adam and adamw: weight of the past in the mean of their squares."""
    epsilon: PositiveFloat = 1e-8
    """adam and adamw: added to the denominator."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled for adamw, L2 for adam and sgd."""
    momentum: Fraction = 0.0
    """sgd: weight of the past in the step."""


class ScheduleConfig(Section):
    """How the learning rate changes."""

    kind: Literal["constant", "inverse_sqrt", "plateau", "linear", "cosine"] = "plateau"
    """After warmup: stay, fall with 1/sqrt(update), fall when validation stops improving, or fall to `final` at
    the end of training in a straight or cosine line."""
    warmup: NonNegativeInt = 0
    """Updates over which the learning rate rises linearly from nothing."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """plateau: what the learning rate is multiplied with."""
    patience: NonNegativeInt = 2
    """plateau: validations without improvement that are let pass before the learning rate falls."""
    restart: bool = False
    """plateau: when the learning rate falls, go back to the best weights so far, with a fresh optimiser (Denkowski &
    Neubig 2017)."""
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    """linear and cosine: learning rate at the end; plateau: lowest one; as a share of the peak."""


class AveragingConfig(Section):
    """The averaged weights that validation and the model file use."""

    kind: Literal["none", "ema", "last", "best"] = "ema"
    """Exponential moving average of every update, or plain average of the last or best checkpoints."""
    decay: Fraction = 0.999
    """ema: weight of the past at each update (lower in the first updates)."""
    count: PositiveInt = 5
    """last and best: number of checkpoints."""


class ValidationConfig(Section):
    """When and how training is measured."""

    every_updates: PositiveInt | None = None
    """Updates between validations; by default once an epoch."""
    metrics: list[Literal["bleu", "chrf"]] = ["bleu", "chrf"]
    """Scores of real translations; loss and perplexity are always measured."""
    metric: Literal["loss", "perplexity", "bleu", "chrf"] = "bleu"
    """The one that chooses the best model and counts for patience."""
    max_sentences: PositiveInt = 2000
    """At most this many validation sentences are translated (the first ones)."""
    beam_size: PositiveInt = 1
    """Beam of the translations made during training."""
    samples: NonNegativeInt = 3
    """Translations shown in the log each time."""
    patience: PositiveInt | None = 10
    """Stop after this many validations without improvement; null: never."""


class GuidedAlignmentConfig(Section):
    """Attention learns from given word alignments, the `alignment` files of `data.train` (Chen et al. 2016)."""

    weight: NonNegativeFloat = 0.0
    """Of the cross-entropy between given alignment and attention, beside the likelihood; 0: not learnt from."""
    final_weight: NonNegativeFloat | None = None
    """Weight at the end of `decay_updates`; by default the weight stays."""
    decay_updates: PositiveInt | None = None
    """Updates over which the weight changes to `final_weight`, in a straight line."""


class ScheduledSamplingConfig(Section):
    """The decoder is fed some predictions of its own (Bengio et al. 2015; in two passes, Mihaylova & Martins 2019)."""

    probability: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the target pieces that the decoder is fed which a first pass has predicted, at the end of the ramp; 0:
    none."""
    choice: Literal["best", "sample"] = "best"
    """What the first pass predicts: the most probable piece, or one drawn by probability."""
    start_updates: NonNegativeInt = 0
    """Updates on the reference alone, before the ramp."""
    ramp_updates: NonNegativeInt = 0
    """Updates over which the share rises from nothing to `probability`; 0: it is there at once."""
    ramp: Literal["linear", "inverse_sigmoid"] = "linear"
    """Rise in a straight line, or slowly at both ends: k / (k + exp(i / k)) of Bengio et al., with the k that is half
    way in the middle."""


class MinimumRiskConfig(Section):
    """Minimum risk training: sampled translations that score better become more probable (Shen et al. 2016)."""

    metric: Literal["bleu", "chrf"] = "bleu"
    """Score of a sampled sentence; 1 minus it is the risk. BLEU is smoothed."""
    samples: PositiveInt = 20
    """Translations drawn for each sentence; equal ones count once."""
    sharpness: PositiveFloat = 0.005
    """Exponent of the probabilities before they are shared out among the samples (the paper's alpha)."""
    reference: bool = True
    """Count the reference among the samples."""
    likelihood_weight: NonNegativeFloat = 0.0
    """Of the reference's negative log-likelihood a piece, added to the risk."""
    max_length_ratio: PositiveFloat = 1.5
    """Longest sample, in pieces: this times the reference's pieces plus `max_length_constant`."""
    max_length_constant: NonNegativeInt = 5
    """Pieces that every sample may have, however short its reference."""


class TrainingConfig(Section):
    """The training run."""

    objective: Literal["likelihood", "minimum_risk"] = "likelihood"
    """What an update improves: the probability of the references, or the expected score of sampled translations.
    The second fine-tunes a model (`--init-from`)."""
    batch_tokens: PositiveInt = 4096
    """Pieces in a batch on its longer side, padding included."""
    batch_sentences: PositiveInt | None = None
    """At most this many pairs in a batch."""
    accumulate: PositiveInt = 1
    """Batches whose gradients make one update."""
    shuffle_window: PositiveInt = 100_000
    """Pairs that are sorted by length together; bounds memory."""
    max_epochs: PositiveInt = 50
    """Stop after this many passes over the training data."""
    max_updates: PositiveInt | None = None
    """Stop after this many updates; null: no limit."""
    max_minutes: PositiveFloat | None = None
    """Stop after this much training time, resumed time included."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """How gradients change the weights."""
    schedule: ScheduleConfig = ScheduleConfig()
    """How the learning rate changes."""
    averaging: AveragingConfig = AveragingConfig()
    """The averaged weights that validation and the model file use."""
    validation: ValidationConfig = ValidationConfig()
    """When and how training is measured."""
    clip_norm: PositiveFloat | None = 1.0
    """Largest norm of the gradient; null: no clipping."""
    label_smoothing: Fraction = 0.1
    """Probability spread evenly over the vocabulary (Szegedy et al. 2016)."""
    r_drop: NonNegativeFloat = 0.0
    """Weight of the divergence between two passes with different dropout (the alpha of Wu et al. 2021); doubles the
    time of an update. 0: one pass."""
    scheduled_sampling: ScheduledSamplingConfig = ScheduledSamplingConfig()
    """The decoder is fed some predictions of its own in place of the reference, as it will be when it translates."""
    coverage_loss: NonNegativeFloat = 0.0
    """Weight of attention to source positions that were attended to before (See et al. 2017)."""
    guided_alignment: GuidedAlignmentConfig = GuidedAlignmentConfig()
    """Attention learns from given word alignments."""
    minimum_risk: MinimumRiskConfig = MinimumRiskConfig()
    """Options of the objective `minimum_risk`."""
    parent_l2: NonNegativeFloat = 0.0
    """With `--init-from`: weight of the squared distance from the weights that training starts with (Barone et al.
    2017), beside the loss a piece."""
    frozen: list[str] = []
    """Parameters that keep their values, by name, such as `encoder.*` or `*.embeddings.*`."""
    max_nonfinite: PositiveInt = 20
    """Updates in a row skipped for infinite or undefined gradients before the run stops."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Of matrix products; auto: bf16 where the machine computes it natively. Weights stay fp32. A processor that has no
    kernels for bf16 computes in fp32, with a warning."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto: on a CUDA device where there is one."""
    threads: PositiveInt | None = None
    """Processor threads; by default all cores."""
    log_every: PositiveInt = 50
    """Updates between log lines."""
    checkpoint_every_updates: PositiveInt | None = None
    """Updates between checkpoints, besides the one at each validation."""
    keep_checkpoints: PositiveInt = 1
    """Newest checkpoints kept for --resume."""
    tensorboard: bool = True
    """Write TensorBoard curves when the package is installed."""


class DecodingConfig(Section):
    """How translations are searched for."""

    beam_size: PositiveInt = 5
    """Hypotheses kept at each step; 1 is greedy search."""
    n_best: PositiveInt = 1
    """Translations given for each sentence."""
    length_normalization: Literal["none", "average", "gnmt"] = "average"
    """What the log-probability of a hypothesis of n pieces is divided by: 1, n^alpha, or ((5+n)/6)^alpha (Wu et al.
    2016)."""
    alpha: Annotated[float, Field(ge=0)] | None = None
    """Exponent of the length normalisation; by default 1 for average and 0.6 for gnmt."""
    max_source_pieces: PositiveInt | None = None
    """Most pieces of the source that are translated at once; a longer line is translated sentence by sentence, a longer
    sentence in parts. By default training sets it to what it has seen: one of its sources in 10,000 is longer."""
    max_length_ratio: Annotated[float, Field(ge=0)] | None = None
    """Longest translation, in pieces: this times the source's pieces plus `max_length_constant`. By default training
    sets it so that one of its pairs in 10,000 has a longer target: a search that need not look further ends sooner."""
    max_length_constant: NonNegativeInt = 10
    """Pieces that every translation may have, however short its source."""
    max_length: PositiveInt | None = None
    """Longest translation, in pieces, however long its source."""
    min_length: NonNegativeInt = 0
    """Shortest translation, in pieces; where the longest one is shorter, that."""
    min_length_ratio: Annotated[float, Field(ge=0)] = 0.0
    """Shortest translation, in pieces for each piece of the source."""
    coverage_penalty: Annotated[float, Field(ge=0)] = 0.0
    """beta of Wu et al. (2016), eq. 14: beta * sum of log(min(attention to a source piece, 1)) is added to scores, so
    that translations which leave something out lose; 0.2 in the paper. With the length normalisation `average` it is
    the mean over source pieces, as the score is then one over target pieces."""
    repetition_penalty: Annotated[float, Field(ge=1)] = 1.0
    """theta of Keskar et al. (2019): the log-probabilities of pieces that a translation has already are multiplied by
    it; 1: nothing is changed."""
    no_repeat_ngram: PositiveInt | None = None
    """No sequence of so many pieces appears twice in a translation."""
    stopping: Literal["exact", "fast"] = "exact"
    """When a search ends. exact: when nothing that still goes on could become better than what has ended. fast: when
    nothing that still goes on is better, as it is now."""
    beam_groups: PositiveInt = 1
    """Cut the beam into so many groups that keep away from each other (diverse beam search, Vijayakumar et al. 2018):
    for an n-best list of different translations."""
    diversity: Annotated[float, Field(ge=0)] = 0.5
    """What a group pays for each time that a group before it has just chosen the same piece, in log-probability."""
    sampling: bool = False
    """Draw `n_best` translations at random instead of searching for the best: for back-translation. The same line
    gives the same ones, whatever stands beside it."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Of sampling: probabilities to the power of 1/temperature; below 1 nearer to the best, above 1 wilder."""
    top_k: PositiveInt | None = None
    """Sample among the so many most probable pieces only."""
    top_p: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Sample among the fewest most probable pieces that together have this probability only."""
    seed: NonNegativeInt = 1
    """Of sampling: another seed, other translations."""
    ensemble_average: Literal["probabilities", "log_probabilities"] = "probabilities"
    """What several models that translate together average at each step: probabilities keep what any of them likes,
    log_probabilities what all of them can accept."""
    shortlist: bool = False
    """Look only at the likely translations of a sentence's pieces, and at frequent pieces: faster, and a little less
    good. Needs the table of `data.shortlist`."""
    split_sentences: bool = False
    """Translate each sentence of a line by itself: for lines that are paragraphs. They stay one line."""
    protect: bool = False
    """Bring tags, placeholders and URLs through translation unchanged. What the model has no `tokenizer.user_symbols`
    for is left out of the text that it reads, and put where the attention says."""
    batch_sentences: PositiveInt = 64
    """Sentences translated together; changes speed, never text."""
    precision: Literal["auto", "bf16", "fp32", "int8"] = "fp32"
    """Of matrix products. fp32 gives the translations of the trained weights, and so does bf16 but for about one line
    in a thousand; int8 (on processors) is the fastest and rounds more."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto: on a CUDA device where there is one."""
    threads: PositiveInt | None = None
    """Processor threads; by default all cores."""


class EvaluationConfig(Section):
    """How translations are scored."""

    metrics: list[Literal["bleu", "chrf", "ter"]] = ["bleu", "chrf", "ter"]
    """Printed by `nmt evaluate`."""
    bleu_tokenizer: Literal["auto", "13a", "intl", "zh", "ja-mecab", "ko-mecab", "flores200", "char", "none"] = "auto"
    """Tokenizer of sacreBLEU. Default: auto, by the target language (zh, ja-mecab, ko-mecab, char for other scripts
    without spaces between words, else 13a)."""
    lowercase: bool = False
    """Score without regard to case."""


class Config(Section):
    """A whole experiment."""

    name: str | None = None
    """Name of the run, `runs/<name>/`; by default the file's name, never that of its base."""
    seed: NonNegativeInt = 1
    """Seed of everything random."""
    data: DataConfig
    """The text to learn from and to be measured on."""
    tokenizer: TokenizerConfig = TokenizerConfig()
    """The subword model that cuts text into pieces."""
    model: ModelConfig = ModelConfig()
    """The network."""
    training: TrainingConfig = TrainingConfig()
    """The training run."""
    decoding: DecodingConfig = DecodingConfig()
    """How translations are searched for."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How translations are scored."""


class WithBase(Config):
    """An experiment as a file has it: whole, or what differs from another file."""

    base: str | None = None
    """Another configuration file: its options hold wherever this one says nothing. Lists are replaced as a whole. The
    path is relative to this file (on the command line, to the current folder). Or the name of a recipe, such as
    low-resource."""
