// The decoder: one target piece and attention to one attentional state.
//
// R rows (hypotheses of one sentence), S source length, E embedding size, H hidden size, M context size, O output size.

import { addTo, linear, Matrix, MatrixProduct, sigmoid, tanhInPlace } from "./products.js";
import { hasCell, RecurrentUnit, UnitState } from "./units.js";
import { InferenceState } from "./memory.js";

/** A deep recurrent network with attention in one of three places. */
export class InferenceDecoder {
  /**
   * @param {import("./weights.js").Weights} weights
   * @param {object} config The section `model` of the configuration.
   * @param {import("./encoder.js").EmbeddingTable} embeddings
   * @param {import("./attention.js").InferenceAttention | null} attention
   * @param {number} outputSize O
   */
  constructor(weights, config, embeddings, attention, outputSize) {
    const options = config.decoder;
    const size = options.hidden_size;
    const contextSize = attention ? attention.contextSize : 0;
    this._embeddings = embeddings;
    this._attention = attention;
    this._residualFrom = options.residual_from ?? Infinity;
    this._outputSize = outputSize;
    this._hiddenSize = size;
    this._hasCell = hasCell(options.cell);
    this._placement = attention ? config.attention.placement : "top";
    this._feeds = attention !== null && config.attention.input_feeding;
    const lowest = config.embedding_size + (this._feeds ? outputSize : 0);
    const upper = size + (this._placement === "bottom" ? contextSize : 0);
    const unit = (name, inputSize) => new RecurrentUnit(weights, `decoder.${name}.`, options.cell, inputSize, size);
    this._layers = Array.from({ length: options.layers }, (_, level) => unit(`layers.${level}`, level ? upper : lowest));
    this._second = this._placement === "conditional" ? unit("second_transition", contextSize) : null;
    this._attentionalLayer = new AttentionalProducts(weights, config, contextSize, outputSize);
    const lexicalSize = config.embedding_size;
    this._lexical = config.lexical_model && attention ? linear(weights, "lexical_model.projection", lexicalSize, lexicalSize) : null;
  }

  /**
   * The state before the first piece.
   * @param {UnitState[]} hidden The bridge's state of each layer [1, H]. A cell of null is zeros.
   * @param {import("./memory.js").SourceMemory} memory
   */
  initialState(hidden, memory) {
    return new InferenceState({
      units: hidden.map(({ hidden: values, cell }) =>
        new UnitState(values, this._hasCell ? cell ?? new Matrix(1, this._hiddenSize) : null)),
      feed: this._feeds ? new Matrix(1, this._outputSize) : null,
      coverage: this._attention?.needsCoverage ? new Matrix(1, memory.states.rows) : null,
      position: 0,
    });
  }

  /**
   * Decode one piece of each row.
   * @param {number[]} ids [R]
   * @param {InferenceState} state
   * @param {import("./memory.js").SourceMemory} memory
   * @returns {{outputs: Matrix, lexical: Matrix | null, state: InferenceState, weights: Matrix | null}} The attentional
   *   states [R, O], the lexical states [R, E], the state after the piece, and the attention weights [R, S].
   */
  step(ids, state, memory) {
    const embedded = this._embeddings.embed(ids); // [R, E]
    const units = [];
    let outputs = embedded;
    let attended = null;
    const attend = (queries) => (this._attention ? this._attention.attend(queries, state, memory) : null);
    this._layers.forEach((layer, level) => {
      const inputs = [outputs];
      if (level === 0 && state.feed) inputs.push(state.feed);
      if (level > 0 && this._placement === "bottom" && attended) inputs.push(attended.context);
      let unit = layer.step(inputs, state.units[level]);
      if (level === 0 && this._second) {
        attended = attend(unit.hidden);
        unit = this._second.step([attended.context], unit);
      }
      units.push(unit);
      if (level + 1 >= this._residualFrom) {
        const sum = new Matrix(unit.hidden.rows, unit.hidden.columns, unit.hidden.data.slice()); // [R, H]
        addTo(sum.data, outputs.data);
        outputs = sum;
      } else {
        outputs = unit.hidden;
      }
      if (level === 0 && this._placement === "bottom") attended = attend(outputs);
    });
    attended ??= attend(outputs);
    const states = this._attentionalLayer.combine(attended && attended.context, outputs, embedded); // [R, O]
    return {
      outputs: states,
      lexical: this._lexical && this._lexicalStates(attended.weights, memory),
      state: new InferenceState({
        units,
        feed: state.feed && states,
        coverage: state.coverage && covered(state.coverage, attended.weights),
        position: state.position + 1,
      }),
      weights: attended && attended.weights,
    };
  }

  /** The lexical states [R, E] of attention weights [R, S]. */
  _lexicalStates(weights, memory) {
    const average = new Matrix(weights.rows, memory.embeddings.columns);
    for (let row = 0; row < weights.rows; row++) {
      const sums = average.row(row);
      weights.row(row).forEach((weight, position) => {
        memory.embeddings.row(position).forEach((value, index) => { sums[index] += weight * value; });
      });
    }
    tanhInPlace(average.data);
    const states = this._lexical.multiply(average);
    tanhInPlace(states.data);
    addTo(states.data, average.data);
    return states;
  }
}

function covered(coverage, weights) {
  const sum = new Matrix(coverage.rows, coverage.columns, coverage.data.slice());
  addTo(sum.data, weights.data);
  return sum;
}

/** The attentional state of context, decoder state and embedding. */
class AttentionalProducts {
  constructor(weights, config, contextSize, outputSize) {
    const prefix = "decoder.attentional_layer.";
    const hiddenSize = config.decoder.hidden_size;
    this._kind = config.decoder.output;
    const deep = this._kind === "deep";
    const size = contextSize + hiddenSize + (deep ? config.embedding_size : 0);
    this._all = new MatrixProduct(weights, `${prefix}weight`, outputSize, size, deep ? `${prefix}bias` : undefined);
    const gated = contextSize > 0 && config.attention.context_gate;
    const every = contextSize + hiddenSize + config.embedding_size;
    this._gate = gated ? linear(weights, `${prefix}gate`, outputSize, every, true) : null;
  }

  /**
   * @param {Matrix | null} context [R, M]
   * @param {Matrix} hidden [R, H]
   * @param {Matrix} embedded [R, E]
   * @returns {Matrix} [R, O]
   */
  combine(context, hidden, embedded) {
    const others = this._kind === "deep" ? [hidden, embedded] : [hidden];
    const combined = this._gate
      ? this._gated(context, hidden, embedded, others)
      : this._all.multiply(...(context ? [context, ...others] : others));
    if (this._kind !== "linear") tanhInPlace(combined.data);
    return combined;
  }

  /** z * W_c c + (1 - z) * r */
  _gated(context, hidden, embedded, others) {
    const gate = this._gate.multiply(context, hidden, embedded); // [R, O]
    const zeros = (matrix) => new Matrix(matrix.rows, matrix.columns);
    const combined = this._all.multiply(zeros(context), ...others); // [R, O]: r, with the bias
    const ofContext = this._all.withoutBias(context, ...others.map(zeros)); // [R, O]
    for (let index = 0; index < combined.data.length; index++) {
      combined.data[index] += sigmoid(gate.data[index]) * (ofContext.data[index] - combined.data[index]);
    }
    return combined;
  }
}
