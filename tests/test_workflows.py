"""Each workflow of project.yml from raw files to predictions of the installed wheel, by its own commands.

They run in this process, over a tiny backbone and for a few steps. The files are excerpts of real ones (tests/data),
or, of corpora that may not be copied, sentences of our own in their formats.
"""

import io
import json
import runpy
import shlex
import sys
from contextlib import redirect_stdout

import pytest
import spacy
import typer
from spacy.cli import app
from spacy.lang.en import English
from typer.testing import CliRunner
from weasel.util.config import load_project_config

import spacy_ptv2.cli  # noqa: F401  (which adds the commands to spaCy's)

from .conftest import DATA, ROOT
from .test_commands import SMALL
from .tiny import TRAIN_CONLL, save_tiny_backbone

SPERT = [
    {"tokens": ["Peter", "works", "in", "London", "."], "entities": [(0, 1, "Peop"), (3, 4, "Loc")]},
    {"tokens": ["Acme", "opens", "an", "office"], "entities": [(0, 1, "Org")]},
]
GOLD_CONLL = """#begin document (nw/1); part 000
nw/1 0 0 Peter NNP (TOP* - - - - (PERSON) *
nw/1 0 1 opens VBZ * open - 1 - * *
nw/1 0 2 two CD * - - - - (CARDINAL) *
nw/1 0 3 offices NNS * - - - - * *

#end document
"""
RTE = [
    {"premise": "Peter opens the office.", "hypothesis": "Peter works.", "label": "entailment"},
    {"premise": "Peter opens the office.", "hypothesis": "Mary works.", "label": "not_entailment"},
    {"premise": "John works in Paris.", "hypothesis": "John works.", "label": "entailment"},
    {"premise": "John works in Paris.", "hypothesis": "Peter works.", "label": "not_entailment"},
]
COPA = [
    {"premise": "Peter came late.", "choice1": "He slept.", "choice2": "He sang.", "question": "cause", "label": 0},
    {"premise": "Mary sang.", "choice1": "John slept.", "choice2": "John danced.", "question": "effect", "label": 1},
]
WIC = [
    {"sentence1": "Open the letter.", "sentence2": "A letter of the alphabet.", "label": False},
    {"sentence1": "Open the letter.", "sentence2": "The letter came late.", "label": True},
]
WORD = "letter"


def write_spert(folder):
    for part in ("train", "dev", "test"):
        names = ("start", "end", "type")
        entries = [
            {**entry, "entities": [dict(zip(names, own, strict=True)) for own in entry["entities"]], "relations": []}
            for entry in SPERT
        ]
        (folder / f"conll04_{part}.json").write_text(json.dumps(entries))
    return {"conll04": folder}


def write_multitask(folder):
    """CoNLL04, CoNLL-2003's columns and BC5CDR's tags."""
    for part in ("train", "dev", "test"):
        (folder / f"{part}.txt").write_text(TRAIN_CONLL)
    for part in ("train", "devel"):
        (folder / f"{part}.tsv").write_bytes((DATA / "bc5cdr.tsv").read_bytes())
    return {**write_spert(folder), "conll03": folder, "bc5cdr": folder}


def write_ontonotes(folder):
    """A folder as it is released: each file also has automatic annotations, here with an entity that is wrong."""
    (folder / "nw").mkdir()
    (folder / "nw" / "1.v4_gold_conll").write_text(GOLD_CONLL)
    (folder / "nw" / "1.v4_auto_conll").write_text(GOLD_CONLL.replace("PERSON", "GPE"))
    bio = folder / "test.txt"
    bio.write_text("Peter B-PERSON\nopens O\ntwo B-CARDINAL\noffices O\n\n")
    return {"ontonotes_train": folder / "nw", "ontonotes_dev": bio, "ontonotes_test": bio}


