"""Writes the model card of a model file: the README.md that model hubs show.

Names in a model file may come from a stranger. They are cut, lose their folders, and are escaped for YAML and Markdown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from nmt.config.file_names import last_part
from nmt.config.schema import PAIR_FILES, PairConfig
from nmt.data.languages import canonical_code, find_language
from nmt.errors import DataError
from nmt.evaluation.compare.result import NAMES
from nmt.inference.model_file import TRAINING_TEXT, VALIDATION, VALIDATION_SIGNATURES, ModelFile
from nmt.small_files import finite_number, read_json
from nmt.terminal import on_one_line

LIBRARY = "attention-nmt"
MAX_NAME, MAX_SIGNATURE = 100, 300
"""Characters of names and signatures that the card shows."""
MAX_SCORE = 10_000
"""TER can be more than 100."""
_MARKUP = re.compile(r"[\\`*_{}\[\]()#+!|~^$=<>&\"':@]|(?<=www)\.", re.IGNORECASE)
"""Characters of Markdown and HTML, and those that make a link of plain text."""


def model_card(model: ModelFile, tests: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the card of a model as Markdown with YAML front matter.

    Args:
        model: The model.
        tests: Results of test sets; see `read_scores`.
    """
    front = yaml.safe_dump(_front_matter(model, tests), sort_keys=False, allow_unicode=True, width=math.inf)
    return f"---\n{front}---\n\n" + "\n".join(_body(model, tests)).strip() + "\n"


def read_scores(path: Path) -> list[dict[str, Any]]:
    """Read results of `nmt evaluate --json`.

    Returns:
        For each test set: test (its name), sentences, the value of each metric that was computed, and signatures.

    Raises:
        DataError: The file cannot be read, or has something else.
    """
    try:
        return [_result(each) for each in read_json(path)]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DataError(f"{path}: expected the output of `nmt evaluate --json`. Write it again.") from None


def _result(found: dict[str, Any]) -> dict[str, Any]:
    scores = {name: _score(found[name]) for name in NAMES if found.get(name) is not None}
    signatures = {name: _plain(found["signatures"][name], MAX_SIGNATURE) for name in scores}
    return {"test": str(found["test"]), "sentences": int(found["sentences"]), **scores, "signatures": signatures}


def _score(value: object) -> float:
    number = finite_number(value)
    if not 0 <= number <= MAX_SCORE:
        raise ValueError
    return number


