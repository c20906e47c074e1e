"""All options of a configuration, with their types, limits, defaults and documentation.

The first paragraph of an option's docstring is its help on the command line. All paragraphs appear in the comments of
`nmt config show --comments`, in the JSON Schema and in the reference.
"""

# Annotations are not postponed here: pydantic would compile and evaluate the text of each of them at every start.

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeFloat, PositiveFloat

MAX_CHARACTERS = 1_000_000
"""Length of the longest configuration, in characters."""

PositiveInt = Annotated[int, Field(ge=1, le=2**31 - 1)]
NonNegativeInt = Annotated[int, Field(ge=0, le=2**31 - 1)]
Layers = Annotated[int, Field(ge=1, le=100)]
Hypotheses = Annotated[int, Field(ge=1, le=10_000)]
LengthLimit = Annotated[int, Field(ge=0, le=1_000_000)]
License = Annotated[str, Field(min_length=1, max_length=200)]
FieldName = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
"""A name, or a number that may be written without quotes."""
Fraction = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]

TranslationMetric = Literal["bleu", "chrf"]
"""Metrics of whole sets of translations and, smoothed, of single ones."""


@dataclass(frozen=True)
class CommandLine:
    """How an option appears on the command line.

    Attributes:
        panel: the heading of the help under which it is listed.
        flag: its name, where that is not the key with dashes.
    """

    panel: str
    flag: str | None = None


@dataclass(frozen=True)
class FilePath:
    """Marks an option that is a path; see `nmt.config.paths`.

    Attributes:
        use: input: a relative path is also looked for in the folder of the configuration. output: it is relative to
            the current folder.
    """

    use: Literal["input", "output"]


InputFile = Annotated[str, FilePath("input")]
OutputFolder = Annotated[str, FilePath("output")]

SEARCH = CommandLine("Search")
LENGTHS = CommandLine("Lengths")
PENALTIES = CommandLine("Penalties")
SAMPLING = CommandLine("Sampling")
TEXT = CommandLine("Text")
COMPUTATION = CommandLine("Computation")


