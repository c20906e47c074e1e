"""`nmt translate`, `nmt evaluate`, `nmt info` and `nmt doctor`, with a small model of random weights."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nmt as package
from cli_tools import COMMAND, assert_explained, contents, environment, nmt, nmt_process, nmt_warm
from nmt.config import dump_yaml
from nmt.config.schema import Config
from nmt.inference.model_file import save_model
from tiny_translator import tiny_config, tiny_network, tiny_tokenizers

LINES = ["the red dog sleeps .", "", "a cat sees the house and hears a man .", "  ", "the old woman runs ."]


def save_tiny_model(path: Path, *, tests: bool = True) -> None:
    config = tiny_config()
    data = config.data.model_dump()
    if tests:
        data["test"] = [{"source": "test.en", "target": "test.de", "name": "small"}]
    config = Config.model_validate({**config.model_dump(), "data": data, "name": "tiny"})
    save_model(
        path,
        weights=dict(tiny_network(config).named_parameters()),
        config=config,
        tokenizers=tiny_tokenizers(),
        provenance={"update": 3, "validation": {"bleu": 1.25}},
    )
    (path.parent / "config.yaml").write_text(dump_yaml(config), encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run called tiny, a text to translate, and a test set."""
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "runs" / "tiny" / "best.safetensors")
    (tmp_path / "text.en").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    (tmp_path / "test.en").write_text("the dog runs .\na cat sleeps .\n", encoding="utf-8")
    (tmp_path / "test.de").write_text("der Hund rennt.\neine Katze schläft.\n", encoding="utf-8")
    return tmp_path


# -------------------------------------------------------------------------------------------------------- translate


def test_a_line_for_each_line_by_any_way_in_and_out(folder: Path) -> None:
    printed = nmt("translate", "--model", "runs/tiny", "text.en")
    assert printed.code == 0
    assert printed.stderr == ""
    lines = printed.stdout.split("\n")
    assert len(lines) == len(LINES) + 1
    assert all(not line for line, source in zip(lines, LINES, strict=False) if not source.strip())
    assert any(lines)

    piped = nmt_process("translate", folder=folder, stdin=(folder / "text.en").read_bytes())
    assert (piped.code, piped.stdout) == (0, printed.stdout)
    assert piped.stderr == f"model: {Path('runs/tiny/best.safetensors')} (newest run)\n"

    written = nmt("translate", "text.en", "--quiet", "-o", "out.de")
    assert (written.code, written.stdout, written.stderr) == (0, "", "")
    assert (folder / "out.de").read_text(encoding="utf-8") == printed.stdout
    assert [translation.text for translation in package.load("runs/tiny").translate(LINES)] == lines[:-1]


def test_jsonl_has_scores_pieces_and_alternatives() -> None:
    outcome = nmt("translate", "text.en", "--format", "jsonl", "--n-best", "3", "--beam-size", "4")
    rows = [json.loads(line) for line in outcome.stdout.removesuffix("\n").split("\n")]
    assert [row["source"] for row in rows] == LINES
    plain = nmt("translate", "text.en", "--beam-size", "4").stdout.split("\n")
    assert [row["translation"] for row in rows] == plain[:-1]
    for row in rows:
        assert len(row["hypotheses"]) <= 3
        assert bool(row["hypotheses"]) == bool(row["source"].strip())
        scores = [hypothesis["score"] for hypothesis in row["hypotheses"]]
        assert scores == sorted(scores, reverse=True)
        for hypothesis in row["hypotheses"]:
            assert hypothesis.keys() == {"text", "score", "log_probability", "pieces", "piece_log_probabilities"}
            assert len(hypothesis["piece_log_probabilities"]) == len(hypothesis["pieces"]) + 1
        if row["hypotheses"]:
            assert row["hypotheses"][0]["text"] == row["translation"]


def test_options_win_over_those_of_the_model() -> None:
    def score(*options: str) -> float:
        line = nmt("translate", "text.en", "--format", "jsonl", *options).stdout.split("\n")[0]
        return float(json.loads(line)["hypotheses"][0]["score"])

    greedy = score("--beam-size", "1", "--length-normalization", "none")
    assert score("--beam-size", "1", "--length-normalization", "average", "--alpha", "0") == greedy
    assert score("--beam-size", "1") > greedy
    assert score("--beam-size", "1", "--length-normalization", "gnmt") != greedy
    same = ("--batch-size", "1", "--precision", "fp32", "--device", "cpu", "--threads", "1")
    assert score(*same) == pytest.approx(score(), abs=1e-4)
    short = nmt("translate", "text.en", "--max-length-ratio", "0", "--format", "jsonl").stdout.split("\n")[0]
    assert len(json.loads(short)["hypotheses"][0]["pieces"]) <= 4


