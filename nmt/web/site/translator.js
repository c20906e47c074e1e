// Translates lines with the model of a site.

import { beamSearch, LengthNormalization } from "./beam.js";
import { CoveragePenalty, MinimumLength, NgramBlocking, RepetitionPenalty } from "./processors.js";
import { InferenceNetwork } from "./network.js";
import { Segmenter } from "./segmentation.js";
import { BOS, EOS } from "./special_tokens.js";
import { SubwordModel } from "./subword_model.js";
import { wordAttention } from "./words.js";

const MAX_COMBINATIONS = 50;

/**
 * @typedef {object} Hypothesis One translation of a line.
 * @property {string} text
 * @property {number} score
 * @property {number[][]} segments The target ids of each segment.
 *
 * @typedef {object} Translation The translation of a line.
 * @property {string} source The line.
 * @property {string} translation The best translation; empty for a blank line.
 * @property {Hypothesis[]} hypotheses Different texts, best first.
 * @property {number[][]} segments The source ids of each segment.
 *
 * @typedef {object} Attention The attention of a translation between words, with `</s>` after each segment.
 * @property {string[]} source_words
 * @property {string[]} target_words
 * @property {number[][]} attention A row for each target word.
 */

/** Translates lines, one after the other. */
export class Translator {
  /** @param {import("./weights.js").Weights} weights The file of the site. */
  constructor(weights) {
    const { metadata } = weights;
    this.decoding = JSON.parse(metadata.decoding);
    const rules = JSON.parse(metadata.text);
    const source = fromBase64(metadata.source_tokenizer);
    const target = metadata.target_tokenizer ? fromBase64(metadata.target_tokenizer) : source;
    this.source = new SubwordModel(source, rules);
    this.target = new SubwordModel(target, rules, this.decoding.right_to_left);
    this._spaces = rules.classes.space;
    this._segmenter = new Segmenter(this.source, rules, this.decoding.max_source_pieces);
    this._network = new InferenceNetwork(weights, JSON.parse(metadata.model), this.source.size, this.target.size);
    this._normalization = new LengthNormalization(this.decoding.length_normalization, this.decoding.alpha);
    weights.close();
  }

  /** Whether the model has attention weights. */
  get hasAttention() {
    return this._network.hasAttention;
  }

  /**
   * @param {string} line
   * @param {{n_best?: number, beam_size?: number, split_sentences?: boolean}} [changes] Options that override those of
   *   the model.
   * @returns {Translation}
   */
  translate(line, changes = {}) {
    const options = { ...this.decoding, ...changes };
    const text = this._segmenter.clean(line);
    const segments = text ? this._segmenter.segment(text, options.split_sentences) : [];
    if (!segments.length) return { source: line, translation: "", hypotheses: [], segments };
    const found = segments.map((ids) => this._search(ids, options));
    const hypotheses = this._nBest(found, options.n_best);
    return { source: line, translation: hypotheses[0].text, hypotheses, segments };
  }

  /** @returns {import("./beam.js").TokenHypothesis[]} The hypotheses of a segment, given its ids. */
  _search(ids, options) {
    const beamSize = options.beam_size;
    let maxLength = Math.floor(ids.length * options.max_length_ratio) + options.max_length_constant;
    if (options.max_length !== null) maxLength = Math.min(maxLength, options.max_length);
    const processors = [];
    if (options.repetition_penalty > 1) processors.push(new RepetitionPenalty(options.repetition_penalty));
    if (options.no_repeat_ngram !== null) processors.push(new NgramBlocking(options.no_repeat_ngram));
    const minLength = Math.max(Math.ceil(ids.length * options.min_length_ratio), options.min_length);
    if (minLength > 0) processors.push(new MinimumLength(Math.min(minLength, maxLength)));
    const penalty = options.coverage_penalty;
    return beamSearch(this._network, [...ids, EOS], {
      beamSize,
      nBest: options.n_best === 1 ? 1 : beamSize,
      maxLength,
      normalization: this._normalization,
      stopping: options.stopping,
      processors,
      coverage: penalty ? new CoveragePenalty(penalty, this._normalization, ids.length + 1) : null,
    });
  }

  /** The n-best list of a line from the hypotheses of its segments. */
  _nBest(found, count) {
    const rows = found.map((hypotheses) => uniqueTexts(hypotheses.map((hypothesis) => (
      { ...hypothesis, text: this._segmenter.oneLine(this.target.decode(hypothesis.ids)) }))));
    const byText = new Map();
    let tried = 0;
    for (const indices of bestCombinations(rows.map((row) => row.map(({ score }) => score)))) {
      const chosen = rows.map((row, index) => row[indices[index]]);
      const text = chosen.map((each) => each.text).filter(Boolean).join(this.decoding.separator);
      const score = chosen.reduce((sum, each) => sum + each.score, 0) / chosen.length;
      if (!byText.has(text)) byText.set(text, { text, score, segments: chosen.map(({ ids }) => ids) });
      tried += 1;
      if (byText.size === count || tried === MAX_COMBINATIONS * count) break;
    }
    return [...byText.values()].sort((left, right) => right.score - left.score);
  }

  /**
   * @param {Translation} translation
   * @param {Hypothesis} hypothesis One of its hypotheses.
   * @returns {Attention}
   */
  attention(translation, hypothesis) {
    const blocks = translation.segments.map((ids, index) => {
      const targets = hypothesis.segments[index];
      const weights = this._network.forcedAttention([...ids, EOS], [BOS, ...targets]); // [T, S]
      return weights.select([...this.target.inTextOrder(targets.map((_, row) => row)), targets.length]);
    });
    const source = { text: translation.source, segments: translation.segments.map((ids) => this.source.pieces(ids)), subwords: this.source };
    const inOrder = hypothesis.segments.map((ids) => this.target.pieces(this.target.inTextOrder(ids)));
    return wordAttention(source, { text: hypothesis.text, segments: inOrder, subwords: this.target }, blocks, this._spaces);
  }
}

function uniqueTexts(hypotheses) {
  const byText = new Map();
  for (const each of hypotheses) if (!byText.has(each.text)) byText.set(each.text, each);
  return [...byText.values()];
}

/** All choices of one entry per row, as indices, by falling sum of their scores; see `nmt.inference.nbest`. */
function* bestCombinations(scores) {
  const queue = [{ loss: 0, indices: scores.map(() => 0), last: 0 }];
  while (queue.length) {
    let best = 0;
    queue.forEach(({ loss }, place) => { if (loss < queue[best].loss) best = place; });
    const [{ loss, indices, last }] = queue.splice(best, 1);
    yield indices;
    for (let row = last; row < scores.length; row++) {
      const index = indices[row];
      if (index + 1 >= scores[row].length) continue;
      const next = indices.with(row, index + 1);
      queue.push({ loss: loss + scores[row][index] - scores[row][index + 1], indices: next, last: row });
    }
  }
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
