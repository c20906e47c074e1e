// Attention: score, softmax, weighted sum.
//
// R rows (hypotheses of one sentence), S source length, H query size, M memory size, A key size, N heads.

import { dot, linear, Matrix, sigmoid, tanhInPlace } from "./products.js";

/** Attention over the whole source sentence or a window of it, with any score function. */
export class InferenceAttention {
  /**
   * @param {import("./weights.js").Weights} weights
   * @param {object} config The section `model` of the configuration.
   * @param {number} memorySize M
   */
  constructor(weights, config, memorySize) {
    const options = config.attention;
    const querySize = config.decoder.hidden_size;
    const prefix = "decoder.attention.";
    this._heads = options.heads;
    this._scope = options.scope;
    this._window = options.window;
    this.contextSize = memorySize;
    this.needsCoverage = options.coverage;
    this._score = makeScore(weights, config, memorySize);
    this._values = this._heads > 1 ? linear(weights, `${prefix}value_projection`, memorySize, memorySize) : null;
    if (options.scope === "local_p") {
      this._centerProjection = linear(weights, `${prefix}window.projection`, querySize, querySize);
      this._centerVector = linear(weights, `${prefix}window.vector`, this._heads, querySize);
    }
  }

  /**
   * Project the states once for each sentence.
   * @param {Matrix} states [S, M]
   * @returns {{keys: Matrix, values: Matrix}} [S, A] and [S, M]
   */
  keysAndValues(states) {
    return { keys: this._score.keys(states), values: this._values ? this._values.multiply(states) : states };
  }

  /**
   * @param {Matrix} queries [R, H]
   * @param {import("./memory.js").InferenceState} state
   * @param {import("./memory.js").SourceMemory} memory
   * @returns {{context: Matrix, weights: Matrix}} [R, M], and the mean weights of the heads [R, S].
   */
  attend(queries, state, memory) {
    const heads = this._heads;
    const width = memory.states.rows;
    const part = this.contextSize / heads;
    const scores = this._score.scores(queries, memory, state.coverage); // [R * N, S]
    const centers = this._centers(queries, state.position, width); // [R * N], or null
    const context = new Matrix(queries.rows, this.contextSize);
    const mean = new Matrix(queries.rows, width);
    for (let index = 0; index < scores.rows; index++) {
      const row = Math.floor(index / heads);
      const head = index % heads;
      const weights = scores.row(index);
      softmax(weights, centers && centers[index], this._window);
      if (this._scope === "local_p") weighByDistance(weights, centers[index], this._window);
      const result = context.row(row).subarray(head * part, (head + 1) * part);
      for (let position = 0; position < width; position++) {
        const weight = weights[position];
        mean.data[row * width + position] += weight / heads;
        if (weight === 0) continue;
        const start = position * this.contextSize + head * part;
        for (let feature = 0; feature < part; feature++) result[feature] += weight * memory.values.data[start + feature];
      }
    }
    return { context, weights: mean };
  }

  /** The centre of the window of each row and head [R * N]; null for global attention. */
  _centers(queries, position, width) {
    if (this._scope === "global") return null;
    if (this._scope === "local_m") {
      return new Float64Array(queries.rows * this._heads).fill(Math.min(position, width - 1 + this._window));
    }
    const projected = this._centerProjection.multiply(queries);
    tanhInPlace(projected.data);
    return this._centerVector.multiply(projected).data.map((logit) => sigmoid(logit) * width); // [R, N]
  }
}

/** Softmax of scores [S] in place, over the positions in the window around `center`, or over all if it is null. */
function softmax(scores, center, window) {
  let greatest = -Infinity;
  for (let position = 0; position < scores.length; position++) {
    if (center !== null && Math.abs(position - center) > window) scores[position] = -Infinity;
    greatest = Math.max(greatest, scores[position]);
  }
  let sum = 0;
  for (let position = 0; position < scores.length; position++) {
    scores[position] = Math.exp(scores[position] - greatest);
    sum += scores[position];
  }
  for (let position = 0; position < scores.length; position++) scores[position] /= sum;
}

