"""Recipes: configurations without a data set that come with the toolkit, and that `base:` knows by name.

They stand in `configs/recipes`. An installed package has them as `nmt/recipes`, which in a checkout is a link.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent.parent
FOLDERS = (PACKAGE / "recipes", PACKAGE.parent / "configs" / "recipes")
"""Where recipes are; the second is for a checkout on a system without symbolic links."""


def recipe_names() -> list[str]:
    """The names of all recipes, in alphabetical order."""
    return sorted(file.stem for file in _folder().glob("*.yaml"))


def recipe_file(name: str) -> Path | None:
    """The file of the recipe of this name; None if there is none."""
    return _folder() / f"{name}.yaml" if name in recipe_names() else None


def _folder() -> Path:
    return next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[0])