def _front_matter(model: ModelFile, tests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    metrics = [name for name in NAMES if any(name in test for test in tests)]
    languages = [code for code in _codes(model) if re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", code)]
    front: dict[str, Any] = {"language": list(dict.fromkeys(languages))} if languages else {}
    front |= _license(model.config.license)
    front |= {"library_name": LIBRARY, "pipeline_tag": "translation", "tags": ["translation", "rnn", "attention"]}
    if not metrics:
        return front
    task = {"type": "translation", "name": f"Translation {' to '.join(_languages(model))}"}
    results = [
        {
            "task": task,
            "dataset": {"name": name, "type": name},
            "metrics": [
                {
                    "type": metric,
                    "name": f"{NAMES[metric]} ({test['signatures'][metric]})",
                    "value": round(test[metric], 2),
                }
                for metric in metrics
                if metric in test
            ],
        }
        for test in tests
        for name in [_name(test["test"])]
    ]
    return front | {"metrics": metrics, "model-index": [{"name": _title(model), "results": results}]}


def _license(name: str | None) -> dict[str, str]:
    """Return the keys of a licence: the identifiers of hubs are those of SPDX in small letters."""
    if name is None:
        return {}
    if re.fullmatch(r"[A-Za-z0-9.+-]+", name):
        return {"license": name.lower()}
    return {"license": "other", "license_name": _plain(name)}


def _body(model: ModelFile, tests: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    source, target = map(markdown, _languages(model))
    parameters = model.num_parameters
    network = model.config.model
    encoder, decoder = network.encoder, network.decoder
    attention = "no attention" if network.attention.score == "none" else f"{network.attention.score} attention"
    yield f"# {markdown(_title(model))}"
    yield ""
    yield f"A recurrent encoder-decoder that translates from {source} to {target}."
    yield from ("", "## Use", "", "```bash", f'pip install "{LIBRARY}[serve]"')
    yield from ('echo "A sentence." | nmt translate -m FOLDER', "nmt serve FOLDER", "```", "")
    yield "`FOLDER` is the downloaded folder. In Python: `nmt.load(FOLDER).translate(text)`."
    yield from ("", "## Model", "", "| property | value |", "| --- | --- |")
    yield f"| languages | {source} to {target} |"
    yield f"| parameters | {parameters:,} |"
    yield f"| encoder | {encoder.layers} x {encoder.hidden_size} {encoder.cell.replace('_', ' ')} |"
    yield f"| decoder | {decoder.layers} x {decoder.hidden_size} {decoder.cell.replace('_', ' ')} |"
    yield f"| attention | {attention.replace('_', ' ')} |"
    yield f"| subword pieces | {model.tokenizers.source.size:,} source, {model.tokenizers.target.size:,} target |"
    yield f"| licence | {_licence_text(model.config.license)} |"
    yield from ("", "`nmt bench FOLDER` measures its speed on your machine.")
    yield from _data(model)
    yield from _scores(model, tests)
    yield from ("", "## Limits", "")
    yield "- The model translates one sentence at a time and does not see the context of a document."
    limit = model.config.decoding.max_source_pieces or model.config.data.filters.max_pieces
    yield f"- Sentences of more than about {limit} subword pieces are translated badly. Translate them in parts."
    yield "- Text of another domain than the training data gets worse translations. Test it on your own text."
    yield "- A translation can be fluent and wrong. It can omit, repeat or invent content, numbers and names."
    yield from ("", "## Biases to watch", "")
    yield "- The model repeats the stereotypes of its training data, such as the gender of occupations."
    yield "- Where the source leaves gender, number or politeness open, it picks the form that is frequent in the data."
    yield "- Dialects, minority names and rare words are translated worse than the standard language."
    yield "- No measurement of bias is part of this card. Check each use in which a wrong translation can do harm."


def _data(model: ModelFile) -> Iterator[str]:
    data = model.config.data
    yield from ("", "## Training data", "", "| corpus | files | licence |", "| --- | --- | --- |")
    for number, corpus in enumerate(data.train, start=1):
        yield f"| {number} | {_files(corpus)} | {_licence_text(corpus.license)} |"
    text = model.provenance.get(TRAINING_TEXT)
    pairs = text.get("pairs") if isinstance(text, dict) else None
    known = isinstance(pairs, int) and not isinstance(pairs, bool) and 0 < pairs < 10**15
    size = f"{pairs:,} sentence pairs after filtering" if known else "not stored in the model file"
    yield from ("", f"Size: {size}. Validation set: {_files(data.valid)}.")


def _scores(model: ModelFile, tests: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from ("", "## Scores", "")
    if tests:
        yield from (
            "| test set | sentences | metric | score | sacreBLEU signature |",
            "| --- | --- | --- | --- | --- |",
        )
    for test in tests:
        for metric in NAMES:
            if metric in test:
                signature = markdown(test["signatures"][metric], MAX_SIGNATURE)
                name = markdown(_name(test["test"]))
                yield f"| {name} | {test['sentences']} | {NAMES[metric]} | {test[metric]:.2f} | {signature} |"
    validation = dict(_validation(model))
    if validation:
        found = ", ".join(f"{NAMES[name]} {value:.2f}" for name, value in validation.items())
        yield from [""] * bool(tests)
        yield f"Validation set, which selected the model in training: {found}."
        yield from _validation_signatures(model, validation)
        yield "These scores are too high for a comparison with test sets."
    if not (tests or validation):
        yield "The model file has no scores. `nmt evaluate` computes them."


def _validation_signatures(model: ModelFile, scores: Iterable[str]) -> Iterator[str]:
    stored = model.provenance.get(VALIDATION_SIGNATURES)
    if not isinstance(stored, dict):
        return
    known = [(NAMES[name], stored[name]) for name in scores if isinstance(stored.get(name), str)]
    if known:
        found = ", ".join(f"{name} {markdown(signature, MAX_SIGNATURE)}" for name, signature in known)
        yield f"Signatures of sacreBLEU: {found}."


def _validation(model: ModelFile) -> Iterator[tuple[str, float]]:
    found = model.provenance.get(VALIDATION)
    if not isinstance(found, dict):
        return
    for name in NAMES:
        try:
            yield name, _score(found.get(name))
        except (TypeError, ValueError):
            continue


def _files(pair: PairConfig) -> str:
    files = [file for file in (getattr(pair, key) for key in PAIR_FILES) if file is not None]
    return ", ".join(markdown(_name(file)) for file in files)


def _licence_text(name: str | None) -> str:
    return "not stated" if name is None else markdown(name)


def _title(model: ModelFile) -> str:
    return _name(model.config.name) if model.config.name else "-".join(map(_plain, _codes(model)))


def _codes(model: ModelFile) -> list[str]:
    return [canonical_code(code) for code in (model.config.data.source_language, model.config.data.target_language)]


def _languages(model: ModelFile) -> list[str]:
    return [_plain(find_language(code).name) for code in _codes(model)]


def _name(path: str) -> str:
    """Return a name without folders: it shows nothing of the machine on which a model was trained."""
    return _plain(last_part(path))


def _plain(text: str, size: int = MAX_NAME) -> str:
    """Return a text on one line without control characters, of at most `size` characters."""
    line = " ".join(on_one_line(text).split())
    return line if len(line) <= size else f"{line[: size - 3]}..."


def markdown(text: str, size: int = MAX_NAME) -> str:
    """Return a text as plain text of Markdown: without markup, HTML, links and line breaks."""
    return _MARKUP.sub(_escape, _plain(text, size))


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return f"&#{ord(character)};" if character in "<>&\"':@." else f"\\{character}"
