"""Exported graphs do what their pipelines do, read by examples/onnx/annotate.py, and what has none is refused."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import spacy
import torch
from spacy.cli import app
from spacy.tokens import Doc, DocBin
from spacy.util import get_words_and_spaces
from typer.testing import CliRunner

import spacy_ptv2.cli  # noqa: F401  (which adds the commands to spaCy's)
from examples.onnx.annotate import Recognizer, join_words, read_words, split_words, word_shape
from spacy_ptv2.alignment.layouts import DocLayout
from spacy_ptv2.alignment.word_shape import WORD_SHAPES, word_shape_of
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.onnx_export import folder as writing
from spacy_ptv2.onnx_export import graph, recognizer
from spacy_ptv2.onnx_export.folder import export_onnx, load_in_float32
from spacy_ptv2.onnx_export.recognizer import find_recognizer

from ..conftest import ROOT
from ..tiny import TEXT, build_pipeline, save_tiny_backbone

FIRST, LAST, MEAN, MOST = ({"@layers": f"reduce_{name}.v1"} for name in ("first", "last", "mean", "max"))
# By name: the family of the backbone, and what differs from `SMALL`.
FORMS = {
    "both": ("bert", {"word_shape": True, "scalar_mix": True, "pooling": FIRST}),
    "prompts": ("bert", {"lora_rank": 0, "word_shape": False, "scalar_mix": False, "pooling": MEAN}),
    "shifted": (
        "roberta",
        {"prompt": {"length": 5, "layers": [1], "shift_positions": True}, "word_shape_place": "prompt", "pooling": LAST}
        | {"word_shape": True, "lora_rank": 2, "scheme": "biluo"},
    ),
    "lora": ("albert", {"prompt": {"length": 0}, "lora_rank": 2, "word_shape": True}),  # its layers share weights
}
SIGNS = ["\n", "\t", "  ", "\u00a0", "\u200b", "\x07", "😀", "", "[SEP]", "</s>", "e\u0301", "\ufeff", "x" * 120]
BARE = """
import runpy, sys
absent, *sys.argv = sys.argv[1:]
sys.modules.update(dict.fromkeys(absent.split(",")))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
EDGES = [[], [""], ["\n", "\n"], ["\x07"], ["\u200b", "\u200b"], ["😀"], ["a"], ["New York", "\n", "Paris"]]


def shake(nlp):
    """Let every part of the adapter and of the head have an effect, so that predictions are many and wild."""
    found = find_recognizer(nlp)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in found.encoder.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    output = found.head.model.get_ref("output_layer")
    output.set_param("W", np.random.RandomState(1).normal(size=output.get_param("W").shape).astype("f4"))
    found.head.cfg.update(temperature=1.5, threshold=0.2, outside_bias=0.5)
    return nlp


def build(folder, corpus, family="bert", scheme="iob2", **settings):
    backbone = save_tiny_backbone(folder / family, family, deviation=0.15, num_hidden_layers=2)
    nlp = build_pipeline(backbone, corpus, **settings)
    if scheme != "iob2":
        model = nlp.config["components"]["token_classifier"]["model"]
        nlp.replace_pipe("token_classifier", "token_classifier", config={"scheme": scheme, "model": model})
        nlp.get_pipe("token_classifier").initialize(lambda: spacy.training.Corpus(corpus)(nlp), nlp=nlp)
    return nlp


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.slow, *([pytest.mark.exhaustive] if name == "lora" else [])])
        for name in FORMS
    ],
)
def exported(request, tmp_path_factory, corpus):
    """A pipeline and the folder that it was exported to."""
    family, settings = FORMS[request.param]
    place = tmp_path_factory.mktemp(request.param)
    nlp = shake(build(place, corpus, family, **settings))
    found = export_onnx(nlp, place / "onnx", TEXT)
    assert found.error < 1e-5 and found.n_same == found.n_expected == found.n_found
    return nlp, place / "onnx"


@pytest.fixture
def again(exported, monkeypatch):
    """The same, where to export anew takes no time: the same graph is written."""
    nlp, place = exported
    monkeypatch.setattr(writing, "write_graph", lambda graph, path: shutil.copyfile(place / "model.onnx", path))
    return nlp, place