class Section(BaseModel):
    """A group of options. Unknown keys are errors. Values cannot change after validation."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        defer_build=True,  # a command validates few of the sections, and building all takes 60 ms
    )


class PairConfig(Section):
    """Parallel text: two files with one sentence per line, or one file of another kind."""

    source: InputFile | None = None
    """File with one source sentence per line, in UTF-8. Files ending in .gz, .bz2, .xz or .zst are decompressed."""
    target: InputFile | None = None
    """File with the translation of each line of `source`."""
    tsv: InputFile | None = None
    """File with source, tab and target on each line, without quotes and header."""
    csv: InputFile | None = None
    """CSV file with quotes. `source_field` and `target_field` are the names of its columns, or their numbers from 1."""
    jsonl: InputFile | None = None
    """JSON Lines file with one object per line. `source_field` and `target_field` are keys. `a.b` is the key b inside
    of a."""
    tmx: InputFile | None = None
    """Translation memory. `source_field` and `target_field` are the codes of its languages."""
    xliff: InputFile | None = None
    """XLIFF file. Its units with source and target are the pairs."""
    opus: InputFile | None = None
    """Zip file of OPUS in the Moses format. `source_field` and `target_field` are the endings of the files in it, such
    as `en`."""
    source_field: FieldName | None = None
    """Column, key or language code of the source in a file of the kinds csv, jsonl, tmx and opus."""
    target_field: FieldName | None = None
    """Column, key or language code of the target."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """Character between the columns of a csv file. Write "\\t" for a tab."""
    quotes: bool = True
    """Whether quotation marks enclose cells of a csv file. If false, they are text."""
    header: bool | None = None
    """Whether the first line of a csv file has the names of the columns. null means yes if a field is a name."""


SINGLE_FILES = ("tsv", "csv", "jsonl", "tmx", "xliff", "opus")
"""Keys of files with both sides."""
PAIR_FILES = ("source", "target", *SINGLE_FILES)
"""Keys of `PairConfig` that are files."""


class CorpusConfig(PairConfig):
    """A training corpus."""

    weight: PositiveFloat = 1.0
    """How often each pair occurs in an epoch. With 2 all pairs occur twice, with 0.5 half of them, a different half in
    each epoch."""
    tag: str | None = None
    """Symbol inserted before each source sentence, such as `<bt>` for back-translated text."""
    alignment: InputFile | None = None
    """File with the word alignment of each pair in Pharaoh format: links `i-j`, counted from 0, between words
    separated by spaces. Used by `training.guided_alignment`."""
    license: License | None = None
    """Licence of the text for the model card, such as CC-BY-4.0. Training ignores it."""


class TestSetConfig(PairConfig):
    """A test set for `nmt evaluate`. It is never used in training."""

    name: str = "test"
    """Name of the test set in reports."""


class FiltersConfig(Section):
    """Filters of the training pairs. Empty lines, broken UTF-8 and control characters are always removed."""

    max_words: PositiveInt = 250
    """Maximum number of words on either side. For Korean and for scripts without spaces between words, the limit is
    four times as many characters."""
    max_pieces: PositiveInt = 300
    """Maximum number of subword pieces on either side."""
    max_length_ratio: PositiveFloat = 6.0
    """Maximum ratio of the longer side to the shorter side, in words. Characters are counted if a side is Korean or has
    no spaces between words."""
    drop_identical: bool = True
    """Remove pairs with the same text on both sides."""
    drop_duplicates: bool = True
    """Remove pairs that occurred before, in the same corpus or in an earlier one."""
    drop_held_out: bool = False
    """Remove pairs whose source or target is in the validation set or in a test set.

    If false, `nmt preprocess` only reports them. Equivalent spellings are equal."""


class ShortlistConfig(Section):
    """Table of likely translations of each source piece, learned with IBM Model 1 and stored in the model file."""

    translations: NonNegativeInt = 20
    """Number of target pieces per source piece, besides the frequent ones. 0 makes no table."""
    frequent: NonNegativeInt = 200
    """Number of most frequent target pieces, which every translation may use."""


class ConcatenationConfig(Section):
    """Additional training examples made of several concatenated pairs (Kondo et al. 2021, Nguyen et al. 2021)."""

    ratio: NonNegativeFloat = 0.0
    """Number of concatenated examples per pair of an epoch. They are drawn again in each epoch. 0 makes none."""
    max_pairs: Annotated[int, Field(ge=2, le=1000)] = 2
    """Maximum number of pairs in a concatenated example. Examples longer than `filters.max_pieces` get fewer pairs."""


class DataConfig(Section):
    """Training, validation and test data."""

    source_language: str
    """Language code of the source, such as `en`. Capitals do not matter."""
    target_language: str
    """Language code of the target, such as `de`.

    It selects the tokenizer of BLEU, together with the script of the references."""
    train: list[CorpusConfig] = Field(min_length=1)
    """Training corpora."""
    valid: PairConfig
    """Validation set. It selects the best model and decides when training stops."""
    test: list[TestSetConfig] = []
    """Test sets for `nmt evaluate`."""
    filters: FiltersConfig = FiltersConfig.model_construct()
    """Filters of the training pairs."""
    concatenation: ConcatenationConfig = ConcatenationConfig.model_construct()
    """Additional training examples made of several concatenated pairs, for better translations of long inputs."""
    right_to_left: bool = False
    """Generate the target from its last piece to its first.

    Such a model reranks the translations of a left-to-right model well (`nmt rerank`). Its translations are written in
    the usual order."""
    shortlist: ShortlistConfig = ShortlistConfig.model_construct()
    """Table of likely translations for `decoding.shortlist`."""
    preprocessed_folder: OutputFolder = "preprocessed"
    """Folder for the results of `nmt preprocess`, with one subfolder per combination of text and options."""


class TokenizerConfig(Section):
    """SentencePiece subword model."""

    kind: Literal["unigram", "bpe"] = "unigram"
    """Segmentation algorithm: unigram language model (Kudo 2018) or byte-pair encoding (Sennrich et al. 2016)."""
    vocabulary_size: PositiveInt = 8000
    """Number of pieces, per language if `joint` is false. It is lowered, with a warning, if the corpus is too small."""
    joint: bool = True
    """Use one subword model for both languages."""
    character_coverage: Annotated[float, Field(ge=0.98, le=1)] = 1.0
    """Fraction of the characters that become pieces. Use 0.9995 for Chinese and Japanese."""
    byte_fallback: bool = True
    """Write characters that are not in the vocabulary as bytes, so that no input is unknown."""
    normalization: Literal["nfc", "nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"] = "nfc"
    """Unicode normalisation before segmentation.

    nfc: canonical composition. Canonically equivalent inputs get the same translation, and translations have the
    spelling of the training text. Invisible characters that the script does not need are removed. identity: no change.
    The others are rules of SentencePiece. They replace characters by similar ones, also in translations, such as `10²`
    by `102`. The rules that end in `_cf` also fold case."""
    user_symbols: list[str] = []
    """Strings that are always one piece, such as placeholders."""
    max_training_lines: PositiveInt = 1_000_000
    """Maximum number of lines, sampled evenly, for training the subword model."""
    sampling: Probability = 0.0
    """Subword regularisation: sample a new segmentation of the training text in each epoch. 0 turns it off.

    For bpe it is the dropout probability of BPE-dropout (Provilkov et al. 2020). For unigram it is the smoothing
    parameter alpha of Kudo (2018), where smaller values vary the segmentation more."""


Cell = Literal["rnn", "gru", "lstm", "layer_norm_lstm"]


class EncoderConfig(Section):
    """The encoder, which reads the source sentence."""

    cell: Cell = "lstm"
    """Recurrent cell: tanh RNN (Elman 1990), GRU (Cho et al. 2014), LSTM (Hochreiter & Schmidhuber 1997), or LSTM with
    layer normalisation of each gate (RNMT+, Chen et al. 2018). The last one takes about twice as long."""
    layers: Layers = 1
    """Number of recurrent layers."""
    hidden_size: PositiveInt = 256
    """Number of units of each layer and direction."""
    bidirectional: bool = True
    """Read the sentence in both directions. The encoder output then has twice `hidden_size` features."""
    bidirectional_layers: PositiveInt | None = None
    """Number of bidirectional layers. The layers above them are unidirectional, as in GNMT (Wu et al. 2016), which has
    one bidirectional layer. Default: all layers."""
    alternating: bool = False
    """Reverse the direction of every second unidirectional layer (Zhou et al. 2016)."""
    residual_from: PositiveInt | None = None
    """First layer with a residual connection from input to output, counted from 1 (Wu et al. 2016). Default: no
    residual connections."""
    reversed: bool = False
    """Reverse the source sentence, with the end mark still last (Sutskever et al. 2014)."""


class DecoderConfig(Section):
    """The decoder, which generates the target sentence."""

    cell: Cell = "lstm"
    """Recurrent cell, as for the encoder."""
    layers: Layers = 1
    """Number of recurrent layers."""
    hidden_size: PositiveInt = 512
    """Number of units of each layer."""
    residual_from: PositiveInt | None = None
    """First layer with a residual connection from input to output, counted from 1 (Wu et al. 2016). Default: no
    residual connections."""
    bridge: Literal["zero", "last", "last_with_cells", "mean", "learned_last", "learned_mean"] = "learned_mean"
    """Initial decoder state.

    zero: zeros. last: the last hidden state of the encoder. last_with_cells: the last hidden state and the memory cell.
    mean: the mean of the encoder outputs. learned_last, learned_mean: a tanh layer over the last state or the mean."""
    output: Literal["attentional", "deep", "linear"] = "attentional"
    """Layer before the softmax, from context c, decoder state h and target embedding e.

    attentional: tanh(W[c, h]) (Luong et al. 2015). deep: tanh(W[c, h, e]+b) (Bahdanau et al. 2015, as in Nematus).
    linear: W[c, h]."""


class AttentionConfig(Section):
    """Attention of the decoder over the source positions."""

    score: Literal["none", "dot", "scaled_dot", "general", "concat", "additive"] = "dot"
    """Attention score of query q and key k.

    none: no attention. dot: q.k. scaled_dot: q.k/sqrt(size) (Vaswani et al. 2017). general: q.Wk. concat:
    v.tanh(W[q, k]) (Luong et al. 2015). additive: v.tanh(Wq+Uk+b) (Bahdanau et al. 2015)."""
    heads: PositiveInt = 1
    """Number of attention heads, each over an equal part of the features (Vaswani et al. 2017)."""
    scope: Literal["global", "local_m", "local_p"] = "global"
    """Source positions that receive attention (Luong et al. 2015).

    global: all. local_m: a window around the target position. local_p: a window around a predicted position."""
    window: PositiveInt = 10
    """Number of positions on either side of the centre of a local window."""
    coverage: bool = False
    """Add the accumulated attention of each position to the input of the score (Tu et al. 2016, See et al. 2017)."""
    placement: Literal["top", "bottom", "conditional"] = "top"
    """Decoder layer that provides the query.

    top: the top layer (Luong). bottom: the bottom layer, with the context passed to the upper layers and the output
    (GNMT, RNMT+). conditional: between two transitions of the bottom layer (Bahdanau, Nematus), which is slower."""
    input_feeding: bool = False
    """Feed the last attentional state to the decoder with the next piece (Luong et al. 2015). Training is slower,
    because positions cannot be computed in parallel."""
    context_gate: bool = False
    """Gate context and state, feature by feature, where they are combined (Tu et al. 2017, both sides)."""
    size: PositiveInt | None = None
    """Number of features of the tanh layer of additive and concat, and of the heads of dot and scaled_dot together.
    Default: the hidden size of the decoder."""


class DropoutConfig(Section):
    """Dropout probabilities during training."""

    embedding: Fraction = 0.2
    """Dropout of the features of embeddings."""
    layers: Fraction = 0.2
    """Dropout between recurrent layers and on the encoder output."""
    recurrent: Fraction = 0.0
    """Dropout of the recurrent state, with one mask for all positions of a sentence (Gal & Ghahramani 2016). Training
    is slower, because no fused kernel supports it."""
    attention: Fraction = 0.0
    """Dropout of attention weights."""
    output: Fraction = 0.2
    """Dropout of the attentional state, before the output layer."""
    variational: bool = False
    """Use one mask for all positions of a sentence in embeddings, layers and output (Gal & Ghahramani 2016)."""
    source_words: Fraction = 0.0
    """Word dropout: probability of replacing a source embedding by zeros (Gal & Ghahramani 2016)."""
    target_words: Fraction = 0.0
    """Word dropout of the target embeddings that the decoder reads."""


class InitializationConfig(Section):
    """Initial values of the weights."""

    kind: Literal["uniform", "normal", "xavier"] = "xavier"
    """Distribution of the weight matrices. `xavier` chooses the scale from the shape of each matrix."""
    scale: PositiveFloat = 0.1
    """Half-width of `uniform`, standard deviation of `normal`."""
    forget_bias: float = 1.0
    """Initial bias of the forget gates of LSTMs (Jozefowicz et al. 2015)."""
    source_embeddings: InputFile | None = None
    """Text file of pretrained vectors for source pieces that are whole words. Each line has a word and
    `embedding_size` numbers, as in the formats of fastText and GloVe."""
    target_embeddings: InputFile | None = None
    """Text file of pretrained vectors for target pieces that are whole words."""


class ModelConfig(Section):
    """The network."""

    embedding_size: PositiveInt = 256
    """Number of features of an embedding, on both sides."""
    scale_embeddings: bool = True
    """Multiply embeddings by sqrt(embedding_size), so that a table shared with the output layer also suits the input
    (Vaswani et al. 2017)."""
    encoder: EncoderConfig = EncoderConfig.model_construct()
    """The encoder, which reads the source sentence."""
    decoder: DecoderConfig = DecoderConfig.model_construct()
    """The decoder, which generates the target sentence."""
    attention: AttentionConfig = AttentionConfig.model_construct()
    """Attention of the decoder over the source positions."""
    lexical_model: bool = False
    """Add a prediction from the attended source embeddings alone to the output (Nguyen & Chiang 2018)."""
    tying: Literal["none", "two_way", "three_way"] = "two_way"
    """Weight tying. two_way: the target embeddings are also the output layer (Press & Wolf 2017). three_way: the source
    embeddings are the same table too."""
    dropout: DropoutConfig = DropoutConfig.model_construct()
    """Dropout probabilities during training."""
    initialization: InitializationConfig = InitializationConfig.model_construct()
    """Initial values of the weights."""


class OptimizerConfig(Section):
    """The optimizer."""

    kind: Literal["adam", "adamw", "sgd"] = "adam"
    """Optimizer: Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019) or stochastic gradient descent."""
    learning_rate: PositiveFloat = 1e-3
    """Peak learning rate."""
    beta1: Fraction = 0.9
    """Decay rate of the mean of the gradients, for adam and adamw."""
    beta2: Fraction = 0.999
    """Decay rate of the mean of the squared gradients, for adam and adamw."""
    epsilon: PositiveFloat = 1e-8
    """Constant added to the denominator, for adam and adamw."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight decay, decoupled for adamw, as an L2 penalty for adam and sgd."""
    momentum: Fraction = 0.0
    """Momentum, for sgd."""


