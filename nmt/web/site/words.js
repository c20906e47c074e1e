// Attention between the words of a line and its translation; see `nmt.inference.attention_map`.
//
// T target pieces, S source pieces, both with EOS.

export const END = "</s>";
const WORD_START = "\u2581";
const BYTE_PIECE = /^<0x[0-9A-F]{2}>$/u;

/**
 * One side of a line.
 * @typedef {object} Side
 * @property {string} text
 * @property {string[][]} segments The pieces of each segment, in the order of the text, without EOS.
 * @property {import("./subword_model.js").SubwordModel} subwords
 */

/** The attention between words: `blocks` has the weights [T, S] of each segment. */
export function wordAttention(source, target, blocks, spaces) {
  const [sources, targets] = [source, target].map((side) => sideWords(side, spaces));
  const columns = starts(source.segments);
  const attention = targets.groups.map(() => new Array(sources.groups.length).fill(0));
  starts(target.segments).forEach((first, segment) => {
    const weights = blocks[segment];
    const inBlock = (group, start, size) => group.map((index) => index - start).filter((index) => index >= 0 && index < size);
    const sourceGroups = sources.groups.map((group) => inBlock(group, columns[segment], weights.columns));
    targets.groups.forEach((group, row) => {
      for (const piece of inBlock(group, first, weights.rows)) {
        sourceGroups.forEach((places, column) => {
          for (const place of places) attention[row][column] += weights.data[piece * weights.columns + place] / group.length;
        });
      }
    });
  });
  return { source_words: sources.texts, target_words: targets.texts, attention };
}

/** The index of the first piece of each segment, if each segment ends with EOS. */
function starts(segments) {
  let next = 0;
  return segments.map((pieces) => { next += pieces.length + 1; return next - pieces.length - 1; });
}

/** The words of a side that white space separates, and END for each segment, with the indices of their pieces. */
function sideWords({ text, segments, subwords }, spaces) {
  const words = text.split(new RegExp(`[${spaces}]+`, "u")).filter(Boolean);
  const pieces = segments.flatMap((each) => [...each, END]);
  let end = -1;
  const ends = new Set(segments.map((each) => (end += each.length + 1)));
  const spans = wordSpans(pieces, ends);
  if (spans.length - ends.size === words.length) {
    return { groups: spans, texts: spans.map(([first]) => (ends.has(first) ? END : words.shift())) };
  }
  return { groups: lineWords(pieces, ends, words, subwords), texts: [...words, ...Array.from(ends, () => END)] };
}

/** The indices of the pieces of each word that the subword model separates; EOS is a word of its own. */
function wordSpans(pieces, ends) {
  const spans = [];
  pieces.forEach((piece, index) => {
    const inside = index > 0 && !ends.has(index) && !ends.has(index - 1);
    if (inside && (!piece.startsWith(WORD_START) || pieces[index - 1] === WORD_START)) spans.at(-1).push(index);
    else spans.push([index]);
  });
  return spans;
}

/** The indices of the pieces of each word of a text, if the subword model separates words differently. */
function lineWords(pieces, ends, words, subwords) {
  const wordOfSymbol = [];
  const expected = [];
  words.forEach((word, number) => {
    for (const symbol of subwords.textPieces(word).flatMap(symbols)) {
      expected.push(symbol);
      wordOfSymbol.push(number);
    }
  });
  const owners = pieces.flatMap((piece, index) => (ends.has(index) ? [] : symbols(piece).map((symbol) => ({ symbol, index }))));
  const places = matching(expected, owners.map(({ symbol }) => symbol));
  const firstWord = new Map();
  owners.forEach(({ index }, number) => { if (!firstWord.has(index)) firstWord.set(index, wordOfSymbol[places[number]] ?? 0); });
  const groups = words.map(() => []);
  let word = 0;
  pieces.forEach((_, index) => {
    if (!words.length || ends.has(index)) return;
    word = firstWord.get(index) ?? firstWord.get(index + 1) ?? word; // a piece without characters is the space before a word
    groups[word].push(index);
  });
  return [...groups, ...Array.from(ends, (index) => [index])];
}

/** The visible characters of a piece; a byte is one. */
function symbols(piece) {
  return BYTE_PIECE.test(piece) ? [piece] : Array.from(piece.replaceAll(WORD_START, ""));
}

/** The index in `expected` for each element of `written`: equal at both ends, and in proportion between them. */
function matching(expected, written) {
  const shorter = Math.min(expected.length, written.length);
  let before = 0;
  while (before < shorter && expected[before] === written[before]) before++;
  let after = 0;
  while (after < shorter - before && expected.at(-1 - after) === written.at(-1 - after)) after++;
  const width = written.length - before - after;
  return written.map((_, index) => {
    if (index < before) return index;
    if (index >= before + width) return index - written.length + expected.length;
    const place = before + Math.floor(((index - before) * (expected.length - before - after)) / width);
    return Math.min(place, Math.max(0, expected.length - 1));
  });
}
