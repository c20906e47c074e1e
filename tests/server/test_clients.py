"""Real client libraries, and the requests of other programs as their sources describe them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import deepl
import httpx
import pytest
from deep_translator import LibreTranslator
from deep_translator.exceptions import AuthorizationException
from deepl.api_data import MultilingualGlossaryDictionaryEntries
from libretranslate_aio import BadRequestError, ForbiddenError, LibreTranslate
from libretranslatepy import LibreTranslateAPI

import nmt

TEXT = "the red house sees a big dog ."


@pytest.fixture(scope="module")
def expected(models: dict[str, Path]) -> str:
    return nmt.load(models["en-de"], split_sentences=True).translate(TEXT).text


@pytest.mark.parametrize("slash", ["", "/"])
def test_libretranslatepy(server: str, expected: str, slash: str) -> None:
    client = LibreTranslateAPI(server + slash)
    assert client.translate(TEXT, "en", "de") == expected
    assert {each["code"] for each in client.languages()} == {"en", "de"}
    assert client.detect("The dog is in the house and sleeps.")[0]["language"] == "en"


def test_deep_translator(server: str, locked: str, expected: str) -> None:
    client = LibreTranslator(source="en", target="de", custom_url=f"{server}/", api_key="any")
    assert client.translate(TEXT) == expected
    with pytest.raises(AuthorizationException):
        LibreTranslator(source="en", target="de", custom_url=f"{locked}/", api_key="wrong").translate(TEXT)


def test_mastodon(server: str, expected: str) -> None:
    body = {"q": [f"<p>{TEXT}</p>", TEXT], "source": "auto", "target": "de", "format": "html", "api_key": None}
    answer = httpx.post(f"{server}/translate", json=body).json()
    assert answer["translatedText"] == [f"<p>{expected}</p>", expected]
    assert [each["language"] for each in answer["detectedLanguage"]] == ["en", "en"]
    assert all("targets" in each for each in httpx.get(f"{server}/languages").json())


def test_weblate(server: str, expected: str) -> None:
    body = {"api_key": "", "q": [TEXT, "the dog"], "source": "en", "target": "de"}
    assert httpx.post(f"{server}/translate", json=body).json()["translatedText"][0] == expected


def test_discourse(server: str) -> None:
    detected = httpx.post(f"{server}/detect", data={"q": "The dog is in the house."})
    assert (detected.status_code, detected.json()[0]["language"]) == (200, "en")
    form = {"q": f"<p>{TEXT}</p>", "source": "en", "target": "de", "format": "html"}
    answer = httpx.post(f"{server}/translate", data=form)
    assert (answer.status_code, answer.json()["translatedText"][:3]) == (200, "<p>")


class TestDeepL:
    @pytest.fixture
    def client(self, server: str) -> deepl.DeepLClient:
        return deepl.DeepLClient("key", server_url=server, send_platform_info=False)

    def test_translate(self, client: deepl.DeepLClient, expected: str) -> None:
        one = client.translate_text(TEXT, source_lang="EN", target_lang="DE")
        assert isinstance(one, deepl.TextResult)
        assert (one.text, one.detected_source_lang, one.billed_characters) == (expected, "EN", len(TEXT))
        several = client.translate_text([TEXT, "the dog"], target_lang="DE")
        assert isinstance(several, list)
        assert several[0].text == expected

    def test_tags(self, client: deepl.DeepLClient) -> None:
        result = client.translate_text("the <b>red</b> house", source_lang="EN", target_lang="DE", tag_handling="xml")
        assert isinstance(result, deepl.TextResult)
        assert (result.text.count("<b>"), result.text.count("</b>")) == (1, 1)

    def test_tags_that_are_ignored_or_split(self, client: deepl.DeepLClient, expected: str) -> None:
        text = f"<doc><par>{TEXT}</par><keep>the <b>red</b> house</keep><par>{TEXT}</par></doc>"
        options = {"source_lang": "EN", "target_lang": "DE", "tag_handling": "xml"}
        result = client.translate_text(text, ignore_tags=["keep"], splitting_tags="par", **options)
        assert isinstance(result, deepl.TextResult)
        assert result.text == f"<doc><par>{expected}</par><keep>the <b>red</b> house</keep><par>{expected}</par></doc>"
        many = [f"x{number}" for number in range(2_000)]
        with pytest.raises(deepl.DeepLException, match="ignore_tags"):
            client.translate_text(text, ignore_tags=many, **options)

    def test_languages_and_usage(self, client: deepl.DeepLClient) -> None:
        assert {each.code for each in client.get_source_languages()} == {"EN", "DE"}
        assert {each.code for each in client.get_target_languages()} == {"EN", "DE", "KO"}
        assert client.get_usage().character.valid

    def test_glossaries(self, client: deepl.DeepLClient, models: dict[str, Path]) -> None:
        glossary = client.create_glossary("mine", "EN", "DE", {"dog": "cat"})
        assert client.get_glossary_entries(glossary) == {"dog": "cat"}
        assert [each.name for each in client.list_glossaries()] == ["mine"]
        result = client.translate_text(TEXT, source_lang="EN", target_lang="DE", glossary=glossary)
        assert isinstance(result, deepl.TextResult)
        direct = nmt.load(models["en-de"], split_sentences=True, terminology={"dog": "cat"})
        assert result.text == direct.translate(TEXT).text
        assert "cat" in result.text
        client.delete_glossary(glossary)
        assert client.list_glossaries() == []

    def test_glossaries_of_several_pairs(
        self, client: deepl.DeepLClient, models: dict[str, Path], expected: str
    ) -> None:
        entries = MultilingualGlossaryDictionaryEntries
        glossary = client.create_multilingual_glossary(
            "several", [entries("EN", "DE", {"dog": "cat"}), entries("DE", "EN", {"Hund": "dog"})]
        )
        assert [each.name for each in client.list_multilingual_glossaries()] == ["several"]
        assert client.list_glossaries() == []
        assert len(client.get_multilingual_glossary(glossary.glossary_id).dictionaries) == 2

        def terms() -> dict[str, str]:
            found = client.get_multilingual_glossary_entries(glossary, "EN", "DE")
            text = str(found.dictionaries[0].entries)  # the client does not parse it
            return dict(line.split("\t") for line in text.splitlines())

        def translated() -> str:
            result = client.translate_text(TEXT, source_lang="EN", target_lang="DE", glossary=glossary)
            assert isinstance(result, deepl.TextResult)
            return result.text

        direct = nmt.load(models["en-de"], split_sentences=True, terminology={"dog": "cat"})
        assert (terms(), translated()) == ({"dog": "cat"}, direct.translate(TEXT).text)
        client.update_multilingual_glossary_dictionary(glossary, entries("EN", "DE", {"house": "woman"}))
        assert terms() == {"dog": "cat", "house": "woman"}
        client.replace_multilingual_glossary_dictionary(glossary, entries("EN", "DE", {"man": "woman"}))
        assert (terms(), translated()) == ({"man": "woman"}, expected)
        assert client.update_multilingual_glossary_name(glossary, "new").name == "new"
        client.delete_multilingual_glossary_dictionary(glossary, source_lang="EN", target_lang="DE")
        with pytest.raises(deepl.DeepLException, match="no terms"):
            translated()
        client.delete_multilingual_glossary(glossary)
        with pytest.raises(deepl.GlossaryNotFoundException):
            client.get_multilingual_glossary(glossary.glossary_id)

    @pytest.mark.parametrize("dictionaries", [None, [], "x", [1], [{"source_lang": "EN"}], [{"entries": "a\tb"}]])
    def test_broken_glossaries(self, server: str, dictionaries: object) -> None:
        answer = httpx.post(f"{server}/v3/glossaries", json={"name": "a", "dictionaries": dictionaries})
        assert (answer.status_code, list(answer.json())) == (400, ["message"])

    def test_errors(self, client: deepl.DeepLClient, locked: str) -> None:
        with pytest.raises(deepl.DeepLException, match="not supported"):
            client.translate_text(TEXT, target_lang="XX")
        with pytest.raises(deepl.AuthorizationException):
            deepl.DeepLClient("wrong", server_url=locked).translate_text(TEXT, target_lang="DE")
        with pytest.raises(deepl.DeepLException):
            client.get_glossary("unknown")


def test_libretranslate_aio(server: str, locked: str, expected: str) -> None:
    with LibreTranslate(server) as client:
        assert client.translate(TEXT, "en", "de").translated_text == expected
        assert client.health()
        assert client.frontend_settings().char_limit == 50_000
        assert {each.code for each in client.languages()} == {"en", "de"}
        assert client.detect("The dog is in the house.")[0].language == "en"
        with pytest.raises(BadRequestError):
            client.translate(TEXT, "en", "xx")
    with LibreTranslate(locked, api_key="wrong") as client, pytest.raises(ForbiddenError):
        client.translate(TEXT, "en", "de")


NODE = shutil.which("node")
NPM = shutil.which("npm")
PACKAGES = {"translate": "3.1.0", "libretranslate": "1.0.1"}
SCRIPTS = {
    "translate": """
        const { default: translate } = await import("translate");
        Object.assign(translate, { engine: "libre", url: `${address}/translate`, from: "en" });
        const right = await translate(text, "de");
        let error = null;
        try { await translate(text, { to: "ko", from: "de" }); } catch (caught) { error = caught.message; }
        console.log(JSON.stringify({ right, error }));
    """,
    "libretranslate": """
        const { default: { translate } } = await import("libretranslate");
        const right = await translate({ query: text, source: "en", target: "de", apiurl: address });
        console.log(JSON.stringify({ right }));
    """,
}


@pytest.fixture(scope="module")
def node_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages. It needs node, npm and a network."""
    if NODE is None or NPM is None:
        pytest.skip("needs node and npm")
    folder = tmp_path_factory.mktemp("node")
    names = [f"{name}@{version}" for name, version in PACKAGES.items()]
    command = [NPM, "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", *names]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not install the packages in time")
    if done.returncode != 0:
        pytest.skip(f"npm cannot install the packages: {done.stderr[-200:]}")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_node(server: str, expected: str, node_packages: Path, package: str) -> None:
    assert NODE is not None
    values = f"const [address, text] = {json.dumps([server, TEXT])};"
    command = [NODE, "--input-type=module", "-e", f"{values}{SCRIPTS[package]}"]
    done = subprocess.run(command, cwd=node_packages, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["right"] == expected
    assert found.get("error") is None or found["error"].startswith("No model translates")