class ScheduleConfig(Section):
    """The learning rate schedule."""

    kind: Literal["constant", "inverse_sqrt", "plateau", "linear", "cosine"] = "plateau"
    """Learning rate after warmup.

    constant: no change. inverse_sqrt: proportional to 1/sqrt(update). plateau: multiplied by `factor` when validation
    stops improving. linear, cosine: decay to `final` at the end of training, which is the first of `max_epochs`,
    `max_updates` and `max_minutes`."""
    warmup: NonNegativeInt = 0
    """Number of updates over which the learning rate rises linearly from 0."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Factor of the learning rate, for plateau."""
    patience: NonNegativeInt = 2
    """Number of validations without improvement before the learning rate falls, for plateau."""
    restart: bool = False
    """When the learning rate falls, return to the best weights with a new optimizer state, for plateau (Denkowski &
    Neubig 2017)."""
    final: Probability = 0.0
    """Final learning rate as a fraction of the peak, for linear and cosine. For plateau it is the minimum."""


class AveragingConfig(Section):
    """Weight averaging. Validation and the model file use the averaged weights."""

    kind: Literal["none", "ema", "last", "best"] = "ema"
    """Exponential moving average over all updates, or plain average of the last or best checkpoints."""
    decay: Fraction = 0.999
    """Decay rate of the moving average, for ema. It is lower in the first updates."""
    count: PositiveInt = 5
    """Number of checkpoints, for last and best."""


