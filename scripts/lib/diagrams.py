"""Draws the pictures of the documentation that show models: vector graphics that suit light and dark pages.

English pictures are in docs/images, and those of the Korean pages in docs/images/ko.

Run `python scripts/lib/diagrams.py` to write them to docs/images.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
SOURCE, TARGET = ("the", "dog", "sleeps"), ("der", "Hund", "schläft")
SHARES = (0.1, 0.8, 0.1)
"""Attention weights of the step that the picture shows, the second."""
STEP = 1
BOX, HEIGHT, GAP = 74, 44, 34
"""Width and height of a state and the distance between states, in pixels."""
WIDTH = 710
STYLE = """<style>
text{text-anchor:middle;fill:#1b1f24;font:14px system-ui,sans-serif}.s{fill:#5b6873;font-size:13px}
rect,circle{stroke-width:1.2}.enc{fill:#cfe3ff;stroke:#3b73c4}.dec{fill:#d6f0d9;stroke:#3c8a4b}
.att{fill:#ffe3bd;stroke:#c27a1c}.soft{fill:#ece1fb;stroke:#7a54b8}.plain{fill:#f6f8fa;stroke:#8c959f}
.l{text-anchor:start}.r{text-anchor:end}.f{opacity:.6}.x{fill:#c0262d}
.a{stroke:#6b7580;stroke-width:1.3;fill:none}.cell{stroke:#7a54b8;stroke-width:2.4;fill:none}.w,.q{stroke:#c27a1c;fill:none}
@media (prefers-color-scheme: dark){
text{fill:#dde5ec}.s{fill:#9aa7b3}.enc{fill:#1d3557}.dec{fill:#1f4429}.att{fill:#57390f}.soft{fill:#3d2c5e}
.plain{fill:#22272e}.x{fill:#ff8a80}
.a{stroke:#9aa7b3}.cell{stroke:#b79aef}}
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" orient="auto"
markerUnits="userSpaceOnUse">
<path d="M0 0 8 4 0 8z" fill="#7d8590"/></marker></defs>"""


def text(x: float, y: float, content: str, kind: str = "t") -> str:
    """Return a text that is centered at x."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{content}</text>'


def box(x: float, y: float, label: str, kind: str, *, width: float = BOX, height: float = HEIGHT) -> str:
    """Return a labelled state whose left upper corner is (x, y)."""
    shape = f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8"/>'
    return f"{shape}\n{text(x + width / 2, y + height / 2 + 5, label)}"


def arrow(x: float, y: float, to_x: float, to_y: float, kind: str = "a") -> str:
    """Return an arrow."""
    return f'<path class="{kind}" d="M{x:g} {y:g}L{to_x:g} {to_y:g}" marker-end="url(#head)"/>'


def path(points: str, kind: str) -> str:
    """Return an arrow along several points."""
    return f'<path class="{kind}" d="{points}" marker-end="url(#head)"/>'


def picture(name: str, parts: Sequence[str], *, width: float, height: float, styles: Sequence[str] = ()) -> str:
    """Return the file of a picture."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{name}">'
    )
    return "\n".join([head, f"<title>{name}</title>", STYLE, *styles, *parts, "</svg>"]) + "\n"


def left(index: int) -> float:
    """Return the left side of a state: three of the encoder, a wider gap, three of the decoder."""
    return 30 + index * (BOX + GAP) + (GAP if index >= len(SOURCE) else 0)


def encoder_decoder(*, cells: bool, attention: bool) -> str:
    """Return the picture of a model.

    Args:
        cells: Whether the recurrent units carry a memory cell.
        attention: Whether the decoder attends to the states of the encoder.
    """
    top = 176 if attention else 76
    states = len(SOURCE) + len(TARGET)
    parts = []
    for index in range(states):
        x, decodes = left(index), index >= len(SOURCE)
        number = index % len(SOURCE) + 1
        parts.append(box(x, top, f"{'s' if decodes else 'h'}{'₁₂₃'[number - 1]}", "dec" if decodes else "enc"))
        word = ("&lt;s&gt;", *TARGET)[number - 1] if decodes else SOURCE[number - 1]
        parts += [arrow(x + BOX / 2, top + 84, x + BOX / 2, top + HEIGHT + 4), text(x + BOX / 2, top + 102, word)]
        if index + 1 < states:
            parts.append(arrow(x + BOX, top + 14, left(index + 1) - 3, top + 14))
            if cells:
                parts.append(arrow(x + BOX, top + 31, left(index + 1) - 3, top + 31, "cell"))
        if decodes and not (attention and index == len(SOURCE) + STEP):
            out = top - 34
            parts += [arrow(x + BOX / 2, top, x + BOX / 2, out + 6), text(x + BOX / 2, out - 2, TARGET[number - 1])]
    if attention:
        parts += _attention(top)
    height = top + 140
    lanes = "hidden state →" + (", memory cell ⇒" if cells else "")
    parts += [text(WIDTH / 4, height - 14, "encoder", "s"), text(3 * WIDTH / 4, height - 14, "decoder", "s")]
    parts.append(text(WIDTH / 2, height - 14, lanes, "s"))
    name = f"{'LSTM' if cells else 'RNN'} encoder-decoder{' with attention' if attention else ''}"
    return picture(name, parts, width=WIDTH, height=height)


def _attention(top: float) -> list[str]:
    """Return the context of one step, the weights that make it, and the attentional state."""
    context_x, context_y = left(len(SOURCE)) - BOX, 84
    state = left(len(SOURCE) + STEP)
    parts = []
    for index, share in enumerate(SHARES):
        start = left(index) + BOX / 2
        line = f'd="M{start:g} {top}L{context_x + 30 + 14 * index:g} {context_y + HEIGHT}"'
        parts.append(f'<path class="w" stroke-width="{1 + 7 * share:g}" {line}/>')
        parts.append(text(start - 22, top - 8, f"{share:g}", "s"))
    parts += [
        box(context_x, context_y, "c₂ = Σ a h", "att"),
        box(state, context_y - 50, "tanh", "dec"),
        arrow(context_x + BOX, context_y + 16, state - 3, context_y - 20),
        arrow(state + BOX / 2, top, state + BOX / 2, context_y - 2),
        arrow(state + BOX / 2, context_y - 50, state + BOX / 2, 20),
        text(state + BOX / 2, 14, TARGET[STEP]),
    ]
    return parts


WRITTEN = ("Der", "Bauer", "hat", "versprochen,", "zu", "kommen.")
READ = ("The", "farmer", "has", "promised", "to", "come.")
WEIGHTS = (
    (0.94, 0.03, 0, 0, 0, 0.01),
    (0.01, 0.99, 0, 0, 0, 0),
    (0, 0, 0.67, 0.25, 0.01, 0.06),
    (0, 0, 0.2, 0.71, 0.02, 0.06),
    (0, 0, 0.01, 0.02, 0.36, 0.59),
    (0, 0, 0, 0.01, 0.07, 0.64),
)
"""Rounded attention weights of the quickstart's model, one row for each written word.

Made by `nmt attention --model runs/quickstart --level words --format json "The farmer has promised to come."`. The
weight of the end mark is left out.
"""
SECONDS = 1.6
"""Duration of a word."""
COLUMN = 112


def animation() -> str:
    """Return the animated picture: words appear one by one, with the attention of the newest word.

    A browser that reduces motion shows all words at once.
    """
    count = len(WRITTEN)
    total = (count + 1) * SECONDS
    styles, parts = [], []
    for index, word in enumerate(READ):
        parts.append(text((index + 0.5) * COLUMN, 170, word))
    for step, (word, row) in enumerate(zip(WRITTEN, WEIGHTS, strict=True)):
        start, stop = (100 * (step + each) / (count + 1) for each in (0, 1))
        begin = "0%" if step == 0 else f"0%,{start:.1f}%{{opacity:0}}{start + 0.5:.1f}%"
        styles.append(f"@keyframes w{step}{{{begin},100%{{opacity:1}}}}")
        styles.append(f"@keyframes l{step}{{{begin},{stop:.1f}%{{opacity:1}}{stop + 0.5:.1f}%,100%{{opacity:0}}}}")
        x = (step + 0.5) * COLUMN
        parts.append(f'<g style="animation-name:w{step}">{text(x, 38, word)}</g>')
        lines = "".join(
            f'<path class="w" stroke-width="{0.5 + 7 * share:g}" d="M{(index + 0.5) * COLUMN:g} 152L{x:g} 48"/>'
            for index, share in enumerate(row)
            if share
        )
        parts.append(f'<g style="animation-name:l{step}">{lines}</g>')
    name = "A translation is written word by word, with its attention"
    motion = f"@media (prefers-reduced-motion: no-preference){{g{{animation:{total:g}s linear infinite}}}}"
    styles = ["<style>", motion, *styles, "</style>"]
    return picture(name, parts, width=COLUMN * count, height=190, styles=styles)


SOURCE_PIECES, TARGET_PIECES = ("▁The", "▁dog", "▁sleep", "s."), ("▁Der", "▁Hund", "▁schläft", ".")
LOOK = (0.9, 1.3, 5.8, 1.8)
"""Width of the lines of attention at the third target piece, in pixels."""


def architecture() -> str:
    """Return the picture of the whole way from text to text, with the attention of the third target piece."""
    parts = [box(74, 390, "The dog sleeps.", "plain", width=356, height=38)]
    for index, piece in enumerate(SOURCE_PIECES):
        x = 74 + 94 * index
        parts += [box(x, 324, piece, "plain", height=32), arrow(x + 37, 390, x + 37, 360)]
        parts += [box(x, 244, "h", "enc"), arrow(x + 37, 324, x + 37, 292)]
        parts.append(f'<path class="w" stroke-width="{1 + LOOK[index]:g}" d="M{x + 37} 242V188"/>')
        if index:
            parts += [arrow(x - 18, 258, x - 3, 258), arrow(x - 2, 275, x - 17, 275)]
    for index, piece in enumerate(TARGET_PIECES):
        x = 506 + 94 * index
        parts += [box(x, 324, ("&lt;s&gt;", *TARGET_PIECES)[index], "plain", height=32), box(x, 244, "s", "dec")]
        parts += [arrow(x + 37, 324, x + 37, 292), box(x, 72, piece, "dec", height=32)]
        parts.append(arrow(x + 37, 72, x + 37, 52))
        if index:
            parts.append(arrow(x - 18, 266, x - 3, 266))
        if index != 2:
            parts.append(arrow(x + 37, 242, x + 37, 108, "a f"))
    parts += [
        box(74, 140, "attention: one weight for each source position", "att", width=356),
        path("M432 266H503", "a"),
        text(467, 258, "bridge", "s"),
        box(694, 124, "softmax", "soft", height=40),
        path("M746 242V168", "a"),
        path("M731 124V108", "a"),
        path("M714 242V174H434", "q"),
        text(600, 191, "query", "s"),
        path("M432 152H691", "q"),
        text(600, 145, "context", "s"),
        box(506, 10, "Der Hund schläft.", "plain", width=356, height=38),
    ]
    parts += [text(64, y, name, "s r") for y, name in ((413, "text"), (345, "pieces"), (271, "encoder"))]
    names = ((34, "text"), (93, "beam search"), (271, "decoder"), (345, "last piece"))
    parts += [text(872, y, name, "s l") for y, name in names]
    return picture("Encoder, attention and decoder", parts, width=960, height=438)


LONG_SOURCE = (
    "He tells my artist and my sister that he throws away this suitcase in the kitchen at ten past nine on Monday, and "
    "he likes them, and the nurses will close their box and will bring it along next month."
)
LONG_REFERENCE = (
    "Er erzählt meinem Künstler und meiner Schwester, dass er am Montag um zehn nach neun diesen Koffer in der Küche "
    "wegwirft, und er mag sie, und die Krankenschwestern werden ihre Kiste schließen und werden sie nächsten Monat "
    "mitbringen."
)
LONG_WITHOUT = (
    "Er erzählt seinem Bruder undzählst du, dass er am Mittwoch um fünf nach eins auf dem Stuhl gesprungen ist, und "
    "trotzdem wird der Mann, der sich auf das Sofa gesetzt hat, über den Fehler lachen, wenn es regnet."
)
"""The translation by the LSTM without attention of configs/sweeps/long-exercise.yaml, seed 1."""
LONG_WEIGHTS = (
    "0:92 1:92 2:57,3:16,6:10 3:96 4:90 5:47,6:44 6:46,7:35 7:68,8:16 8:97 16:24,20:24,21:25 21:89 "
    "11:22,16:16,17:34,18:13 17:80 18:87 19:78 11:38,12:35 12:97 9:20,10:20,13:54 14:86 15:92 9:42,10:22,21:23 "
    "22:89 23:86 24:86 25:80 26:86 27:90 28:82,29:11 29:71,30:13 25:12,31:68 32:91 30:76 33:91 "
    "28:15,29:31,34:31 36:48,38:22,39:25 38:39,39:47 39:88 35:19,37:23,39:16"
)
"""Attention weights above 10 %: for each word of the reference, source words and percentages.

Made by `nmt attention --model runs/quickstart --level words --format json` with the reference as `--target`.
"""
ROW = 18
"""Height of a word."""


def long_sentence() -> str:
    """Return the picture of a long sentence without and with attention."""
    source, wanted = LONG_SOURCE.split(), LONG_REFERENCE.split()
    height = 44 + ROW * max(len(source), len(wanted)) + 12
    middle = 44 + ROW * len(source) / 2
    left_panel, right_panel = 120, 500
    parts = [text(205, 20, "LSTM: one vector"), text(585, 20, "LSTM with attention")]
    parts += _column(source, left_panel, "r") + _column(source, right_panel, "r")
    parts += _column(LONG_WITHOUT.split(), left_panel + 170, "l", right=set(wanted))
    parts += _column(wanted, right_panel + 170, "l")
    for index in range(len(source)):
        parts.append(_line(left_panel + 6, index, f"{left_panel + 68} {middle:g}", 0.6))
    parts.append(box(left_panel + 68, middle - 22, "", "enc", width=34))
    for index in range(len(LONG_WITHOUT.split())):
        parts.append(_line(left_panel + 164, index, f"{left_panel + 102} {middle:g}", 0.6))
    for place, row in enumerate(LONG_WEIGHTS.split()):
        for index, percent in (map(int, link.split(":")) for link in row.split(",")):
            end = f"{right_panel + 164} {_height(place)}"
            parts.append(_line(right_panel + 6, index, end, 0.4 + percent / 40))
    return picture("A long sentence without and with attention", parts, width=800, height=height)


def _height(row: int) -> int:
    return 44 + ROW * row


def _column(words: Sequence[str], x: float, side: str, *, right: set[str] | None = None) -> list[str]:
    """Return words below each other; words that are not `right` have another colour."""
    kinds = [f"s {side}" if right is None or word in right else f"s {side} x" for word in words]
    return [text(x, _height(row) + 4, word, kind) for row, (word, kind) in enumerate(zip(words, kinds, strict=True))]


def _line(x: float, row: int, end: str, width: float) -> str:
    """Return a line from a row to a point."""
    return f'<path class="w" stroke-width="{width:.2g}" d="M{x:g} {_height(row)}L{end}"/>'


KOREAN = {
    "RNN encoder-decoder": "RNN 인코더-디코더",
    "LSTM encoder-decoder": "LSTM 인코더-디코더",
    "LSTM encoder-decoder with attention": "어텐션을 쓰는 LSTM 인코더-디코더",
    "encoder": "인코더",
    "decoder": "디코더",
    "hidden state →": "은닉 상태 →",
    "hidden state →, memory cell ⇒": "은닉 상태 →, 메모리 셀 ⇒",
    "Encoder, attention and decoder": "인코더, 어텐션, 디코더",
    "attention: one weight for each source position": "어텐션: 원문 위치마다 가중치 하나",
    "bridge": "브리지",
    "softmax": "소프트맥스",
    "query": "쿼리",
    "context": "문맥 벡터",
    "text": "글",
    "pieces": "조각",
    "beam search": "빔 탐색",
    "last piece": "직전 조각",
    "LSTM: one vector": "LSTM: 벡터 하나",
    "LSTM with attention": "어텐션을 쓰는 LSTM",
    "A long sentence without and with attention": "어텐션 없는 긴 문장과 어텐션 있는 긴 문장",
    "A translation is written word by word, with its attention": "번역문이 어텐션과 함께 한 단어씩 나타나는 모습",
}
"""The texts of the pictures in Korean. Symbols, functions and the words of the example sentences stay."""
TEXT = re.compile(r'(?<=>)[^<>]+(?=</(?:text|title)>)|(?<=aria-label=")[^"]+')


def in_korean(draw: Callable[[], str]) -> str:
    """Return a picture with Korean texts."""
    return TEXT.sub(lambda found: KOREAN.get(found[0], found[0]), draw()).replace("<svg ", '<svg lang="ko" ', 1)


PICTURES: dict[str, Callable[[], str]] = {
    "model-rnn.svg": lambda: encoder_decoder(cells=False, attention=False),
    "model-lstm.svg": lambda: encoder_decoder(cells=True, attention=False),
    "model-attention.svg": lambda: encoder_decoder(cells=True, attention=True),
    "translation.svg": animation,
    "architecture.svg": architecture,
    "long-sentence.svg": long_sentence,
}
PICTURES |= {f"ko/{name}": partial(in_korean, draw) for name, draw in PICTURES.items()}
"""The pictures by file name."""

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")
