"""The scripts of the workflows, and project.yml itself."""

import hashlib
import json
import re
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location

import numpy as np
import pytest
from weasel.schemas import ProjectConfigSchema, validate
from weasel.util.config import load_project_config

from spacy_ptv2.corpora.conll import count_corpus, read_conll

from ..conftest import ROOT, WIKIGOLD
from ..tiny import TRAIN_CONLL, build_pipeline

SCRIPTS = ROOT / "project" / "scripts"
PROJECT = load_project_config(ROOT, interpolate=False)
COMMANDS = {command["name"]: command for command in PROJECT["commands"]}


def run_script(name, *arguments):
    command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf8", check=False)


def one_line(text):
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def test_project_file_is_valid():
    assert validate(ProjectConfigSchema, PROJECT) == []
    for steps in PROJECT["workflows"].values():
        assert set(steps) <= set(COMMANDS)
    assert {step for steps in PROJECT["workflows"].values() for step in steps} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_every_command_declares_what_it_needs_and_leaves(command):
    files = re.findall(r"(?:project|configs)/[\w./-]+\.(?:py|cfg|txt)", " ".join(command["script"]))
    assert all((ROOT / file).is_file() for file in files)
    assert command["outputs"]
    if not command.get("no_skip"):
        assert command["deps"]
    script = " ".join(command["script"])
    for path in [*command.get("deps", []), *command["outputs"]]:
        assert path in script or path.rsplit("/", 1)[0] in script, path


@pytest.mark.parametrize("workflow", PROJECT["workflows"])
def test_what_a_step_needs_an_earlier_step_leaves(workflow):
    left = set()
    for step in PROJECT["workflows"][workflow]:
        for path in COMMANDS[step].get("deps", []):
            assert path in left or (ROOT / path).is_file(), f"{step} needs {path}"
        left.update(COMMANDS[step]["outputs"])


def test_split_is_fixed_and_by_document(tmp_path):
    assert run_script("split_wikigold.py", WIKIGOLD, tmp_path).returncode == 0
    parts = {name: read_conll(tmp_path / f"{name}.txt") for name in ("train", "dev", "test")}
    assert {name: len(documents) for name, documents in parts.items()} == {"train": 117, "dev": 14, "test": 14}
    assert {name: count_corpus(documents).entities for name, documents in parts.items()} == {
        "train": 2995,
        "dev": 317,
        "test": 246,
    }
    whole = read_conll(WIKIGOLD)
    assert [parts["dev"][0], parts["test"][0]] == whole[8:10]
    assert [document for i, document in enumerate(whole) if i % 10 < 8] == parts["train"]