class ValidationConfig(Section):
    """Validation during training."""

    every_updates: PositiveInt | None = None
    """Number of updates between validations. Default: one epoch."""
    metrics: list[TranslationMetric] = ["bleu", "chrf"]
    """Metrics of the validation translations. Loss and perplexity are always computed."""
    metric: Literal["loss", "perplexity", "bleu", "chrf"] = "bleu"
    """Metric that selects the best model and counts for patience."""
    max_sentences: PositiveInt = 2000
    """Maximum number of validation sentences that are translated, from the start of the set."""
    beam_size: Hypotheses = 1
    """Beam size of the validation translations."""
    samples: NonNegativeInt = 3
    """Number of translations shown in the log at each validation."""
    patience: PositiveInt | None = 10
    """Number of validations without improvement before training stops. With null it does not stop early."""


class GuidedAlignmentConfig(Section):
    """Supervised attention from the `alignment` files of `data.train` (Chen et al. 2016)."""

    weight: NonNegativeFloat = 0.0
    """Weight of the cross-entropy between given alignment and attention. 0 turns it off."""
    final_weight: NonNegativeFloat | None = None
    """Weight after `decay_updates`. Default: the weight does not change."""
    decay_updates: PositiveInt | None = None
    """Number of updates over which the weight changes linearly to `final_weight`. Default: the weight does not
    change."""


