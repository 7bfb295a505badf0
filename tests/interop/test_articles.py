"""What the recipes make is Python, and the articles' own text but for the repairs."""

import ast
from pathlib import Path

import pytest

from .articles import RECIPES, Piece, Recipe, cut, read


@pytest.mark.parametrize("name", RECIPES)
def test_a_program_parses_and_differs_from_the_article_only_by_its_repairs(name: str, tmp_path: Path) -> None:
    recipe, text = RECIPES[name], cut(name, tmp_path).read_text(encoding="utf-8")
    ast.parse(text)
    for old, new in recipe.repairs.items():
        assert text.count(new) == 1
        text = text.replace(new, old)
    ours, *lines = text.splitlines()
    assert ours == "import os"
    if any(piece.depths for piece in recipe.pieces):
        lines = [line.lstrip() for line in lines]
    assert set(lines) <= set(read(recipe.article).splitlines())
    assert len(lines) > 5


@pytest.mark.parametrize("old", ["import", "what it does not say"])
def test_a_repair_has_one_place(old: str) -> None:
    with pytest.raises(ValueError, match=r"^[02] times in the gemini article"):
        Recipe("gemini", (Piece("import requests", "import timeit"),), {old: "x"}).program()


def test_lines_that_nobody_expects_are_noticed() -> None:
    with pytest.raises(ValueError, match="argument 2 is longer"):
        Piece("import asyncio", "import json", depths="00").of(read("itick"))
