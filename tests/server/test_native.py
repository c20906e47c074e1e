from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nmt
from campaign.serving import CHECKS, narrowed
from live_server import make_test_service, running
from nmt.server.native import description

TEXT = "the red house sees a big dog ."


def test_everything_a_model_can_do(http: httpx.Client, models: dict[str, Path]) -> None:
    model = nmt.load(models["en-de"], n_best=3)
    expected = model.translate(TEXT)
    body = {"lines": [TEXT], "source": "en", "target": "de", "n_best": 3, "alignment": True}
    (found,) = http.post("/v1/translate", json=body).json()["translations"]
    assert found["translation"] == expected.text
    assert [each["text"] for each in found["hypotheses"]] == [each.text for each in expected.hypotheses]
    for mine, theirs in zip(found["hypotheses"], expected.hypotheses, strict=True):
        assert mine["score"] == pytest.approx(theirs.score, abs=1e-4)
        assert mine["pieces"] == theirs.pieces
        assert len(mine["attention"]) == len(mine["target_words"])
        assert all(len(row) == len(mine["source_words"]) for row in mine["attention"])


def test_constraints(http: httpx.Client) -> None:
    body = {
        "lines": [{"text": TEXT, "prefix": "the cat", "required": ["woman"]}],
        "source": "en",
        "target": "de",
        "avoid": ["man"],
        "terminology": {"dog": "green"},
    }
    (found,) = http.post("/v1/translate", json=body).json()["translations"]
    assert found["translation"].startswith("the cat")
    assert "woman" in found["translation"]
    assert "green" in found["translation"]


def test_sampling_depends_on_the_seed(http: httpx.Client) -> None:
    def sample(seed: int) -> list[str]:
        body = {"lines": [TEXT], "target": "de", "source": "en", "sampling": True, "n_best": 4, "seed": seed}
        (found,) = http.post("/v1/translate", json={**body, "cache": False}).json()["translations"]
        return [each["text"] for each in found["hypotheses"]]

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


def test_the_stream_has_one_object_per_line(http: httpx.Client) -> None:
    lines = [TEXT, "", "the dog"] * 20
    body = {"lines": lines, "source": "en", "target": "de"}
    whole = http.post("/v1/translate", json=body).json()["translations"]
    with http.stream("POST", "/v1/stream", json=body) as answer:
        streamed = [json.loads(line) for line in answer.iter_lines()]
    assert [each["source"] for each in streamed] == lines
    assert [each["translation"] for each in streamed] == [each["translation"] for each in whole]


def test_a_stream_ends_with_an_error_when_its_time_is_over(models: dict[str, Path]) -> None:
    lines = [f"{TEXT} {number}" for number in range(2_000)]
    body = {"lines": lines, "source": "en", "target": "de", "beam_size": 8, "cache": False}
    with running(make_test_service([models["en-de"]], seconds=0.3, characters=10**6)) as address:
        with httpx.stream("POST", f"{address}/v1/stream", json=body, timeout=30) as answer:
            *streamed, last = [json.loads(line) for line in answer.iter_lines()]
        assert (answer.status_code, list(last)) == (200, ["error"])
        assert "0.3 s" in last["error"]
        assert [each["source"] for each in streamed] == lines[: len(streamed)]
        late = httpx.post(f"{address}/v1/translate", json=body, timeout=30)
        assert (late.status_code, "Retry-After" in late.headers) == (503, True)
        for _ in range(100):  # a busy machine may need longer than 0.3 s for a short line too
            short = httpx.post(f"{address}/v1/stream", json={**body, "lines": ["the dog"]}, timeout=30)
            if "error" not in json.loads(short.text):
                break
        assert json.loads(short.text)["source"] == "the dog"