class ScheduledSamplingConfig(Section):
    """Scheduled sampling (Bengio et al. 2015), in two passes (Mihaylova & Martins 2019)."""

    probability: Probability = 0.0
    """Probability of feeding a prediction of the first pass instead of the reference piece, at the end of the ramp. 0
    turns it off."""
    choice: Literal["argmax", "sample"] = "argmax"
    """Prediction of the first pass: the most probable piece or a sampled piece."""
    start_updates: NonNegativeInt = 0
    """Number of updates with the reference alone, before the ramp."""
    ramp_updates: NonNegativeInt = 0
    """Number of updates over which the probability rises from 0 to `probability`."""
    ramp: Literal["linear", "inverse_sigmoid"] = "linear"
    """Shape of the ramp.

    The inverse sigmoid is k / (k + exp(i / k)) of Bengio et al., with the k that reaches one half in the middle."""


class MinimumRiskConfig(Section):
    """Minimum risk training (Shen et al. 2016)."""

    metric: TranslationMetric = "bleu"
    """Sentence-level metric. The risk is 1 minus the score. BLEU is smoothed."""
    samples: Hypotheses = 20
    """Number of sampled translations per sentence. Equal ones are counted once."""
    sharpness: PositiveFloat = 0.005
    """Exponent of the probabilities before normalisation over the samples (alpha in the paper)."""
    reference: bool = True
    """Include the reference among the samples."""
    likelihood_weight: NonNegativeFloat = 0.0
    """Weight of the reference's negative log-likelihood per piece, added to the risk."""
    max_length_ratio: PositiveFloat = 1.5
    """Maximum sample length in pieces, relative to the reference. `max_length_constant` is added to it."""
    max_length_constant: NonNegativeInt = 5
    """Number of pieces added to the maximum length of each sample."""


