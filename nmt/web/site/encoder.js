// The encoder: source pieces to memory states.
//
// S source length, E embedding size, H hidden size, D directions, M memory size.

import { addTo, concatenate, Matrix } from "./products.js";
import { RecurrentUnit, UnitState } from "./units.js";

/** The embeddings of one side. */
export class EmbeddingTable {
  /**
   * @param {Float32Array} table [V, E]
   * @param {number} size E
   * @param {number} scale
   */
  constructor(table, size, scale) {
    this._table = table;
    this._size = size;
    this._scale = scale;
  }

  /**
   * @param {number[]} ids
   * @returns {Matrix} [ids, E]
   */
  embed(ids) {
    const size = this._size;
    const embedded = new Matrix(ids.length, size);
    ids.forEach((id, row) => {
      for (let index = 0; index < size; index++) embedded.data[row * size + index] = this._table[id * size + index] * this._scale;
    });
    return embedded;
  }
}

/** A deep recurrent network over the source. */
export class InferenceEncoder {
  /**
   * @param {import("./weights.js").Weights} weights
   * @param {object} config The section `model` of the configuration.
   * @param {EmbeddingTable} embeddings
   */
  constructor(weights, config, embeddings) {
    const options = config.encoder;
    this._embeddings = embeddings;
    this._residualFrom = options.residual_from ?? Infinity;
    this._reversed = options.reversed;
    const bothLayers = options.bidirectional ? options.bidirectional_layers ?? options.layers : 0;
    let size = config.embedding_size;
    /** @type {{unit: RecurrentUnit, backward: boolean}[][]} */
    this._layers = [];
    for (let level = 0; level < options.layers; level++) {
      const alone = options.alternating && level % 2 === 1 ? "backward" : "forward";
      const names = level < bothLayers ? ["forward", "backward"] : [alone];
      this._layers.push(names.map((name) => ({
        unit: new RecurrentUnit(weights, `encoder.layers.${level}.${name}_cell.`, options.cell, size, options.hidden_size),
        backward: name === "backward",
      })));
      size = options.hidden_size * names.length;
    }
    /** M */
    this.outputSize = size;
  }

  /**
   * @param {number[]} ids Source ids that end with EOS.
   * @returns {{states: Matrix, final: UnitState[], embeddings: Matrix}} [S, M], and [S, E] in the order of the source.
   */
  encode(ids) {
    const embeddings = this._embeddings.embed(ids);
    // EOS keeps its position.
    let states = this._reversed ? reverse(embeddings, ids.length - 1) : embeddings;
    const final = [];
    this._layers.forEach((layer, level) => {
      const read = layer.map((direction) => readLayer(direction, states));
      const outputs = concatenate(read.map((each) => each.outputs)); // [S, D * H]
      if (level + 1 >= this._residualFrom) addTo(outputs.data, states.data);
      states = outputs;
      const cells = read.map((each) => each.state.cell);
      final.push(new UnitState(concatenate(read.map((each) => each.state.hidden)), cells[0] && concatenate(cells)));
    });
    return { states: this._reversed ? reverse(states, ids.length - 1) : states, final, embeddings };
  }
}

/**
 * Read inputs [S, I] in one direction.
 * @returns {{outputs: Matrix, state: UnitState}} The outputs in the order of the inputs [S, H], and the last state [1, H].
 */
function readLayer({ unit, backward }, inputs) {
  const length = inputs.rows;
  const gates = unit.inputs(inputs); // [S, G]
  let state = unit.zeros(1);
  const outputs = new Matrix(length, state.hidden.columns);
  for (let step = 0; step < length; step++) {
    const position = backward ? length - 1 - step : step;
    state = unit.advance(new Matrix(1, gates.columns, gates.row(position)), state);
    outputs.row(position).set(state.hidden.data);
  }
  return { outputs, state };
}

/** Reverse the first `count` rows of a matrix. */
function reverse(matrix, count) {
  return matrix.select(Array.from({ length: matrix.rows }, (_, row) => (row < count ? count - 1 - row : row)));
}
