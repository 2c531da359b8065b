"""The table of messages: every code is used, every use fills in exactly the placeholders of its message."""

import ast
import string

import pytest

from spacy_ptv2.errors import Errors, Warnings

from .conftest import ROOT

SOURCES = sorted((ROOT / "spacy_ptv2").rglob("*.py"))


def uses():
    """Yield (place, code, names given to format or None) for every `Errors.X` and `Warnings.X` in the package."""
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf8"))
        formatted = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
                formatted[node.func.value] = {keyword.arg for keyword in node.keywords}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in ("Errors", "Warnings")
            ):
                yield f"{path.name}:{node.lineno}", node.attr, formatted.get(node)


def placeholders(code):
    message = Errors[code] if code in Errors.__members__ else Warnings[code]
    return {name for _, name, _, _ in string.Formatter().parse(message.value) if name}


@pytest.mark.parametrize(("place", "code", "given"), list(uses()))
def test_every_use_fills_in_its_placeholders(place, code, given):
    if given is not None:
        assert given == placeholders(code), place
    elif code not in ("P208", "P209"):  # handed on and filled in by resolve_switch
        assert not placeholders(code), place


def test_every_code_is_used():
    assert {code for _, code, _ in uses()} == {*Errors.__members__, *Warnings.__members__}


def test_every_code_is_tested():
    tests = "".join(
        path.read_text(encoding="utf8") for path in (ROOT / "tests").rglob("*.py") if "test_errors" not in path.name
    )
    assert [code for code in (*Errors.__members__, *Warnings.__members__) if code not in tests] == []


def test_messages_carry_their_code():
    assert Errors.P402.format(name="head", n_examples=3).startswith("[P402] The component 'head'")
    assert str(Errors.P406).startswith("[P406]")
