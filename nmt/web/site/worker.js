// Translates in a thread of its own, so that the page stays responsive.
//
// Requests: {file, kernel}: the bytes of the model and of `kernel.wasm`. {lines, options, number}: translate lines. {attention: {line, hypothesis}}.

import { Translator } from "./translator.js";
import { Weights } from "./weights.js";

const MAX_REMEMBERED = 500;
const remembered = new Map(); // translations of lines, so that an edit translates only the lines that changed
let translator = null;
let latest = 0;

/** The module of the kernel; null if the browser cannot compile it. */
async function compiled(kernel) {
  try {
    return await WebAssembly.compile(kernel);
  } catch {
    return null;
  }
}

async function translateLines({ lines, options, number }) {
  latest = number;
  const translations = [];
  for (const line of lines) {
    const key = JSON.stringify([line, options]);
    if (!remembered.has(key)) {
      await new Promise((resolve) => setTimeout(resolve)); // a newer request may have arrived
      if (number !== latest) return;
      if (remembered.size >= MAX_REMEMBERED) remembered.clear();
      remembered.set(key, translator.translate(line, options));
    }
    translations.push(remembered.get(key));
  }
  postMessage({ translations, number });
}

addEventListener("message", async ({ data }) => {
  try {
    if (data.file) {
      translator = new Translator(new Weights(data.file, await compiled(data.kernel)));
      postMessage({ ready: translator.decoding, hasAttention: translator.hasAttention });
    } else if (data.attention) {
      const { line, hypothesis } = data.attention;
      postMessage({ attention: translator.attention(line, hypothesis), number: data.number });
    } else {
      await translateLines(data);
    }
  } catch (error) {
    postMessage({ error: error.message });
  }
});
