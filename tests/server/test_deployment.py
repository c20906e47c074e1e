"""The service of systemd, the image and the service of Compose in the documentation."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import typer
import yaml

from cli_tools import ROOT
from live_server import save_direction
from nmt.cli import app

PAGE = (ROOT / "docs" / "guide" / "serving.md").read_text("utf-8")
NOBODY = 65_534
MOST_MEGABYTES = 150
"""Size of what the image adds to its base."""
COMPOSE_KEYS = {"build", "read_only", "tmpfs", "volumes", "ports", "restart"}


def block(language: str, word: str) -> str:
    """The block of code in the documentation that has a word."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL) if word in text]
    return str(found)


@pytest.fixture(scope="module")
def steps() -> dict[str, str]:
    """The instructions of the Dockerfile; each occurs once."""
    lines = re.sub(r"\\\n", " ", block("dockerfile", "FROM")).splitlines()
    found = [line.split(maxsplit=1) for line in lines if line.strip()]
    assert len({name for name, _ in found}) == len(found)
    return dict(found)


def serve_arguments(command: list[str]) -> dict[str, object]:
    """The parameters that `nmt serve` has from a command."""
    assert [Path(command[0]).name, command[1]] == ["nmt", "serve"]
    group = typer.main.get_command(app)
    with group.make_context("nmt", ["serve"], resilient_parsing=True) as context:
        serve = group.get_command(context, "serve")  # type: ignore[attr-defined]
        return dict(serve.make_context("serve", command[2:]).params)


def test_the_service_of_systemd_is_valid(tmp_path: Path) -> None:
    unit = block("ini", "[Service]")
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit)
    parameters = serve_arguments(shlex.split(parser["Service"]["ExecStart"]))
    assert (parameters["models"], parameters["keys"]) == (
        [Path("/srv/models/de-en.safetensors")],
        Path("/etc/nmt/keys.yaml"),
    )
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("needs systemd-analyze, which is not installed")
    file = tmp_path / "nmt.service"
    file.write_text(unit.replace("/opt/nmt/bin/nmt", sys.executable))
    done = subprocess.run([analyze, "verify", "--man=no", str(file)], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if str(file) in line or file.name in line]
    assert (done.returncode, said) == (0, [])


def test_image_and_service_of_compose_fit_together(steps: dict[str, str]) -> None:
    command = [*json.loads(steps["ENTRYPOINT"]), *json.loads(steps["CMD"])]
    parameters = serve_arguments(command)
    (model,) = parameters["models"]  # type: ignore[misc]
    port = parameters["port"]
    assert parameters["host"] == "0.0.0.0"
    assert int(steps["EXPOSE"]) == port
    (address,) = re.findall(r"http://[^']+", steps["HEALTHCHECK"])
    assert (urlsplit(address).port, urlsplit(address).path) == (port, "/health")
    (service,) = yaml.safe_load(block("yaml", "services:"))["services"].values()
    assert service.keys() <= COMPOSE_KEYS
    assert (service["build"], service["read_only"], service["tmpfs"]) == (".", True, ["/tmp"])
    (volume,) = service["volumes"]
    _, inside, mode = volume.split(":")
    assert (Path(inside), mode) == (model.parent, "ro")
    assert [each.split(":")[-1] for each in service["ports"]] == [str(port)]
    assert steps["USER"] in steps["RUN"]


@pytest.fixture
def clean() -> Iterator[Path]:
    """A folder that other users can read."""
    folder = Path(tempfile.mkdtemp(prefix="nmt-image-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root on Linux, as a build of an image")
def test_the_steps_of_the_image_run_on_a_read_only_system_without_rights(steps: dict[str, str], clean: Path) -> None:
    """Run RUN, USER, ENTRYPOINT and HEALTHCHECK in an environment that has only what RUN installs."""
    checkout = clean / "checkout"
    shutil.copytree(ROOT / "nmt", checkout / "nmt", symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "configs", checkout / "configs")
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, checkout)
    build = ["build", "--wheel", "--no-isolation", "--outdir", str(clean)]
    subprocess.run([sys.executable, "-m", *build, str(checkout)], check=True, capture_output=True)
    (wheel,) = clean.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(clean / "env")], check=True)
    python, before = clean / "env" / "bin" / "python", megabytes(clean / "env")
    install = shlex.split(steps["RUN"].partition("&&")[0].replace("attention-nmt", str(wheel)))
    done = subprocess.run([python, "-m", *install], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the packages cannot be installed: {done.stderr[-200:]}")
    added = megabytes(clean / "env") - before
    print(f"The image adds {added} MB to its base.")
    assert added < MOST_MEGABYTES
    model = save_direction(clean, "en", "de")
    model.chmod(0o644)
    entry = json.loads(steps["ENTRYPOINT"])
    command = shlex.join([str(clean / "env" / "bin" / entry[0]), *entry[1:], "--port", "0", str(model)])
    limits = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups --no-new-privs"
    mounts = "mount --bind / / && mount -o remount,bind,ro / && mount -t tmpfs tmpfs /tmp"
    script = f"{mounts} && cd / && ! touch /var/tmp/nmt-written 2>/dev/null && exec {limits} {command}"
    started = [shutil.which("unshare") or "unshare", "--mount", "sh", "-c", script]
    with subprocess.Popen(started, stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]}) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            match = re.match(r"http://\S+:(\d+) serves en to de", line)
            assert match, line + process.stderr.read()
            address = f"http://127.0.0.1:{match[1]}"
            body = {"q": "the dog", "source": "en", "target": "de"}
            assert httpx.post(f"{address}/translate", json=body, timeout=60).status_code == 200
            assert f"Uid:\t{NOBODY}" in Path(f"/proc/{process.pid}/status").read_text()
            check = steps["HEALTHCHECK"].removeprefix("CMD ").replace(":5000", f":{match[1]}")
            healthy = shlex.split(check.replace("python", str(python), 1))
            assert subprocess.run(healthy, capture_output=True, check=False).returncode == 0
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            assert subprocess.run(healthy, capture_output=True, check=False).returncode != 0
        finally:
            process.kill()


def megabytes(folder: Path) -> int:
    """The size of all files."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) >> 20
