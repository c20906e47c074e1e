// SentencePiece: text to ids and back. Unigram and BPE models, with the normalizer, user symbols and byte fallback.

import { UNK } from "./special_tokens.js";
import { TextForm } from "./text_form.js";

const WORD_START = "\u2581";
const REPLACEMENT = "\ufffd";
const NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_SYMBOL = 4, UNUSED = 5, BYTE = 6; // types of pieces
const BPE = 2; // type of the model
const UNKNOWN_PENALTY = 10;
const SURROGATE = /\p{Surrogate}/gu;

/** One SentencePiece model. */
export class SubwordModel {
  /**
   * @param {Uint8Array} bytes The file of the model.
   * @param {object} rules The rules of text that the site has from nmt.
   * @param {boolean} rightToLeft Whether rows of ids run from the last piece of a text to its first.
   */
  constructor(bytes, rules, rightToLeft = false) {
    const model = parseModel(bytes);
    this._pieces = model.pieces;
    this._isBPE = model.kind === BPE;
    this._rightToLeft = rightToLeft;
    this._bytes = new Map();
    /** @type {Map<string, number>} */
    this._ids = new Map();
    const symbols = [];
    let [least, greatest] = [Infinity, -Infinity];
    model.pieces.forEach(({ text, score, type }, id) => {
      if (type === BYTE) this._bytes.set(Number.parseInt(text.slice(3, 5), 16), id);
      if (type === NORMAL || type === USER_SYMBOL || type === UNUSED) this._ids.set(text, id);
      if (type === USER_SYMBOL) symbols.push(text);
      if (type !== NORMAL) return;
      least = Math.min(least, score);
      greatest = Math.max(greatest, score);
    });
    this._unknownScore = Math.fround(least - UNKNOWN_PENALTY);
    this._greatestScore = greatest;
    this._longest = Math.max(...Array.from(this._ids.keys(), (text) => text.length));
    this._symbols = new SymbolMatcher(symbols);
    this._normalizer = new Normalizer(model.normalizer, this._symbols);
    this._form = model.form === null ? null : new TextForm(model.form, rules, model.pieces.map(({ text }) => text).join(""));
    /** The number of pieces. */
    this.size = model.pieces.length;
  }

  /**
   * @param {string} text
   * @returns {number[]} The ids of the best segmentation, without BOS and EOS.
   */
  encode(text) {
    const well = text.replace(SURROGATE, "?");
    const normalized = this._normalizer.normalize(this._form ? this._form.read(well) : well);
    const parts = this._isBPE ? this._mergePairs(normalized) : this._bestSegmentation(normalized);
    const ids = parts.flatMap(({ id, text: part }) => (id === UNK && this._bytes.size ? this._byteIds(part) : [id]));
    // Without bytes, adjacent unknown pieces are one.
    const joined = ids.filter((id, index) => id !== UNK || ids[index - 1] !== UNK);
    return this.inTextOrder(joined);
  }

  /**
   * @param {number[]} ids
   * @returns {string} Their text on one line.
   */
  decode(ids) {
    let text = "";
    let bytes = [];
    let sawSpace = false;
    let first = true;
    const { dropsSpaces, addsPrefix } = this._normalizer;
    for (const id of this.inTextOrder(ids)) {
      const piece = this._pieces[id];
      if (piece.type === BYTE) {
        bytes.push(Number.parseInt(piece.text.slice(3, 5), 16));
        continue;
      }
      text += decodeBytes(bytes);
      bytes = [];
      if (sawSpace || text !== "") first = false;
      sawSpace = false;
      if (piece.type === CONTROL) continue;
      if (piece.type === UNKNOWN) {
        text += " \u2047 ";
        continue;
      }
      let part = piece.text;
      if (first && (dropsSpaces || addsPrefix) && part.startsWith(WORD_START)) {
        part = part.slice(1);
        sawSpace = !dropsSpaces;
      }
      text += part.replaceAll(WORD_START, " ");
    }
    text = (text + decodeBytes(bytes)).replace(/[\n\r]/g, " ").replace(/\u200b{2,}/g, "\u200b");
    return this._form ? this._form.write(text) : text;
  }

  /** The strings of pieces, with U+2581 for spaces. */
  pieces(ids) {
    return ids.map((id) => this._pieces[id].text);
  }

  /** The pieces of a text, in its order. */
  textPieces(text) {
    return this.pieces(this.inTextOrder(this.encode(text)));
  }

  /** Values of the pieces of a row of ids, in the order of the text. Also does the reverse. */
  inTextOrder(values) {
    return this._rightToLeft ? values.toReversed() : values;
  }

