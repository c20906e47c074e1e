// The view of translations that the page of nmt serve and the page of nmt export web share.

/** The element with an id. */
export const element = (id) => document.getElementById(id);
const output = element("output");

/** Show a status, or an error. */
export function say(text, isError = false) {
  element("status").textContent = text;
  element("status").classList.toggle("error", isError);
}

/** Translations line by line, the alternatives of the chosen line, and its words. */
export class TranslationView {
  /** `onWords` gets the line and the hypothesis whose words should be shown. */
  constructor(onWords) {
    this.lines = [];
    this.onWords = onWords;
    for (const event of ["click", "keydown"]) {
      output.addEventListener(event, (happened) => {
        const part = happened.target.closest(".line");
        if (!part?.textContent || (event === "keydown" && !["Enter", " "].includes(happened.key))) return;
        happened.preventDefault();
        this.choose(+part.dataset.index);
      });
    }
  }

  /** Show translations, and details of the first one that is not empty. */
  show(lines) {
    this.lines = lines;
    output.replaceChildren(...lines.flatMap((line, index) => {
      const part = document.createElement("span");
      part.className = "line";
      part.dataset.index = index;
      part.textContent = line.translation;
      if (line.translation) {
        part.tabIndex = 0;
        part.setAttribute("role", "button");
      }
      return index ? ["\n", part] : [part];
    }));
    const first = lines.findIndex((line) => line.translation);
    element("details").hidden = first < 0;
    if (first >= 0) this.choose(first);
  }

  /** Show the alternatives of a line. A click on one replaces its translation. */
  choose(index) {
    const line = this.lines[index];
    for (const each of output.querySelectorAll(".line")) each.classList.toggle("chosen", +each.dataset.index === index);
    element("alternatives").replaceChildren(...line.hypotheses.map((hypothesis) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = hypothesis.text;
      button.setAttribute("aria-pressed", hypothesis.text === line.translation);
      button.addEventListener("click", () => {
        line.translation = hypothesis.text;
        output.querySelector(`[data-index="${index}"]`).textContent = hypothesis.text;
        this.choose(index);
        element("alternatives").querySelector("[aria-pressed=true]").focus(); // the buttons are new
      });
      item.append(button);
      return item;
    }));
    element("words").replaceChildren();
    const hypothesis = line.hypotheses.find((each) => each.text === line.translation);
    if (hypothesis) this.onWords(line, hypothesis);
  }
}

/**
 * Show source and target words. A target word that has the pointer or the focus marks the source words that it attends to.
 * `attention` has a list of weights for each target word; `unused` is the text for a word without weights.
 */
export function showWords({ source_words: sourceWords, target_words: targetWords, attention }, unused = "") {
  const sources = sourceWords.map((word) => wordElement(word, "source"));
  const light = (weights) => sources.forEach((each, index) => {
    each.style.background = weights ? `rgba(var(--heat), ${(weights[index] * 0.55).toFixed(3)})` : "";
  });
  const targets = targetWords.map((word, index) => {
    const each = wordElement(word, "target");
    const weights = attention[index] || [];
    const best = weights.indexOf(Math.max(...weights));
    each.tabIndex = 0;
    each.setAttribute("aria-label", `${word}: ${best < 0 ? unused : sourceWords[best]}`);
    for (const event of ["mouseenter", "focus"]) each.addEventListener(event, () => light(weights));
    for (const event of ["mouseleave", "blur"]) each.addEventListener(event, () => light(null));
    return each;
  });
  const spaced = (words) => words.flatMap((each) => [each, " "]);
  element("words").replaceChildren(...spaced(sources), document.createElement("br"), ...spaced(targets));
}

function wordElement(text, kind) {
  const each = document.createElement("span");
  each.className = text === "</s>" ? `${kind} end` : kind;
  each.textContent = text === "</s>" ? "\u25a0" : text;
  return each;
}
