// The texts of the pages of nmt serve and nmt export web, in three languages.

const TEXTS = {
  en: {
    title: "Translate", interface: "Language of this page", from: "From", to: "To", swap: "Swap languages",
    input: "Text to translate", hint: "Type a text, or drop a document here.", type: "Type a text.", open: "Open a document", clear: "Clear",
    output: "Translation", copy: "Copy", copied: "Copied.", alternatives: "Alternatives", key: "API key",
    alternatives_note: "Select a line of the translation. Point at a word, or move to it with the Tab key, to see the source words that the model attends to.",
    key_note: "Needed only if this server requires one. It stays in this tab.", auto: "Detect language", detected: "Detected: ",
    no_answer: "The server does not answer.", translating: "Translating the document ...", ready: "The document has been downloaded.",
    characters: "{n} of {most} characters", unused: "No attention", direction: "{source} to {target}",
    loading: "The model is loading ...", local: "Your text stays on this device.",
    old_browser: "This browser cannot run the translator. Use a current version.",
    no_model: "The model cannot be read. Start a server in this folder, such as: python -m http.server",
  },
  de: {
    title: "Übersetzen", interface: "Sprache dieser Seite", from: "Von", to: "Nach", swap: "Sprachen tauschen",
    input: "Text zum Übersetzen", hint: "Text eingeben oder ein Dokument hierher ziehen.", type: "Text eingeben.", open: "Dokument öffnen", clear: "Leeren",
    output: "Übersetzung", copy: "Kopieren", copied: "Kopiert.", alternatives: "Alternativen", key: "API-Schlüssel",
    alternatives_note: "Wählen Sie eine Zeile der Übersetzung. Zeigen Sie auf ein Wort oder springen Sie mit der Tabulatortaste dorthin, um die Quellwörter zu sehen, auf die das Modell achtet.",
    key_note: "Nur nötig, wenn dieser Server einen verlangt. Er bleibt in diesem Tab.", auto: "Sprache erkennen", detected: "Erkannt: ",
    no_answer: "Der Server antwortet nicht.", translating: "Das Dokument wird übersetzt ...", ready: "Das Dokument wurde heruntergeladen.",
    characters: "{n} von {most} Zeichen", unused: "Keine Aufmerksamkeit", direction: "{source} – {target}",
    loading: "Das Modell wird geladen ...", local: "Ihr Text bleibt auf diesem Gerät.",
    old_browser: "Dieser Browser kann den Übersetzer nicht ausführen. Verwenden Sie eine aktuelle Version.",
    no_model: "Das Modell kann nicht gelesen werden. Starten Sie in diesem Ordner einen Server, zum Beispiel: python -m http.server",
  },
  ko: {
    title: "번역", interface: "페이지 언어", from: "원문 언어", to: "번역문 언어", swap: "두 언어 맞바꾸기",
    input: "번역할 글", hint: "글을 입력하거나 문서를 여기에 끌어다 놓으세요.", type: "글을 입력하세요.", open: "문서 열기", clear: "지우기",
    output: "번역문", copy: "복사", copied: "복사했습니다.", alternatives: "다른 번역", key: "API 키",
    alternatives_note: "번역문에서 한 줄을 고르세요. 단어를 가리키거나 Tab 키로 단어를 고르면 모델이 주목한 원문 단어가 보입니다.",
    key_note: "서버가 키를 요구할 때만 필요합니다. 키는 이 탭에만 저장됩니다.", auto: "언어 감지", detected: "감지된 언어: ",
    no_answer: "서버가 응답하지 않습니다.", translating: "문서를 번역하는 중...", ready: "번역된 문서를 내려받았습니다.",
    characters: "{n} / {most}자", unused: "주목한 단어 없음", direction: "{source} → {target}",
    loading: "모델을 불러오는 중...", local: "입력한 글은 이 기기를 벗어나지 않습니다.",
    old_browser: "이 브라우저에서는 번역기를 실행할 수 없습니다. 최신 버전을 사용하세요.",
    no_model: "모델을 읽을 수 없습니다. 이 폴더에서 서버를 시작하세요. 예: python -m http.server",
  },
};
const STORED = "interface";

/** The texts in the language of the page. */
export const texts = { ...TEXTS.en };

/** Show the page in the language that was chosen earlier, or in that of the browser. `onChange` follows each choice. */
export function startInterface(onChange) {
  const choice = document.getElementById("interface");
  show(stored() || navigator.language.slice(0, 2));
  choice.addEventListener("change", () => {
    show(choice.value);
    try {
      localStorage.setItem(STORED, choice.value);
    } catch {} // a page from the disk may have no storage
    onChange();
  });
}

/** The name of a language in the language of the page. */
export function languageName(code, otherwise = code) {
  try {
    return new Intl.DisplayNames([document.documentElement.lang], { type: "language" }).of(code);
  } catch {
    return otherwise;
  }
}

function stored() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

function show(code) {
  const known = TEXTS[code] ? code : "en";
  Object.assign(texts, TEXTS[known]);
  document.documentElement.lang = known;
  document.getElementById("interface").value = known;
  for (const each of document.querySelectorAll("[data-text]")) each.textContent = texts[each.dataset.text];
  for (const each of document.querySelectorAll("[data-label]")) each.setAttribute("aria-label", texts[each.dataset.label]);
  for (const each of document.querySelectorAll("[data-placeholder]")) each.placeholder = texts[each.dataset.placeholder];
}
