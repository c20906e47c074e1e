// Beam search for one sentence, as in `nmt.search.beam`: exact, with the same order of equal hypotheses.
//
// R rows (live hypotheses), K beam size, V vocabulary, S source length.

import { BOS, EOS } from "./special_tokens.js";

/**
 * @typedef {object} TokenHypothesis
 * @property {number[]} ids Target ids, without BOS and EOS.
 * @property {number} score The ranking score.
 * @property {number} logProbability Sum of the model's log-probabilities over the pieces and EOS.
 * @property {boolean} finished False if the length limit ended it.
 */

/** Divides the log-probability of a hypothesis by a function of its length. */
export class LengthNormalization {
  /**
   * @param {"none" | "average" | "gnmt"} kind
   * @param {number} alpha
   */
  constructor(kind, alpha) {
    this.kind = kind;
    this._alpha = alpha;
  }

  /** The divisor for hypotheses of `length` pieces, EOS included. */
  divisor(length) {
    if (this.kind === "none") return 1;
    return this.kind === "average" ? length ** this._alpha : ((5 + length) / 6) ** this._alpha;
  }
}

/**
 * @param {import("./network.js").InferenceNetwork} model
 * @param {number[]} source Source ids that end with EOS.
 * @param {object} options
 * @param {number} options.beamSize K
 * @param {number} options.nBest Hypotheses to return, at most K.
 * @param {number} options.maxLength Length limit in pieces, without EOS.
 * @param {LengthNormalization} options.normalization
 * @param {"exact" | "fast"} options.stopping
 * @param {import("./processors.js").LogitsProcessor[]} [options.processors]
 * @param {import("./processors.js").CoveragePenalty | null} [options.coverage]
 * @returns {TokenHypothesis[]} At least one, best first.
 */
export function beamSearch(model, source, options) {
  const { processors = [], coverage = null } = options;
  const beam = new Beam(options);
  const memory = model.encode(source);
  let state = model.initState(memory);
  let ids = [BOS];
  let attended = coverage && coverage.initialSums();
  for (;;) {
    const output = model.step(ids, state, memory);
    let logProbs = output.logProbs; // [R, V]
    if (processors.length) {
      logProbs = logProbs.select(ids.map((_, row) => row));
      beam.rows.forEach(({ pieces }, row) => processors.forEach((each) => each.process(logProbs.row(row), pieces)));
    }
    let bonuses = null;
    if (coverage) {
      attended = coverage.add(attended, output.weights);
      bonuses = coverage.bonuses(attended); // [R]
    }
    const parents = beam.advance(logProbs, output.logProbs, bonuses);
    if (!parents.length) return beam.hypotheses();
    state = output.state.select(parents);
    attended = attended && attended.select(parents);
    ids = beam.rows.map(({ pieces }) => pieces.at(-1));
  }
}

/** The live and the ended hypotheses. */
class Beam {
  constructor({ beamSize, nBest, maxLength, normalization, stopping }) {
    this._size = beamSize;
    this._nBest = nBest;
    this._limit = maxLength;
    this._normalization = normalization;
    this._exact = stopping === "exact";
    this._steps = 0;
    /** @type {{total: number, pieces: number[], logProbability: number}[]} */
    this.rows = [{ total: 0, pieces: [], logProbability: 0 }];
    this._ended = [];
  }

  /**
   * Continue all hypotheses by one piece.
   * @param {import("./products.js").Matrix} logProbs Log-probabilities by which the search ranks [R, V].
   * @param {import("./products.js").Matrix} modelLogProbs The model's own [R, V].
   * @param {number[] | null} bonuses Added to the score of a hypothesis of each row that ends now [R].
   * @returns {number[]} The row that each new row continues; empty if the search is done.
   */
  advance(logProbs, modelLogProbs, bonuses) {
    const before = this.rows;
    const best = topK(logProbs, before.map(({ total }) => total), this._size);
    const live = [];
    for (const { total, row, piece } of best) {
      const value = modelLogProbs.data[row * modelLogProbs.columns + piece];
      const logProbability = before[row].logProbability + value;
      if (piece === EOS) this._end({ ...before[row], total, logProbability }, bonuses ? bonuses[row] : 0, true);
      else live.push({ row, next: { total, pieces: [...before[row].pieces, piece], logProbability } });
    }
    if (this._done(live.length ? live[0].next.total : -Infinity)) {
      if (!this._ended.length) {
        before.forEach((hypothesis, row) => {
          const value = modelLogProbs.data[row * modelLogProbs.columns + EOS];
          const { total, logProbability } = hypothesis;
          const ended = { ...hypothesis, total: total + value, logProbability: logProbability + value };
          this._end(ended, bonuses ? bonuses[row] : 0, false);
        });
      }
      return [];
    }
    this._steps += 1;
    this.rows = live.map(({ next }) => next);
    return live.map(({ row }) => row);
  }

  /** Whether no live hypothesis can have a better score than the worst kept one; see `nmt.search.beam`. */
  _done(best) {
    const length = (this._exact ? this._limit : this._steps) + 1;
    const worst = this._ended.length < this._nBest ? -Infinity : this._ended.at(-1).score;
    return best === -Infinity || this._limit <= this._steps || worst >= best / this._normalization.divisor(length);
  }

  _end({ total, pieces, logProbability }, bonus, finished) {
    const score = total / this._normalization.divisor(pieces.length + 1) + bonus;
    if (score === -Infinity) return;
    const place = this._ended.findIndex((other) => other.score < score);
    this._ended.splice(place < 0 ? this._ended.length : place, 0, { ids: pieces, score, logProbability, finished });
    this._ended.length = Math.min(this._ended.length, this._nBest);
  }

  /** @returns {TokenHypothesis[]} */
  hypotheses() {
    return this._ended;
  }
}

/**
 * The greatest sums of totals [R] and log-probabilities [R, V], PAD, UNK and BOS excluded. Among equal sums, the first
 * row precedes, then the smallest piece.
 */
function topK(logProbs, totals, count) {
  const found = [];
  for (let row = 0; row < logProbs.rows; row++) {
    const values = logProbs.row(row);
    let threshold = found.length < count ? -Infinity : found.at(-1).total;
    for (let piece = EOS; piece < values.length; piece++) {
      const total = totals[row] + values[piece];
      if (total > threshold) {
        let place = found.length;
        while (place > 0 && found[place - 1].total < total) place -= 1;
        found.splice(place, 0, { total, row, piece });
        if (found.length > count) found.pop();
        if (found.length === count) threshold = found.at(-1).total;
      } else if (Number.isNaN(total)) {
        throw new Error("The model computes undefined probabilities (NaN): its weights are damaged.");
      }
    }
  }
  return found;
}