  _byteIds(text) {
    return Array.from(new TextEncoder().encode(text), (byte) => this._bytes.get(byte));
  }

  /** Viterbi search for the most probable segmentation, with the rounding of SentencePiece. */
  _bestSegmentation(text) {
    const starts = characterStarts(text);
    const best = new Map([[0, { score: 0, start: -1, id: -1 }]]);
    const offer = (start, end, score, id) => {
      const total = score + best.get(start).score;
      const known = best.get(end);
      if (!known || total > known.score) best.set(end, { score: Math.fround(total), start, id });
    };
    for (let index = 0; index + 1 < starts.length; index++) {
      const start = starts[index];
      let single = false;
      for (let last = index + 1; last < starts.length && starts[last] - start <= this._longest; last++) {
        const part = text.slice(start, starts[last]);
        const id = this._ids.get(part);
        if (id === undefined || this._pieces[id].type === UNUSED) continue;
        const { type, score } = this._pieces[id];
        const symbol = () => Math.fround(byteLength(part) * this._greatestScore) - 0.1;
        offer(start, starts[last], type === USER_SYMBOL ? symbol() : score, id);
        single ||= last === index + 1;
      }
      if (!single) offer(start, starts[index + 1], this._unknownScore, UNK);
    }
    const parts = [];
    for (let end = text.length; end > 0;) {
      const { start, id } = best.get(end);
      parts.push({ id, text: text.slice(start, end) });
      end = start;
    }
    return parts.reverse();
  }

  /** Byte-pair encoding: merge the pair with the greatest score until none is left, of equal ones the first. */
  _mergePairs(text) {
    const units = [];
    for (let start = 0; start < text.length;) {
      const symbol = this._symbols.longest(text, start);
      const unit = symbol ?? String.fromCodePoint(text.codePointAt(start));
      units.push({ text: unit, frozen: symbol !== null });
      start += unit.length;
    }
    const merged = new Map(); // unused pieces and the pieces that they were merged from
    const scores = units.map(() => null);
    const rate = (left) => {
      const right = left + 1;
      if (right >= units.length || units[left].frozen || units[right].frozen) return null;
      const pair = units[left].text + units[right].text;
      const id = this._ids.get(pair);
      if (id === undefined) return null;
      if (this._pieces[id].type === UNUSED) merged.set(pair, [units[left].text, units[right].text]);
      return this._pieces[id].score;
    };
    for (let left = 0; left < units.length; left++) scores[left] = rate(left);
    for (;;) {
      let best = -1;
      scores.forEach((score, index) => { if (score !== null && (best < 0 || score > scores[best])) best = index; });
      if (best < 0) break;
      units.splice(best, 2, { text: units[best].text + units[best + 1].text, frozen: false });
      scores.splice(best, 1);
      scores[best] = rate(best);
      if (best > 0) scores[best - 1] = rate(best - 1);
    }
    const split = (part) => {
      const id = this._ids.get(part) ?? UNK;
      if (id === UNK || this._pieces[id].type !== UNUSED || !merged.has(part)) return [{ id, text: part }];
      return merged.get(part).flatMap(split);
    };
    return units.flatMap((unit) => split(unit.text));
  }
}

/** Finds user symbols in texts. */
class SymbolMatcher {
  constructor(symbols) {
    this._symbols = symbols.toSorted((left, right) => right.length - left.length);
  }

  /** The longest symbol at a place of a text; null if there is none. */
  longest(text, start) {
    return this._symbols.find((symbol) => text.startsWith(symbol, start)) ?? null;
  }
}

/** The normalization of SentencePiece: replacements of a compiled table, and spaces. */
class Normalizer {
  constructor({ table, addsPrefix, dropsSpaces, escapesSpaces }, symbols) {
    this.addsPrefix = addsPrefix;
    this.dropsSpaces = dropsSpaces;
    this._escapesSpaces = escapesSpaces;
    this._symbols = symbols;
    if (table.length) {
      const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
      const size = view.getUint32(0, true);
      this._trie = Uint32Array.from({ length: size / 4 }, (_, index) => view.getUint32(4 + 4 * index, true));
      this._replacements = table.subarray(4 + size);
    }
  }

