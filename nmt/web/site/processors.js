// Changes of the log-probabilities of the next piece, and the coverage penalty; see `nmt.search.processors`.
//
// R rows (hypotheses of one sentence), S source length, V vocabulary.

import { EOS } from "./special_tokens.js";
import { logSoftmax } from "./network.js";
import { Matrix } from "./products.js";

/**
 * @typedef {object} LogitsProcessor
 * @property {function(Float32Array, number[]): void} process Changes the log-probabilities [V] of one hypothesis in
 *   place, given its pieces so far.
 */

/** Multiplies the log-probabilities of pieces that occur already, and normalizes again (Keskar et al. 2019). */
export class RepetitionPenalty {
  constructor(theta) {
    this._theta = theta;
  }

  process(logProbs, pieces) {
    for (const piece of new Set(pieces)) logProbs[piece] *= this._theta;
    logSoftmax(logProbs);
  }
}

/** Forbids n-grams that occur in the hypothesis already (Paulus et al. 2018). */
export class NgramBlocking {
  constructor(size) {
    this._size = size;
  }

  process(logProbs, pieces) {
    const before = this._size - 1;
    const last = pieces.length - before;
    for (let start = 0; start < last; start++) {
      let same = true;
      for (let index = 0; index < before; index++) same &&= pieces[start + index] === pieces[last + index];
      if (same) logProbs[pieces[start + before]] = -Infinity;
    }
  }
}

/** Forbids EOS before a minimum number of pieces. */
export class MinimumLength {
  constructor(length) {
    this._length = length;
  }

  process(logProbs, pieces) {
    if (pieces.length < this._length) logProbs[EOS] = -Infinity;
  }
}

const MIN_ATTENTION = 1e-6;

/** The coverage penalty of Wu et al. (2016), see `nmt.search.coverage_penalty`. */
export class CoveragePenalty {
  /**
   * @param {number} beta
   * @param {import("./beam.js").LengthNormalization} normalization
   * @param {number} length S
   */
  constructor(beta, normalization, length) {
    this._strength = normalization.kind === "average" ? beta / normalization.divisor(length) : beta;
    this._length = length;
  }

  /** The sums of the attention weights before the first piece [1, S]. */
  initialSums() {
    return new Matrix(1, this._length);
  }

  /** The sums [R, S] with the weights [R, S] of one more target position. */
  add(sums, weights) {
    if (!weights) throw new Error("decoding.coverage_penalty requires a model with attention.");
    return new Matrix(sums.rows, sums.columns, sums.data.map((sum, index) => sum + weights.data[index]));
  }

  /** The penalty of hypotheses that end now [R], at most 0. */
  bonuses(sums) {
    return Array.from({ length: sums.rows }, (_, row) => {
      let total = 0;
      for (const sum of sums.row(row)) total += Math.log(Math.min(Math.max(sum, MIN_ATTENTION), 1));
      return this._strength * total;
    });
  }
}