class TrainingConfig(Section):
    """The training run."""

    objective: Literal["likelihood", "minimum_risk"] = "likelihood"
    """Training objective: likelihood of the references, or expected score of sampled translations. The second one
    fine-tunes a trained model (`nmt train --init-from`)."""
    batch_tokens: PositiveInt = 4096
    """Number of pieces per batch on the longer side, including padding."""
    batch_sentences: PositiveInt | None = None
    """Maximum number of pairs per batch. Default: no limit."""
    accumulate: PositiveInt = 1
    """Number of batches of an update in each process. Their gradients are summed."""
    shuffle_window: PositiveInt = 100_000
    """Number of pairs that are sorted by length together. It bounds the memory use."""
    max_epochs: PositiveInt = 50
    """Maximum number of epochs."""
    max_updates: PositiveInt | None = None
    """Maximum number of updates. Default: no limit."""
    max_minutes: PositiveFloat | None = None
    """Maximum training time in minutes, over all resumed parts of a run. Default: no limit."""
    optimizer: OptimizerConfig = OptimizerConfig.model_construct()
    """The optimizer."""
    schedule: ScheduleConfig = ScheduleConfig.model_construct()
    """The learning rate schedule."""
    averaging: AveragingConfig = AveragingConfig.model_construct()
    """Weight averaging. Validation and the model file use the averaged weights."""
    validation: ValidationConfig = ValidationConfig.model_construct()
    """Validation during training."""
    clip_norm: PositiveFloat | None = 1.0
    """Maximum norm of the gradient. With null gradients are not clipped."""
    label_smoothing: Fraction = 0.1
    """Probability mass spread uniformly over the vocabulary (Szegedy et al. 2016)."""
    r_drop: NonNegativeFloat = 0.0
    """Weight of the divergence between two passes with different dropout (alpha in R-Drop, Wu et al. 2021). It doubles
    the time of an update. 0 turns it off."""
    scheduled_sampling: ScheduledSamplingConfig = ScheduledSamplingConfig.model_construct()
    """Scheduled sampling: feed some predictions instead of reference pieces to the decoder."""
    coverage_loss: NonNegativeFloat = 0.0
    """Weight of the penalty for repeated attention to the same source position (See et al. 2017)."""
    guided_alignment: GuidedAlignmentConfig = GuidedAlignmentConfig.model_construct()
    """Supervised attention from given word alignments."""
    minimum_risk: MinimumRiskConfig = MinimumRiskConfig.model_construct()
    """Options of the objective `minimum_risk`."""
    parent_l2: NonNegativeFloat = 0.0
    """With `--init-from`: weight of the squared distance from the initial weights, per piece (Barone et al. 2017)."""
    frozen: list[str] = []
    """Name patterns of parameters that are not trained, such as `encoder.*` or `*.embeddings.*`."""
    max_nonfinite: PositiveInt = 20
    """Maximum number of consecutive updates that are skipped because of infinite or undefined gradients. After that the
    run stops."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Number format of matrix products. Weights stay in fp32.

    auto: bf16 where the device computes it natively, otherwise fp32. A processor without bf16 kernels computes in fp32,
    with a warning."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device for computation. auto: a CUDA device if there is one."""
    threads: PositiveInt | None = None
    """Number of processor threads. Default: all cores."""
    cuda_graphs: bool = False
    """Replay the positions of a decoder with input feeding, or with a conditional decoder, as CUDA graphs on a CUDA
    device.

    This has been tested in an imitation on processors, and not yet on a GPU. Other devices ignore it."""
    log_every: PositiveInt = 50
    """Number of updates between log lines."""
    checkpoint_every_updates: PositiveInt | None = None
    """Number of updates between additional checkpoints. Default: a checkpoint at each validation only."""
    checkpoint_every_minutes: PositiveFloat | None = None
    """Number of minutes between additional checkpoints. Default: a checkpoint at each validation only."""
    keep_checkpoints: PositiveInt = 1
    """Number of latest checkpoints that are kept for `nmt train --resume`."""
    keep_best: PositiveInt = 1
    """Number of best models that are kept. From 2 on, they are in the folder `models` of the run too."""
    tensorboard: bool = True
    """Write TensorBoard curves if the package is installed."""
    track: list[Literal["mlflow", "trackio", "wandb"]] = []
    """Other programs that show the measurements of the run: MLflow, trackio, Weights & Biases.

    They store them on this machine, unless their environment variables name a server. A tracker that fails is left out
    with a warning."""


