// Cleans lines and splits them into segments; port of `nmt.inference.segmentation`, with its patterns.

const CONSONANT_CASE = (word) => word.toLowerCase().replaceAll("\u00df", "ss").replaceAll("\u03c2", "\u03c3");

/** Splits lines into segments that the model translates at once. */
export class Segmenter {
  /**
   * @param {import("./subword_model.js").SubwordModel} subwords The subword model of the source side.
   * @param {object} rules The rules of text that the site has from nmt.
   * @param {number} maxPieces Most pieces of a segment.
   */
  constructor(subwords, rules, maxPieces) {
    this._subwords = subwords;
    this._maxPieces = maxPieces;
    const pattern = (source, flags) => new RegExp(source, flags);
    this._space = rules.classes.space;
    this._controls = pattern(rules.patterns.controls, "gu");
    this._blank = pattern(`^[${rules.classes.invisible}]*$`, "u");
    this._breaks = rules.patterns.breaks.map((source) => pattern(source, "gu"));
    this._sentenceEnds = pattern(rules.patterns.sentence_ends, "gu");
    this._consonants = pattern(`^(?:${rules.patterns.consonants})$`, "u");
    this._initials = pattern(`^(?:${rules.patterns.initials})$`, "u");
    this._numberOrBracket = pattern(`^${rules.patterns.number_or_bracket}`, "u");
    this._opening = new Set(rules.opening);
    this._quoted = rules.quoted;
    this._abbreviations = new Set(rules.abbreviations);
    this._beforeNumbers = new Set(rules.before_numbers);
    this._sizes = rules.sizes;
  }

  /** A line as the model reads it: control characters become spaces, a blank line becomes empty. */
  clean(line) {
    return this._blank.test(line) ? "" : line.replace(this._controls, " ");
  }

  /** A text without control characters and outer spaces. */
  oneLine(text) {
    return this._strip(text.replace(this._controls, " "));
  }

  /**
   * @param {string} text One line, clean.
   * @param {boolean} bySentence Whether each sentence is a segment of its own.
   * @returns {number[][]} The source ids of each segment; none is empty.
   */
  segment(text, bySentence) {
    const ids = this._subwords.encode(text);
    const sentences = bySentence || ids.length > this._maxPieces ? this.splitSentences(text) : [];
    if (sentences.length < 2) return this._fit(text, ids);
    return sentences.flatMap((sentence) => this._fit(sentence, this._subwords.encode(sentence)));
  }

  /** Split a line into its sentences. In doubt nothing is split. */
  splitSentences(text) {
    const sentences = [];
    let start = 0;
    for (const match of text.matchAll(this._sentenceEnds)) {
      const end = match.index + match[0].length;
      if (end < text.length && this._ends(text, start, match, end)) {
        sentences.push(this._strip(text.slice(start, end)));
        start = end;
      }
    }
    sentences.push(this._strip(text.slice(start)));
    return sentences.filter(Boolean);
  }

  _fit(text, ids) {
    if (ids.length <= this._maxPieces) return ids.length ? [ids] : [];
    const parts = this._split(text, 0).map((part) => this._strip(part)).filter(Boolean);
    return parts.map((part) => this._subwords.encode(part)).filter((row) => row.length);
  }

  /** Split a text after sentences, else after clauses, after words, or anywhere. */
  _split(text, level) {
    const spans = level === this._breaks.length ? halves(text) : cut(text, this._breaks[level]);
    const segments = [];
    let room = 0;
    for (const span of spans) {
      const size = this._subwords.encode(span).length;
      if (size > this._maxPieces && [...span].length > 1) {
        segments.push(...this._split(span, Math.min(level + 1, this._breaks.length)));
        room = 0;
      } else if (segments.length && size <= room) {
        segments[segments.length - 1] += span;
        room -= size;
      } else {
        segments.push(span);
        room = this._maxPieces - size;
      }
    }
    return segments;
  }

  /** Whether the sentence that began at `start` ends at `match`. */
  _ends(text, start, match, end) {
    const following = [...text.slice(end, end + 16)].slice(0, 8);
    const { closing, own, mark } = match.groups;
    if (closing !== undefined) return !(closing && this._quoted.includes(following[0]));
    if (own !== undefined) return this._isSpace(match[0].at(-1)) || /^\p{L}/u.test(following[0]);
    const opened = following.find((character) => !this._opening.has(character)) ?? "";
    if (/^\p{Lowercase}/u.test(opened)) return false;
    if (mark !== ".") return true;
    const before = [...text.slice(start, match.index)].slice(-this._sizes.longest_word).join("");
    const words = before.split(new RegExp(`[${this._space}]+`, "u")).filter(Boolean);
    return !(words.length && this._isAbbreviation(this._withoutOpening(words.at(-1)), following.join("")));
  }

  _withoutOpening(word) {
    const characters = [...word];
    const first = characters.findIndex((character) => !this._opening.has(character));
    return first < 0 ? "" : characters.slice(first).join("");
  }

  /** Whether a full stop belongs to the word before it: `Dr`, `J`, `z.B`, the `3` of `3. Mai`. */
  _isAbbreviation(word, following) {
    const letters = [...word].filter((character) => !/\p{M}/u.test(character)).length;
    if (/^[\p{Nd}\u00b2\u00b3\u00b9]+$/u.test(word)) return letters <= 2 || /^\p{Nd}/u.test(following);
    const folded = CONSONANT_CASE(word);
    if (this._numberOrBracket.test(following) && (letters <= this._sizes.short_word || this._beforeNumbers.has(folded))) return true;
    return this._abbreviations.has(folded)
      || (letters === 1 && /^\p{L}/u.test(word))
      || (letters <= this._sizes.capitals && /\p{Uppercase}/u.test(word) && !/[\p{Lowercase}\p{Lt}]/u.test(word))
      || this._consonants.test(folded)
      || this._initials.test(word);
  }

  _isSpace(character) {
    return new RegExp(`[${this._space}]`, "u").test(character);
  }

  _strip(text) {
    const space = `[${this._space}]`;
    return text.replace(new RegExp(`^${space}+`, "u"), "").replace(new RegExp(`(?<!${space})${space}+$`, "u"), "");
  }
}

/** Cut a text after each match. */
function cut(text, pattern) {
  const ends = Array.from(text.matchAll(pattern), (match) => match.index + match[0].length);
  return [...ends, text.length].map((end, index) => text.slice(index ? ends[index - 1] : 0, end)).filter(Boolean);
}

function halves(text) {
  const characters = [...text];
  const middle = Math.floor(characters.length / 2);
  return [characters.slice(0, middle).join(""), characters.slice(middle).join("")];
}
