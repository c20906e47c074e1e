// The form of text: canonical normalisation, invisible characters, and the spelling of a corpus.
//
// Port of `nmt.data.text_form`. The classes of characters come from there, in the rules of the site.

const NON_JOINER = "\u200c", JOINER = "\u200d", ZERO_WIDTH_SPACE = "\u200b", FLAG = "\u{1f3f4}", KEYCAP = "\u20e3";
const SYMBOL = /[\p{So}\p{Sk}\p{Sm}\p{Cn}]/u;
const TAKES_VARIATION = /[\p{So}\p{Sk}\p{Sm}\p{Po}\p{Lo}\p{Pd}\p{Cn}]/u;

/** What a model with the normalization `nfc` does to texts that it reads and writes. */
export class TextForm {
  /**
   * @param {{form: string, spelling: Record<string, string>, with_all_marks?: boolean}} form As in the subword model.
   * @param {object} rules The rules of text that the site has from nmt.
   * @param {string} vocabulary All pieces.
   */
  constructor(form, rules, vocabulary) {
    this._form = form.form;
    this._spelling = new Map(Object.entries(form.spelling));
    this._allMarks = form.with_all_marks === true;
    const kind = (name) => new RegExp(`[${rules.classes[name]}]`, "u");
    this._ignorable = kind("ignorable");
    this._directionMarks = kind("direction_marks");
    this._variationSelectors = kind("variation_selectors");
    this._letterLike = kind("letter_like");
    this._joining = kind("joining");
    this._wordsWithoutSpaces = kind("words_without_spaces");
    this._rightToLeft = kind("right_to_left");
    this._mongolian = kind("mongolian");
    this._hebrew = kind("hebrew");
    this._wordCharacter = new RegExp(`^[${rules.classes.word}]$`, "u");
    this._tokens = new RegExp(`([${rules.classes.space}]+)`, "u");
    this._lineSpaces = new RegExp(`[${rules.classes.line_spaces}]`, "gu");
    this._foreign = replacements(rules.spaces_to_read, vocabulary);
    this._pattern = this._spelling.size ? spellingPattern([...this._spelling.keys()], rules.marks) : null;
  }

  /** A text as the subword model reads it. */
  read(text) {
    return Array.from(this._normalize(text), (character) => this._foreign.get(character) ?? character).join("");
  }

  /** A text as the target corpus is written. */
  write(text) {
    const normal = text.normalize(this._form);
    return this._pattern ? normal.replace(this._pattern, (part) => this._spelling.get(part)) : normal;
  }

  _normalize(text) {
    if (/^[ -~]*$/.test(text)) return text;
    const normal = text.replace(this._lineSpaces, " ").normalize("NFC");
    if (!this._ignorable.test(normal)) return normal;
    return normal.split(this._tokens).map((token) => this._clean(token)).join("").normalize("NFC");
  }

  /** Remove needless ignorable characters from a text without white space. */
  _clean(token) {
    if (!this._ignorable.test(token)) return token;
    const characters = [...token];
    const keeps = (character, index) => {
      if (!this._ignorable.test(character)) return true;
      const before = this._visible(characters.slice(0, index).reverse());
      const after = this._visible(characters.slice(index + 1));
      const withinWord = this._wordCharacter.test(before) && this._wordCharacter.test(after);
      if (this._allMarks && this._directionMarks.test(character) && !withinWord) return true;
      return this._needed(characters, index, before, after);
    };
    return characters.filter(keeps).join("").replace(/\u200b{2,}/g, ZERO_WIDTH_SPACE);
  }

  /** Whether the script around an ignorable character needs it. */
  _needed(characters, index, before, after) {
    const character = characters[index];
    const either = (kind) => kind.test(before) || kind.test(after);
    if (character === ZERO_WIDTH_SPACE) return either(this._wordsWithoutSpaces);
    if (character === NON_JOINER || character === JOINER) {
      return (character === JOINER && SYMBOL.test(before) && SYMBOL.test(after)) || either(this._joining);
    }
    if (this._directionMarks.test(character)) {
      return characters.some((each) => !this._ignorable.test(each) && this._rightToLeft.test(each));
    }
    if (this._variationSelectors.test(character)) {
      if (!before) return false;
      return /\p{Nd}/u.test(before) ? after === KEYCAP : TAKES_VARIATION.test(before);
    }
    if (character >= "\u180b" && character <= "\u180f") return either(this._mongolian);
    if (character === "\u034f") return either(this._hebrew);
    if (/[\u{e0020}-\u{e007f}]/u.test(character)) return characters.slice(0, index).includes(FLAG);
    return this._letterLike.test(character);
  }

  /** The first character that is not ignorable; empty if all are. */
  _visible(characters) {
    return characters.find((each) => !this._ignorable.test(each)) ?? "";
  }
}

/** The white space and marks that a vocabulary does not have, with their replacements. */
function replacements(table, vocabulary) {
  const known = new Set(vocabulary);
  return new Map(Object.entries(table).filter(([character]) => !known.has(character)));
}

/** Whole clusters, or the marks of a cluster after its first character. */
function spellingPattern(texts, marks) {
  const escape = (text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
  const anyOf = (parts) => (parts.length
    ? `(?:${parts.toSorted((left, right) => [...right].length - [...left].length).map(escape).join("|")})` : "(?!)");
  const mark = `[${marks}]`;
  const isMark = new RegExp(`^${mark}`, "u");
  const clusters = texts.filter((text) => !isMark.test(text));
  const tails = texts.filter((text) => isMark.test(text));
  return new RegExp(`(?:${anyOf(clusters)}|(?<!${mark})${anyOf(tails)})(?!${mark})`, "gu");
}