def test_absent_conll_names_the_variable_and_the_free_workflow(tmp_path):
    (tmp_path / "train.txt").write_text(TRAIN_CONLL)
    result = run_script("find_conll2003.py", tmp_path, tmp_path / "corpus")
    message = one_line(result.stdout + result.stderr)
    assert result.returncode == 1
    assert "dev (dev.txt or valid.txt or eng.testa), test (test.txt or eng.testb) missing" in message
    assert "--vars.conll03 FOLDER" in message
    assert "spacy project run quickstart" in message
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("names", [("train.txt", "dev.txt", "test.txt"), ("eng.train", "eng.testa", "eng.testb")])
def test_other_counts_than_the_published_are_warned_of(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text(TRAIN_CONLL)
    result = run_script("find_conll2003.py", tmp_path, tmp_path / "corpus")
    message = one_line(result.stdout + result.stderr)
    assert result.returncode == 0
    assert message.count("is not the published CoNLL-2003") == 3
    assert "sentences=14041, tokens=203621, entities=23499" in message
    assert {path.name for path in (tmp_path / "corpus").iterdir()} == {"train.txt", "dev.txt", "test.txt"}


def test_malformed_conll_is_refused_with_file_and_line(tmp_path):
    for name in ("train.txt", "dev.txt", "test.txt"):
        (tmp_path / name).write_text("A NN B-NP O\nB\n")
    result = run_script("find_conll2003.py", tmp_path, tmp_path / "corpus")
    assert result.returncode == 1
    assert "train.txt:2: expected at least two columns" in one_line(result.stdout + result.stderr)
    assert "Traceback" not in result.stderr


def load_script(name):
    """Load a script as Python does that runs it: its folder is searched first."""
    sys.path[:0] = [str(SCRIPTS)]
    try:
        return _load(name)
    finally:
        del sys.path[0]


def _load(name):
    spec = spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_fetch_knows_three_names(tmp_path):
    result = run_script("fetch_backbone.py", "bert-base", tmp_path / "out")
    assert result.returncode == 1
    assert "Expected all-mpnet-base-v2, distilbert-base-cased, multilingual-e5-small, got 'bert-base'" in one_line(
        result.stdout
    )
    (tmp_path / "model.safetensors").touch()
    result = run_script("fetch_backbone.py", "all-mpnet-base-v2", tmp_path)
    assert result.returncode == 0 and "is there already" in one_line(result.stdout)


def test_fetch_stops_at_another_file(capsys):
    packages = load_script("backbone_sources/packages")
    packages.verify(b"model", hashlib.sha256(b"model").hexdigest(), "model.safetensors")
    with pytest.raises(SystemExit):
        packages.verify(b"other", hashlib.sha256(b"model").hexdigest(), "model.safetensors")
    assert "another file was uploaded" in one_line(capsys.readouterr().out)


def test_fetch_expands_eight_bits():
    """A graph of one embedding and one linear layer, as ONNX Runtime's quantisation leaves them."""
    onnx = pytest.importorskip("onnx")
    table = np.arange(6, dtype=np.int8).reshape(3, 2)
    weight = np.arange(-4, 4, dtype=np.int8).reshape(2, 4)
    arrays = {
        "table_q": table, "table_s": np.float32(0.5), "table_z": np.int8(1),
        "weight_q": weight, "weight_s": np.float32(0.25), "weight_z": np.int8(0),
        "distilbert.lin.bias": np.arange(4, dtype=np.float32), "classifier.bias": np.zeros(2, np.float32),
    }  # fmt: skip
    node = onnx.helper.make_node
    nodes = [
        node("DequantizeLinear", ["table_q", "table_s", "table_z"], ["table"]),
        node("DequantizeLinear", ["weight_q", "weight_s", "weight_z"], ["weight"]),
        node("Gather", ["table", "ids"], ["x"], name="/distilbert/embeddings/word_embeddings/Gather"),
        node("MatMul", ["x", "weight"], ["y"], name="/distilbert/lin/MatMul"),
    ]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "tagger",
        [value("ids", onnx.TensorProto.INT64, [None])],
        [value("y", onnx.TensorProto.FLOAT, [None, 4])],
        initializer=[onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    tensors = load_script("fetch_backbone").distilbert.expand(onnx.helper.make_model(graph).SerializeToString())
    assert set(tensors) == {"embeddings.word_embeddings.weight", "lin.weight", "lin.bias"}
    np.testing.assert_allclose(tensors["embeddings.word_embeddings.weight"], (table - 1.0) * 0.5)
    np.testing.assert_allclose(tensors["lin.weight"], weight.T * 0.25)


def test_compare_prints_a_row_per_backbone(tiny_folder, corpus, tmp_path):
    nlp = build_pipeline(tiny_folder, corpus)
    for name, score in (("one", 0.5), ("two", 0.25)):
        run = tmp_path / "training" / name
        run.mkdir(parents=True)
        nlp.to_disk(run / "model-best")
        points = [{"scores": {"ents_f": score}}, {"scores": {"ents_f": score / 2}}]
        (run / "curve.jsonl").write_text("\n".join(map(json.dumps, points)) + "\n")
        (tmp_path / f"backbones-{name}.json").write_text(json.dumps({"ents_f": score / 4}))
    result = run_script("compare_backbones.py", tmp_path / "training", tmp_path, tmp_path / "out.json")
    assert result.returncode == 0, result.stderr
    rows = json.loads((tmp_path / "out.json").read_text())
    assert [(row["backbone"], row["dev_f1"], row["test_f1"]) for row in rows] == [
        ("one", 0.5, 0.125),
        ("two", 0.25, 0.0625),
    ]
    head = 33 * 9  # B- and I- of four labels, and O
    adapter = 3 * (8 * 32 + 2 * (32 + 48))  # beside four matrices in attention, and two behind it
    assert rows[0]["trained"] == 3 * 2 * 4 * 32 + adapter + 4 + 9 * 32 + head  # prompt, adapter, mix, word shape
    assert "two" in one_line(result.stdout)


@pytest.mark.skipif(find_spec("spacy_transformers") is not None, reason="this is for who has no spacy-transformers")
def test_fine_tuning_names_the_environment_that_it_needs(corpus, tmp_path):
    arguments = (ROOT / "configs" / "finetune_ner.cfg", corpus, corpus, tmp_path, "--backbone", "any")
    result = run_script("finetune.py", *arguments)
    assert result.returncode == 1
    assert "`make install-spacy-transformers`" in one_line(result.stdout)
