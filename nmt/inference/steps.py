"""Records the arrays of each step of a translation: query, scores, weights, context, attentional state, output.

The translation runs through the network for inference once more, one piece at a time, with a trace of each step.

S source length (with EOS), H query size, M memory size, A key size, N heads, O output size, V target vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.special_tokens import BOS, EOS
from nmt.engine import InferenceNetwork
from nmt.engine.memory import InferenceState, SourceMemory, Trace
from nmt.errors import UsageError
from nmt.inference.attention import LinePairer
from nmt.inference.attention_map import END, piece_units, word_spans
from nmt.inference.forced_decoding import IdPair
from nmt.inference.hardware import Processor
from nmt.inference.model_file import ModelFile

if TYPE_CHECKING:
    from nmt.config.schema import ModelConfig

START = "<s>"
"""The text of BOS, the first input of the decoder."""
TOP_WORDS = 5

Numbers = NDArray[np.float32]


class Stage(NamedTuple):
    """One equation of a step, and the array that it makes."""

    name: str
    """The key of TEXTS in `nmt.plots.steps_texts`, such as "query"."""
    equation: str
    values: Numbers


class OutputPiece(NamedTuple):
    """A piece with its probability."""

    text: str
    probability: float


class Step(NamedTuple):
    """The prediction of one target piece."""

    input: str
    """The piece before, which the decoder reads."""
    piece: str
    stages: list[Stage]
    """In the order in which they are computed."""
    best: list[OutputPiece]
    """The most probable pieces, the most probable first."""
    probability: float
    """The probability of `piece`."""


class SegmentSteps(NamedTuple):
    """The steps of one segment of a line."""

    source: list[str]
    """Source pieces, with END."""
    source_words: list[range]
    """The pieces of each source word."""
    keys: Numbers | None
    """Attention keys [N, S, A]; None without attention."""
    values: Numbers
    """Attention values [N, S, M/N]; without attention the encoder states [1, S, M]."""
    steps: list[Step]


class LineSteps(NamedTuple):
    """The steps of one line."""

    line: int
    """From 1."""
    source: str
    translation: str
    segments: list[SegmentSteps]


class StepRecorder:
    """Records the steps of lines. Computes in numpy on the processor, with any architecture."""

    def __init__(self, model: ModelFile, *, decoding: Mapping[str, Any], top: int = TOP_WORDS) -> None:
        """Make the network of a model.

        Args:
            model: The model.
            decoding: Options that override the model's own; see `Translator.from_models`.
            top: Number of output pieces of each step.

        Raises:
            UsageError: An option cannot be used.
            CheckpointError: The weights do not fit the configuration.
        """
        self._pairer = LinePairer(model, decoding=decoding)
        self._hardware = Processor(1)
        network = model.network(self._hardware)
        if not isinstance(network, InferenceNetwork):
            raise UsageError(
                f"{model.path.parent}: ONNX graphs do not show their steps. Use the model file from which they were "
                "exported."
            )
        self._network = network
        self._config = model.config.model
        self._shown = model.tokenizers.with_direction(right_to_left=False)
        self._top = top

    def record(self, lines: Iterable[str], targets: Sequence[str] | None = None) -> Iterator[LineSteps | None]:
        """Return the steps of each line, in order; None for a blank line or a blank translation.

        Args:
            lines: Any strings.
            targets: The translation of each line. None: the model translates the lines.
        """
        for window in self._pairer.pair(lines, targets):
            for line in window:
                segments = [self._segment(pair) for pair in line.pairs]
                yield LineSteps(line.line, line.source, line.translation, segments) if segments else None

    def _segment(self, pair: IdPair) -> SegmentSteps:
        source = [*pair.source, EOS]
        units = piece_units(source, self._shown.source)
        with self._hardware.computing():
            memory = self._network.encode(np.array([source]), np.array([len(source)]))
            state, steps, before = self._network.init_state(memory), [], BOS
            for piece in (*pair.target, EOS):
                step, state = self._step(before, piece, state, memory)
                steps.append(step)
                before = piece
        keys = memory.keys if memory.keys.ndim == 4 else memory.keys[:, None]  # [1, N, S, A]
        has_attention = self._config.attention.score != "none"
        return SegmentSteps(units.texts, word_spans(units), keys[0] if has_attention else None, memory.values[0], steps)

    def _step(
        self, before: int, piece: int, state: InferenceState, memory: SourceMemory
    ) -> tuple[Step, InferenceState]:
        trace: Trace = {}
        decoded = self._network.decode(np.array([before]), state, memory, trace)
        probabilities = np.exp(self._network.log_probs(decoded.outputs)[0])  # [V]
        best = np.argsort(-probabilities, kind="stable")[: self._top]
        step = Step(
            self._text(before),
            self._text(piece),
            make_stages(self._config, trace, state, probabilities),
            [OutputPiece(self._text(int(index)), float(probabilities[index])) for index in best],
            float(probabilities[piece]),
        )
        return step, decoded.state

    def _text(self, piece: int) -> str:
        if piece in (BOS, EOS):
            return START if piece == BOS else END
        return self._shown.target.pieces([piece])[0]


def make_stages(config: ModelConfig, trace: Trace, state: InferenceState, probabilities: Numbers) -> list[Stage]:
    """Return the stages of a step in the order in which they are computed.

    Args:
        config: The section `model`.
        trace: The arrays of the step, for one row.
        state: The state before the step.
        probabilities: [V]
    """
    arrays: dict[str, Numbers] = {
        "input": trace["embedded"][0],
        "state": trace["hidden"][0],
        "attentional": trace["attentional"][0],
        "combined": trace["combined"][0],
        "output": probabilities,
    }
    if state.feed is not None:
        arrays["feed"] = state.feed[0]
    for name in ("query", "projected_query", "context", "gate", "lexical"):
        if name in trace:
            arrays[name] = trace[name][0]
    if "scores" in trace:
        arrays["scores"] = trace["scores"][0, :, 0]  # [N, S]
        arrays["weights"] = trace["head_weights"][0, :, 0]  # [N, S]
        if config.attention.heads > 1:
            arrays["mean_weights"] = trace["weights"][0]  # [S]
    if config.attention.scope != "global" and "visible" in trace:
        visible = trace["visible"][0, :, 0].astype(np.float32)  # [1 or N, S]
        factors = trace.get("factors")
        arrays["window"] = visible if factors is None else visible * factors[0, :, 0]  # [1 or N, S]
    if state.coverage is not None:
        arrays["coverage"] = state.coverage[0]
    if "context" in trace:
        parts = [arrays["context"], arrays["state"]]
        arrays["concatenation"] = np.concatenate(
            [*parts, arrays["input"]] if config.decoder.output == "deep" else parts
        )
    return [Stage(name, text, arrays[name]) for name, text in equations(config).items() if name in arrays]


def equations(config: ModelConfig) -> dict[str, str]:
    """Return the equation of each stage of this architecture, in the order in which the stages are computed.

    y is the embedding of the piece before, h_i an encoder state, q_t the query, s_t the state of the top layer.
    """
    attention, decoder = config.attention, config.decoder
    if attention.score == "none":
        return {
            "input": "y_(t-1) = E[piece before]",
            "state": f"s_t = {_cell(config)}(y_(t-1), s_(t-1))",
            **_output_equations(config, "y" if decoder.output == "deep" else ""),
        }
    fed = "[y_(t-1); s̃_(t-1)]" if attention.input_feeding else "y_(t-1)"
    recurrence = f"{_cell(config)}({fed}, s_(t-1))"
    query = {
        "top": f"q_t = s_t = {recurrence}",
        "bottom": f"q_t = {recurrence}",
        "conditional": f"q_t = {recurrence}",
    }[attention.placement]
    state = {
        "top": "s_t = q_t",
        "bottom": f"s_t = {_cell(config)}([q_t; c_t], ...), upper layers" if decoder.layers > 1 else "s_t = q_t",
        "conditional": f"s_t = {_cell(config)}(c_t, q_t), second transition",
    }[attention.placement]
    found = {"input": "y_(t-1) = E[piece before]"}
    if attention.input_feeding:
        found["feed"] = "s̃_(t-1), fed with the input"
    found["query"] = query
    if attention.coverage:
        found["coverage"] = "g_ti = Σ a_ki over k < t"
    if projected := PROJECTED_QUERIES.get(attention.score if attention.heads == 1 else f"heads_{attention.score}"):
        found["projected_query"] = projected
    found["scores"] = score_equation(config)
    softmax = "softmax(e_t)"
    if attention.scope != "global":
        found["window"] = WINDOWS[attention.scope].format(window=attention.window)
        softmax = "softmax of e_t in the window" + (" · w_t" if attention.scope == "local_p" else "")
    found["weights"] = f"a_t = {softmax}" + (", for each head" if attention.heads > 1 else "")
    if attention.heads > 1:
        found["mean_weights"] = "mean of a_t over the heads"
    found["context"] = "c_t = Σ a_ti h_i" if attention.heads == 1 else "c_t = [Σ a_ti V h_i for each head]"
    if attention.placement != "top":
        found["state"] = state
    shown = "[c_t; s_t; y_(t-1)]" if decoder.output == "deep" else "[c_t; s_t]"
    found["concatenation"] = shown
    return found | _output_equations(config, shown)


PROJECTED_QUERIES = {
    "concat": "W q_t",
    "additive": "W q_t + b",
    "heads_concat": "W q_t",
    "heads_additive": "W q_t + b",
    "heads_dot": "W q_t",
    "heads_scaled_dot": "W q_t",
}
"""The part of the score that depends on the query alone, by score."""
WINDOWS = {
    "local_m": "w_ti = 1 if |i - t| ≤ {window}, else 0",
    "local_p": "w_ti = exp(-2 (i - p_t)² / D²), 0 beyond D = {window}",
}


def score_equation(config: ModelConfig) -> str:
    """Return the equation of the score function."""
    attention = config.attention
    several = attention.heads > 1
    covered = " + w g_ti" if attention.coverage else ""
    products = "W q_t · U h_i" if several else "q_t · h_i"
    return (
        "e_ti = "
        + {
            "dot": products,
            "scaled_dot": f"{products} / √A",
            "general": "q_t · W h_i",
            "concat": f"v · tanh(W q_t + U h_i{covered})",
            "additive": f"v · tanh(W q_t + U h_i + b{covered})",
        }[attention.score]
    )


def _cell(config: ModelConfig) -> str:
    return {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM", "layer_norm_lstm": "LayerNormLSTM"}[config.decoder.cell]


def _output_equations(config: ModelConfig, concatenated: str) -> dict[str, str]:
    """Return the equations after the recurrent layers."""
    deep, gated = config.decoder.output == "deep", config.attention.context_gate
    bias = " + b" if deep else ""
    without = config.attention.score == "none"
    inputs = ("[s_t; y_(t-1)]" if deep else "s_t") if without else concatenated
    found = {}
    combined = f"r_t = W_c {inputs}{bias}"
    if gated and not without:
        found["gate"] = "z_t = σ(W_z [c_t; s_t; y_(t-1)] + b_z)"
        others = "[s_t; y_(t-1)]" if deep else "s_t"
        combined = f"r_t = z_t W_c c_t + (1 - z_t)(W_s {others}{bias})"
    found["combined"] = combined
    found["attentional"] = "s̃_t = r_t" if config.decoder.output == "linear" else "s̃_t = tanh(r_t)"
    lexical = ""
    if config.lexical_model and not without:
        found["lexical"] = "l_t = tanh(L x̄_t) + x̄_t, x̄_t = tanh(Σ a_ti x_i)"
        lexical = " + V_l l_t"
    found["output"] = f"p = softmax(V s̃_t{lexical} + d)"
    return found


def architecture_notes(config: ModelConfig) -> list[str]:
    """Return the names of the parts of the story that this architecture lacks or computes in another way.

    `nmt.plots.steps_texts` has a sentence for each name.
    """
    attention, decoder = config.attention, config.decoder
    conditions = {
        "no_attention": attention.score == "none",
        "additive": attention.score in ("additive", "concat"),
        "heads": attention.heads > 1,
        "local": attention.scope != "global",
        "covered": attention.coverage,
        "bottom": attention.placement == "bottom",
        "conditional": attention.placement == "conditional",
        "input_feeding": attention.input_feeding,
        "context_gate": attention.context_gate,
        "linear": decoder.output == "linear",
    }
    if attention.score == "none":
        conditions = {name: holds and name in ("no_attention", "linear") for name, holds in conditions.items()}
    return [name for name, holds in conditions.items() if holds]
