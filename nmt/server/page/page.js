// The page of nmt serve. It sends text only to the server that it came from, and stores nothing but the chosen languages.
import { TranslationView, element, say, showWords } from "./view.js";

const TEXTS = {
  en: {
    title: "Translate", interface: "Language of this page", from: "From", to: "To", swap: "Swap languages",
    input: "Text to translate", hint: "Type a text, or drop a document here.", open: "Open a document", clear: "Clear",
    output: "Translation", copy: "Copy", copied: "Copied.", alternatives: "Alternatives", key: "API key",
    alternatives_note: "Select a line of the translation. Point at a word, or move to it with the Tab key, to see the source words that the model attends to.",
    key_note: "Needed only if this server requires one. It stays in this tab.", auto: "Detect language", detected: "Detected: ",
    no_answer: "The server does not answer.", translating: "Translating the document ...", ready: "The document has been downloaded.",
    characters: "{n} of {most} characters", unused: "No attention",
  },
  de: {
    title: "Übersetzen", interface: "Sprache dieser Seite", from: "Von", to: "Nach", swap: "Sprachen tauschen",
    input: "Text zum Übersetzen", hint: "Text eingeben oder ein Dokument hierher ziehen.", open: "Dokument öffnen", clear: "Leeren",
    output: "Übersetzung", copy: "Kopieren", copied: "Kopiert.", alternatives: "Alternativen", key: "API-Schlüssel",
    alternatives_note: "Wählen Sie eine Zeile der Übersetzung. Zeigen Sie auf ein Wort, oder gehen Sie mit der Tabulatortaste zu ihm, um die Wörter der Quelle zu sehen, auf die das Modell achtet.",
    key_note: "Nur nötig, wenn dieser Server einen verlangt. Er bleibt in diesem Tab.", auto: "Sprache erkennen", detected: "Erkannt: ",
    no_answer: "Der Server antwortet nicht.", translating: "Das Dokument wird übersetzt ...", ready: "Das Dokument wurde heruntergeladen.",
    characters: "{n} von {most} Zeichen", unused: "Keine Aufmerksamkeit",
  },
  ko: {
    title: "번역", interface: "이 페이지의 언어", from: "원문 언어", to: "번역 언어", swap: "언어 바꾸기",
    input: "번역할 글", hint: "글을 입력하거나 문서를 여기로 끌어 놓으세요.", open: "문서 열기", clear: "지우기",
    output: "번역문", copy: "복사", copied: "복사했습니다.", alternatives: "다른 번역", key: "API 키",
    alternatives_note: "번역문의 한 줄을 고르세요. 단어를 가리키거나 Tab 키로 이동하면 모델이 주목한 원문 단어가 보입니다.",
    key_note: "이 서버가 요구할 때만 필요합니다. 이 탭에만 남습니다.", auto: "언어 감지", detected: "감지한 언어: ",
    no_answer: "서버가 응답하지 않습니다.", translating: "문서를 번역하는 중 ...", ready: "문서를 내려받았습니다.",
    characters: "{most}자 중 {n}자", unused: "주목한 단어 없음",
  },
};
const WAIT = 250; // milliseconds after the last key
const [input, output, source, target] = ["input", "output", "source", "target"].map(element);
const view = new TranslationView((line, hypothesis) => { if (hypothesis.attention) showWords(hypothesis, texts.unused); });
let texts = TEXTS.en;
let languages = [];
let models = [];
let most = 0;
let current = null;
let timer = 0;

function translateInterface(code) {
  texts = TEXTS[code] || TEXTS.en;
  document.documentElement.lang = TEXTS[code] ? code : "en";
  element("interface").value = document.documentElement.lang;
  for (const each of document.querySelectorAll("[data-text]")) each.textContent = texts[each.dataset.text];
  for (const each of document.querySelectorAll("[data-label]")) each.setAttribute("aria-label", texts[each.dataset.label]);
  for (const each of document.querySelectorAll("[data-placeholder]")) each.placeholder = texts[each.dataset.placeholder];
  if (source.options.length) source.options[0].textContent = texts.auto;
  showCount();
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
  const known = languages.find((each) => each.code === code);
  try {
    return new Intl.DisplayNames([document.documentElement.lang], { type: "language" }).of(code);
  } catch {
    return known ? known.name : code;
  }
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
  element("count").textContent = texts.characters.replace("{n}", count).replace("{most}", most);
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
    say("");
    return;
  }
  output.setAttribute("aria-busy", "true");
  try {
    const parts = text.split("\n");
    const answer = await ask("v1/translate", {
      lines: parts, source: source.value, target: target.value, n_best: 4, split_sentences: true, alignment: hasAttention(),
    }, mine.signal);
    element("detected").textContent = source.value === "auto" ? texts.detected + name(answer.source) : "";
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
    link.download = `${target.value}-${file.name}`;
    link.click();
    say(texts.ready);
  } catch (error) {
    say(error.message, true);
  }
}

async function start() {
  const saved = localStorage.getItem("interface") || navigator.language.slice(0, 2);
  translateInterface(saved);
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
  } catch (error) {
    say(error.message, true);
  }
}

input.addEventListener("input", schedule);
source.addEventListener("change", () => { fillTargets(); schedule(); });
target.addEventListener("change", schedule);
element("interface").addEventListener("change", (event) => {
  localStorage.setItem("interface", event.target.value);
  translateInterface(event.target.value);
  for (const option of [...source.options].slice(1)) option.textContent = name(option.value);
  for (const option of target.options) option.textContent = name(option.value);
});
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