def test_the_model_is_that_of_the_environment_else_the_newest_run(folder: Path) -> None:
    save_tiny_model(folder / "other.safetensors")
    named = nmt("translate", "text.en", variables={"NMT_MODEL": "other.safetensors"})
    assert named.stderr == "model: other.safetensors (NMT_MODEL)\n"
    assert nmt("translate", "text.en", "--model", "runs/tiny", variables={"NMT_MODEL": "nowhere"}).code == 0


def test_output_is_replaced_only_when_told_to(folder: Path) -> None:
    (folder / "out.de").write_text("mine\n", encoding="utf-8")
    before = contents(folder)
    assert_explained(nmt("translate", "text.en", "-o", "out.de"), "out.de exists already", "--overwrite", codes=(2,))
    assert contents(folder) == before
    assert nmt("translate", "text.en", "-o", "out.de", "--overwrite").code == 0
    assert (folder / "out.de").read_text(encoding="utf-8").count("\n") == len(LINES)
    assert nmt("translate", "text.en", "-o", "/dev/null").code == 0


def test_a_text_is_never_replaced_by_its_translation(folder: Path) -> None:
    (folder / "link.en").symlink_to("text.en")
    before = contents(folder)
    assert_explained(nmt("translate", "text.en", "-o", "link.en", "--overwrite"), "would replace the input file")
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("end", "code"), [("close", 0), (signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["close", "SIGINT", "SIGTERM"]
)
def test_a_line_is_answered_at_once_and_waiting_can_be_ended(end: Any, code: int, folder: Path) -> None:
    command = [*COMMAND, "translate", "--quiet"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for line in ("the dog runs .", "", "a cat ."):
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline().endswith(b"\n")
        if end == "close":
            process.stdin.close()
        else:
            process.send_signal(end)
        assert process.wait(timeout=30) == code
        assert process.stderr.read() == (b"warning: interrupted\n" if end == signal.SIGINT else b"")


def test_translating_without_end_stops_when_nobody_reads(folder: Path) -> None:
    command = f"yes 'the dog runs .' | {shlex.join(COMMAND)} translate --quiet | head -2; exit ${{PIPESTATUS[1]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment(), capture_output=True, timeout=60, check=False
    )
    assert done.returncode in (0, 141)
    assert done.stdout.count(b"\n") == 2
    assert done.stderr == b""


BROKEN = {
    "cp1252": "Der große Bär.\nEin Café in Köln.\nHund\n".encode("cp1252"),
    "mixed": b"the dog runs .\n\xff\xc3(\n" + "größe\n\n".encode() + b"\xf0\x9f\x98 end",
    "only bad bytes": b"\x80\n\n\x81\x82\n",
    "surrogates in UTF-8": "\ud800 and \udfff\n".encode(errors="surrogatepass"),
    "overlong": b"\xc0\xaf\r\nfine\r\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_line_that_is_not_utf8_is_translated_with_a_warning(name: str, folder: Path) -> None:
    (folder / "broken.en").write_bytes(BROKEN[name])
    raw = BROKEN[name].removesuffix(b"\n").split(b"\n")
    outcome = nmt("translate", "broken.en", "--format", "jsonl")
    assert outcome.code == 0
    rows = [json.loads(line) for line in outcome.stdout.removesuffix("\n").split("\n")]
    assert [row["source"] for row in rows] == [line.removesuffix(b"\r").decode(errors="replace") for line in raw]
    bad = [number for number, row in enumerate(rows, 1) if "\ufffd" in row["source"]]
    flagged = [number for number, row in enumerate(rows, 1) if "replacement_character" in row["flags"]]
    assert bad
    assert set(flagged) == {number for number in bad if rows[number - 1]["hypotheses"]}
    (warning,) = (line for line in outcome.stderr.split("\n") if line.startswith("warning: "))
    assert f"(line {', '.join(map(str, bad))})" in warning
    assert "U+FFFD" in warning
    assert ("CP1252" in warning) >= (name == "cp1252")

    plain = nmt("translate", "broken.en", "-q").stdout
    assert plain == "".join(f"{row['translation']}\n" for row in rows)
    repaired = "".join(f"{row['source']}\n" for row in rows)
    (folder / "repaired.en").write_text(repaired, encoding="utf-8")
    assert nmt("translate", "repaired.en", "-q").stdout == plain
    strict = nmt("translate", "broken.en", "--strict")
    assert_explained(strict, "broken.en", f"line {bad[0]}", "not UTF-8")
    lines = [line.decode(errors="surrogateescape") for line in raw]
    by_api = package.load("runs/tiny").translate(lines)
    assert [number for number, found in enumerate(by_api, 1) if "\ufffd" in found.source] == bad


def test_text_in_utf16_is_refused_and_other_text_is_read_without_a_warning(folder: Path) -> None:
    (folder / "wide.en").write_text("the dog\na cat\n", encoding="utf-16")
    assert_explained(nmt("translate", "wide.en"), "wide.en", "UTF-16")
    (folder / "mark.en").write_text(
        "\ufeffthe dog � \ud83d\ude00\n".encode("utf-16", "surrogatepass").decode("utf-16"), "utf-8"
    )
    outcome = nmt("translate", "mark.en", "--format", "jsonl")
    assert "warning" not in outcome.stderr
    assert json.loads(outcome.stdout)["flags"][-1] == "replacement_character"


def test_bad_bytes_in_many_lines_are_one_warning_in_any_number_of_processes(folder: Path) -> None:
    (folder / "many.en").write_bytes(b"the caf\xe9 .\nthe dog .\n" * 40)
    one = nmt("translate", "many.en", "--format", "jsonl", "--n-best", "1", "--batch-size", "4")
    assert one.stderr.count("warning") == 1
    assert "40 lines are not UTF-8 (line 1, 3, 5, 7, 9, 11, 13, 15, ...)" in one.stderr
    two = nmt_warm("translate", "many.en", "--format", "jsonl", "--processes", "2", folder=folder)
    assert two.stdout == one.stdout
    assert two.stderr.count("not UTF-8") == 1
    piped = nmt_warm("repl", folder=folder, stdin=b"the caf\xe9 .\n")
    assert piped.code == 0
    assert "not UTF-8" in piped.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", "nowhere", "text.en"], ["nowhere", "no such model"]),
        (["--model", "empty", "text.en"], ["empty", "best.safetensors"]),
        (["--model", "text.en", "text.en"], ["text.en", "not a model file"]),
        (["--model", "cut.safetensors", "text.en"], ["cut.safetensors", "damaged"]),
        (["--model", "pickle.pt", "text.en"], ["pickle.pt", "pickle", "not loaded"]),
        (["nowhere.en"], ["nowhere.en", "no such file"]),
        (["runs"], ["several files", "-o"]),
        (["latin.en", "--strict"], ["latin.en", "line 2", "UTF-8"]),
        (["text.en", "-o", "nowhere/out.de"], ["nowhere"]),
        (["text.en", "--n-best", "2"], ["--n-best", "--format jsonl"]),
        (["text.en", "--n-best", "9", "--format", "jsonl"], ["--n-best, --beam-size", "more than"]),
        (["text.en", "--alpha", "1", "--length-normalization", "none"], ["--alpha", "no effect"]),
        (["text.en", "--beam-size", "0"], ["--beam-size", "1"]),
        (["text.en", "--alpha", "-1"], ["--alpha"]),
        (["text.en", "--format", "xml"], ["--format", "xml"]),
        (["text.en", "--beam", "3"], ["No such option", "--beam-size"]),
        (["text.en", "other.en"], ["several files", "-o"]),
    ],
)
def test_translate_explains_what_is_wrong(arguments: list[str], says: list[str], folder: Path) -> None:
    make_bad_files(folder)
    before = contents(folder)
    assert_explained(nmt("translate", "--quiet", *arguments), *says)
    assert contents(folder) == before


