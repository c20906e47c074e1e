// The encoded source sentence, and the state that the decoder carries from piece to piece.
//
// R rows (hypotheses of one sentence), S source length, E embedding size, M memory size, A key size, O output size.

/**
 * @typedef {object} SourceMemory The encoded source sentence.
 * @property {import("./products.js").Matrix} states Encoder outputs [S, M].
 * @property {import("./products.js").Matrix} keys Attention keys [S, A].
 * @property {import("./products.js").Matrix} values Attention values [S, M].
 * @property {import("./units.js").UnitState[]} final Final state of each encoder layer, both directions concatenated [1, D * H].
 * @property {import("./products.js").Matrix} embeddings Source embeddings [S, E].
 */

/** The decoder's state between two pieces. A field is null where the configuration does not need it. */
export class InferenceState {
  /**
   * @param {object} fields
   * @param {import("./units.js").UnitState[]} fields.units State of each layer, the lowest first.
   * @param {import("./products.js").Matrix | null} fields.feed With input feeding: the last attentional state [R, O].
   * @param {import("./products.js").Matrix | null} fields.coverage With coverage: the sum of the attention weights so far [R, S].
   * @param {number} fields.position The number of target pieces so far.
   */
  constructor({ units, feed, coverage, position }) {
    this.units = units;
    this.feed = feed;
    this.coverage = coverage;
    this.position = position;
  }

  /** The state of `rows` (indices). */
  select(rows) {
    return new InferenceState({
      units: this.units.map((unit) => unit.select(rows)),
      feed: this.feed && this.feed.select(rows),
      coverage: this.coverage && this.coverage.select(rows),
      position: this.position,
    });
  }
}
