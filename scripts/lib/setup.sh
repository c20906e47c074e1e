# Shared by the scripts: a virtual environment in .venv with what the toolkit needs. To be sourced, not run.
#
# A stamp in .venv says what was installed, for which files; while it holds, nothing is done and no network is needed.
# It is written last, so an interrupted installation is simply done again.

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

# python_is_suitable PYTHON: does it run, and is its version one that was tested?
python_is_suitable() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

# find_python: print the Python to make the environment with.
find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        python_is_suitable "$PYTHON" ||
            fail "PYTHON is $PYTHON, which is not a working Python 3.10, 3.11, 3.12 or 3.13."
        printf '%s\n' "$PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python3.10 python; do
        if python_is_suitable "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "Python 3.10, 3.11, 3.12 or 3.13 is needed, and none was found." \
        "Found: $(python3 --version 2>&1 || true)" \
        "Install one of them, or name it: PYTHON=/path/to/python3.12 ${0##*/}"
}

# make_environment: make .venv, or mend one that does not work.
make_environment() {
    local python log
    if [ -e "$venv" ] && ! python_is_suitable "$venv/bin/python"; then
        say "The environment in .venv does not work, or has an unsuitable Python: making it anew."
        rm -rf "$venv"
    fi
    if python_is_suitable "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    python="$(find_python)"
    say "Making a virtual environment in .venv with $("$python" --version)."
    if ! log="$("$python" -m venv --clear "$venv" 2>&1)"; then
        rm -rf "$venv"
        say "$log"
        fail "$python could not make a virtual environment." \
            "On Debian and Ubuntu its module is a package of its own: sudo apt install python3-venv"
    fi
}

# fingerprint EXTRAS: what the installation depends on, the folder included because scripts in .venv name it.
fingerprint() {
    "$venv/bin/python" - "$root" "$1" <<'PYTHON'
import hashlib, pathlib, sys
root, extras = sys.argv[1:]
digest = hashlib.sha256(f"{root} {extras} {sys.version}".encode())
for name in ("pyproject.toml", "constraints.txt"):
    digest.update((pathlib.Path(root) / name).read_bytes())
print(digest.hexdigest())
PYTHON
}

# stamped EXTRAS: was this installed before, from the same files?
stamped() {
    [ -f "$stamp" ] && grep -qxF "$(fingerprint "$1")" "$stamp"
}

# install_packages EXTRAS: "" for what the toolkit needs to run, "[dev]" for what its tests need besides.
install_packages() {
    local quiet=()
    [ -t 1 ] || quiet=(--quiet)
    # The build tool is installed like the rest, so that building the package itself downloads nothing unpinned.
    "$venv/bin/python" -m pip install ${quiet[@]+"${quiet[@]}"} -c "$root/constraints.txt" setuptools &&
        (cd "$root" && "$venv/bin/python" -m pip install ${quiet[@]+"${quiet[@]}"} --no-build-isolation \
            -c "$root/constraints.txt" -e ".$1")
}

# packages_work: pip believes in a package that an interruption left half-written; importing it tells.
packages_work() {
    "$venv/bin/python" -c 'import numpy, pydantic, sacrebleu, safetensors, sentencepiece, torch, tqdm, typer, yaml, nmt'
}

# prepare_environment [dev]: make .venv ready; nothing happens if it is.
prepare_environment() {
    local extras="${1:+[$1]}"
    if python_is_suitable "$venv/bin/python" && { stamped "$extras" || stamped "[dev]"; }; then
        return
    fi
    make_environment
    rm -f "$stamp"
    say "Installing the packages of constraints.txt in .venv. The first time PyTorch is downloaded, which takes a while."
    install_packages "$extras" 1>&2 || fail "The packages could not be installed; pip's messages above say why." \
        "Without a connection: connect and try again; nothing that was downloaded is downloaded twice."
    if ! packages_work; then
        say "The packages in .venv are damaged: making the environment anew."
        rm -rf "$venv"
        make_environment
        install_packages "$extras" 1>&2 && packages_work || fail "The packages do not work; the messages above say why."
    fi
    fingerprint "$extras" >"$stamp"
    say "The environment is ready."
}

# run_module MODULE ARGUMENTS...: run a module of scripts/lib in place of this shell. As `nmt` does, it tells torch's
# libraries how to use threads; see nmt/cli/environment.py.
run_module() {
    export GOMP_SPINCOUNT="${GOMP_SPINCOUNT-3000}"
    export PYTHONPATH="$root:$root/scripts/lib${PYTHONPATH:+:$PYTHONPATH}"
    exec "$venv/bin/python" -m "$@"
}

# run_trainings MODULE ARGUMENTS...: the same for one that trains, and remembers as few shapes as `nmt train`.
run_trainings() {
    export ONEDNN_PRIMITIVE_CACHE_CAPACITY="${ONEDNN_PRIMITIVE_CACHE_CAPACITY-128}"
    export LRU_CACHE_CAPACITY="${LRU_CACHE_CAPACITY-8}"
    run_module "$@"
}
