// Recurrent units: RNN, GRU, LSTM, and LSTM with layer normalization.
//
// R rows, I input features, H hidden size, G gate features.

import { addTo, Matrix, MatrixProduct, sigmoid, tanhInPlace } from "./products.js";

const EPSILON = 1e-5;
const GATES = { rnn: 1, gru: 3, lstm: 4, layer_norm_lstm: 4 };

/** The state of one recurrent layer. */
export class UnitState {
  /**
   * @param {Matrix} hidden [R, H]
   * @param {Matrix | null} cell The memory cell [R, H]; null for units without one.
   */
  constructor(hidden, cell) {
    this.hidden = hidden;
    this.cell = cell;
  }

  select(rows) {
    return new UnitState(this.hidden.select(rows), this.cell && this.cell.select(rows));
  }
}

/** Whether units of a kind have a memory cell. */
export function hasCell(kind) {
  return kind.endsWith("lstm");
}

/** One layer in one direction. */
export class RecurrentUnit {
  /**
   * @param {import("./weights.js").Weights} weights
   * @param {string} prefix The name of the cell with a dot at the end.
   * @param {"rnn" | "gru" | "lstm" | "layer_norm_lstm"} kind
   * @param {number} inputSize I
   * @param {number} hiddenSize H
   */
  constructor(weights, prefix, kind, inputSize, hiddenSize) {
    const size = GATES[kind] * hiddenSize; // G
    const normalized = kind === "layer_norm_lstm";
    const name = (part) => `${prefix}${part}${normalized ? "" : "_l0"}`;
    const bias = (part) => (normalized ? undefined : name(`bias_${part}`));
    this._kind = kind;
    this._size = hiddenSize;
    this._inputs = new MatrixProduct(weights, name("weight_ih"), size, inputSize, bias("ih"));
    this._recurrent = new MatrixProduct(weights, name("weight_hh"), size, hiddenSize, bias("hh"));
    if (normalized) {
      const vector = (part, length) => weights.take(`${prefix}${part}`, length);
      this._gateGain = vector("gate_gain", size);
      this._gateBias = vector("gate_bias", size);
      this._cellGain = vector("cell_gain", hiddenSize);
      this._cellBias = vector("cell_bias", hiddenSize);
    }
  }

  /** The state of zeros of R rows. */
  zeros(rows) {
    return new UnitState(new Matrix(rows, this._size), hasCell(this._kind) ? new Matrix(rows, this._size) : null);
  }

  /**
   * The products of the inputs with their bias [R, G], for `advance`.
   * @param {...Matrix} inputs [R, I'] each
   */
  inputs(...inputs) {
    return this._inputs.multiply(...inputs);
  }

  /**
   * @param {Matrix[]} inputs [R, I'] each
   * @param {UnitState} state
   * @returns {UnitState}
   */
  step(inputs, state) {
    return this.advance(this.inputs(...inputs), state);
  }

  /**
   * @param {Matrix} gates The products of the inputs [R, G]; overwritten.
   * @param {UnitState} state
   * @returns {UnitState}
   */
  advance(gates, state) {
    const recurrent = this._recurrent.multiply(state.hidden); // [R, G]
    if (this._kind === "gru") return new UnitState(this._gru(gates, recurrent, state.hidden), null);
    addTo(gates.data, recurrent.data);
    if (this._kind === "rnn") return new UnitState(new Matrix(gates.rows, this._size, tanhInPlace(gates.data)), null);
    return this._lstm(gates, state.cell);
  }

  /** Gates are in the order reset, update, new. The reset gate is applied after the product. */
  _gru(gates, recurrent, before) {
    const size = this._size;
    const hidden = new Matrix(gates.rows, size);
    for (let row = 0; row < gates.rows; row++) {
      const [into, from, old, result] = [gates.row(row), recurrent.row(row), before.row(row), hidden.row(row)];
      for (let index = 0; index < size; index++) {
        const reset = sigmoid(into[index] + from[index]);
        const update = sigmoid(into[size + index] + from[size + index]);
        const fresh = Math.tanh(into[2 * size + index] + reset * from[2 * size + index]);
        result[index] = (1 - update) * fresh + update * old[index];
      }
    }
    return hidden;
  }

  /** Gates are in the order input, forget, new, output. */
  _lstm(gates, before) {
    const size = this._size;
    const hidden = new Matrix(gates.rows, size);
    const cell = new Matrix(gates.rows, size);
    for (let row = 0; row < gates.rows; row++) {
      const [values, old, next, result] = [gates.row(row), before.row(row), cell.row(row), hidden.row(row)];
      if (this._gateGain) {
        for (let gate = 0; gate < 4; gate++) normalize(values.subarray(gate * size, (gate + 1) * size));
        scale(values, this._gateGain, this._gateBias);
      }
      for (let index = 0; index < size; index++) {
        const fresh = sigmoid(values[index]) * Math.tanh(values[2 * size + index]);
        next[index] = sigmoid(values[size + index]) * old[index] + fresh;
      }
      result.set(next);
      if (this._cellGain) {
        normalize(result);
        scale(result, this._cellGain, this._cellBias);
      }
      for (let index = 0; index < size; index++) {
        result[index] = sigmoid(values[3 * size + index]) * Math.tanh(result[index]);
      }
    }
    return new UnitState(hidden, cell);
  }
}

/** (v - mean) / sqrt(variance + epsilon), in place. */
function normalize(values) {
  let mean = 0;
  for (const value of values) mean += value / values.length;
  let variance = 0;
  for (const value of values) variance += (value - mean) ** 2 / values.length;
  const factor = 1 / Math.sqrt(variance + EPSILON);
  for (let index = 0; index < values.length; index++) values[index] = (values[index] - mean) * factor;
}

function scale(values, gain, bias) {
  for (let index = 0; index < values.length; index++) values[index] = values[index] * gain[index] + bias[index];
}
