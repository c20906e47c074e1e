// The page of a site. It loads the model once, and sends nothing anywhere.

const WAIT = 150; // milliseconds after the last key
const ALTERNATIVES = 4;
const element = (id) => document.getElementById(id);
const [input, output] = ["input", "output"].map(element);
// `nmt export web --single-file` embeds the files in the page.
const isSingleFile = element("worker.js") !== null;
const worker = isSingleFile
  ? new Worker(URL.createObjectURL(new Blob([embedded("worker.js")], { type: "text/javascript" })))
  : new Worker(new URL("worker.js", import.meta.url), { type: "module" });
let hasAttention = false;
let beamSize = 1;
let lines = [];
let number = 0; // of the latest request
let timer = 0;

function say(text, isError = false) {
  element("status").textContent = text;
  element("status").classList.toggle("error", isError);
}

function schedule() {
  clearTimeout(timer);
  timer = setTimeout(translate, WAIT);
}

function translate() {
  output.setAttribute("aria-busy", "true");
  number += 1;
  const options = { n_best: Math.min(ALTERNATIVES, beamSize), split_sentences: true };
  worker.postMessage({ lines: input.value.split("\n"), options, number });
}

worker.addEventListener("error", () => say("This browser cannot run the translator. Use a current version.", true));
worker.addEventListener("message", ({ data }) => {
  if (data.error) say(data.error, true);
  if (data.ready) start(data);
  if (data.number !== number) return;
  if (data.attention) showWords(data.attention);
  if (data.translations) {
    lines = data.translations.map((each) => ({ ...each }));
    output.setAttribute("aria-busy", "false");
    show();
  }
});

function start({ ready, hasAttention: attends }) {
  hasAttention = attends;
  beamSize = ready.beam_size;
  const language = (code) => {
    try {
      return new Intl.DisplayNames(["en"], { type: "language" }).of(code);
    } catch {
      return code;
    }
  };
  const title = `${language(ready.source_language)} to ${language(ready.target_language)}`;
  element("title").textContent = title;
  document.title = title;
  input.lang = ready.source_language;
  output.lang = ready.target_language;
  say("Your text stays on this device.");
  document.documentElement.dataset.ready = "true";
  if (input.value) translate();
}

function show() {
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
  if (first >= 0) choose(first);
}

function choose(index) {
  const line = lines[index];
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
      choose(index);
    });
    item.append(button);
    return item;
  }));
  element("words").replaceChildren();
  const hypothesis = line.hypotheses.find((each) => each.text === line.translation);
  if (hasAttention && hypothesis) worker.postMessage({ attention: { line, hypothesis }, number });
}

function showWords({ source_words: sourceWords, target_words: targetWords, attention }) {
  const sources = sourceWords.map((word) => wordElement(word, "source"));
  const light = (weights) => sources.forEach((each, index) => {
    each.style.background = weights ? `rgba(var(--heat), ${(weights[index] * 0.75).toFixed(3)})` : "";
  });
  const targets = targetWords.map((word, index) => {
    const each = wordElement(word, "target");
    const weights = attention[index];
    each.tabIndex = 0;
    each.setAttribute("aria-label", `${word}: ${sourceWords[weights.indexOf(Math.max(...weights))]}`);
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

for (const event of ["click", "keydown"]) {
  output.addEventListener(event, (happened) => {
    const part = happened.target.closest(".line");
    if (!part?.textContent || (event === "keydown" && !["Enter", " "].includes(happened.key))) return;
    happened.preventDefault();
    choose(+part.dataset.index);
  });
}
input.addEventListener("input", schedule);

/** The bytes of a file that is embedded in the page. */
function embedded(name) {
  return Uint8Array.from(atob(element(name).textContent), (character) => character.charCodeAt(0)).buffer;
}

async function read(name) {
  if (isSingleFile) return embedded(name);
  const response = await fetch(name);
  if (!response.ok) throw new Error();
  return response.arrayBuffer();
}

try {
  const [file, kernel] = await Promise.all(["model.safetensors", "kernel.wasm"].map(read));
  worker.postMessage({ file, kernel }, [file, kernel]);
} catch {
  say("The model cannot be read. Start a server in this folder, such as: python -m http.server", true);
}
