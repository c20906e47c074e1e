"""The subword models of a site segment and write texts as SentencePiece and `nmt.data.tokenizer` do."""

from __future__ import annotations

import base64
import json
import random
import shutil
from pathlib import Path
from typing import Any

from frozen_formats import FOLDER
from javascript import run_javascript
from nmt.config.schema import TokenizerConfig
from nmt.data.tokenizer import SubwordModel
from nmt.data.tokenizer_training import train_subwords
from nmt.web.export import SITE
from nmt.web.text_rules import text_rules

OPTIONS: tuple[dict[str, Any], ...] = (
    {"kind": "unigram"},
    {"kind": "bpe"},
    {"kind": "bpe", "normalization": "nmt_nfkc_cf", "byte_fallback": False},
    {"kind": "unigram", "normalization": "nfkc", "user_symbols": ["<bt>", "__name 1__", "ab"]},
    {"kind": "bpe", "user_symbols": ["<bt>", "hund", "a b"]},
    {"kind": "unigram", "normalization": "identity", "byte_fallback": False},
)
SIGNS = (
    "  abcdeé e\u0301ﬁ½²Ⅷ①ｶﾞ\u00a0\u3000\u200b\u200d\u00ad"
    "\ufeff\u2581ß中👩🚀\u0915\u094d\u0937<bt>__name 1__hund\ufffd가각\t"
)

CODE = """
const { read } = await import("./files.js");
const { SubwordModel } = await import("./subword_model.js");
const { rules, models, texts, rows } = JSON.parse(new TextDecoder().decode(await read("cases.json")));
return models.map(({ bytes, reverse }) => {
  const model = new SubwordModel(Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0)), rules, reverse);
  const decoded = rows.map((ids) => model.decode(ids.map((id) => id % model.size)));
  return { ids: texts.map((text) => model.encode(text)), texts: decoded };
});
"""


def test_texts_are_segmented_and_written_as_by_sentencepiece(tmp_path: Path) -> None:
    lines = (FOLDER / "train.de").read_text(encoding="utf-8").splitlines()
    trained = []
    for number, changes in enumerate(OPTIONS):
        options = TokenizerConfig(vocabulary_size=400, **changes)
        model, _ = train_subwords(lines, options=options, symbols=options.user_symbols, what="target")
        trained.append(SubwordModel(model.model_bytes, right_to_left=number % 2 == 1))
    draw = random.Random(4)
    signs = [*SIGNS, "<bt>", "__name 1__", "hund", "a b", *" ".join(lines[:9])]
    made = ["".join(draw.choices(signs, k=draw.randrange(30))) for _ in range(300)]
    texts = [*lines, *made, "", " ", "a  b ", "\u2581"]
    rows = [[draw.randrange(1_000_000) for _ in range(draw.randrange(12))] for _ in range(200)]
    shutil.copytree(SITE, tmp_path, dirs_exist_ok=True)
    models = [
        {"bytes": base64.b64encode(model.model_bytes).decode(), "reverse": model.right_to_left} for model in trained
    ]
    (tmp_path / "cases.json").write_text(
        json.dumps({"rules": text_rules(), "models": models, "texts": texts, "rows": rows})
    )
    for model, found in zip(trained, run_javascript(tmp_path, CODE), strict=True):
        expected = [model.encode([text])[0] for text in texts]
        wrong = [case for case in zip(texts, found["ids"], expected, strict=True) if case[1] != case[2]]
        assert wrong[:3] == []
        written = model.decode([[piece % model.size for piece in row] for row in rows])
        assert found["texts"] == written