class DecodingConfig(Section):
    """The search for translations."""

    beam_size: Annotated[Hypotheses, SEARCH] = 5
    """Number of hypotheses kept at each step. 1 is greedy search."""
    n_best: Annotated[Hypotheses, SEARCH] = 1
    """Number of translations per sentence.

    They are the best of the beam or, with `sampling`, samples."""
    stopping: Annotated[Literal["exact", "fast"], SEARCH] = "exact"
    """Stopping rule of beam search. exact: stop when no partial hypothesis can become the best. fast: stop when none is
    the best now."""
    beam_groups: Annotated[Hypotheses, SEARCH] = 1
    """Number of groups of diverse beam search (Vijayakumar et al. 2018), for n-best lists of different translations."""
    diversity: Annotated[NonNegativeFloat, SEARCH] = 0.5
    """Penalty of diverse beam search, in log-probability, for each earlier group that chose the same piece."""
    length_normalization: Annotated[Literal["none", "average", "gnmt"], LENGTHS] = "average"
    """Divisor of the log-probability of n pieces. none: 1. average: n^alpha. gnmt: ((5+n)/6)^alpha (Wu et al. 2016)."""
    alpha: Annotated[NonNegativeFloat | None, LENGTHS] = None
    """Exponent of the length normalisation. Default: 1 for average, 0.6 for gnmt."""
    max_source_pieces: Annotated[PositiveInt | None, LENGTHS] = None
    """Maximum number of source pieces translated at once. Longer lines are split into sentences, longer sentences into
    parts. Default: set by training.

    Training sets it to the length that one source in 10,000 exceeds."""
    max_length_ratio: Annotated[NonNegativeFloat | None, LENGTHS] = None
    """Maximum length of a translation in pieces, relative to the source. `max_length_constant` is added to it. Default:
    set by training.

    Training sets it to the ratio that one target in 10,000 exceeds. A tight limit ends searches sooner."""
    max_length_constant: Annotated[LengthLimit, LENGTHS] = 10
    """Number of pieces added to the maximum length of a translation."""
    max_length: Annotated[PositiveInt | None, LENGTHS] = None
    """Maximum length of a translation in pieces, for sources of any length. Default: no limit."""
    min_length: Annotated[NonNegativeInt, LENGTHS] = 0
    """Minimum length of a translation in pieces. The maximum length has precedence."""
    min_length_ratio: Annotated[NonNegativeFloat, LENGTHS] = 0.0
    """Minimum length of a translation in pieces, relative to the source."""
    coverage_penalty: Annotated[NonNegativeFloat, PENALTIES] = 0.0
    """Penalty for source pieces with little attention (beta of Wu et al. 2016, 0.2 in the paper). 0 turns it off.

    beta * sum of log(min(attention to a source piece, 1)) is added to the score. With the length normalisation
    `average` the sum is a mean over source pieces, because the score is a mean over target pieces."""
    repetition_penalty: Annotated[float, Field(ge=1), PENALTIES] = 1.0
    """Factor of the log-probability of pieces that already occur in the translation (theta of Keskar et al. 2019). 1
    turns it off."""
    no_repeat_ngram: Annotated[PositiveInt | None, PENALTIES] = None
    """Length of piece n-grams that may occur only once in a translation. Default: no limit."""
    sampling: Annotated[bool, SAMPLING] = False
    """Sample `n_best` translations instead of searching for the best one, as for back-translation.

    The samples of a line depend on the seed and the line, not on the other lines."""
    temperature: Annotated[PositiveFloat, SAMPLING] = 1.0
    """Sampling temperature: below 1 more conservative, above 1 more diverse."""
    top_k: Annotated[PositiveInt | None, SAMPLING] = None
    """Sample from the k most probable pieces only. Default: no limit."""
    top_p: Annotated[float | None, Field(gt=0, lt=1), SAMPLING] = None
    """Sample from the smallest set of pieces whose total probability reaches p. Default: no limit."""
    seed: Annotated[NonNegativeInt, SAMPLING] = 1
    """Random seed of sampling."""
    ensemble_average: Annotated[Literal["probabilities", "log_probabilities"], SEARCH] = "probabilities"
    """Average of the models of an ensemble at each step: arithmetic mean of probabilities, or geometric mean."""
    split_sentences: Annotated[bool, TEXT] = False
    """Translate each sentence of a line separately, for lines that are paragraphs. Each line remains one line."""
    protect: Annotated[bool, TEXT] = False
    """Copy tags, placeholders, URLs and emoji unchanged into the translation.

    If the tokenizer has no placeholder in `tokenizer.user_symbols`, the item is removed before translation and put back
    where the attention points."""
    shortlist: Annotated[bool, COMPUTATION] = False
    """Restrict the output vocabulary to likely translations of the source and to frequent pieces. This is faster and
    costs a little quality.

    It requires the table of `data.shortlist`."""
    batch_sentences: Annotated[PositiveInt, CommandLine("Computation", flag="--batch-size")] = 64
    """Number of sentences translated together. It changes the speed, not the translations."""
    precision: Annotated[Literal["auto", "bf16", "fp32", "int8"], COMPUTATION] = "fp32"
    """Number format of matrix products on a CUDA device.

    fp32 produces exactly the translations of the trained weights. bf16 changes about one line in a thousand. A
    processor computes in fp32, and warns of other formats. int8 is accepted in files of earlier versions."""
    device: Annotated[Literal["auto", "cpu", "cuda"], COMPUTATION] = "auto"
    """Device for computation. auto: a CUDA device if there is one."""
    threads: Annotated[PositiveInt | None, COMPUTATION] = None
    """Number of processor threads. Default: all cores."""
    cuda_graphs: Annotated[bool, COMPUTATION] = False
    """Replay the steps of the decoder as CUDA graphs on a CUDA device, which saves the time to launch each operation.

    This has been tested in an imitation on processors, and not yet on a GPU. Other devices ignore it."""