def make_bad_files(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "cut.safetensors").write_bytes((folder / "runs/tiny/best.safetensors").read_bytes()[:5000])
    (folder / "pickle.pt").write_bytes(b"\x80\x04cos\nsystem\n.")
    (folder / "latin.en").write_bytes(b"the dog\nthe caf\xe9\n")
    (folder / "short.de").write_text("eine Zeile\n", encoding="utf-8")
    (folder / "README").write_text("eine Zeile\n", encoding="utf-8")


# --------------------------------------------------------------------------------------------------------- evaluate


def sacrebleu(hypothesis: str, reference: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "sacrebleu", reference, "-i", hypothesis, "-m", "bleu", "chrf", "ter", "-w", "12"],
        capture_output=True,
        check=True,
    )
    return {entry["name"].lower().removesuffix("2"): entry["score"] for entry in json.loads(done.stdout)}


def test_evaluate_prints_what_sacrebleu_says_of_the_kept_translations(folder: Path) -> None:
    outcome = nmt("evaluate", "--quiet", "--json", "-o", "kept")
    assert outcome.code == 0
    (result,) = json.loads(outcome.stdout)
    assert result.keys() == {"test", "bleu", "chrf", "ter", "sentences", "signatures"}
    assert (result["test"], result["sentences"]) == ("small", 2)
    (kept,) = (folder / "kept").iterdir()
    expected = sacrebleu(str(kept), "test.de")
    assert {name: result[name] for name in expected} == pytest.approx(expected)

    again = nmt("evaluate", "--quiet", "--json", "--hypothesis", str(kept), "--reference", "test.de")
    (scored,) = json.loads(again.stdout)
    assert {name: scored[name] for name in expected} == {name: result[name] for name in expected}
    assert scored["signatures"] == result["signatures"]

    given = nmt("evaluate", "--quiet", "--json", "--source", "test.en", "--reference", "test.de")
    assert json.loads(given.stdout)[0]["chrf"] == result["chrf"]

    text = nmt("evaluate", "--quiet").stdout
    assert f"chrF {result['chrf']:.2f}" in text
    assert result["signatures"]["bleu"] in text
    assert_explained(nmt("evaluate", "--quiet", "-o", "kept"), "exists")


