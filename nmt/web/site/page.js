// The page of a site. It loads the model once, and sends nothing anywhere.
import { languageName, startInterface, texts } from "./interface.js";
import { TranslationView, element, say, showWords } from "./view.js";

const WAIT = 150; // milliseconds after the last key
const ALTERNATIVES = 4;
const [input, output] = ["input", "output"].map(element);
// `nmt export web --single-file` embeds the files in the page.
const isSingleFile = element("worker.js") !== null;
const worker = isSingleFile
  ? new Worker(URL.createObjectURL(new Blob([embedded("worker.js")], { type: "text/javascript" })))
  : new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const view = new TranslationView((line, hypothesis) => {
  if (hasAttention) worker.postMessage({ attention: { line, hypothesis }, number });
});
let hasAttention = false;
let beamSize = 1;
let languages = null; // [source, target]
let number = 0; // of the latest request
let timer = 0;

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

worker.addEventListener("error", () => report("old_browser", true));
worker.addEventListener("message", ({ data }) => {
  if (data.error) {
    delete element("status").dataset.text;
    say(data.error, true);
  }
  if (data.ready) start(data);
  if (data.number !== number) return;
  if (data.attention) showWords(data.attention, texts.unused);
  if (data.translations) {
    output.setAttribute("aria-busy", "false");
    view.show(data.translations.map((each) => ({ ...each })));
  }
});

function start({ ready, hasAttention: attends }) {
  hasAttention = attends;
  beamSize = ready.beam_size;
  languages = [ready.source_language, ready.target_language];
  [input.lang, output.lang] = languages;
  delete element("title").dataset.text; // the languages follow
  showLanguage();
  report("local");
  document.documentElement.dataset.ready = "true";
  if (input.value) translate();
}

/** Write the texts that depend on the model in the language of the page. */
function showLanguage() {
  if (!languages) return;
  const [source, target] = languages.map((code) => languageName(code));
  const title = texts.direction.replace("{source}", () => source).replace("{target}", () => target);
  element("title").textContent = title;
  document.title = title;
}

/** Show a text of the interface as the status; it follows the language of the page. */
function report(name, isError = false) {
  element("status").dataset.text = name;
  say(texts[name], isError);
}

startInterface(showLanguage);
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
  report("no_model", true);
}