  normalize(text) {
    const parts = [];
    for (let start = 0; start < text.length;) {
      const { part, length } = this._replace(text, start);
      parts.push(part);
      start += length;
    }
    if (this.dropsSpaces) while (parts.length && parts[0] === " ") parts.shift();
    if (!parts.length) return "";
    const space = this._escapesSpaces ? WORD_START : " ";
    let result = this.addsPrefix ? space : "";
    let afterSpace = this.dropsSpaces;
    for (const part of parts) {
      const kept = afterSpace ? part.replace(/^ +/, "") : part;
      result += this._escapesSpaces ? kept.replaceAll(" ", WORD_START) : kept;
      if (kept) afterSpace = this.dropsSpaces && kept.endsWith(" ");
    }
    if (this.dropsSpaces) while (result.endsWith(space)) result = result.slice(0, -1);
    return result;
  }

  /** What replaces the text at a place, and the length of the text that is replaced. */
  _replace(text, start) {
    const symbol = this._symbols.longest(text, start);
    if (symbol !== null) return { part: symbol, length: symbol.length };
    return (this._trie && this._longestReplacement(text, start)) ?? firstCharacter(text, start);
  }

  /** Look up the longest replaced text in the double array of Darts. */
  _longestReplacement(text, start) {
    const offset = (unit) => (unit >>> 10) << ((unit & 512) >>> 6);
    let node = offset(this._trie[0]);
    let found = null;
    for (let index = start; index < text.length;) {
      const character = String.fromCodePoint(text.codePointAt(index));
      index += character.length;
      for (const byte of new TextEncoder().encode(character)) {
        node ^= byte;
        const unit = this._trie[node];
        if (unit === undefined || ((unit & 0x800000ff) >>> 0) !== byte) return found;
        node ^= offset(unit);
        if ((unit >>> 8) & 1) found = { part: this._string(this._trie[node] & 0x7fffffff), length: index - start };
      }
    }
    return found;
  }

  _string(start) {
    return new TextDecoder().decode(this._replacements.subarray(start, this._replacements.indexOf(0, start)));
  }
}

function firstCharacter(text, start) {
  const part = String.fromCodePoint(text.codePointAt(start));
  return { part, length: part.length };
}

/** The offsets of the characters of a text, and its length. */
function characterStarts(text) {
  const starts = [0];
  for (const character of text) starts.push(starts.at(-1) + character.length);
  return starts;
}

function byteLength(text) {
  return new TextEncoder().encode(text).length;
}

/** UTF-8 to text, with one replacement character for each byte that is not part of a character. */
function decodeBytes(bytes) {
  let text = "";
  for (let start = 0; start < bytes.length;) {
    const first = bytes[start];
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    const character = new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array(bytes.slice(start, start + length)));
    const valid = [...character].length === 1 && (character !== REPLACEMENT || isReplacement(bytes, start));
    text += valid ? character : REPLACEMENT;
    start += valid ? length : 1;
  }
  return text;
}

function isReplacement(bytes, start) {
  return bytes[start] === 0xef && bytes[start + 1] === 0xbf && bytes[start + 2] === 0xbd;
}

/** Read the protocol buffer of a SentencePiece model. */
function parseModel(bytes) {
  const model = { pieces: [], kind: 1, form: null, normalizer: null };
  let normalizer = new Uint8Array();
  for (const [number, value] of fields(bytes)) {
    if (number === 1) model.pieces.push(parsePiece(value));
    if (number === 2) for (const [inner, kind] of fields(value)) if (inner === 3) model.kind = kind;
    if (number === 3) normalizer = value;
    if (number === 1000) model.form = JSON.parse(new TextDecoder().decode(value));
  }
  const found = new Map(fields(normalizer));
  model.normalizer = {
    table: found.get(2) ?? new Uint8Array(),
    addsPrefix: found.get(3) !== 0,
    dropsSpaces: found.get(4) !== 0,
    escapesSpaces: found.get(5) !== 0,
  };
  return model;
}

function parsePiece(bytes) {
  const piece = { text: "", score: 0, type: NORMAL };
  for (const [number, value] of fields(bytes)) {
    if (number === 1) piece.text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(value);
    if (number === 2) piece.score = new DataView(value.buffer, value.byteOffset).getFloat32(0, true);
    if (number === 3) piece.type = value;
  }
  return piece;
}

/** The fields of a message: numbers with integers or bytes. */
function* fields(bytes) {
  let place = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[place++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (place < bytes.length) {
    const tag = varint();
    const kind = tag % 8;
    if (kind === 0) {
      yield [Math.floor(tag / 8), varint()];
      continue;
    }
    const length = kind === 2 ? varint() : kind === 5 ? 4 : 8;
    yield [Math.floor(tag / 8), bytes.subarray(place, place + length)];
    place += length;
  }
}
