// The network of a model: encode, initState, step, and forced decoding, for one sentence.
//
// R rows (hypotheses of one sentence), S source length, T target length, V vocabulary, O output size, M memory size.

import { addTo, linear, Matrix, MatrixProduct, tanhInPlace } from "./products.js";
import { EmbeddingTable, InferenceEncoder } from "./encoder.js";
import { InferenceAttention } from "./attention.js";
import { InferenceDecoder } from "./decoder.js";
import { UnitState } from "./units.js";

/** A recurrent translation model. */
export class InferenceNetwork {
  /**
   * @param {import("./weights.js").Weights} weights
   * @param {object} config The section `model` of the configuration.
   * @param {number} sourceSize Pieces of the source vocabulary.
   * @param {number} targetSize V
   */
  constructor(weights, config, sourceSize, targetSize) {
    const size = config.embedding_size;
    const scale = config.scale_embeddings ? Math.sqrt(size) : 1;
    const sourceName = "encoder.embeddings.table.weight";
    const targetName = config.tying === "three_way" ? sourceName : "decoder.embeddings.table.weight";
    const table = (name, pieces) => new EmbeddingTable(weights.take(name, pieces, size), size, scale);
    this._encoder = new InferenceEncoder(weights, config, table(sourceName, sourceSize));
    const memorySize = this._encoder.outputSize;
    this._attention = config.attention.score === "none" ? null : new InferenceAttention(weights, config, memorySize);
    const tied = config.tying !== "none";
    const outputSize = tied ? size : config.decoder.hidden_size;
    this._decoder = new InferenceDecoder(weights, config, table(targetName, targetSize), this._attention, outputSize);
    this._bridge = new InferenceBridge(weights, config, memorySize);
    this._output = new MatrixProduct(weights, tied ? targetName : "output.weight", targetSize, outputSize, "output.bias");
    const hasLexicalModel = config.lexical_model && this._attention !== null;
    this._lexicalOutput = hasLexicalModel ? new MatrixProduct(weights, "output.lexical_weight", targetSize, size) : null;
  }

  /** Whether the network has attention weights. */
  get hasAttention() {
    return this._attention !== null;
  }

  /**
   * @param {number[]} ids Source ids that end with EOS.
   * @returns {import("./memory.js").SourceMemory}
   */
  encode(ids) {
    const encoded = this._encoder.encode(ids);
    const { keys, values } = this._attention ? this._attention.keysAndValues(encoded.states) : { keys: null, values: null };
    return { ...encoded, keys, values };
  }

  /** The initial decoder state: one row. */
  initState(memory) {
    return this._decoder.initialState(this._bridge.states(memory), memory);
  }

  /**
   * Feed one piece to each row.
   * @param {number[]} ids [R]
   * @returns {{logProbs: Matrix, state: import("./memory.js").InferenceState, weights: Matrix | null}} Log-probabilities
   *   [R, V], the state after the piece, and attention weights [R, S].
   */
  step(ids, state, memory) {
    const decoded = this._decoder.step(ids, state, memory);
    const logProbs = this._output.multiply(decoded.outputs); // [R, V]
    if (this._lexicalOutput) addTo(logProbs.data, this._lexicalOutput.multiply(decoded.lexical).data);
    for (let row = 0; row < logProbs.rows; row++) logSoftmax(logProbs.row(row));
    return { logProbs, state: decoded.state, weights: decoded.weights };
  }

  /**
   * The attention weights [T, S] of a known translation.
   * @param {number[]} ids Source ids that end with EOS.
   * @param {number[]} targets The inputs of the decoder [T], BOS first.
   * @returns {Matrix}
   */
  forcedAttention(ids, targets) {
    const memory = this.encode(ids);
    const weights = new Matrix(targets.length, ids.length);
    let state = this.initState(memory);
    targets.forEach((id, row) => {
      const decoded = this._decoder.step([id], state, memory);
      weights.row(row).set(decoded.weights.data);
      state = decoded.state;
    });
    return weights;
  }
}

/** Normalize log-probabilities in place. */
export function logSoftmax(values) {
  let greatest = -Infinity;
  for (let index = 0; index < values.length; index++) if (values[index] > greatest) greatest = values[index];
  let sum = 0;
  for (let index = 0; index < values.length; index++) sum += Math.exp(values[index] - greatest);
  const normalizer = greatest + Math.log(sum);
  for (let index = 0; index < values.length; index++) values[index] -= normalizer;
}

/** The initial states of the decoder's layers. */
class InferenceBridge {
  constructor(weights, config, memorySize) {
    this._kind = config.decoder.bridge;
    this._layers = config.decoder.layers;
    this._size = config.decoder.hidden_size;
    const learned = this._kind.startsWith("learned_");
    this._projection = learned ? linear(weights, "bridge.projection", this._layers * this._size, memorySize, true) : null;
  }

  /** @returns {UnitState[]} The state of each layer [1, H]. A cell of null is zeros. */
  states(memory) {
    const every = (hidden) => Array.from({ length: this._layers }, () => new UnitState(hidden, null));
    if (this._kind === "zero") return every(new Matrix(1, this._size));
    if (this._kind === "last_with_cells") return memory.final;
    if (this._kind === "last") return memory.final.map((state) => new UnitState(state.hidden, null));
    const summary = this._kind === "learned_last" ? memory.final.at(-1).hidden : mean(memory.states); // [1, M]
    if (!this._projection) return every(summary);
    const hidden = tanhInPlace(this._projection.multiply(summary).data); // [L * H]
    return Array.from({ length: this._layers }, (_, level) =>
      new UnitState(new Matrix(1, this._size, hidden.slice(level * this._size, (level + 1) * this._size)), null));
  }
}

/** The mean of the rows of a matrix, as one row. */
function mean(states) {
  const sum = new Matrix(1, states.columns);
  for (let row = 0; row < states.rows; row++) addTo(sum.data, states.row(row));
  sum.data.forEach((value, index) => { sum.data[index] = value / states.rows; });
  return sum;
}
