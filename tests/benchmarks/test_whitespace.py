"""The benchmark of whitespace inside entities: what it writes into texts, and that spaces split nothing of ours."""

import pytest
import spacy
import typer
from spacy.tokens import Doc, Span
from typer.testing import CliRunner

from benchmarks.accuracy.whitespace import SPACES, main, with_space

from ..tiny import build_pipeline, train


@pytest.mark.parametrize("space", SPACES.values())
def test_only_spaces_inside_entities_are_replaced(space):
    doc = Doc(spacy.blank("en").vocab, words=["New", "York", "and", "Peter", "P.", "Hansen", "left"])
    doc.ents = [Span(doc, 0, 2, "LOC"), Span(doc, 3, 6, "PER")]
    text, entities = with_space(doc, space)
    assert text == f"New{space}York and Peter{space}P.{space}Hansen left "
    assert [text[start:end] for start, end, _ in entities] == [f"New{space}York", f"Peter{space}P.{space}Hansen"]


def test_finds_what_it_finds_with_single_spaces(tiny_folder, corpus, tmp_path):
    nlp = build_pipeline(tiny_folder, corpus)
    train(nlp, corpus)
    nlp.to_disk(tmp_path / "model")
    results = tmp_path / "results.md"
    app = typer.Typer()
    app.command()(main)
    arguments = [tmp_path / "model", "--corpus", corpus, "--results", results]
    outcome = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert outcome.exit_code == 0, outcome.output
    rows = [line.split("   ") for line in outcome.output.splitlines()[2:]]
    found = [[cell.strip() for cell in row if cell.strip()][2:] for row in rows]
    assert found == [["2 of 2", "1.000", "0"]] * len(SPACES)
    assert outcome.output.strip() in results.read_text(encoding="utf8")
