"""Each task from a raw file to a loaded pipeline, by the commands of its page: convert, train, evaluate, load."""

import json

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.util import load_config

import spacy_ptv2.cli  # noqa: F401  (which adds the commands to spaCy's)

from .conftest import ROOT
from .test_commands import TASKS, overrides, spacy_command
from .tiny import save_tiny_backbone

PROPS = """peter  -     (A0*)
opens  open  (V*)
the    -     (A1*
office -     *)
in     -     (AM-LOC*
london -     *)

mary   -     (A0*)  *
works  work  (V*)   *
and    -     *      *
john   -     *      (A0*)
opens  open  *      (V*)
a      -     *      (A1*
letter -     *      *)
"""
SQUAD = {
    "data": [
        {
            "paragraphs": [
                {
                    "context": "peter opens the office in london",
                    "qas": [
                        {"id": "1", "question": "who ?", "answers": [{"text": "peter", "answer_start": 0}]},
                        {"id": "2", "question": "where ?", "answers": [{"text": "london", "answer_start": 26}]},
                        {"id": "3", "question": "why ?", "answers": [], "is_impossible": True},
                    ],
                }
            ]
        }
    ]
}
TEXTS = 'text,category\n"peter opens, the office",office\n"mary ""works"" in\nthe office",office\n'
TEXTS += "a letter to paris,letter\na letter of john,letter\n"
PAIRS = [
    {"premise": "peter opens the office", "hypothesis": "peter works", "label": "entailment"},
    {"premise": "peter opens the office", "hypothesis": "mary works", "label": "not_entailment"},
    {"premise": "john works in paris", "hypothesis": "john works", "label": "entailment"},
    {"premise": "john works in paris", "hypothesis": "peter works", "label": "not_entailment"},
]
RAW = {
    "srl": ("train.props", PROPS),
    "squad": ("train.json", json.dumps(SQUAD)),
    "textcat": ("train.csv", TEXTS),
    "pairs": ("train.jsonl", "\n".join(map(json.dumps, PAIRS))),
}
SCORES = {"srl": "srl_f", "squad": "qa_f1", "textcat": "cats_acc", "pairs": "cats_acc"}


@pytest.fixture(scope="module", params=TASKS)
def task(request):
    return request.param


@pytest.fixture(scope="module")
def gold(task, tmp_path_factory):
    folder = tmp_path_factory.mktemp(task)
    name, text = RAW[task]
    (folder / name).write_text(text, encoding="utf8")
    output = spacy_command("ptv2", "convert", folder / name, folder / "train.spacy", "--task", task)
    assert "Docs" in output
    return folder / "train.spacy"


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return save_tiny_backbone(tmp_path_factory.mktemp("backbone"), "bert", deviation=0.15)


@pytest.fixture(scope="module")
def pipeline(task, backbone, gold):
    folder = gold.parent / "training"
    path = ROOT / "configs" / f"{task}.cfg"
    spacy_command("train", path, "--output", folder, *overrides(task, backbone, gold))
    return folder / "model-best"


def test_train_and_evaluate(task, pipeline, gold):
    """`spacy evaluate` reads by spaCy's own reader, so what is asked is not there; the config's reader gives it."""
    nlp = spacy.load(pipeline)
    assert load_config(pipeline / "config.cfg")["corpora"]["dev"]["@readers"] == "spacy_ptv2.Corpus.v1"
    output = spacy_command("ptv2", "evaluate", pipeline, gold, "--output", gold.parent / "scores.json")
    scores = json.loads((gold.parent / "scores.json").read_text(encoding="utf8"))
    assert scores[SCORES[task]] > 0.7 and SCORES[task] in output
    assert nlp.meta["performance"][SCORES[task]] == pytest.approx(scores[SCORES[task]])


def test_package(pipeline, tmp_path):
    spacy_command("package", pipeline, tmp_path, "--name", "tiny", "--build", "sdist")
    assert list(tmp_path.glob("*/dist/*.tar.gz"))


def test_the_file_holds_what_the_task_needs(task, gold):
    doc = next(DocBin().from_disk(gold).get_docs(spacy.blank("en").vocab))
    found = {
        "srl": lambda: [frame.predicate.text for frame in doc._.frames] == ["opens"],
        "squad": lambda: len(doc._.questions) == 3,
        "textcat": lambda: doc.cats == {"letter": 0.0, "office": 1.0},
        "pairs": lambda: doc._.second_text == "peter works",
    }
    assert found[task]()
