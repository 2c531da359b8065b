"""Saves the pipeline of a release that later ones must load: `python -m tests.serialization.saving`.

It writes tests/data/saved/VERSION: the pipeline, and what it predicts. The backbone next to these folders was saved
once and stays, byte for byte, so that its fingerprint is the one that each pipeline recorded.
"""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed
from thinc.api import Adam

import spacy_ptv2
from spacy_ptv2.backbones.source import OVERRIDE_VARIABLE
from tests.conftest import DATA
from tests.tiny import SMALL, option_blocks, save_tiny_backbone

SAVED = DATA / "saved"
BACKBONE = SAVED / "backbone"
EXPECTED = "expected.json"
WORK, TRIP = {"WORK": 1.0, "TRIP": 0.0}, {"WORK": 0.0, "TRIP": 1.0}
TRAIN = [
    ("peter works in london", {"entities": [(0, 5, "PER"), (15, 21, "LOC")], "cats": WORK}),
    ("mary and john opens\nthe  office", {"entities": [(0, 4, "PER"), (9, 13, "PER")], "cats": WORK}),
    ("a letter from paris", {"entities": [(14, 19, "LOC")], "cats": TRIP}),
]
TEXTS = [*(text for text, _ in TRAIN), "", " \n"]  # what it was trained on, so that another machine predicts it too


def build() -> Language:
    """Return a trained pipeline of what can be saved: an adapter, listeners, an encoder, heads of ours and spaCy's."""
    nlp = spacy.blank("xx")
    source = {"@misc": "spacy_ptv2.Backbone.v1", "name": "tiny/saved", "dtype": "float32"}
    blocks = {"backbone": source, **option_blocks(**SMALL)}
    encoder = {"@architectures": "spacy_ptv2.SequenceEncoder.v1", "rows": "sequence", **blocks}
    encoder["layout"] = {"@misc": "spacy_ptv2.DocLayout.v1"}
    listener = {"@architectures": "spacy_ptv2.PTuningListener.v1", "width": None, "upstream": "*"}
    nlp.add_pipe("ptuning_transformer", config={"model": {"@architectures": "spacy_ptv2.Tok2VecPTuning.v1", **blocks}})
    nlp.add_pipe("token_classifier")
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": listener}})
    classifier = {"@architectures": "spacy_ptv2.SequenceClassifier.v1", "tok2vec": encoder}
    nlp.add_pipe("text_classifier", config={"model": classifier})
    fix_random_seed(0)
    examples = [Example.from_dict(nlp.make_doc(text), {**gold, "tags": _tags(nlp, text)}) for text, gold in TRAIN]
    nlp.initialize(lambda: examples)
    optimizer = Adam(0.02, use_averages=False)
    for _ in range(150):
        nlp.update(examples, sgd=optimizer)
    return nlp


def _tags(nlp: Language, text: str) -> list[str]:
    return ["SPACE" if token.is_space else "LONG" if len(token) > 4 else "SHORT" for token in nlp.make_doc(text)]


def describe(doc: Doc) -> dict[str, object]:
    """Return what a pipeline predicted, as JSON values."""
    best = max(doc.cats, key=doc.cats.__getitem__, default=None)
    entities = [[ent.start_char, ent.end_char, ent.label_] for ent in doc.ents]
    return {"text": doc.text, "entities": entities, "tags": [token.tag_ for token in doc], "class": best}


def main() -> None:
    """Save the pipeline of this release. One that is there is not replaced."""
    if not BACKBONE.is_dir():
        save_tiny_backbone(BACKBONE, "bert", hidden_size=16, num_hidden_layers=2, intermediate_size=24)
    os.environ[OVERRIDE_VARIABLE] = str(BACKBONE)
    nlp = build()
    with TemporaryDirectory() as folder:
        nlp.to_disk(Path(folder) / "pipeline")
        predicted = [describe(doc) for doc in spacy.load(Path(folder) / "pipeline").pipe(TEXTS)]
        target = SAVED / spacy_ptv2.__version__
        (Path(folder) / "pipeline" / EXPECTED).write_text(json.dumps(predicted, indent=1), encoding="utf8")
        (Path(folder) / "pipeline").rename(target)
    print(target)


if __name__ == "__main__":
    main()
