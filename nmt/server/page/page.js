// The page of nmt serve. It sends text only to the server that it came from, and stores nothing but the chosen languages.
import { languageName, startInterface, texts } from "./interface.js";
import { TranslationView, element, say, showWords } from "./view.js";

const WAIT = 250; // milliseconds after the last key
const [input, output, source, target] = ["input", "output", "source", "target"].map(element);
const view = new TranslationView((line, hypothesis) => { if (hypothesis.attention) showWords(hypothesis, texts.unused); });
let languages = [];
let models = [];
let most = 0;
let detected = null; // the language of the text
let current = null;
let timer = 0;

/** Write the texts that are not in the HTML in the language of the page. */
function showLanguage() {
  if (source.options.length) source.options[0].textContent = texts.auto;
  for (const option of [...source.options].slice(1)) option.textContent = name(option.value);
  for (const option of target.options) option.textContent = name(option.value);
  showDetected(detected);
  showCount();
}

function showDetected(code) {
  detected = code;
  element("detected").textContent = code ? texts.detected + name(code) : "";
}

async function ask(path, body, signal) {
  const headers = {};
  if (!(body instanceof FormData)) headers["Content-Type"] = "application/json";
  const key = element("key").value;
  if (key && body instanceof FormData) body.append("api_key", key);
  const options = body === undefined ? {} : {
    method: "POST", headers, signal,
    body: body instanceof FormData ? body : JSON.stringify(key ? { ...body, api_key: key } : body),
  };
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(texts.no_answer);
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || response.statusText);
  return answer;
}

function name(code) {
  return languageName(code, languages.find((each) => each.code === code)?.name);
}

function fillTargets() {
  const chosen = target.value;
  const from = source.value === "auto" ? languages : languages.filter((each) => each.code === source.value);
  const codes = [...new Set(from.flatMap((each) => each.targets))];
  target.replaceChildren(...codes.map((code) => new Option(name(code), code)));
  if (codes.includes(chosen)) target.value = chosen;
}

function showCount() {
  const count = [...input.value].length;
  const shown = (number) => number.toLocaleString(document.documentElement.lang);
  element("count").textContent = texts.characters.replace("{n}", shown(count)).replace("{most}", shown(most));
}

function schedule() {
  showCount();
  clearTimeout(timer);
  timer = setTimeout(translate, WAIT);
}

async function translate() {
  current?.abort();
  const mine = (current = new AbortController());
  const text = input.value;
  if (!text.trim()) {
    view.show([]);
    showDetected(null);
    say("");
    return;
  }
  output.setAttribute("aria-busy", "true");
  try {
    const parts = text.split("\n");
    const answer = await ask("v1/translate", {
      lines: parts, source: source.value, target: target.value, n_best: 4, split_sentences: true, alignment: hasAttention(),
    }, mine.signal);
    showDetected(source.value === "auto" ? answer.source : null);
    [input.lang, output.lang] = [answer.source, answer.target]; // for screen readers and the spell checker
    view.show(answer.translations);
    say("");
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, true);
  } finally {
    if (mine === current) output.setAttribute("aria-busy", "false");
  }
}

/** Whether each source language that may be detected has a model of its own with attention, without a pivot language. */
function hasAttention() {
  const sources = languages.filter((each) => [each.code, "auto"].includes(source.value) && each.targets.includes(target.value));
  return sources.every(({ code }) => models.some((each) => each.attention && each.source.code === code && each.target.code === target.value));
}

async function translateFile(file) {
  if (!file) return;
  say(texts.translating);
  const form = new FormData();
  form.append("file", file);
  form.append("source", source.value);
  form.append("target", target.value);
  try {
    const answer = await ask("translate_file", form);
    const link = document.createElement("a");
    link.href = new URL(answer.translatedFileUrl).pathname;
    link.download = ""; // the server names the file
    link.click();
    say(texts.ready);
  } catch (error) {
    say(error.message, true);
  }
}

async function start() {
  startInterface(showLanguage);
  try {
    const settings = await ask("frontend/settings");
    most = settings.charLimit;
    languages = await ask("languages");
    ({ models } = await ask("v1/models"));
    source.replaceChildren(new Option(texts.auto, "auto"), ...languages.map((each) => new Option(name(each.code), each.code)));
    source.value = languages.length > 1 ? "auto" : languages[0].code;
    document.querySelector(".key").hidden = !settings.keyRequired;
    fillTargets();
    // A link may have a text and languages after #. That part of an address is not sent to the server.
    const given = new URLSearchParams(location.hash.slice(1));
    if (given.has("source")) source.value = given.get("source");
    fillTargets();
    if (given.has("target")) target.value = given.get("target");
    if (given.has("q")) { input.value = given.get("q"); translate(); }
    showCount();
    document.documentElement.dataset.ready = "true";
  } catch (error) {
    say(error.message, true);
  }
}

input.addEventListener("input", schedule);
source.addEventListener("change", () => { fillTargets(); schedule(); });
target.addEventListener("change", schedule);
element("swap").addEventListener("click", () => {
  const from = source.value === "auto" ? languages.find((each) => each.targets.includes(target.value))?.code : source.value;
  if (!languages.some((each) => each.code === target.value && each.targets.includes(from))) return;
  const text = view.lines.map((line) => line.translation).join("\n");
  source.value = target.value;
  fillTargets();
  target.value = from;
  if (text) input.value = text;
  schedule();
});
element("clear").addEventListener("click", () => { input.value = ""; schedule(); input.focus(); });
element("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(view.lines.map((line) => line.translation).join("\n"));
  say(texts.copied);
});
element("file").addEventListener("change", (event) => { translateFile(event.target.files[0]); event.target.value = ""; });
for (const kind of ["dragover", "dragleave", "drop"]) {
  input.addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    input.classList.toggle("drop", kind === "dragover");
    if (kind === "drop") translateFile(event.dataTransfer.files[0]);
  });
}
start();
