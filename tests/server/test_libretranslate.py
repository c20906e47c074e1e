from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

import nmt
from live_server import make_test_service, running
from nmt.errors import UsageError
from nmt.server.batching import BatcherLimits
from nmt.server.directions import Direction
from nmt.terminal import visible

TEXT = "the red house sees a big dog ."


@pytest.fixture(scope="module")
def expected(models: dict[str, Path]) -> str:
    """The translation of TEXT by the toolkit itself."""
    return nmt.load(models["en-de"], split_sentences=True).translate(TEXT).text


def test_a_form_a_query_and_json_under_any_type_are_the_same(http: httpx.Client, expected: str) -> None:
    fields = {"q": TEXT, "source": "en", "target": "de"}
    answers = [
        http.post("/translate", data=fields),
        http.post("/translate", params=fields),
        http.post("/translate", json=fields),
        http.post("/translate/", content=json.dumps(fields), headers={"Content-Type": "text/plain"}),
        http.post(
            "/translate", content=json.dumps(fields), headers={"Content-Type": "application/x-www-form-urlencoded"}
        ),
    ]
    assert [answer.json() for answer in answers] == [{"translatedText": expected}] * 5


def test_a_list_gives_a_list_in_order(http: httpx.Client, expected: str) -> None:
    answer = http.post("/translate", json={"q": [TEXT, "", f"{TEXT}\n\n {TEXT}"], "source": "en", "target": "de"})
    assert answer.json() == {"translatedText": [expected, "", f"{expected}\n\n {expected}"]}


def test_auto_detects_each_text(http: httpx.Client) -> None:
    texts = ["The dog is in the house and sleeps.", "Der Hund ist in dem Haus und schläft."]
    answer = http.post("/translate", json={"q": texts, "source": "auto", "target": "de"}).json()
    assert [each["language"] for each in answer["detectedLanguage"]] == ["en", "de"]
    assert all(50 < each["confidence"] <= 100 for each in answer["detectedLanguage"])
    assert answer["translatedText"][1] == texts[1]
    single = http.post("/translate", json={"q": texts[0], "source": "auto", "target": "de"}).json()
    assert single["detectedLanguage"]["language"] == "en"


def test_alternatives_are_different_and_best_first(http: httpx.Client, expected: str) -> None:
    answer = http.post("/translate", data={"q": TEXT, "source": "en", "target": "de", "alternatives": "3"}).json()
    assert answer["translatedText"] == expected
    others = answer["alternatives"]
    assert 0 < len(others) <= 3
    assert len({expected, *others}) == len(others) + 1


def test_html_keeps_its_tags(http: httpx.Client) -> None:
    markup = '<p>the <a href="x?a=1&amp;b=2" onclick="f()">red house</a> sees.</p><script>var dog = 1;</script>'
    answer = http.post("/translate", json={"q": markup, "source": "en", "target": "de", "format": "html"}).json()
    text = answer["translatedText"]
    assert text.startswith("<p>")
    for part in ('<a href="x?a=1&amp;b=2" onclick="f()">', "</a>", "</p><script>var dog = 1;</script>"):
        assert text.count(part) == 1


def test_a_direction_through_the_pivot(http: httpx.Client, models: dict[str, Path]) -> None:
    first = nmt.load(models["de-en"], split_sentences=True).translate(TEXT).text
    second = nmt.load(models["en-ko"], split_sentences=True).translate(first.strip()).text
    answer = http.post("/translate", data={"q": TEXT, "source": "de", "target": "ko"})
    assert answer.json()["translatedText"].split() == second.split()


@pytest.mark.parametrize("pivot", ["de", "ko", "xx"])
def test_a_pivot_that_joins_no_models_is_refused(models: dict[str, Path], pivot: str) -> None:
    with pytest.raises(UsageError, match=rf"--pivot {pivot} requires .* en to de, en to ko\."):
        make_test_service([models["en-de"], models["en-ko"]], pivot=pivot)


def test_languages_ignores_a_body_and_lists_targets(http: httpx.Client) -> None:
    answer = http.request("GET", "/languages", json={"api_key": "x"})
    found = {each["code"]: (each["name"], set(each["targets"])) for each in answer.json()}
    assert found == {"en": ("English", {"de", "ko"}), "de": ("German", {"en", "ko"})}


@pytest.mark.parametrize("code", ["EN", "en-US", "eng", "en_GB"])
def test_codes_are_understood(http: httpx.Client, expected: str, code: str) -> None:
    assert (
        http.post("/translate", data={"q": TEXT, "source": code, "target": "DE"}).json()["translatedText"] == expected
    )


