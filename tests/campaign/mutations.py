"""Random changes of files by their structure: bytes, lines, nodes of JSON and YAML, tensors, tags, archives.

Each mutator takes random choices and the content of a file, and returns the changed content with a description.
"""

from __future__ import annotations

import copy
import gzip
import io
import json
import random
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from nmt.data.tensor_file import DATA_CHECKSUM, HEADER_CHECKSUM
from nmt.small_files import seal

Mutated = tuple[bytes, str]
Mutator = Callable[[random.Random, bytes], Mutated]

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 64, 2**31, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e-320, 1e308),
    *(float("nan"), float("inf"), "", " ", "\n", "a", "0", "-1", "1e9", "nan", "../../x", "/dev/null", "/dev/zero"),
    *("~", "$HOME/x", "\x1b]0;title\x07", "\u202eabc", "\x00", "\ud800", "é" * 300, "a" * 70_000, "de/../../x"),
    *([], {}, [[]], [None], {"a": 1}, ["a"] * 300, {"": ""}, [1, 2], {"name": "x"}, "auto", "none", "train.en"),
)
"""Values that readers may not expect."""
BYTES = (
    *(b"\x00", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n", b"\x1b[31m", b"\xed\xa0\x80", b"\x85"),
    *(
        b"\xe2\x80\xa8",
        b"\xe2\x80\xae",
        b"{",
        b"[",
        b'"',
        b"'",
        b"<",
        b"&",
        b">",
        b"\t",
        b"|||",
        b"\\",
        b"%",
        b"*",
        b"&a",
    ),
    *(
        b"-",
        b"1e999",
        b"NaN",
        b"\x1a",
        b"\x80",
        b"PK\x03\x04",
        b"\x1f\x8b",
        b"<!DOCTYPE a [",
        b"]]>",
        b"!!python/none x",
    ),
)
"""Pieces of text that have a meaning somewhere."""
DEPTH, MANY, LONG = 3_000, 5_000, 100_000


# -------------------------------------------------------------------------------------------------------------- bytes


def damage(rng: random.Random, data: bytes) -> Mutated:
    """Damage as disks, networks and people do it. The content is always another one."""
    for _ in range(20):
        changed, what = rng.choice(_DAMAGE)(rng, data)
        if changed != data:
            return changed, what
    return data + b"\x00", "append a zero"


def _flip(rng: random.Random, data: bytes) -> Mutated:
    place, bit = rng.randrange(len(data)), rng.randrange(8)
    changed = bytearray(data)
    changed[place] ^= 1 << bit
    return bytes(changed), f"flip bit {bit} of byte {place}"


def _zero(rng: random.Random, data: bytes) -> Mutated:
    start, size = rng.randrange(len(data)), rng.choice((1, 8, 64, 512, 4096))
    return data[:start] + bytes(min(size, len(data) - start)) + data[start + size :], f"zero {size} bytes at {start}"


def _truncate(rng: random.Random, data: bytes) -> Mutated:
    size = rng.choice((0, 1, 8, rng.randrange(len(data)), len(data) - 1))
    return data[:size], f"truncate to {size} bytes"


def _delete(rng: random.Random, data: bytes) -> Mutated:
    start, size = rng.randrange(len(data)), rng.choice((1, 4, 100, 4096))
    return data[:start] + data[start + size :], f"delete {size} bytes at {start}"


def _repeat(rng: random.Random, data: bytes) -> Mutated:
    start, size = rng.randrange(len(data)), rng.choice((1, 4, 100, 4096))
    return data[: start + size] + data[start : start + size] + data[start + size :], f"repeat {size} bytes at {start}"


def _swap(rng: random.Random, data: bytes) -> Mutated:
    size = rng.choice((1, 16, 512))
    first, second = sorted(rng.randrange(len(data)) for _ in range(2))
    parts = (data[:first], data[second : second + size], data[first + size : second], data[first : first + size])
    return b"".join((*parts, data[second + size :])), f"swap {size} bytes at {first} and {second}"


def _insert(rng: random.Random, data: bytes) -> Mutated:
    place, piece = rng.randrange(len(data) + 1), rng.choice(BYTES)
    return data[:place] + piece + data[place:], f"insert {piece!r} at {place}"


def _overwrite(rng: random.Random, data: bytes) -> Mutated:
    place, piece = rng.randrange(len(data)), rng.choice((*BYTES, rng.randbytes(4), rng.randbytes(40)))
    return data[:place] + piece + data[place + len(piece) :], f"overwrite with {piece!r} at {place}"


_DAMAGE: tuple[Mutator, ...] = (_flip, _flip, _zero, _truncate, _delete, _repeat, _swap, _insert, _overwrite)


# -------------------------------------------------------------------------------------------------------------- lines


def lines(rng: random.Random, data: bytes) -> Mutated:
    """Change lines, fields or bytes of a text."""
    if not data or rng.random() < 0.25:
        return damage(rng, data or b"\n")
    every = data.split(b"\n")
    place = rng.randrange(len(every))
    line = every[place]
    kind = rng.choice(
        ("delete", "repeat", "many", "swap", "empty", "hostile", "long", "field", "insert", "join", "end")
    )
    if kind == "delete":
        every.pop(place)
    elif kind == "repeat":
        every.insert(place, line)
    elif kind == "many":
        every[place:place] = [line] * rng.choice((100, 1000))
    elif kind == "swap":
        other = rng.randrange(len(every))
        every[place], every[other] = every[other], line
    elif kind == "empty":
        every[place] = rng.choice((b"", b" ", b"\xe3\x80\x80", b"\t", b"\r"))
    elif kind == "hostile":
        every[place] = rng.choice(HOSTILE)
    elif kind == "long":
        every[place] = rng.choice((b"a", b"a ", b"\xcc\x81", b"(", b"\t", b"1", b"\xf0\x9f\x98\x80", b"0-0 ")) * LONG
    elif kind == "field":
        separator = rng.choice([one for one in (b"\t", b" ||| ", b" ", b",", b"-", b":") if one in line] or [b" "])
        fields = line.split(separator)
        chosen = rng.randrange(len(fields))
        fields[chosen : chosen + rng.randint(0, 1)] = rng.choices(
            [_encode(value) for value in VALUES if isinstance(value, (str, int, float)) or value is None],
            k=rng.randint(0, 2),
        )
        every[place] = separator.join(fields)
    elif kind == "insert":
        spot = rng.randrange(len(line) + 1)
        every[place] = line[:spot] + rng.choice(BYTES) + line[spot:]
    elif kind == "join":
        every[place : place + 2] = [b" ".join(every[place : place + 2])]
    else:
        return data.rstrip(b"\n") + rng.choice((b"", b"\r", b"\x00", b"\n\n", b"\x1a")), "another end"
    return b"\n".join(every), f"{kind} at line {place + 1}"


HOSTILE = (
    *(b"\xff\xfe", b"\x00", b"\xed\xa0\x80", b"\xc3", b"\x1b]0;x\x07", "\u202eabc".encode(), "\u2028".encode()),
    *(
        "a\u0301".encode() * 500,
        b"\xef\xbb\xbf",
        b"<s> </s> <unk> <pad> \xe2\x96\x81",
        b"__class__",
        b"%s%n{0}",
        b"[" * MANY,
    ),
    *(b'{"a":' * MANY, b"../../x", b"- - - -", b"1" * 5000, b"1e400", b"||| ||| |||", b"\t\t\t\t", b'"', b"'", b"\\"),
    *(
        b"-->",
        b"00:00:00,000 --> 99:99:99,999",
        b'msgid "',
        b'msgstr[9999] "x"',
        b"#, fuzzy",
        b"#~ msgid",
        b"0-999999999",
    ),
)
"""Lines that readers may not expect."""


def _encode(value: Any) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")


# --------------------------------------------------------------------------------------------------------- JSON, YAML


def nodes(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each node of nested lists and dictionaries."""
    yield path
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield from nodes(value, (*path, key))


def change_tree(rng: random.Random, tree: Any) -> tuple[Any, str]:
    """Change one node of nested lists and dictionaries."""
    tree = copy.deepcopy(tree)
    path = rng.choice(list(nodes(tree)))
    if not path:
        return rng.choice(VALUES), "replace all"
    parent = tree
    for key in path[:-1]:
        parent = parent[key]
    key, where = path[-1], ".".join(map(str, path))
    kind = rng.choice(("replace", "replace", "replace", "delete", "rename", "add", "nest", "many", "near", "other"))
    if kind == "delete":
        del parent[key]
    elif kind == "rename" and isinstance(parent, dict):
        parent[rng.choice((str(key)[:-1], str(key) + "s", str(key).upper(), "", "\x1b[1m", "a" * 3000))] = parent.pop(
            key
        )
    elif kind == "add" and isinstance(parent, dict):
        parent[rng.choice(("x", "seed", "name", "\u202e", "base", "__class__"))] = rng.choice(VALUES)
    elif kind == "nest":
        parent[key] = rng.choice(([parent[key]], {"a": parent[key]}, [parent[key]] * 3))
    elif kind == "many":
        many = {f"key{number}": number for number in range(MANY)} if rng.random() < 0.5 else [parent[key]] * 300
        parent[key] = many
    elif kind == "near" and isinstance(parent[key], (int, float)):
        parent[key] = rng.choice(
            (parent[key] + 1, parent[key] - 1, -parent[key], parent[key] * 1000, float(parent[key]))
        )
    elif kind == "other":
        other = rng.choice(list(nodes(tree)))
        value = tree
        for one in other:
            value = value[one]
        parent[key] = copy.deepcopy(value)
    else:
        parent[key] = rng.choice(VALUES)
    return tree, f"{kind} {where}"


def json_nodes(rng: random.Random, data: bytes) -> Mutated:
    """Change a node of JSON, or its text."""
    return _one_json(rng, data) if rng.random() < 0.75 else lines(rng, data)


def _one_json(rng: random.Random, data: bytes) -> Mutated:
    tree, what = change_tree(rng, json.loads(data))
    if rng.random() < 0.05:
        bracket = rng.choice(('{"a":', "["))
        return bracket.encode() * DEPTH, "deep nesting"
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.05 and text.startswith("{") and ":" in text:
        text = "{" + text[1 : text.index(":")] + ": 1, " + text[1:]
        what += ", repeated key"
    return text.encode("utf-8", "surrogatepass"), what


def json_lines(rng: random.Random, data: bytes) -> Mutated:
    """Change a line of JSON Lines, by node or as text."""
    every = data.split(b"\n")
    place = rng.randrange(len(every))
    if rng.random() < 0.3 or not every[place]:
        return lines(rng, data)
    every[place], what = _one_json(rng, every[place])
    return b"\n".join(every), f"line {place + 1}: {what}"


def yaml_nodes(rng: random.Random, data: bytes) -> Mutated:
    """Change one or two nodes of YAML, or its text."""
    if rng.random() < 0.25:
        return lines(rng, data)
    tree, what = change_tree(rng, yaml.safe_load(data))
    if rng.random() < 0.3 and isinstance(tree, dict):
        tree, also = change_tree(rng, tree)
        what += f", {also}"
    if rng.random() < 0.06:
        return rng.choice(YAML_BOMBS), "a bomb"
    return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False).encode("utf-8", "surrogatepass"), what


YAML_BOMBS = (
    b"a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)),
    b"a: &a\n  b: *a\n",
    b"[" * DEPTH,
    b"a: " + b"{a: " * DEPTH,
    b"!!python/object/apply:os.system ['touch pwned']\n",
    b"? " * DEPTH,
    b"- " * DEPTH,
    b"&a " * 100 + b"x",
    b"a: !!binary " + b"A" * LONG,
    b"".join(b"key%d: 1\n" % number for number in range(MANY * 4)),
    b"a: 0x" + b"f" * LONG,
    b"a: 1" + b"_0" * LONG,
    b"<<: [{a: 1}, {b: 2}]\n",
    b"a: " + b"9" * LONG,
    b"a: 99999-99-99\n",
    b"%YAML 9.9\n---\na: 1\n---\nb: 1\n",
)


# ------------------------------------------------------------------------------------------------------------ tensors


def hostile_tensors(rng: random.Random, data: bytes) -> Mutated:
    """Change the header of a safetensors file, and make its checksums right again, as a stranger can."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    body = bytearray(data[8 + size :])
    metadata = header.get("__metadata__", {})
    texts = [key for key, text in metadata.items() if text[:1] == "{"]
    encoded = [key for key in metadata if key.endswith("tokenizer")]
    kind = rng.choice(("config", "config", "json", "tokenizer", "header", "tensor", "metadata", "values"))
    if kind in ("config", "json") and texts:
        key = "config" if kind == "config" and "config" in texts else rng.choice(texts)
        changed, what = _one_json(rng, metadata[key].encode())
        metadata[key] = changed.decode("utf-8", "surrogatepass")
        what = f"{key}: {what}"
    elif kind == "tokenizer" and encoded:
        key = rng.choice(encoded)
        import base64

        changed, what = damage(rng, base64.b64decode(metadata[key]))
        metadata[key] = rng.choice((base64.b64encode(changed).decode(), metadata[key][:-1], ""))
        what = f"{key}: {what}"
    elif kind == "values":
        number = rng.choice((b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f", b"\xff\xff\x7f\x7f", b"\x00\x00\x00\x00"))
        start = 4 * rng.randrange(max(1, len(body) // 4))
        count = rng.choice((1, 50, len(body)))
        body[start : start + 4 * count] = number * min(count, (len(body) - start) // 4)
        what = f"values {number!r} at {start}"
    elif kind == "tensor":
        name = rng.choice([name for name in header if name != "__metadata__"])
        header[name], what = change_tree(rng, header[name])
        if isinstance(header[name], dict) and rng.random() < 0.4:
            header[name]["dtype"] = rng.choice(("F64", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "C64", "X"))
        what = f"{name}: {what}"
    else:
        header, what = change_tree(rng, header)
    return seal_tensors(header, bytes(body)), what


def seal_tensors(header: Any, body: bytes) -> bytes:
    """Return a safetensors file with right checksums, for any header."""
    import zlib

    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if isinstance(metadata, dict) and HEADER_CHECKSUM in metadata:
        metadata[HEADER_CHECKSUM] = "0" * 8
        metadata[DATA_CHECKSUM] = f"{zlib.crc32(body):08x}"
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    text += b" " * (-len(text) % 8)
    return seal(len(text).to_bytes(8, "little") + text, HEADER_CHECKSUM) + body


# --------------------------------------------------------------------------------------------------------------- XML


def tags(rng: random.Random, data: bytes) -> Mutated:
    """Change tags and attributes of XML, or its text."""
    found = list(re.finditer(rb"<[^<>]*>", data))
    if rng.random() < 0.3 or not found:
        return lines(rng, data)
    one = rng.choice(found)
    kind = rng.choice(("delete", "repeat", "rename", "attribute", "bomb", "deep", "wrap", "declaration", "entity"))
    start, end = one.span()
    tag = one[0]
    if kind == "delete":
        return data[:start] + data[end:], f"delete {tag[:40]!r}"
    if kind == "repeat":
        return data[:start] + tag * rng.choice((2, 50)) + data[end:], f"repeat {tag[:40]!r}"
    if kind == "rename":
        return data[:start] + tag.replace(tag[1:3], b"zz", 1) + data[end:], f"rename {tag[:40]!r}"
    if kind == "attribute":
        value = _encode(rng.choice([value for value in VALUES if isinstance(value, (str, int))]))
        changed = re.sub(rb'"[^"]*"', lambda _: b'"' + value + b'"', tag, count=1)
        return data[:start] + changed + data[end:], f"attribute of {tag[:40]!r}"
    if kind == "bomb":
        bomb = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + b"".join(
            b'<!ENTITY a%d "%s">' % (number, b"&a%s;" % (b"" if number == 1 else b"%d" % (number - 1)) * 10)
            for number in range(1, 10)
        )
        return data[:start] + bomb + b"]>" + data[start:end] + b"&a9;" + data[end:], "entities"
    if kind == "deep":
        return data[:end] + b"<g id='1'>" * DEPTH + data[end:], "deep nesting"
    if kind == "wrap":
        return data[:end] + b"<![CDATA[ ]]><!-- x --><?x y?>&#0;&#xD800;" + data[end:], "unusual nodes"
    if kind == "entity":
        return data[:end] + b"&lt;&amp;&#x1b;&unknown;" + data[end:], "references"
    declaration = rng.choice((b"utf-16", b"latin-1", b"x", b"utf-7", b"idna", b"zip", b""))
    return b'<?xml version="1.0" encoding="' + declaration + b'"?>' + data.partition(b"?>")[
        2
    ], f"encoding {declaration!r}"


# ----------------------------------------------------------------------------------------------------------- archives


def in_gzip(inner: Mutator) -> Mutator:
    """Return a mutator of a compressed file, or of what is in it."""

    def mutate(rng: random.Random, data: bytes) -> Mutated:
        if rng.random() < 0.4:
            return damage(rng, data)
        if rng.random() < 0.05:
            return gzip.compress(bytes(1 << 26), compresslevel=1) * rng.choice((1, 8)), "zeros"
        changed, what = inner(rng, gzip.decompress(data))
        return gzip.compress(changed, compresslevel=1, mtime=0), what

    return mutate


def in_zip(rng: random.Random, data: bytes) -> Mutated:
    """Change a zip file: its bytes, its entries or their names."""
    if rng.random() < 0.4:
        return damage(rng, data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(entries))
    kind = rng.choice(("lines", "lines", "name", "delete", "add", "zeros", "repeat"))
    what = f"{kind} {name}"
    twice: list[tuple[str, bytes]] = []
    if kind == "lines":
        entries[name], what = lines(rng, entries[name])
    elif kind == "name":
        entries[rng.choice(("../../x", "/x", " ", "a/b/../c", "x.en", name.upper(), "\x1b"))] = entries.pop(name)
    elif kind == "delete":
        del entries[name]
    elif kind == "add":
        entries |= {rng.choice(("other.en", "other.de", "README", "dir/")): b"x\n"}
    elif kind == "zeros":
        entries[name] = bytes(1 << 26)
    else:
        twice = [(name, entries[name])]
    stream = io.BytesIO()
    import warnings

    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        warnings.simplefilter("ignore")
        for one, content in [*entries.items(), *twice]:
            archive.writestr(one, content)
    return stream.getvalue(), what
