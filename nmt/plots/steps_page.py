"""The steps of a translation as an HTML page, in which a reader steps from piece to piece.

The page is a single file that loads nothing. It follows the light or dark theme of the browser.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from markupsafe import Markup

from nmt.plots.html_page import TEMPLATES
from nmt.plots.steps_texts import TEXTS, PageLanguage


class Formula(NamedTuple):
    """A score function of the page's list."""

    name: str
    """"own" for the score function of the model."""
    equation: str
    enabled: bool
    """Whether the page can compute it without parameters that the model lacks."""


def make_formulas(score: str, equation: str) -> list[Formula]:
    """Return the list of score functions: the model's own, then those without parameters, then the others.

    Args:
        score: `model.attention.score`.
        equation: The equation of the model's own score.
    """
    if score == "none":
        return []
    return [Formula("own", equation, True), *(one for one in OTHER_FORMULAS if one.name != score)]


OTHER_FORMULAS = (
    Formula("dot", "e_ti = q · k", True),
    Formula("scaled_dot", "e_ti = q · k / √A", True),
    Formula("cosine", "e_ti = q · k / (|q| |k|)", True),
    Formula("general", "e_ti = q · W k", False),
    Formula("concat", "e_ti = v · tanh(W [q; k])", False),
    Formula("additive", "e_ti = v · tanh(W q + U k + b)", False),
)
"""Scores of a query and a key."""


def steps_page(
    line: dict[str, Any],
    *,
    formulas: list[Formula],
    language: PageLanguage,
    source_language: str,
    target_language: str,
) -> str:
    """Return the page of one line.

    Args:
        line: The line as the JSON output has it.
        formulas: The score functions to choose from; empty without attention.
        language: Language of the texts of the page.
        source_language: Language code of the source.
        target_language: Language code of the translation.
    """
    texts = TEXTS[language]
    data = {"texts": texts, "segments": line["segments"], "formulas": [one._asdict() for one in formulas]}
    # A piece such as </script> must not end the element.
    encoded = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return TEMPLATES.get_template("steps_page.html").render(
        language=language,
        texts=texts,
        notes=line["notes"],
        formulas=formulas,
        data=Markup(encoded),
        source_language=source_language,
        target_language=target_language,
    )