def test_detect_ranks_the_languages(http: httpx.Client) -> None:
    found = http.post("/detect", data={"q": "Der Hund ist in dem Haus."}).json()
    assert [each["language"] for each in found] == ["de", "en"]
    assert sum(each["confidence"] for each in found) == pytest.approx(100, abs=0.2)


BAD = {
    "no text": ({"source": "en", "target": "de"}, 400),
    "empty list": ({"q": [], "source": "en", "target": "de"}, 400),
    "a number": ({"q": 7, "source": "en", "target": "de"}, 400),
    "a list of numbers": ({"q": [7], "source": "en", "target": "de"}, 400),
    "no target": ({"q": "a", "source": "en"}, 400),
    "unknown language": ({"q": "a", "source": "en", "target": "xx"}, 400),
    "a direction without a model": ({"q": "a", "source": "en", "target": "en"}, 400),
    "unknown format": ({"q": "a", "source": "en", "target": "de", "format": "pdf"}, 400),
    "too many alternatives": ({"q": "a", "source": "en", "target": "de", "alternatives": 1000}, 400),
    "negative alternatives": ({"q": "a", "source": "en", "target": "de", "alternatives": -1}, 400),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_get_a_sentence(http: httpx.Client, name: str) -> None:
    body, status = BAD[name]
    answer = http.post("/translate", json=body)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].endswith(".")


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"q": NaN}', b"null"])
def test_broken_json_is_refused(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/translate", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "error" in answer.json()


def test_other_paths_and_methods_get_json(http: httpx.Client) -> None:
    assert (http.get("/nothing").status_code, http.get("/translate").status_code) == (404, 405)
    assert "error" in http.get("/nothing").json()
    assert "error" in http.get("/translate").json()


def test_keys(locked_http: httpx.Client) -> None:
    fields = {"q": "the dog", "source": "en", "target": "de"}
    answers = [
        locked_http.post("/translate", data=fields),
        locked_http.post("/translate", data={**fields, "api_key": "wrong"}),
        locked_http.post("/translate", data={**fields, "api_key": "secret"}),
        locked_http.post("/translate", data=fields, headers={"Authorization": "Bearer secret"}),
        locked_http.get("/languages"),
    ]
    assert [answer.status_code for answer in answers] == [400, 403, 200, 200, 200]


def test_an_unneeded_key_is_ignored(http: httpx.Client, expected: str) -> None:
    answer = http.post("/translate", data={"q": TEXT, "source": "en", "target": "de", "api_key": "anything"})
    assert answer.json() == {"translatedText": expected}


def test_limits_of_a_request(locked_http: httpx.Client) -> None:
    fields = {"source": "en", "target": "de", "api_key": "secret"}
    too_long = locked_http.post("/translate", json={**fields, "q": "a" * 201})
    too_many = locked_http.post("/translate", json={**fields, "q": "a\n" * 6})
    too_large = locked_http.post("/translate", content=b"x" * 3_000)
    assert [each.status_code for each in (too_long, too_many, too_large)] == [413, 413, 413]


def test_limits_of_a_key(locked_http: httpx.Client) -> None:
    fields = {"q": "the dog sees", "source": "en", "target": "de", "api_key": "small"}
    answers = [locked_http.post("/translate", data=fields) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert int(answers[1].headers["Retry-After"]) > 0


def test_a_full_queue_says_when_to_come_back(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    service = make_test_service([models["en-de"]], limits=BatcherLimits(waiting_lines=2, batch_lines=1))
    may, translate = threading.Event(), Direction._work

    def wait(self: Direction, *arguments: Any) -> Any:
        assert may.wait(20)
        return translate(self, *arguments)

    def send(address: str, *texts: str) -> httpx.Response:
        return httpx.post(f"{address}/translate", json={"q": texts, "source": "en", "target": "de"}, timeout=30)

    monkeypatch.setattr(Direction, "_work", wait)
    (direction,) = service.directions
    direction.batcher._work = direction._work
    with running(service) as address, ThreadPoolExecutor(2) as pool:
        try:
            first = [pool.submit(send, address, text) for text in ("the dog", "the cat")]
            while direction.batcher.waiting != 1:
                time.sleep(0.01)
            full, too_long = send(address, "a", "b"), send(address, "a", "b", "c")
        finally:
            may.set()
        assert [each.result().status_code for each in first] == [200, 200]
    assert (full.status_code, too_long.status_code) == (429, 413)
    assert int(full.headers["Retry-After"]) > 0
    assert "Retry-After" not in too_long.headers


def test_files(http: httpx.Client, expected: str) -> None:
    def translated(name: str, content: bytes) -> bytes:
        fields = {"source": "en", "target": "de"}
        answer = http.post("/translate_file", files={"file": (name, content)}, data=fields)
        assert answer.status_code == 200, answer.text
        return http.get(answer.json()["translatedFileUrl"]).content

    assert translated("a.txt", f"{TEXT}\r\n\r\n{TEXT}\r\n".encode()).decode() == f"{expected}\r\n\r\n{expected}\r\n"
    subtitles = f"1\n00:00:01,000 --> 00:00:02,000\n{TEXT}\n"
    lines = translated("a.srt", subtitles.encode()).decode().splitlines()
    assert lines[:2] == subtitles.splitlines()[:2]
    assert lines[2] != TEXT
    assert translated("a.html", b"<p>the dog</p><script>x</script>").endswith(b"</p><script>x</script>")


def test_the_language_of_a_document_is_detected(http: httpx.Client, models: dict[str, Path]) -> None:
    cues = {"en": "The dog is in the house and sleeps.", "de": "Der Hund ist in dem Haus und schläft."}
    fields = {"source": "auto", "target": "ko"}

    def translated(name: str, content: str, **changes: str) -> bytes:
        files = {"file": (name, content.encode())}
        answer = http.post("/translate_file", files=files, data={**fields, **changes})
        assert answer.status_code == 200, answer.text
        return http.get(answer.json()["translatedFileUrl"]).content

    for code, cue in cues.items():
        subtitles = f"1\n00:00:01,000 --> 00:00:02,000\n{cue}\n"
        assert translated("a.srt", subtitles) == translated("a.srt", subtitles, source=code)
    xliff = (
        '<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2"><file source-language="de" '
        'target-language="ko" original="a" datatype="plaintext"><body><trans-unit id="1"><source>Hund</source>'
        "</trans-unit></body></file></xliff>"
    )
    assert translated("a.xlf", xliff) == translated("a.xlf", xliff, source="de")


@pytest.mark.parametrize("name", ["ü note.txt", "a/../b.txt", "x" * 300 + ".txt", "a\x9b\u202eb.txt"])
def test_a_translated_file_is_named_after_the_document(http: httpx.Client, name: str) -> None:
    fields = {"source": "en", "target": "de"}
    answer = http.post("/translate_file", files={"file": (name, b"the dog")}, data=fields)
    field = http.get(answer.json()["translatedFileUrl"]).headers["Content-Disposition"]
    found = unquote(field.partition("filename")[2].split("=", 1)[1]).removeprefix("utf-8''").strip('"')
    assert found == f"de-{visible(Path(name).name[-100:])}"


def test_files_that_are_refused(http: httpx.Client) -> None:
    fields = {"source": "en", "target": "de"}
    answers = [
        http.post("/translate_file", files={"file": ("a.exe", b"x")}, data=fields),
        http.post("/translate_file", files={"file": ("a.txt", b"\xff\xfe\xfd")}, data=fields),
        http.post("/translate_file", files={"file": ("a.po", b"not a document\xff")}, data=fields),
        http.post("/translate_file", data=fields),
        http.get("/download_file/unknown.txt"),
        http.get("/download_file/..%2f..%2fetc%2fpasswd"),
    ]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 400, 404, 404]


def test_other_sites_need_permission(http: httpx.Client) -> None:
    allowed = http.get("/languages", headers={"Origin": "https://example.org"})
    other = http.get("/languages", headers={"Origin": "https://example.com"})
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://example.org"
    assert "Access-Control-Allow-Origin" not in other.headers


def test_metrics_have_no_texts(http: httpx.Client) -> None:
    http.post("/translate", data={"q": TEXT, "source": "en", "target": "de", "api_key": "sesame"})
    http.get("/secret-path")
    metrics = http.get("/metrics").text
    assert 'nmt_requests_total{route="/translate",status="200"}' in metrics
    assert 'nmt_lines_total{source="en",target="de"}' in metrics
    assert not any(word in metrics for word in ("house", "sesame", "secret-path", "127.0.0.1"))


def test_suggestions_are_kept_if_wanted(models: dict[str, Path], tmp_path: Path, http: httpx.Client) -> None:
    fields = {"q": "dog", "s": "Hund", "source": "en", "target": "de"}
    assert http.post("/suggest", data=fields).status_code == 404
    path = tmp_path / "suggestions.jsonl"
    with running(make_test_service([models["en-de"]], suggestions=path)) as address:
        assert httpx.post(f"{address}/suggest", data=fields).json() == {"success": True}
        assert httpx.get(f"{address}/frontend/settings").json()["suggestions"] is True
    assert json.loads(path.read_text()) == fields
