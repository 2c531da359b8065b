"""Predictions in the form of official files, and tasks of SuperGLUE without a workflow, by the commands of the docs."""

import json

import pytest
import spacy
from spacy.cli import app
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.util import load_config
from spacy.vocab import Vocab
from typer.testing import CliRunner

import spacy_ptv2.cli  # noqa: F401  (which adds the commands to spaCy's)
from spacy_ptv2.scoring.roles import score_roles
from spacy_ptv2.scoring.squad import score_11, score_20

from .conftest import DATA, ROOT
from .test_commands import PROPS, overrides, spacy_command
from .tiny import save_tiny_backbone

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


IN_SHORT = {"srl", "squad"}  # tests/test_workflows.py trains all of them, for a few steps


@pytest.fixture(
    scope="module", params=[pytest.param(t, marks=() if t in IN_SHORT else pytest.mark.exhaustive) for t in RAW]
)
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
    steps = ("--initialize.before_init.min_steps", "200")
    spacy_command("train", path, "--output", folder, *overrides(task, backbone, gold), *steps)
    return folder / "model-best"


def test_train_and_evaluate(task, pipeline, gold):
    """`spacy evaluate` reads by spaCy's own reader, so what is asked is not there; the config's reader gives it."""
    nlp = spacy.load(pipeline)
    assert load_config(pipeline / "config.cfg")["corpora"]["dev"]["@readers"] == "spacy_ptv2.Corpus.v1"
    output = spacy_command("ptv2", "evaluate", pipeline, gold, "--output", gold.parent / "scores.json")
    scores = json.loads((gold.parent / "scores.json").read_text(encoding="utf8"))
    assert scores[SCORES[task]] > 0.7 and SCORES[task] in output
    assert nlp.meta["performance"][SCORES[task]] == pytest.approx(scores[SCORES[task]])


def test_predictions_in_official_files(task, pipeline, gold):
    """What is written beside the scores says the same as they do."""
    folder = gold.parent
    arguments = ("--output", folder / "scores.json", "--predictions", folder / "predictions")
    output = spacy_command("ptv2", "evaluate", pipeline, gold, *arguments)
    files = {path.name: path.read_text(encoding="utf8") for path in (folder / "predictions").iterdir()}
    assert all(name in output for name in files)
    scores = json.loads((folder / "scores.json").read_text(encoding="utf8"))
    if task == "srl":
        spacy_command(
            "ptv2", "convert", folder / "predictions" / "roles.props", folder / "again.spacy", "--task", "srl"
        )
        again, docs = (DocBin().from_disk(path).get_docs(Vocab()) for path in (folder / "again.spacy", gold))
        score = score_roles([Example(own, doc) for own, doc in zip(again, docs, strict=True)])["srl_f"]
    elif task == "squad":
        assert spacy.load(pipeline).get_pipe("question_answerer").cfg["no_answer"] is True  # "auto" saw one
        texts, no_answer = (json.loads(files[name]) for name in ("answers.json", "answers.na_prob.json"))
        asked = SQUAD["data"][0]["paragraphs"][0]["qas"]
        right = {question["id"]: [answer["text"] for answer in question["answers"]] for question in asked}
        score = score_20(right, texts, no_answer)["f1"]
    else:
        rows = [json.loads(line) for line in files["labels.jsonl"].splitlines()]
        classes = ["office", "office", "letter", "letter"]
        right = classes if task == "textcat" else [row["label"] for row in PAIRS]
        score = sum(right[row["idx"]] == row["label"] for row in rows) / len(right)
    assert score == pytest.approx(scores[SCORES[task]])


SUPERGLUE = {
    "multirc": ("multirc_f1a", {"components.pair_classifier.scorer.@scorers": "spacy_ptv2.multirc_scorer.v1"}),
    "record": (
        "record_f1",
        {
            "components.pair_classifier.scorer.@scorers": "spacy_ptv2.record_scorer.v1",
            "components.pair_classifier.choices": "true",
        },
    ),
    "wsc": ("cats_acc", {}),
    "wsc by its marked words": (
        "cats_acc",
        {
            "components.pair_classifier.model.tok2vec.rows": "spans",
            "components.pair_classifier.model.rows_per_sequence": "2",
        },
    ),
}


@pytest.mark.parametrize("name", SUPERGLUE)
def test_superglue_from_its_lines_to_its_predictions(name, backbone, tmp_path):
    """The overrides are those of docs/guides/tasks.md."""
    score, settings = SUPERGLUE[name]
    source = name.split()[0]
    spacy_command("ptv2", "convert", DATA / f"{source}.jsonl", tmp_path / "train.spacy", "--task", source)
    own = {
        **settings,
        "training.score_weights.cats_acc": "0.0",
        f"training.score_weights.{score}": "1.0",
        "initialize.before_init.epochs": "1",
        "initialize.before_init.min_steps": "0",
    }
    arguments = overrides("pairs", backbone, tmp_path / "train.spacy")
    arguments += [part for key, value in own.items() for part in (f"--{key}", value)]
    spacy_command("train", ROOT / "configs" / "pairs.cfg", "--output", tmp_path, *arguments)
    output = spacy_command(
        "ptv2", "evaluate", tmp_path / "model-best", tmp_path / "train.spacy", "--predictions", tmp_path / "out.jsonl"
    )
    assert score in output
    predicted, gold = (read_lines(path) for path in (tmp_path / "out.jsonl", DATA / f"{source}.jsonl"))
    by_hand = {"multirc": f1_of_answers, "record": f1_of_entities, "wsc": accuracy}[source](predicted, gold)
    assert spacy.load(tmp_path / "model-best").meta["performance"][score] == pytest.approx(by_hand)


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def f1_of_answers(predicted, gold):
    sides = [
        [answer["label"] for row in rows for question in row["passage"]["questions"] for answer in question["answers"]]
        for rows in (predicted, gold)
    ]
    return 2 * sum(a and b for a, b in zip(*sides, strict=True)) / max(1, sum(map(sum, sides)))


def f1_of_entities(predicted, gold):
    right = {query["idx"]: [answer["text"] for answer in query["answers"]] for row in gold for query in row["qas"]}
    return score_11(right, {row["idx"]: row["label"] for row in predicted})["f1"]


def accuracy(predicted, gold):
    return sum(a["label"] == str(b["label"]) for a, b in zip(predicted, gold, strict=True)) / len(gold)


def test_predictions_that_cannot_be_written_are_a_message(task, pipeline, gold, tmp_path):
    (tmp_path / "taken").write_text("")
    command = ["ptv2", "evaluate", str(pipeline), str(gold), "--predictions", str(tmp_path / "taken" / "out")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1 and "P024" in result.output and "Traceback" not in result.output


def test_the_file_holds_what_the_task_needs(task, gold):
    doc = next(DocBin().from_disk(gold).get_docs(spacy.blank("en").vocab))
    found = {
        "srl": lambda: [frame.predicate.text for frame in doc._.frames] == ["opens"],
        "squad": lambda: len(doc._.questions) == 3,
        "textcat": lambda: doc.cats == {"letter": 0.0, "office": 1.0},
        "pairs": lambda: doc._.second_text == "peter works",
    }
    assert found[task]()