def test_the_tokenizer_follows_the_language_of_the_reference(folder: Path) -> None:
    for name in ("a.zh", "b.zh"):
        (folder / name).write_text("我喜欢这本书。\n", encoding="utf-8")
    outcome = nmt("evaluate", "-q", "--json", "--hypothesis", "a.zh", "--reference", "b.zh")
    assert "tok:zh" in json.loads(outcome.stdout)[0]["signatures"]["bleu"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", "nowhere"], ["nowhere"]),
        (["--model", "empty"], ["empty", "best.safetensors"]),
        (["--model", "untested"], ["no test sets", "--source"]),
        (["--model", "single.safetensors"], ["single.safetensors is not in the folder of a run", "--tests"]),
        (["--source", "test.en"], ["--source requires --reference"]),
        (["--hypothesis", "test.de"], ["--reference"]),
        (["--hypothesis", "test.de", "--source", "test.en", "--reference", "test.de"], ["--source"]),
        (["--hypothesis", "test.de", "--reference", "nowhere.de"], ["nowhere.de"]),
        (["--hypothesis", "short.de", "--reference", "test.de"], ["short.de has 1 line", "test.de has 2"]),
        (["--hypothesis", "test.de", "--reference", "README"], ["README", "--target-language"]),
        (["--target-language", "de"], ["--target-language requires --hypothesis"]),
        (["--source", "nowhere.en", "--reference", "test.de"], ["nowhere.en"]),
        (["--source", "test.en", "--reference", "short.de"], ["test.en has 2 lines", "short.de has 1"]),
        (["--source", "latin.en", "--reference", "test.de"], ["latin.en", "line 2", "UTF-8"]),
        (["--beam-size", "0"], ["--beam-size"]),
    ],
)
def test_evaluate_explains_what_is_wrong(arguments: list[str], says: list[str], folder: Path) -> None:
    make_bad_files(folder)
    save_tiny_model(folder / "untested" / "best.safetensors", tests=False)
    (folder / "single.safetensors").write_bytes((folder / "runs/tiny/best.safetensors").read_bytes())
    before = contents(folder)
    assert_explained(nmt("evaluate", "--quiet", *arguments), *says)
    assert contents(folder) == before


# ------------------------------------------------------------------------------------------------------------- info


def test_info_says_what_a_model_is(folder: Path) -> None:
    facts = json.loads(nmt("info", "runs/tiny", "--json").stdout)
    assert (facts["source_language"], facts["target_language"]) == ("en", "de")
    assert facts["parameters"] == sum(parameter.numel() for parameter in tiny_network(tiny_config()).parameters())
    assert facts["provenance"]["validation"]["bleu"] == 1.25
    assert Config.model_validate(facts["config"]).name == "tiny"
    text = nmt("info", "runs/tiny/best.safetensors").stdout
    for part in ("source language", "1 x 12 bidirectional LSTM", "1.25", f"{facts['parameters']:,}"):
        assert part in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], ["nowhere"]),
        (["empty"], ["empty", "best.safetensors"]),
        (["text.en"], ["text.en", "not a model file"]),
        (["cut.safetensors"], ["cut.safetensors", "damaged"]),
    ],
)
def test_info_explains_what_is_wrong(arguments: list[str], says: list[str], folder: Path) -> None:
    make_bad_files(folder)
    before = contents(folder)
    assert_explained(nmt("info", *arguments), *says)
    assert contents(folder) == before


def test_doctor_says_what_is_here(folder: Path) -> None:
    outcome = nmt("doctor", "--json")
    assert outcome.code == 0
    facts = json.loads(outcome.stdout)
    assert facts["nmt"] == package.__version__
    assert facts["packages"]["torch"] != "not installed"
    assert facts["threads"] >= 1
    assert facts["matrix_gflops"].keys() == ({"fp32"} if facts["bf16"].startswith("none") else {"fp32", "bf16"})
    assert all(speed > 0 for speed in [*facts["matrix_gflops"].values(), facts["translation_gflops"]])
    assert facts["model"] == str(Path("runs/tiny/best.safetensors"))
    (folder / "runs/tiny/best.safetensors").unlink()
    assert "nmt train" in json.loads(nmt("doctor", "--json").stdout)["model"]
    assert f"nmt {package.__version__}" in " ".join(nmt("doctor").stdout.split())