class EvaluationConfig(Section):
    """Evaluation with sacreBLEU."""

    metrics: list[Literal["bleu", "chrf", "ter"]] = ["bleu", "chrf", "ter"]
    """Metrics of `nmt evaluate`."""
    bleu_tokenizer: Literal["auto", "13a", "intl", "zh", "ja-mecab", "ko-mecab", "flores200", "char", "none"] = "auto"
    """Tokenizer of sacreBLEU. auto: chosen by the target language and the script of the references: zh, ja-mecab or
    ko-mecab, char for other scripts without spaces between words, otherwise 13a."""
    lowercase: bool = False
    """Ignore case."""


class Config(Section):
    """A complete experiment."""

    name: str | None = None
    """Name of the run, stored in `runs/<name>/`. Default: the name of the file, never that of its base."""
    seed: NonNegativeInt = 1
    """Random seed of the experiment."""
    license: License | None = None
    """Licence of the model for the model card, such as CC-BY-4.0. Training ignores it."""
    data: DataConfig
    """Training, validation and test data."""
    tokenizer: TokenizerConfig = TokenizerConfig.model_construct()
    """SentencePiece subword model."""
    model: ModelConfig = ModelConfig.model_construct()
    """The network."""
    training: TrainingConfig = TrainingConfig.model_construct()
    """The training run."""
    decoding: DecodingConfig = DecodingConfig.model_construct()
    """The search for translations."""
    evaluation: EvaluationConfig = EvaluationConfig.model_construct()
    """Evaluation with sacreBLEU."""


class WithBase(Config):
    """An experiment as written in a file: complete, or only the differences from a base."""

    base: str | None = None
    """Configuration file, or name of a recipe such as low-resource, whose options apply where this file sets none.

    Lists are replaced as a whole. The path is relative to this file, or on the command line to the current folder."""