def messy_texts(n=40):
    rng = np.random.RandomState(0)
    words = [word for text in TEXT for word in text.split()] + ["EU", "McLaren", "1,200", "J.", "A4", "don't"] + SIGNS
    lengths = [*rng.randint(1, 30, size=n), 150]  # the last is longer than a window
    return EDGES + [[words[i] for i in rng.randint(len(words), size=length)] for length in lengths]


def check_entities(nlp, reader, texts):
    """RETURNS: The number of entities, which are those of the pipeline, with their confidences."""
    docs = [Doc(nlp.vocab, words=[word for word in words if word]) for words in texts]
    total = 0
    for doc, words, own in zip(nlp.pipe(docs), texts, reader.in_words(texts), strict=True):
        kept = np.flatnonzero([word != "" for word in words])
        expected = [(kept[e.start], kept[e.end - 1] + 1, e.label_) for e in doc.ents]
        assert [entity[:3] for entity in own] == expected, words
        scores = doc.spans["ents"].attrs["scores"]
        np.testing.assert_allclose([entity.score for entity in own], scores, rtol=1e-3)
        total += len(expected)
    return total


def test_words_have_the_entities_of_the_pipeline(exported):
    nlp, place = exported
    assert check_entities(nlp, Recognizer(place, threads=1), messy_texts()) > 100


def test_texts_have_the_entities_of_the_pipeline(exported):
    nlp, place = exported
    texts = [
        "",
        " ",
        *TEXT,
        *("".join(f"{word} \n"[: 1 + len(word) % 3 + len(word)] for word in own) for own in messy_texts()),
    ]
    found = Recognizer(place, threads=1).in_texts(texts)
    for text, own in zip(texts, found, strict=True):
        words = [text[start:end] for start, end in split_words(text)]
        doc = nlp(Doc(nlp.vocab, *get_words_and_spaces(words, text)))
        assert doc.text == text
        assert [entity[:3] for entity in own] == [(e.start_char, e.end_char, e.label_) for e in doc.ents], text
    assert sum(map(len, found)) > 50


def test_what_is_written(exported):
    nlp, place = exported
    assert {file.name for file in place.iterdir()} == {"model.onnx", "task.json", "tokenizer.json"}
    task = json.loads((place / "task.json").read_text())
    found = find_recognizer(nlp)
    limits = found.windows.limits(found.encoder)
    assert task["labels"] == list(found.head.labels) and task["tags"] == list(found.head.outputs)
    assert task["window"] == {"length": limits.window, "overlap": limits.overlap}
    assert task["backbone"]["fingerprint"] == found.backbone.fingerprint
    session = Recognizer(place).session
    names = ["pieces", "mask", "word_shapes"][: 2 + (task["word_shapes"] is not None)]
    assert [(entry.name, entry.type, entry.shape) for entry in session.get_inputs()] == [
        (name, "tensor(int64)", ["rows", "pieces"]) for name in names
    ]
    assert str(ROOT).encode() not in (place / "model.onnx").read_bytes()  # nothing of this machine


