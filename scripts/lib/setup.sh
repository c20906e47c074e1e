# Creates the virtual environment .venv with all packages that the toolkit needs. Source this file, do not run it.
#
# A stamp in .venv records what was installed. If it matches, nothing is installed and no network is needed.
# The stamp is written last, so an interrupted installation is repeated.

root="$(cd -P "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
venv="$root/.venv"
stamp="$venv/.nmt-setup"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USER=0

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $1"
    shift
    local line
    for line in "$@"; do say "       $line"; done
    exit 1
}

# python_is_suitable PYTHON: test whether it runs and has a supported version.
python_is_suitable() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

# find_python: print the Python that creates the environment.
find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        python_is_suitable "$PYTHON" ||
            fail "PYTHON=$PYTHON is not a working Python 3.10, 3.11, 3.12 or 3.13."
        printf '%s\n' "$PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python3.10 python; do
        if python_is_suitable "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "Python 3.10, 3.11, 3.12 or 3.13 is required, but none was found." \
        "Found: $(python3 --version 2>&1 || true)" \
        "Install one of them, or set its path: PYTHON=/path/to/python3.12 ${0##*/}"
}

# make_environment: create .venv, or replace it if it does not work.
make_environment() {
    local python log
    if [ -e "$venv" ] && ! python_is_suitable "$venv/bin/python"; then
        say "The environment in .venv does not work or has an unsupported Python. Creating a new one."
        rm -rf "$venv"
    fi
    if python_is_suitable "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    python="$(find_python)"
    say "Creating a virtual environment in .venv with $("$python" --version)."
    if ! log="$("$python" -m venv --clear "$venv" 2>&1)"; then
        rm -rf "$venv"
        say "$log"
        fail "$python could not create a virtual environment." \
            "On Debian and Ubuntu, install the module venv: sudo apt install python3-venv"
    fi
}

# fingerprint EXTRAS: print a hash of everything the installation depends on. It includes the path of the checkout,
# because the programs in .venv contain it.
fingerprint() {
    "$venv/bin/python" - "$root" "$1" <<'PYTHON'
import hashlib, pathlib, sys
root, extras = sys.argv[1:]
digest = hashlib.sha256(f"{root} {extras} {sys.version}".encode())
for name in ("pyproject.toml", "constraints.txt", "requirements.lock"):
    digest.update((pathlib.Path(root) / name).read_bytes())
print(digest.hexdigest())
PYTHON
}

# stamped EXTRAS: test whether the stamp matches.
stamped() {
    [ -f "$stamp" ] && grep -qxF "$(fingerprint "$1")" "$stamp"
}

# locked_packages EXTRAS: print the part of requirements.lock that these extras need.
locked_packages() {
    if [ "$1" = "[dev]" ]; then
        cat "$root/requirements.lock"
    else
        sed '/^# Only for/,$d' "$root/requirements.lock"
    fi
}

# install_packages EXTRAS: install the toolkit. EXTRAS is empty, [all], or [dev] for what the checks need too. pip compares
# the packages of requirements.lock with their checksums, and installs PyTorch for this index afterwards.
install_packages() {
    local quiet=() locked
    [ -t 1 ] || quiet=(--quiet)
    locked="$(mktemp)"
    locked_packages "$1" >"$locked"
    # Without build isolation, pip uses the setuptools of the lock instead of downloading the newest one.
    "$venv/bin/python" -m pip install ${quiet[@]+"${quiet[@]}"} --require-hashes --no-deps -r "$locked" &&
        (cd "$root" && "$venv/bin/python" -m pip install ${quiet[@]+"${quiet[@]}"} --no-build-isolation \
            -c "$root/constraints.txt" -e ".$1")
    local code=$?
    rm -f "$locked"
    return $code
}

# packages_work: import the packages. pip does not notice if an interruption left one incomplete.
packages_work() {
    "$venv/bin/python" -c 'import numpy, pydantic, sacrebleu, safetensors, sentencepiece, torch, tqdm, typer, yaml, nmt'
}

# prepare_environment [all|dev]: install what is missing in .venv.
prepare_environment() {
    local extras="${1:+[$1]}"
    if python_is_suitable "$venv/bin/python" && { stamped "$extras" || stamped "[dev]"; }; then
        return
    fi
    make_environment
    rm -f "$stamp"
    say "Installing the packages of requirements.lock in .venv. Downloading PyTorch takes several minutes."
    install_packages "$extras" 1>&2 || fail "The packages could not be installed. See pip's messages above." \
        "If the network failed, run the same command again. It does not repeat finished downloads."
    if ! packages_work; then
        say "The packages in .venv are damaged. Creating a new environment."
        rm -rf "$venv"
        make_environment
        install_packages "$extras" 1>&2 && packages_work || fail "The packages do not work. See the messages above."
    fi
    fingerprint "$extras" >"$stamp"
    say "The environment is ready."
}

# run_module MODULE ARGUMENTS...: replace this shell by a module of scripts/lib. The variable has the value that
# nmt/cli/environment.py sets for the command nmt.
run_module() {
    export GOMP_SPINCOUNT="${GOMP_SPINCOUNT-3000}"
    export PYTHONPATH="$root:$root/scripts/lib${PYTHONPATH:+:$PYTHONPATH}"
    exec "$venv/bin/python" -m "$@"
}
