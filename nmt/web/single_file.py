"""Combines the files of a site into one HTML file, which works from a disk without a server."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping

IMPORT = re.compile(r'^import (\{[^}]+\}) from "\./([^"]+)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:class|const|function\*?) (\w+))", re.MULTILINE)
POLICY = re.compile(r'(?<=http-equiv="Content-Security-Policy" content=")[^"]+')
STYLE, SCRIPT = '<link rel="stylesheet" href="page.css">', '<script type="module" src="page.js"></script>'
WORKER = "worker.js"


def single_file(files: Mapping[str, bytes]) -> bytes:
    """Return the HTML file of a site.

    Its content security policy allows no connections, and only the scripts and styles with the hashes of its own.

    Args:
        files: The content of each file of the site by name.
    """
    page, style = (files[name].decode() for name in ("index.html", "page.css"))
    modules = {name: content.decode() for name, content in files.items() if name.endswith(".js")}
    script = bundle(modules, "page.js")
    data = {name: content for name, content in files.items() if name.endswith((".safetensors", ".wasm"))}
    data[WORKER] = bundle(modules, WORKER).encode()
    blocks = [
        f'<script type="text/plain" id="{name}">{base64.b64encode(content).decode()}</script>'
        for name, content in data.items()
    ]
    policy = "; ".join(
        (
            f"default-src 'none'; script-src '{_hash(script)}' 'wasm-unsafe-eval'; style-src '{_hash(style)}'",
            "worker-src blob:; base-uri 'none'; form-action 'none'",
        )
    )
    inline = "\n".join([*blocks, f'<script type="module">{script}</script>'])
    page = POLICY.sub(policy, page).replace(STYLE, f"<style>{style}</style>").replace(SCRIPT, "")
    return page.replace("</body>", f"{inline}\n</body>").encode()


def bundle(modules: Mapping[str, str], entry: str) -> str:
    """Return a script that does what the module `entry` does, with the modules that it imports.

    Args:
        modules: The text of each module by name. An import has one line, and an export is a declaration.
        entry: The name of the module that is run.
    """
    done: dict[str, str] = {}

    def resolve(text: str) -> str:
        for _, imported in IMPORT.findall(text):
            if imported not in done:
                body = resolve(modules[imported])
                exported = ", ".join(EXPORT.findall(modules[imported]))
                done[imported] = f'modules["{imported}"] = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();'
        return EXPORT.sub("", IMPORT.sub(r'const \1 = modules["\2"];', text))

    last = resolve(modules[entry])  # not in a function, so that it may wait for files
    return "\n".join(['"use strict";', "const modules = {};", *done.values(), last])


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