/** Multiply weights [S] with a Gaussian around `center` in place. */
function weighByDistance(weights, center, window) {
  for (let position = 0; position < weights.length; position++) {
    weights[position] *= Math.exp((-2 * (position - center) ** 2) / window ** 2);
  }
}

/** Scores that are products of queries and keys: dot, scaled dot and general, with any number of heads. */
class DotProducts {
  constructor({ keys = null, queries = null, scale = 1, heads }) {
    this._keys = keys;
    this._queries = queries;
    this._scale = scale;
    this._heads = heads;
  }

  keys(states) {
    return this._keys ? this._keys.multiply(states) : states;
  }

  scores(queries, memory) {
    const projected = this._queries ? this._queries.multiply(queries) : queries; // [R, A]
    const keys = memory.keys;
    const part = keys.columns / this._heads;
    const scores = new Matrix(projected.rows * this._heads, keys.rows);
    for (let index = 0; index < scores.rows; index++) {
      const row = Math.floor(index / this._heads);
      const start = (index % this._heads) * part;
      for (let position = 0; position < keys.rows; position++) {
        scores.data[index * keys.rows + position] = this._scale *
          dot(projected.data, row * projected.columns + start, keys.data, position * keys.columns + start, part);
      }
    }
    return scores;
  }
}

/** v . tanh(W q + U k + b + w c). */
class AdditiveScores {
  constructor(weights, config, memorySize) {
    const options = config.attention;
    const querySize = config.decoder.hidden_size;
    const prefix = "decoder.attention.score.";
    this._size = options.size ?? querySize; // A
    this._heads = options.heads;
    this._queries = linear(weights, `${prefix}query_projection`, this._size, querySize, options.score === "additive");
    this._keys = linear(weights, `${prefix}key_projection`, this._size, memorySize);
    this._coverage = options.coverage ? weights.take(`${prefix}coverage_vector.weight`, 1, this._size) : null;
    this._vector = weights.take(`${prefix}vector.weight`, 1, this._size);
  }

  keys(states) {
    return this._keys.multiply(states);
  }

  scores(queries, memory, coverage) {
    const projected = this._queries.multiply(queries); // [R, A]
    const { keys } = memory;
    const part = this._size / this._heads;
    const scores = new Matrix(queries.rows * this._heads, keys.rows);
    for (let index = 0; index < scores.rows; index++) {
      const row = Math.floor(index / this._heads);
      const first = (index % this._heads) * part;
      for (let position = 0; position < keys.rows; position++) {
        const covered = this._coverage ? coverage.data[row * keys.rows + position] : 0;
        let sum = 0;
        for (let feature = first; feature < first + part; feature++) {
          let value = projected.data[row * this._size + feature] + keys.data[position * this._size + feature];
          if (this._coverage) value += covered * this._coverage[feature];
          sum += this._vector[feature] * Math.tanh(value);
        }
        scores.data[index * keys.rows + position] = sum;
      }
    }
    return scores;
  }
}

function makeScore(weights, config, memorySize) {
  const options = config.attention;
  const querySize = config.decoder.hidden_size;
  const prefix = "decoder.attention.score.";
  const { heads } = options;
  if (options.score === "additive" || options.score === "concat") return new AdditiveScores(weights, config, memorySize);
  if (options.score === "general") {
    return new DotProducts({ keys: linear(weights, `${prefix}projection`, querySize, memorySize), heads });
  }
  const size = options.size ?? querySize;
  const compared = heads === 1 ? memorySize : size / heads;
  const scale = options.score === "scaled_dot" ? compared ** -0.5 : 1;
  if (heads === 1) return new DotProducts({ scale, heads });
  return new DotProducts({
    queries: linear(weights, `${prefix}query_projection`, size, querySize),
    keys: linear(weights, `${prefix}key_projection`, size, memorySize),
    scale,
    heads,
  });
}
