"""The sizes of the house: modules that fit on a few screens, functions that fit into the head."""

import ast

import pytest

from .conftest import ROOT

MODULES = sorted((ROOT / "spacy_ptv2").rglob("*.py"))
MOST_LINES, MOST_LINES_OF_FUNCTION, MOST_SETTINGS = 300, 40, 12
SAME_LINES = 6


def functions_of(path):
    tree = ast.parse(path.read_text(encoding="utf8"))
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_sizes(path):
    if path.name != "errors.py":  # a table
        assert len(path.read_text(encoding="utf8").splitlines()) <= MOST_LINES
    for function in functions_of(path):
        length = function.end_lineno - function.lineno + 1
        given = function.args
        n_settings = sum(a.arg not in ("self", "cls") for a in (*given.posonlyargs, *given.args, *given.kwonlyargs))
        assert length <= MOST_LINES_OF_FUNCTION, f"{function.name}: {length} lines"
        assert n_settings <= MOST_SETTINGS, f"{function.name}: {n_settings} settings"


def bodies_of(path):
    """Lines inside functions by their numbers, without docstrings and signatures, each stripped."""
    lines = path.read_text(encoding="utf8").splitlines()
    for function in functions_of(path):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        if body:
            numbers = range(body[0].lineno, function.end_lineno + 1)
            yield [(number, lines[number - 1].strip()) for number in numbers if lines[number - 1].strip()]


def test_nothing_is_written_twice():
    """No two places have as many equal lines in a row."""
    seen = {}
    for path in MODULES:
        for body in bodies_of(path):
            for start in range(len(body) - SAME_LINES + 1):
                stretch = body[start : start + SAME_LINES]
                text = "\n".join(line for _, line in stretch)
                place = f"{path.relative_to(ROOT).as_posix()}:{stretch[0][0]}"
                assert seen.setdefault(text, place) == place, text