def test_a_pivot_translates_with_two_models(http: httpx.Client, models: dict[str, Path]) -> None:
    body = {"lines": [TEXT, ""], "source": "de", "target": "ko"}
    between = nmt.load(models["de-en"]).translate(TEXT).text
    expected = nmt.load(models["en-ko"], n_best=3).translate(between)
    answer = http.post("/v1/translate", json={**body, "n_best": 3}).json()
    assert (answer["source"], answer["target"]) == ("de", "ko")
    first, blank = answer["translations"]
    assert (first["source"], first["pivot"], first["translation"]) == (TEXT, between, expected.text)
    assert [each["text"] for each in first["hypotheses"]] == [each.text for each in expected.hypotheses]
    assert (blank["source"], blank["translation"], blank["hypotheses"]) == ("", "", [])
    prefixed = http.post("/v1/translate", json={**body, "lines": [{"text": TEXT, "prefix": "the cat"}]}).json()
    assert prefixed["translations"][0]["translation"].startswith("the cat")
    with http.stream("POST", "/v1/stream", json={**body, "n_best": 3}) as streamed:
        assert [json.loads(line) for line in streamed.iter_lines()] == answer["translations"]
    for option in ({"alignment": True}, {"terminology": {"dog": "cat"}}):
        refused = http.post("/v1/translate", json={**body, **option})
        assert (refused.status_code, *option) == (400, refused.json()["error"].split(": ")[1])


def test_auto_chooses_a_language_that_can_be_translated(http: httpx.Client) -> None:
    body = {"lines": ["Der Hund ist in dem Haus und schläft."], "source": "auto"}
    found = [http.post("/v1/translate", json={**body, "target": target}).json() for target in ("ko", "de")]
    assert [each["source"] for each in found] == ["de", "en"]


BAD = [
    {},
    {"lines": ["a"], "target": "de", "unknown": 1},
    {"lines": "a", "target": "de"},
    {"lines": ["a"], "target": "de", "beam_size": 10_000},
    {"lines": ["a"], "target": "de", "n_best": 9, "beam_size": 2},
    {"lines": ["a"], "target": "de", "terminology": {"": "x"}},
    {"lines": ["a"], "target": "xx"},
    {"lines": ["a"], "source": "de", "target": "ko", "alignment": True},
    {"lines": [{"text": "a", "prefix": "x" * 3_000}], "target": "de"},
]


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("path", ["/v1/translate", "/v1/stream"])
def test_bad_requests(http: httpx.Client, path: str, body: dict[str, object]) -> None:
    answer = http.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")


def test_the_description_names_every_route_and_option(http: httpx.Client) -> None:
    found = http.get("/v1/openapi.json").json()
    assert found == json.loads(json.dumps(description()))
    assert set(found["paths"]) == {"/v1/translate", "/v1/stream", "/v1/models"}
    text = json.dumps(found)
    names = [part.split('"')[0] for part in text.split("#/components/schemas/")[1:]]
    assert set(names) <= set(found["components"]["schemas"])


@pytest.mark.parametrize("path", ["/v1/translate", "/v1/stream"])
def test_random_requests_get_answers_as_described(server: str, path: str) -> None:
    """A small run of `python -m tests.campaign serve --only requests`."""
    schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis, which needs Python 3.11")
    from schemathesis import GenerationMode, checks

    found = schemathesis.openapi.from_dict(narrowed(description(), source="en", target="de"))
    chosen = [getattr(checks, name) for name in CHECKS]
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    requests = st.one_of(*(found[path]["POST"].as_strategy(generation_mode=mode) for mode in modes))
    statuses = set()

    @settings(max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=requests)
    def send(case: Any) -> None:
        statuses.add(case.call_and_validate(base_url=server, checks=chosen).status_code)

    send()
    assert {200, 400} <= statuses


def test_models(http: httpx.Client) -> None:
    found = http.get("/v1/models").json()["models"]
    assert [(each["source"]["code"], each["target"]["code"]) for each in found] == [
        ("en", "de"),
        ("de", "en"),
        ("en", "ko"),
    ]
