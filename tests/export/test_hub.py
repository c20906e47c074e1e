"""The model card, and the folder for model hubs: it loads, translates as the model does, and is safe to show."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import nmt as package
from cli_tools import assert_explained, nmt
from nmt.config.schema import Config
from nmt.errors import DataError, UsageError
from nmt.export.hub import export_hub
from nmt.export.model_card import markdown, model_card, read_scores
from nmt.inference.model_file import ModelFile, load_model
from tiny_translator import WORDS, save_tiny_model

SIGNATURE = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.5.1"
SCORES = [
    {"test": "news", "bleu": 31.256, "chrf": None, "ter": None, "sentences": 7, "signatures": {"bleu": SIGNATURE}}
]
RESULT = {key: value for key, value in SCORES[0].items() if value is not None}
"""The test set as `read_scores` returns it."""
LINES = [WORDS, "the dog sleeps .", "", "café <b>"]


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_tiny_model(path)
    return path


def front_matter(card: str) -> dict[str, Any]:
    start, front, _ = card.split("---\n", 2)
    assert start == ""
    found: dict[str, Any] = yaml.safe_load(front)
    return found


def changed(model: ModelFile, provenance: dict[str, Any] | None = None, **data: Any) -> ModelFile:
    """The model with other values in its configuration, which are validated as those of a file."""
    tree = model.config.model_dump()
    for key in ("name", "license"):
        tree[key] = data.pop(key, None)
    tree["data"] |= data
    return replace(model, config=Config.model_validate(tree), provenance=provenance or {})


def test_the_folder_translates_as_the_model_does(
    model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scores.json").write_text(json.dumps(SCORES), encoding="utf-8")
    done = nmt("export", "hub", str(model_path), "-o", "hub", "--scores", "scores.json")
    assert done.code == 0, done.stderr
    Path("hub").rename("downloaded")
    folder = tmp_path / "downloaded"
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "SHA256SUMS", "best.safetensors"]
    for line in (folder / "SHA256SUMS").read_text("utf-8").splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    expected = [each.text for each in package.load(model_path).translate(LINES)]
    assert [each.text for each in package.load(folder).translate(LINES)] == expected
    done = nmt("translate", "-m", "downloaded", stdin="".join(f"{line}\n" for line in LINES).encode())
    assert done.stdout.splitlines() == expected
    card = nmt("card", "downloaded", "--scores", "scores.json")
    assert card.stdout == (folder / "README.md").read_text("utf-8")
    front = front_matter(card.stdout)
    assert (front["language"], front["pipeline_tag"]) == (["en", "de"], "translation")
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"]["name"] == "news"
    (metric,) = result["metrics"]
    assert (metric["type"], metric["value"]) == ("bleu", 31.26)
    assert SIGNATURE in metric["name"]
    assert str(tmp_path) not in card.stdout


def test_licences_are_those_of_the_configuration(model_path: Path, tmp_path: Path) -> None:
    model = load_model(model_path)
    card = model_card(model)
    assert "license" not in front_matter(card)
    assert "not stated" in card
    train = [{"source": "a", "target": "b", "license": "CC0-1.0"}]
    licensed = changed(model, {"training_text": {"pairs": 29000}}, license="CC-BY-4.0", train=train)
    export_hub(licensed, tmp_path / "hub")
    assert "CC-BY-4.0" in (tmp_path / "hub/LICENSE").read_text("utf-8")
    stored = load_model(tmp_path / "hub/best.safetensors")
    assert (stored.config.license, stored.config.data.train[0].license) == ("CC-BY-4.0", "CC0-1.0")
    card = model_card(stored)
    assert front_matter(card)["license"] == "cc-by-4.0"
    assert "| a, b | CC0-1.0 |" in card
    assert "29,000 sentence pairs" in card
    own = front_matter(model_card(changed(model, license="Our own: licence\n---")))
    assert own["license"] == "other"
    assert own["license_name"] == r"Our own: licence\n---"


def test_validation_scores_are_shown_and_damaged_ones_left_out(model_path: Path) -> None:
    model = load_model(model_path)
    assert "BLEU 12.30, chrF 40.00" in model_card(changed(model, {"validation": {"bleu": 12.3, "chrf": 40.0}}))
    scores = {"bleu": 12.3, "chrf": 40.0, "loss": 1.0}
    for stored in ({"bleu": SIGNATURE, "loss": "x"}, {"bleu": SIGNATURE, "chrf": [1]}):
        card = model_card(changed(model, {"validation": scores, "validation_signatures": stored}))
        assert f"Signatures of sacreBLEU: BLEU {markdown(SIGNATURE, 300)}.\n" in card
    hostile = {"bleu": "<b>](https://x) " * 1_000}
    card = model_card(changed(model, {"validation": scores, "validation_signatures": hostile}))
    assert "<b>" not in card
    assert len(card) < 20_000
    for damaged in ([1], "x", {}):
        assert "Signatures" not in model_card(changed(model, {"validation": scores, "validation_signatures": damaged}))
    for damaged in ([1], "x", {"bleu": "9|9"}, {"bleu": 1e300}, {"bleu": True}, {"bleu": None}, {"loss": 1.0}):
        assert "has no scores" in model_card(changed(model, {"validation": damaged}))
    for pairs in ("<b>", True, -1, 10**30, [1]):
        assert "not stored" in model_card(changed(model, {"training_text": {"pairs": pairs}}))


HOSTILE = [
    "<script>alert(1)</script>",
    "a\n---\nlicense: mit\n# Title",
    "[click](https://evil.example) ![x](http://evil.example/x.png)",
    "a | b | `c` **d** __e__ $f$ ~~g~~",
    "www.evil.example me@evil.example",
    "\u202e\x1b[31m\u2028x",
    "&lt;b&gt; \\",
    "{{ x }} {% y %}: !!python/object:os.system",
    "x" * 10_000,
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_names_of_strangers_are_plain_text(name: str, model_path: Path) -> None:
    model = load_model(model_path)
    harmless = model_card(changed(model, name="n", license="n n", train=[{"source": "n", "target": "n"}]), [RESULT])
    train = [{"source": name, "target": name, "license": name[:200]}]
    languages = {"source_language": name, "target_language": "no"}
    hostile = changed(model, name=name, license=name[:200], train=train, valid={"tsv": name}, **languages)
    card = model_card(hostile, [{**RESULT, "test": name}])
    front = front_matter(card)
    assert set(front) | {"license_name"} == set(front_matter(harmless))
    assert front["language"] == ["no"]
    assert front.get("license") in ("other", name[:200].lower())
    body = card.split("---\n", 2)[2]
    assert len(body.splitlines()) == len(harmless.split("---\n", 2)[2].splitlines())
    assert not set("<>\u202e\x1b\u2028") & set(body)
    assert len(card) < 20_000
    for sign in ("](", "![", "https:", "http:", "www.", "@", "**"):
        assert sign not in body, sign


def test_names_lose_their_folders(model_path: Path) -> None:
    train = [{"source": "/home/ann/secret/a.en", "target": "C:\\Users\\ann\\a.de"}]
    model = changed(load_model(model_path), name="/home/ann/model", train=train)
    card = model_card(model, [{**RESULT, "test": "/home/ann/news"}])
    assert "ann" not in card.replace("meaning", "")
    assert "a.en, a.de" in card


def test_markdown_keeps_plain_text() -> None:
    assert markdown("train.en, Bokmål 2016-x") == "train.en, Bokmål 2016-x"
    assert markdown("a_b|c") == r"a\_b\|c"


@pytest.mark.parametrize(
    "text",
    ["{}", "[1]", '"x"', '[{"test": "x"}]', '[{"test": "x", "bleu": -1, "sentences": 1, "signatures": {}}]', "["],
)
def test_a_file_that_has_no_scores_is_refused(text: str, tmp_path: Path, model_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text(text, encoding="utf-8")
    if text == "{}":
        assert read_scores(path) == []
        return
    with pytest.raises(DataError, match=r"scores\.json"):
        read_scores(path)
    assert_explained(nmt("card", str(model_path), "--scores", str(path)), "scores.json", codes=(1,))


def test_other_files_are_never_replaced(model_path: Path, tmp_path: Path) -> None:
    model, folder = load_model(model_path), tmp_path / "hub"
    folder.mkdir()
    (folder / "best.safetensors").write_text("of a run")
    with pytest.raises(UsageError, match="not an export"):
        export_hub(model, folder, overwrite=True)
    (folder / "best.safetensors").unlink()
    export_hub(model, folder)
    with pytest.raises(UsageError, match="--overwrite"):
        export_hub(model, folder)
    export_hub(model, folder, overwrite=True)
    card = tmp_path / "card.md"
    card.write_text("mine")
    assert_explained(nmt("card", str(model_path), "-o", str(card)), "--overwrite", codes=(2,))
    assert nmt("card", str(model_path), "-o", str(card), "--overwrite").code == 0
    assert card.read_text("utf-8") == (folder / "README.md").read_text("utf-8")