@pytest.mark.parametrize("exported", ["both"], indirect=True)
class TestOfOneGraph:
    """What does not depend on the form; slow, because the graph has to be made."""

    def test_int8(self, again, tmp_path):
        nlp, place = again
        found = export_onnx(nlp, tmp_path / "int8", TEXT, int8=True)
        assert 1e-4 < found.error < 0.1 and found.n_same > found.n_expected / 2
        assert str(found).startswith(f"{found.n_same} of the pipeline's {found.n_expected} entities")
        assert (tmp_path / "int8" / "model.onnx").stat().st_size < (place / "model.onnx").stat().st_size
        assert json.loads((tmp_path / "int8" / "task.json").read_text())["weights"] == "int8"
        assert any(Recognizer(tmp_path / "int8").in_texts(TEXT))

    def test_a_wrong_graph_is_not_written(self, again, tmp_path, monkeypatch):
        nlp, _ = again
        monkeypatch.setitem(writing.TOLERANCES, "float32", 1e-9)
        with pytest.raises(PTuningError, match=r"P872.*off by .* expected at most 1e-09.*openvino"):
            export_onnx(nlp, tmp_path / "onnx", TEXT)
        assert not list(tmp_path.iterdir())

    def test_a_folder_with_other_files_stays(self, again, tmp_path):
        nlp, _ = again
        (tmp_path / "thesis.txt").touch()
        for place in (tmp_path, tmp_path / "thesis.txt"):
            with pytest.raises(PTuningError, match=r"P873.*empty folder"):
                export_onnx(nlp, place, TEXT)
        (tmp_path / "thesis.txt").unlink()
        export_onnx(nlp, tmp_path, TEXT)
        (tmp_path / "old").touch()
        export_onnx(nlp, tmp_path, TEXT)  # in the place of an earlier export
        assert len(list(tmp_path.iterdir())) == 3

    def test_the_command(self, again, tmp_path):
        nlp, _ = again
        nlp.to_disk(tmp_path / "pipeline")
        (tmp_path / "texts.txt").write_text("\n".join(TEXT), encoding="utf8")
        command = ["ptv2", "export-onnx", str(tmp_path / "pipeline"), str(tmp_path / "onnx")]
        result = CliRunner().invoke(app, [*command, "--texts", str(tmp_path / "texts.txt")])
        assert result.exit_code == 0 and "2 texts: " in result.stdout and "MB" in result.stdout
        for failing, message in (
            (["ptv2", "export-onnx", str(tmp_path / "none"), str(tmp_path / "onnx")], "E050"),
            ([*command[:3], str(tmp_path / "pipeline")], "P873"),
        ):
            result = CliRunner().invoke(app, failing)
            assert result.exit_code == 1 and message in result.stderr

    def test_the_example_needs_nothing_else(self, exported, tmp_path):
        _, place = exported
        (tmp_path / "texts.txt").write_text("\n".join(TEXT), encoding="utf8")
        (tmp_path / "words.txt").write_text("\n".join(TEXT[1].split()), encoding="utf8")
        script = str(ROOT / "examples" / "onnx" / "annotate.py")
        example = [sys.executable, "-c", BARE, "spacy,spacy_ptv2,thinc,torch,transformers,onnx", script, str(place)]
        for more, key in (([str(tmp_path / "texts.txt")], "text"), (["--words", str(tmp_path / "words.txt")], "words")):
            output = subprocess.run([*example, *more], check=True, capture_output=True, text=True, cwd=tmp_path).stdout
            found = [json.loads(line) for line in output.splitlines()]
            assert found[-1][key] == (TEXT[1] if key == "text" else TEXT[1].split())
            for entity in found[-1]["entities"]:
                own = found[-1][key][entity["start"] : entity["end"]]
                assert entity["text"] == (own if key == "text" else " ".join(own))
            assert found[-1]["entities"]


def test_another_version_is_refused(tmp_path):
    (tmp_path / "task.json").write_text('{"format_version": 2}')
    with pytest.raises(ValueError, match="expected version 1, got 2"):
        Recognizer(tmp_path)


def test_words():
    text = 'He said: "U.S. troops (of the EU) left Smith\'s—\n\tnow…"'
    words = 'He said : " U.S . troops ( of the EU ) left Smith\'s — now … "'.split()
    assert [text[start:end] for start, end in split_words(text)] == words
    assert join_words(["a", "", "\n", "b c"]) == ("a \n b c ", [(0, (0, 1)), (3, (4, 7))])
    assert list(read_words(["a\n", "\n", "\n", "b\n", "c"])) == [["a"], ["b", "c"]]


def test_word_shapes_are_the_pipelines():
    words = [
        "a",
        "ab",
        "EU",
        "Peter",
        "McLaren",
        "J.",
        "1,200",
        "A4",
        "-",
        "",
        "éa",
        "ǅa",
        "ß",
        "II",
        "中",
        "٣",
        "O'Neill",
    ]
    assert [word_shape(word) for word in words] == [WORD_SHAPES[word_shape_of(word)] for word in words]
    assert {word_shape(word) for word in words} == set(WORD_SHAPES) - {"none"}


def without_classifier(nlp):
    nlp.remove_pipe("token_classifier")


def without_labels(nlp):
    nlp.get_pipe("token_classifier").cfg["labels"] = []


def with_spans(nlp):
    attrs = nlp.get_pipe("ptuning_transformer").model.attrs
    attrs["windows"] = replace(attrs["windows"], layout=DocLayout(get_spans=list))


def with_another_head(nlp):
    nlp.get_pipe("token_classifier").model.layers[1].name = "with_array(mish>>linear)"


