"""`spacy ptv2 calibrate`: a temperature for one's own texts, with the errors before and after, or a reason why not."""

import numpy as np
import pytest
import spacy
from spacy.tokens import DocBin
from spacy.training import Corpus
from typer.testing import CliRunner

from spacy_ptv2.cli import app, calibrate
from spacy_ptv2.training import fit_temperature
from spacy_ptv2.training.fit_temperature import other_half

from ..tiny import build_pipeline, train


@pytest.fixture
def pipeline(tiny_folder, corpus, tmp_path):
    nlp = build_pipeline(tiny_folder, corpus)
    train(nlp, corpus, steps=12)
    nlp.to_disk(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def gold(corpus, tmp_path):
    """Sentences as they are, and without their entities, in either half."""
    docs = []
    for example in Corpus(corpus)(spacy.blank("en")):
        bare = example.reference.copy()
        bare.ents = []
        docs += [example.reference] * 2 + [bare] * 2
    DocBin(docs=docs).to_disk(tmp_path / "gold.spacy")
    return tmp_path / "gold.spacy"


def run(*arguments):
    result = CliRunner().invoke(app, ["calibrate", *map(str, arguments)], env={"COLUMNS": "200"})
    return result.exit_code, " ".join(result.output.split())


def test_it_saves_the_pipeline_with_a_temperature(pipeline, gold, tmp_path, monkeypatch):
    monkeypatch.setattr(fit_temperature, "MIN_ENTITIES", 2)
    code, printed = run(pipeline, gold, tmp_path / "out")
    assert code == 0, printed
    assert "error before after" in printed and "token_classifier" in printed
    before, after = (spacy.load(path) for path in (pipeline, tmp_path / "out"))
    temperature = after.get_pipe("token_classifier").cfg["temperature"]
    assert f"1 -> {temperature:g}" in printed and temperature != 1.0
    assert after.get_pipe("token_classifier").cfg["outside_bias"] == 0.0
    text = "Peter Hansen works in London ."
    assert [ent.text for ent in after(text).ents] == [ent.text for ent in before(text).ents]
    code, printed = run(tmp_path / "out", gold, tmp_path / "out")  # in its own place, and to the same end
    assert (code, f"{temperature:g} -> {temperature:g}" in printed) == (0, True)


def test_an_outside_bias_if_asked_for(pipeline, gold, tmp_path, monkeypatch):
    monkeypatch.setattr(fit_temperature, "MIN_ENTITIES", 2)
    nlp = spacy.load(pipeline)
    head = nlp.get_pipe("token_classifier")
    head.model.get_ref("output_layer").get_param("b")[head.tag_scheme.tag_ids["O"]] += 3
    nlp.to_disk(tmp_path / "shy")
    code, printed = run(tmp_path / "shy", gold, tmp_path / "out", "--outside-bias")
    assert code == 0, printed
    after = spacy.load(tmp_path / "out")
    bias = after.get_pipe("token_classifier").cfg["outside_bias"]
    assert bias > 0 and f"0 -> {bias:g}" in printed
    scores = [each.evaluate(other_half(list(Corpus(gold)(each))))["ents_f"] for each in (nlp, after)]
    assert scores[0] < scores[1] and "{:.4f} {:.4f}".format(*scores) in printed


def test_too_little_is_refused(pipeline, gold, tmp_path):
    code, printed = run(pipeline, gold, tmp_path / "out")
    assert (code, (tmp_path / "out").exists()) == (1, False)
    assert "P858" in printed and "at least 100" in printed and "for token_classifier" in printed


def test_a_pipeline_without_confidences_is_refused(gold, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "plain")
    code, printed = run(tmp_path / "plain", gold, tmp_path / "out")
    assert code == 1 and "P849" in printed and "sentencizer" in printed


def test_where_nothing_was_found_there_is_no_error():
    class Nothing:
        right = np.zeros(0)

        f1 = 0.0

        def confidences(self, temperature):
            return self.right

        def at(self, bias):
            assert bias == -0.5
            return self

    settings = [{"temperature": at, "outside_bias": at / 2} for at in (1.0, 2.0)]
    row = ("head", "0", "1 -> 2", "-", "-", "0.5 -> 1", "0.0000", "0.0000")
    assert calibrate._row("head", Nothing(), *settings) == row
