"""A training with names, labels and texts that would be scripts if a page did not escape them."""

import json

import pytest
from spacy.tokens import DocBin, Span

from ..tiny import build_pipeline, train

SCRIPT = "<script>window.ran=1</script>"
IMAGE = "<img src=x onerror=window.ran=1>"
LABEL = f"PER\"'><svg onload=window.ran=1>{SCRIPT}$x_{{"
CURVE = [
    {"step": 0, "epoch": 0, "seconds": 1, "words": 9, "losses": {"a": 3.0, SCRIPT: 2.0}, "score": 0.1, "scores": {}},
    {"step": 5, "epoch": 1, "seconds": 3, "words": 99, "losses": {"a": float("nan"), SCRIPT: 1.0}, "score": 0.75},
    {"step": 9, "epoch": 2, "seconds": 7, "words": 199, "losses": {"a": 1.0, SCRIPT: 0.5}, "score": 0.75},
]


@pytest.fixture(scope="session")
def training(tmp_path_factory, tiny_folder, corpus):
    """The folder of a training."""
    folder = tmp_path_factory.mktemp("report") / "<b>training & more"
    nlp = build_pipeline(tiny_folder, corpus)
    train(nlp, corpus, steps=30)
    nlp.meta["name"] = IMAGE
    nlp.config["training"]["score_weights"] = {"ents_f": 1.0, "ents_p": 0.0, "ents_per_type": None}
    folder.mkdir()
    nlp.to_disk(folder / "model-best")
    lines = [json.dumps(point) for point in CURVE]
    (folder / "curve.jsonl").write_text("\n".join(lines) + "\n", encoding="utf8")
    return folder


@pytest.fixture(scope="session")
def gold(tmp_path_factory, training):
    """A corpus to evaluate it on, with faults that it must make."""
    import spacy

    nlp = spacy.blank("en")
    docs = [nlp.make_doc(f"Peter Hansen {end}") for end in ("works\n\tin London.", SCRIPT, IMAGE, "sang  .")]
    for doc in docs:
        doc.set_ents([Span(doc, 0, 2, label=LABEL)])
    docs.append(nlp.make_doc(""))
    path = tmp_path_factory.mktemp("gold") / f"{IMAGE}.spacy"
    DocBin(docs=docs).to_disk(path)
    return path
