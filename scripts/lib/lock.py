"""Write requirements.lock, or print the report of an audit; see scripts/dependencies.

requirements.lock has the checksums of every file of every package that the scripts install, for all systems and
versions of Python. PyTorch and its GPU libraries are not in it: each index has other builds of it, so that pip checks
them against constraints.txt only.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
BUILDS = re.compile(r"torch|triton|nvidia-.*|cuda-.*")
"""Packages whose files depend on the index: PyTorch and what its builds for GPUs need."""
DEV = "# Only for scripts/test"
HEAD = """\
# The packages that the scripts install, with the checksums of their files. PyTorch is not here: each index has other
# builds of it. Written by scripts/dependencies lock.
"""


def resolve(uv: str, extra: str) -> dict[str, str]:
    """Return the requirement of each package of an extra, with its checksums."""
    options = (
        "--universal",
        "--python-version",
        "3.10",
        "--generate-hashes",
        "--no-header",
        "--no-annotate",
        "--quiet",
    )
    command = [uv, "pip", "compile", *options, "--extra", extra, "-c", "constraints.txt", "pyproject.toml"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    entries = re.findall(r"^(\S+)==((?:.*\\\n)*.*\n)", done.stdout, flags=re.MULTILINE)
    return {f"{name}=={rest}": name for name, rest in entries if not BUILDS.fullmatch(name)}


def write_lock(uv: str) -> None:
    """Write the lock: first what every user gets, then what the checks need too."""
    users, developers = resolve(uv, "all"), resolve(uv, "dev")
    text = HEAD + "".join(users) + f"{DEV}\n" + "".join(entry for entry in developers if entry not in users)
    LOCK.write_text(text, "utf-8")


def report(path: Path) -> int:
    """Print the known vulnerabilities of a report of pip-audit, and return 1 if there are any."""
    every = json.loads(path.read_text("utf-8"))["dependencies"]
    packages = [package for package in every if "skip_reason" not in package]
    if not packages:
        print("The list of vulnerabilities cannot be reached. Nothing was audited.")
        return 0
    found = 0
    for package in packages:
        for one in package.get("vulns", []):
            found += 1
            fixed = ", ".join(one.get("fix_versions", [])) or "no version yet"
            print(f"{package['name']} {package['version']}: {one['id']}, fixed in {fixed}")
    print(f"{len(packages)} of {len(every)} packages audited, {found} known vulnerabilities")
    return int(found > 0)


if __name__ == "__main__":
    if sys.argv[1] == "audit":
        sys.exit(report(Path(sys.argv[2])))
    write_lock(sys.argv[1])