def with_another_layer(nlp):
    nlp.get_pipe("ptuning_transformer").model.name = "tok2vec"


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (lambda nlp: nlp.add_pipe("sentencizer"), {}, "the component 'sentencizer', expected .* alone. .*exclude="),
        (without_classifier, {}, "0 trained token classifiers, expected one"),
        (lambda nlp: nlp.add_pipe("token_classifier", name="second"), {}, "2 trained token classifiers"),
        (without_labels, {}, "without labels, expected one that has been trained"),
        (lambda nlp: None, {"pooling": MOST}, "the pooling 'reduce_max', expected one of reduce_first, "),
        (with_spans, {}, "the layout DocLayout.*get_spans"),
        (with_another_head, {}, r"the head .*, expected spacy_ptv2.TokenClassifier.v1"),
        (with_another_layer, {}, r"the layer 'tok2vec', expected spacy_ptv2.Tok2VecPTuning.v1"),
        (lambda nlp: nlp.get_pipe("token_classifier").cfg.update(confidence="marginal"), {}, "the confidence 'marg"),
    ],
)
def test_what_cannot_be_exported_is_refused(change, settings, message, tiny_folder, corpus, tmp_path):
    nlp = build_pipeline(tiny_folder, corpus, **settings)
    change(nlp)
    with pytest.raises(PTuningError, match=rf"P871.*{message}"):
        export_onnx(nlp, tmp_path / "onnx", TEXT)
    assert not list(tmp_path.iterdir())


def test_the_precision_of_a_backbone(tiny_folder, corpus, tmp_path):
    """It is loaded in float32 for the export, whatever its config says."""
    backbone = {"@misc": "spacy_ptv2.Backbone.v1", "name": str(tiny_folder), "dtype": "bfloat16"}
    nlp = build_pipeline(tiny_folder, corpus, backbone=backbone)
    with pytest.raises(PTuningError, match=r"P871.*a backbone in bfloat16 on cpu, expected float32"):
        find_recognizer(nlp)
    nlp.to_disk(tmp_path)
    assert find_recognizer(load_in_float32(str(tmp_path))).backbone.precision == "float32"


def test_the_size_of_a_backbone(nlp, monkeypatch):
    monkeypatch.setattr(recognizer, "MOST_PARAMETERS", 1000)
    with pytest.raises(PTuningError, match=r"P871.*parameters, expected at most 1,000.*2 GB"):
        find_recognizer(nlp)


def test_an_encoder_inside_the_component(tiny_folder, corpus):
    nlp = build_pipeline(tiny_folder, corpus)
    encoder = nlp.get_pipe("ptuning_transformer").model
    nlp.replace_listeners("ptuning_transformer", "token_classifier", ["model.tok2vec"])
    nlp.remove_pipe("ptuning_transformer")
    assert find_recognizer(nlp).tok2vec is not encoder


def test_missing_packages(nlp, tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(PTuningError, match=r"P870.*needs onnxscript, .*`pip install 'spacy-ptv2\[onnx\]'`"):
        export_onnx(nlp, tmp_path / "onnx", TEXT)


def test_what_torch_cannot_export(nlp, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("of the exporter") from ZeroDivisionError("no such\noperation")

    monkeypatch.setattr(torch.export, "export", fail)
    with pytest.raises(PTuningError, match=r"P872.*torch cannot export it \(ZeroDivisionError: no such operation\)"):
        export_onnx(nlp, tmp_path / "onnx", TEXT)
    assert not list(tmp_path.iterdir())


@pytest.mark.real
@pytest.mark.slow
def test_on_minilm(wikigold, tmp_path):
    """With a wild adapter and head instead of trained ones, on real sentences."""
    nlp = spacy.blank("en")
    nlp.add_pipe("ptuning_transformer")
    nlp.add_pipe("token_classifier")
    sentences = list(DocBin().from_disk(wikigold).get_docs(nlp.vocab))[:80]
    nlp.initialize(lambda: [spacy.training.Example(nlp.make_doc(doc.text), doc) for doc in sentences])
    export_onnx(shake(nlp), tmp_path / "onnx", [doc.text for doc in sentences[:5]])
    texts = [[token.text for token in doc] for doc in sentences]
    document = [[word for words in texts[:20] for word in (*words, "\n")]]
    assert check_entities(nlp, Recognizer(tmp_path / "onnx"), [*texts, *document]) > 300
