"""Confidences of entities, and the threshold that leaves entities out: in a pipeline, saved, by `find-threshold`."""

import json

import numpy as np
import pytest
import spacy
from spacy.cli.find_threshold import find_threshold
from spacy.tokens import DocBin

from spacy_ptv2.errors import FormatError, PTuningError
from spacy_ptv2.pipeline.confidences import CONFIDENCES, at_temperature, entity_products
from spacy_ptv2.pipeline.losses import log_softmax
from spacy_ptv2.pipeline.tag_schemes import TagScheme

from ..tiny import build_pipeline, train

TEXT = "Acme opens Danish office. Peter Hansen met John in New York and at London works."


@pytest.fixture(scope="module")
def trained(tiny_folder, corpus):
    """A pipeline that is sure of some entities and not of others."""
    nlp = build_pipeline(tiny_folder, corpus)
    train(nlp, corpus, steps=25)
    return nlp


@pytest.fixture
def saved(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    return tmp_path / "model"


def found(nlp):
    """The entities with their confidences; in doc.ents are the same."""
    doc = nlp(TEXT)
    group = doc.spans["ents"]
    assert [(s.start, s.end, s.label_) for s in group] == [(e.start, e.end, e.label_) for e in doc.ents]
    return dict(zip([span.text for span in group], group.attrs["scores"], strict=True))


def test_products_by_hand():
    scheme = TagScheme("biluo", ("X",))
    probabilities = np.full((4, 5), 0.125)
    for row, tag in ((0, "B-X"), (1, "I-X"), (2, "L-X")):
        probabilities[row, scheme.tag_ids[tag]] = 0.5
    probabilities[3, scheme.tag_ids["U-X"]] = 0.25
    products = entity_products(scheme, np.log(probabilities), [(0, 3, "X"), (3, 4, "X")])
    assert products.tolist() == pytest.approx([0.125, 0.25])
    assert len(entity_products(scheme, np.log(probabilities), [])) == 0


def test_both_confidences(trained, saved):
    by_kind = {}
    for kind in CONFIDENCES:
        nlp = spacy.load(saved, config={"components.token_classifier.confidence": kind})
        by_kind[kind] = found(nlp)
        assert all(0 < confidence <= 1 for confidence in by_kind[kind].values())
    assert by_kind["product"] == pytest.approx(found(trained), abs=1e-5)
    assert by_kind["product"].keys() == by_kind["marginal"].keys()
    assert by_kind["product"] != pytest.approx(by_kind["marginal"], abs=1e-3)


@pytest.mark.parametrize("kind", CONFIDENCES)
def test_a_temperature_changes_confidences_and_not_what_is_found(saved, kind):
    by_temperature = {}
    for at in (0.5, 1, 3):
        settings = {"components.token_classifier.confidence": kind, "components.token_classifier.temperature": at}
        by_temperature[at] = found(spacy.load(saved, config=settings))
    texts = [list(entities) for entities in by_temperature.values()]
    assert texts[0] == texts[1] == texts[2] != []
    sums = [sum(entities.values()) for entities in by_temperature.values()]
    assert sums[0] > sums[1] > sums[2]


def test_the_temperature_by_hand():
    logits = np.array([[2.0, 0.0, 1.0], [0.0, -1.0, 4.0]])
    expected = log_softmax(np, logits / 4)
    np.testing.assert_allclose(at_temperature(log_softmax(np, logits), 4.0), expected)
    assert at_temperature(expected, 1.0) is expected
    assert len(at_temperature(expected[:0], 2.0)) == 0


def test_a_threshold_is_for_confidences_at_the_temperature(saved):
    nlp = spacy.load(saved)
    nlp.get_pipe("token_classifier").cfg["temperature"] = 3.0
    everything = found(nlp)
    cut = max(everything.values())
    nlp.get_pipe("token_classifier").cfg["threshold"] = cut
    assert found(nlp) == {text: c for text, c in everything.items() if c == cut}
    assert cut < max(found(spacy.load(saved)).values())


@pytest.mark.parametrize("kind", CONFIDENCES)
def test_entities_below_the_threshold_are_left_out(saved, kind):
    nlp = spacy.load(saved, config={"components.token_classifier.confidence": kind})
    everything = found(nlp)
    threshold = sorted(everything.values())[len(everything) // 2]
    for cut, is_kept in ((threshold, lambda c: c >= threshold), (np.nextafter(threshold, 1), lambda c: c > threshold)):
        nlp.get_pipe("token_classifier").cfg["threshold"] = cut
        assert found(nlp) == {text: c for text, c in everything.items() if is_kept(c)}
        assert 0 < len(found(nlp)) < len(everything)


def test_a_threshold_that_was_set_is_saved(saved, tmp_path):
    nlp = spacy.load(saved)
    nlp.get_pipe("token_classifier").cfg["threshold"] = 0.75
    nlp.to_disk(tmp_path / "again")
    again = spacy.load(tmp_path / "again")
    assert again.get_pipe("token_classifier").cfg["threshold"] == 0.75
    assert again.get_pipe("token_classifier").cfg["confidence"] == "product"
    copy = spacy.blank("en").from_config(again.config).from_bytes(again.to_bytes())
    assert copy.get_pipe("token_classifier").cfg["threshold"] == 0.75


def test_a_config_that_says_otherwise_goes_before_what_was_saved(saved, tmp_path):
    nlp = spacy.load(saved)
    nlp.get_pipe("token_classifier").cfg["threshold"] = 0.75
    nlp.to_disk(tmp_path / "again")
    other = spacy.load(tmp_path / "again", config={"components.token_classifier.threshold": 0.25})
    assert other.get_pipe("token_classifier").cfg["threshold"] == 0.25
    other.to_disk(tmp_path / "third")
    assert spacy.load(tmp_path / "third").get_pipe("token_classifier").cfg["threshold"] == 0.25


def test_pipelines_saved_without_these_settings(saved):
    file = saved / "token_classifier" / "cfg"
    cfg = json.loads(file.read_text())
    for name in ("threshold", "confidence", "temperature", "outside_bias", "configured"):
        del cfg[name]
    file.write_text(json.dumps(cfg))
    config = saved / "config.cfg"
    settings = 'confidence = "product"\nthreshold = 0.0\ntemperature = 1.0\noutside_bias = 0.0\n'
    config.write_text(config.read_text().replace(settings, ""))
    assert "threshold" not in config.read_text()
    assert (
        spacy.load(saved).config["components"]["token_classifier"]["threshold"] == 0.0
    )  # `find-threshold` asks for it
    nlp = spacy.load(saved, config={"components.token_classifier.threshold": 0.5})
    assert nlp.get_pipe("token_classifier").cfg["threshold"] == 0.5
    assert nlp.get_pipe("token_classifier").cfg["temperature"] == 1.0


@pytest.mark.parametrize(
    "change",
    [
        *({"threshold": value} for value in (2, "0.5", True)),
        *({"temperature": value} for value in (0, "1", True)),
        *({"outside_bias": value} for value in ("1", True, None)),
        {"confidence": ["x"]},
        {"configured": 3},
    ],
)
def test_damaged_settings_are_refused(saved, change):
    file = saved / "token_classifier" / "cfg"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(FormatError, match=f"P641.*{next(iter(change))}"):
        spacy.load(saved)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        *(({"threshold": value}, "threshold.*from 0 to 1") for value in (1.5, -0.1)),
        *(({"temperature": value}, "temperature.*above 0") for value in (0.0, -1.0)),
    ],
)
def test_settings_that_cannot_be(settings, expected):
    with pytest.raises(PTuningError, match=f"P407.*{expected}"):
        spacy.blank("en").add_pipe("token_classifier", config=settings)


def test_find_threshold(saved, tmp_path, capsys):
    """spaCy's own command finds the threshold that leaves out what is wrong, and the pipeline then does."""
    everything = found(spacy.load(saved))
    right = [text for text, confidence in everything.items() if confidence >= 0.4]
    gold = spacy.load(saved, config={"components.token_classifier.threshold": 0.4})(TEXT)
    DocBin(docs=[gold]).to_disk(tmp_path / "dev.spacy")
    corpus = tmp_path / "dev.spacy"
    best, score, scores = find_threshold(saved, corpus, "token_classifier", "threshold", "ents_f", n_trials=6)
    assert score == 1.0
    assert scores[0.0] < 1.0 and scores[1.0] < 1.0
    assert "ents_f" in capsys.readouterr().out
    nlp = spacy.load(saved, config={"components.token_classifier.threshold": float(best)})
    assert list(found(nlp)) == right