def write_superglue(task, rows):
    def write(folder):
        (folder / task).mkdir()
        for part in ("train", "val"):
            (folder / task / f"{part}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return {"superglue": folder, "superglue_task": task}

    return write


def write_pairs(folder):
    (folder / "rows.json").write_text(json.dumps(RTE))
    return {"pairs_train": folder / "rows.json", "pairs_test": folder / "rows.json"}


def write_treebank(folder):
    for part in ("train", "dev", "test"):
        (folder / f"en_ewt-ud-{part}.conllu").write_bytes((DATA / "en_ewt-ud.conllu").read_bytes())
    return {"ewt": folder}


def use(name, *variables):
    return lambda folder: dict.fromkeys(variables, DATA / name)


def marked(rows):
    places = [{f"{edge}{n}": at for n in (1, 2) for edge, at in _place(row[f"sentence{n}"])} for row in rows]
    return [{"word": WORD, **row, **place} for row, place in zip(rows, places, strict=True)]


def _place(text):
    start = text.index(WORD)
    return ("start", start), ("end", start + len(WORD))


# Workflow: config, score, what writes the files.
CASES = {
    "train-ner": ("ner", "ents_f", use("bc5cdr.tsv", "ner_train", "ner_dev", "ner_test")),
    "train-conll04": ("ner", "ents_f", write_spert),
    "train-multitask": ("multi_corpus", "ents_f", write_multitask),
    "train-ontonotes": ("ner", "ents_f", write_ontonotes),
    "train-ewt": ("treebank", "lemma_acc", write_treebank),
    "train-srl": ("srl", "srl_f", use("propbank_ewt.txt", "srl_train", "srl_dev", "srl_test")),
    "train-squad": ("squad", "qa_f1", use("squad.json", "squad_train", "squad_test")),
    "train-squad2": ("squad", "qa_f1", use("squad_articles.json", "squad_train", "squad_test")),
    "train-textcat": ("textcat", "cats_acc", use("banking77.csv", "textcat_train", "textcat_test")),
    "train-pairs": ("pairs", "cats_acc", write_pairs),
    "train-superglue COPA": ("copa", "choice_acc", write_superglue("COPA", COPA)),
    "train-superglue WiC": ("wic", "cats_acc", write_superglue("WiC", marked(WIC))),
}
ELSEWHERE = {"quickstart", "train-conll03", "train-conll03-finetune", "compare-backbones"}  # tests/project
DEV_IS_TEST = {
    "train-ner",
    "train-conll04",
    "train-multitask",
    "train-ontonotes",
    "train-ewt",
    "train-srl",
}  # the same file
FEW_STEPS = 12
AS_IT_IS = ("train-conll04",)  # whose wheel predicts in a process of its own, without network


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """Most words of real text are not in its vocabulary, so it reads their letters: long windows."""
    folder = tmp_path_factory.mktemp("backbone")
    return save_tiny_backbone(folder, "bert", deviation=0.15, max_position_embeddings=512)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that looks like a fresh checkout."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("project.yml", "configs", "project"):
        (folder / name).symlink_to(ROOT / name)
    monkeypatch.chdir(folder)
    # Each command makes the tokenizer anew; its two thousand special cases would take half of the time.
    monkeypatch.setattr(English.Defaults, "tokenizer_exceptions", {})
    return folder


def small_training(config):
    settings = {key: value for key, value in SMALL[config].items() if "windows" not in key}
    settings |= {"initialize.before_init.epochs": 1, "initialize.before_init.min_steps": FEW_STEPS}
    return " ".join(f"--{key} {value}" for key, value in settings.items())


def predict_in_process(python, pipeline, corpus, packages=None):
    """Stand in for `predict` of the smoke test."""
    module = runpy.run_path(str(ROOT / "project" / "scripts" / "predict.py"))
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output):
        patch.setattr(sys, "path", [*([str(packages)] if packages else []), *sys.path])
        patch.delitem(sys.modules, pipeline, raising=False)  # a package of that name, from another folder
        module["print_predictions"](pipeline, corpus)
    return [line for line in output.getvalue().splitlines() if line.startswith("{")]


def run_line(line, *, in_process):
    """Run a line of a command's script."""
    python, script, *arguments = shlex.split(line)
    assert python == "python"
    command = app
    if script == "-m":
        assert arguments.pop(0) == "spacy"
    else:
        module = runpy.run_path(script)
        if in_process and "predict" in module:
            module["main"].__globals__["predict"] = predict_in_process
        command = typer.Typer()
        command.command()(module["main"])
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"


def test_every_workflow_is_run():
    workflows = load_project_config(ROOT, interpolate=False)["workflows"]
    assert {case.partition(" ")[0] for case in CASES} | ELSEWHERE == set(workflows)


@pytest.mark.parametrize("case", CASES)
def test_from_raw_files_to_an_installed_wheel(case, checkout, backbone, tmp_path):
    config, score, write = CASES[case]
    (tmp_path / "raw").mkdir()
    variables = {**write(tmp_path / "raw"), "backbone": backbone, "training": small_training(config)}
    overrides = {f"vars.{name}": str(value) for name, value in variables.items()}
    project = load_project_config(checkout, overrides=overrides)
    commands = {command["name"]: command for command in project["commands"]}
    for step in project["workflows"][case.partition(" ")[0]]:
        command = commands[step]
        assert all((checkout / path).exists() for path in command.get("deps", []))
        for line in command["script"]:
            run_line(line, in_process=case not in AS_IT_IS)
        assert all((checkout / path).exists() for path in command["outputs"])
    (curve,) = checkout.glob("training/**/curve.jsonl")
    model = curve.parent / "model-best"
    assert json.loads(curve.read_text().splitlines()[-1])["step"] == FEW_STEPS
    (smoke,) = checkout.glob("metrics/*-smoke-test.json")
    (evaluation,) = set(checkout.glob("metrics/*-test.json")) - {smoke}
    report, scores = (json.loads(path.read_text()) for path in (smoke, evaluation))
    assert report["docs"] > 0 and report["different_docs"] == 0
    nlp = spacy.load(model)
    assert 0 <= scores[score] <= 1
    if DEV_IS_TEST & set(case.split()):
        assert scores[score] == pytest.approx(nlp.meta["performance"][score])
    if case == "train-ontonotes":
        assert nlp.get_pipe("token_classifier").labels == ("CARDINAL", "PERSON")  # those of the gold file alone
