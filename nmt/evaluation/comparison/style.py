"""The style sheet of the report: follows the reader's choice of light or dark, needs nothing from elsewhere."""

STYLE = """
:root { color-scheme: light dark;
  --ground: #ffffff; --text: #1d2129; --soft: #5c6573; --line: #d9dde3; --panel: #f5f6f8; --mark: #ffe2b8;
  --c0: #4c5563; --c1: #0072b2; --c2: #c8500a; --c3: #00805c; --c4: #a83f86; --c5: #8a6a00;
  --c6: #1f8fb8; --c7: #a02020; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #15181d; --text: #e4e7eb; --soft: #9aa4b2; --line: #343b45; --panel: #1e232a; --mark: #5c4312;
  --c0: #aab4c2; --c1: #56b0ea; --c2: #f08a4b; --c3: #3fc79a; --c4: #dd8ac2; --c5: #d9b646;
  --c6: #7fd0ee; --c7: #ee7f7f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.25rem 4rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: .5rem 0; max-width: 46rem; } .soft, figcaption { color: var(--soft); font-size: .875rem; }
figure { margin: 1rem 0; } svg { display: block; width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; }
th, td { padding: .3rem .75rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { color: var(--soft); font-weight: 600; font-size: .875rem; } tbody th { font-weight: 500; }
.significant { font-weight: 700; }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; background: currentColor;
  margin-right: .4em; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .875rem; }
.example { background: var(--panel); border-radius: 6px; padding: .6rem .9rem; margin: .6rem 0; }
.example dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .9rem; margin: 0; }
.example dt { color: var(--soft); font-size: .875rem; max-width: 14rem; overflow-wrap: anywhere; }
.example dd { margin: 0; overflow-wrap: anywhere; }
mark { background: var(--mark); color: inherit; border-radius: 3px; }
code { font-size: .8rem; overflow-wrap: anywhere; }
text { font: 12px system-ui, sans-serif; fill: var(--text); stroke: none; } text.axis { fill: var(--soft); }
.grid { stroke: var(--line); } .span { stroke: currentColor; stroke-width: 2.5; }
circle, rect { fill: currentColor; } .faint { opacity: .4; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); }
.c4 { color: var(--c4); } .c5 { color: var(--c5); } .c6 { color: var(--c6); } .c7 { color: var(--c7); }
@media (max-width: 40rem) { .example dl { grid-template-columns: 1fr; } }
"""
