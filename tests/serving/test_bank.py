"""A bank annotates as each task's pipeline alone, in common passes, whatever is loaded meanwhile."""

import gc
import sys
import threading
import weakref

import numpy as np
import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc

from spacy_ptv2.alignment import encoding
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.errors import PTuningError, TaskError
from spacy_ptv2.serialization.models import adapter_shims
from spacy_ptv2.serving import AdapterBank
from spacy_ptv2.serving import bank as bank_module

from ..pipeline.test_pipeline import TEXTS
from ..pipeline.test_shared_backbone import annotations, assert_same, build, passes  # noqa: F401
from ..tiny import build_pipeline, save_tiny_backbone


@Language.component("fails_on_denmark")
def fails_on_denmark(doc):
    if "Denmark" in doc.text:
        raise KeyError("Denmark")
    return doc


@Language.component("merges_first_two")
def merges_first_two(doc):
    if len(doc) > 1:
        with doc.retokenize() as retokenizer:
            retokenizer.merge(doc[:2])
    return doc


@pytest.fixture(scope="module")
def pipelines(tiny_folder):
    """Two prompts and a transformer with its listener, with and without `shared_backbone`; other heads in each."""
    found = {"shared": build(tiny_folder, shared=True), "separate": build(tiny_folder, shared=False)}
    for seed, nlp in enumerate(found.values()):
        for name in ("token_classifier", "second"):
            output = nlp.get_pipe(name).model.get_ref("output_layer")
            output.set_param("W", np.random.RandomState(seed).normal(size=output.get_param("W").shape).astype("f"))
    return found


@pytest.fixture
def bank(tiny_folder, pipelines):
    bank = AdapterBank(str(tiny_folder))
    for name, nlp in pipelines.items():
        bank.load(name, nlp)
    return bank


def mixed(n_texts=40):
    names = ["shared", "separate"]
    choice = np.random.RandomState(0).randint(2, size=n_texts)
    return [(TEXTS[number % len(TEXTS)], names[task]) for number, task in enumerate(choice)]


@pytest.mark.parametrize("batch_size", [1, 3, 128])
def test_annotates_as_each_task_alone(bank, pipelines, batch_size):
    asked = mixed()
    expected = annotations(pipelines[task](text) for text, task in asked)
    assert len({str(spans) for _, spans, _ in expected}) > 3
    got = list(bank.pipe(asked, batch_size=batch_size))
    assert [doc.text for doc in got] == [text for text, _ in asked]
    assert_same(annotations(got), expected)
    assert_same(annotations(bank(text, task) for text, task in asked), expected)


def test_all_prompts_of_all_tasks_run_in_one_pass(bank, passes):  # noqa: F811
    list(bank.pipe(mixed(20)))
    assert set(passes) == {6}  # three prompts in each of two tasks; `shared_backbone` computes nothing again
    passes.clear()
    bank(TEXTS[0], "shared")
    bank(TEXTS[0], "separate")
    assert passes == [3, 3]


def test_a_text_of_several_tasks_is_aligned_once(bank, pipelines, monkeypatch):
    lengths = []
    original = encoding.piece_docs
    monkeypatch.setattr(
        encoding, "piece_docs", lambda docs, *a, **k: lengths.append(len(docs)) or original(docs, *a, **k)
    )
    asked = [(text, name) for text in TEXTS for name in pipelines]
    got = list(bank.pipe(asked))
    assert lengths == [len(TEXTS)]
    assert_same(annotations(got), annotations(pipelines[name](text) for text, name in asked))


def test_from_disk_in_the_order_given_with_contexts(bank, pipelines, tmp_path):
    pipelines["separate"].to_disk(tmp_path / "model")
    bank.load("saved", tmp_path / "model")
    bank.load("as text", str(tmp_path / "model"))
    asked = [((TEXTS[1], "saved"), 1), ((TEXTS[2], "shared"), 2), ((TEXTS[1], "as text"), 3)]
    got = list(bank.pipe(asked, as_tuples=True))
    assert [(doc.text, context) for doc, context in got] == [(text, context) for (text, _), context in asked]
    expected = [pipelines["separate"](TEXTS[1]), pipelines["shared"](TEXTS[2]), pipelines["separate"](TEXTS[1])]
    assert_same(annotations(doc for doc, _ in got), annotations(expected))


def test_a_measured_batch_is_annotated_the_same(bank, pipelines, passes):  # noqa: F811
    asked = [(TEXTS[4], "separate"), (bank.make_doc(TEXTS[4], "shared"), "shared"), (TEXTS[0], "separate")]
    docs, seconds = bank.timed(asked)
    assert set(passes) == {6, 3}  # windows of both tasks, and those of the longer text that one of them alone reads
    expected = annotations(pipelines[task](text if isinstance(text, str) else text.text) for text, task in asked)
    assert_same(annotations(docs), expected)
    assert seconds.together > 0 and seconds.tasks.keys() == {"separate", "shared"}
    assert all(value > 0 for value in seconds.tasks.values())
    with pytest.raises(TaskError, match="P713"):
        bank.make_doc("a", "unknown")
    with pytest.raises(TaskError, match="P713"):
        bank.timed([("a", "unknown")])


def test_names_come_and_go(bank, pipelines):
    bank.load("new", pipelines["shared"])
    assert bank.names == ("shared", "separate", "new")
    assert ("new" in bank, "old" in bank, len(bank)) == (True, False, 3)
    gone = weakref.ref(bank._tasks["new"].nlp)
    bank.unload("new")
    gc.collect()
    assert (bank.names, gone()) == (("shared", "separate"), None)


def test_a_running_stream_keeps_its_tasks(bank, pipelines):
    stream = bank.pipe([(TEXTS[0], "shared")] * 3, batch_size=1)
    expected = annotations([pipelines["shared"](TEXTS[0]), pipelines["separate"](TEXTS[0])])
    assert expected[0] != expected[1]
    assert_same(annotations([next(stream)]), expected[:1])
    bank.load("shared", pipelines["separate"], replace=True)
    assert_same(annotations([next(stream)]), expected[:1])
    assert_same(annotations([bank(TEXTS[0], "shared")]), expected[1:])
    bank.unload("shared")
    assert_same(annotations([next(stream)]), expected[:1])


def test_a_task_is_a_copy(bank, pipelines):
    expected = annotations([bank(TEXTS[0], "separate")])
    output = pipelines["separate"].get_pipe("second").model.get_ref("output_layer")
    before = output.get_param("W").copy()
    output.set_param("W", before * -1)
    assert_same(annotations([bank(TEXTS[0], "separate")]), expected)
    output.set_param("W", before)


def test_tasks_of_a_language_share_a_vocabulary(bank, pipelines, tmp_path):
    """Loading one empties nothing under the Docs of others, as spacy.load into a vocabulary does."""
    doc = bank("Hippopotamus in Vordingborg", "shared")
    pipelines["separate"].to_disk(tmp_path / "model")
    bank.load("new", tmp_path / "model")
    assert bank.vocab("new") is bank.vocab("shared") is doc.vocab
    assert doc.vocab.strings[doc[0].orth] == "Hippopotamus"
    assert "Vordingborg" in doc.vocab


def test_a_pipeline_with_vectors_or_tables_keeps_a_vocabulary_of_its_own(bank, tiny_folder):
    for name in ("vectors", "tables"):
        nlp = build(tiny_folder, shared=False)
        if name == "vectors":
            nlp.vocab.set_vector("Peter", np.ones(3, dtype="f"))
        else:
            nlp.vocab.lookups.add_table("lemma_lookup", {"opens": "open"})
        bank.load(name, nlp)
        assert bank.vocab(name) is not bank.vocab("shared")
        assert bank(TEXTS[0], name).text == TEXTS[0]
    assert bank.vocab("vectors").get_vector("Peter").tolist() == [1, 1, 1]
    assert bank.vocab("tables").lookups.get_table("lemma_lookup")["opens"] == "open"


def test_docs_go_in_as_they_are_and_twice(bank, pipelines):
    words = ["Peter", "opens"]
    doc, other = (Doc(bank.vocab("shared"), words=words) for _ in range(2))
    got = list(bank.pipe([(doc, "shared"), (other, "separate"), (doc, "shared"), (doc, "separate")]))
    assert [id(d) for d in got] == [id(doc), id(other), id(doc), id(doc)]
    assert_same(annotations([other]), annotations([pipelines["separate"](Doc(pipelines["separate"].vocab, words))]))


def test_odd_texts(bank):
    texts = ["", " \n", "\u200b", "a" * 200]
    assert [doc.text for doc in bank.pipe((text, task) for text in texts for task in bank.names)] == [
        text for text in texts for _ in bank.names
    ]
    assert list(bank.pipe([])) == []


def test_a_batch_is_bounded_in_vectors(bank, monkeypatch):
    sizes = []
    original = bank_module.annotate_jointly
    monkeypatch.setattr(bank_module, "annotate_jointly", lambda asked: sizes.append(len(asked)) or original(asked))
    monkeypatch.setattr(bank_module, "MAX_BUFFERED_TOKENS", 30)
    texts = ["Peter opens the office"] * 5 + ["Peter " * 100] + ["Peter"]  # 3 prompts: 12, 300 and 3 vectors
    assert len(list(bank.pipe([(text, "shared") for text in texts]))) == 7
    assert sizes == [2, 2, 1, 1, 1]


@pytest.mark.parametrize("task_first", [True, False])
def test_an_error_is_raised_and_leaves_nothing_behind(bank, pipelines, task_first):
    nlp = pipelines["shared"]
    nlp.add_pipe("fails_on_denmark", after="ptuning_transformer")
    bank.load("fails", nlp)
    nlp.remove_pipe("fails_on_denmark")
    asked = [("A letter from Denmark", "fails"), (TEXTS[0], "separate")]
    with pytest.raises(KeyError, match="Denmark"):
        list(bank.pipe(asked if task_first else asked[::-1]))
    with pytest.raises(ValueError, match="fails_on_denmark"):
        bank(*asked[0])
    assert_nothing_waits(bank)


def test_error_handlers_leave_a_text_out(bank, tiny_folder):
    nlp = build(tiny_folder, shared=True)
    nlp.add_pipe("fails_on_denmark", after="ptuning_transformer")
    failed = []
    nlp.set_error_handler(lambda name, pipe, docs, error: failed.extend(doc.text for doc in docs))
    bank.load("fails", nlp)
    asked = [("Peter", "fails"), ("A letter from Denmark", "fails"), (TEXTS[0], "shared"), ("John", "fails")]
    assert [doc.text for doc in bank.pipe(asked)] == ["Peter", TEXTS[0], "John"]
    assert failed == ["A letter from Denmark"]
    assert_nothing_waits(bank)


def test_retokenised_documents_are_computed_anew(bank, pipelines):
    nlp = pipelines["separate"]
    nlp.add_pipe("merges_first_two", after="token_classifier")
    bank.load("merges", nlp)
    expected = [[(t.text, t.tag_) for t in nlp(text)] for text in TEXTS]
    nlp.remove_pipe("merges_first_two")
    assert [[(t.text, t.tag_) for t in doc] for doc in bank.pipe((text, "merges") for text in TEXTS)] == expected


def assert_nothing_waits(bank):
    for task in bank._tasks.values():
        for handover in task._handovers:
            assert not handover._waiting


def test_memory_is_that_of_the_tensors(bank, pipelines):
    info = bank.info()
    task = info.tasks["separate"]
    assert task.components == ("ptuning_transformer", "token_classifier", "tagger", "second")
    assert task.labels["token_classifier"] == ("LOC", "MISC", "PER")
    n_prompt = (3 * 4 + 2 * 3 + 1 * 2) * 2 * 32  # positions of three prompts, keys and values, width
    extras = sum(
        parameter.numel()
        for _, pipe in pipelines["separate"].pipeline
        for shim in adapter_shims(pipe.model)
        for name, parameter in shim.encoder.named_parameters()
        if not name.startswith("prompt.")
    )
    assert extras > 0
    assert task.adapter_bytes == 4 * (n_prompt + extras)
    n_tags = [7, 7, 7]  # two heads of three labels in IOB2, and a tagger of seven tags
    assert task.head_bytes == 4 * sum(32 * tags + tags for tags in n_tags)
    assert info.fingerprint == bank.backbone.fingerprint
    assert info.backbone_bytes >= 4 * bank.backbone.n_parameters


@pytest.mark.parametrize("name", ["", " a", None, 3])
def test_p712_a_name_is_text(bank, pipelines, name):
    with pytest.raises(PTuningError, match="P712"):
        bank.load(name, pipelines["shared"])


def test_p711_a_name_is_taken_once(bank, pipelines):
    with pytest.raises(PTuningError, match=r"P711.*'shared'.*replace=True"):
        bank.load("shared", pipelines["shared"])


def test_p711_also_where_it_is_taken_while_loading(bank, pipelines, monkeypatch):
    load = bank._vocabularies.load

    def slow_load(pipeline):
        monkeypatch.undo()
        monkeypatch.setattr(bank, "_loading", threading.Lock())
        bank.load("new", pipeline)
        return load(pipeline)

    monkeypatch.setattr(bank._vocabularies, "load", slow_load)
    with pytest.raises(PTuningError, match="P711"):
        bank.load("new", pipelines["shared"])
    assert "new" in bank


@pytest.mark.parametrize("name", ["other", 3])
def test_p713_unknown_tasks_name_the_known_ones(bank, name):
    for call in (
        lambda: bank("Peter", name),
        lambda: list(bank.pipe([("Peter", name)])),
        lambda: bank.unload(name),
        lambda: bank.vocab(name),
    ):
        with pytest.raises(TaskError, match=rf"P713.*{name}.*'shared', 'separate'"):
            call()


def test_p713_no_task_has_no_vocabulary(bank):
    for call in (bank.vocab, bank.unload, bank.check, lambda name: bank.make_doc("Peter", name)):
        with pytest.raises(TaskError, match="P713.*None"):
            call(None)


def test_p713_of_an_empty_bank(tiny_folder):
    with pytest.raises(TaskError, match="P713.*none"):
        AdapterBank(BackboneSource(str(tiny_folder)))("Peter", "shared")


def test_p714_a_pipeline_without_a_prompt_is_refused(bank):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    with pytest.raises(PTuningError, match="P714.*'plain'.*sentencizer"):
        bank.load("plain", nlp)


def in_use():
    """What is alive: objects by what they are, and blocks of Python's allocator, where Cython's pools are, too."""
    gc.collect()
    kinds = (Language, Tokenizer, torch.Tensor)
    objects = gc.get_objects()
    return [sum(issubclass(type(found), kind) for found in objects) for kind in kinds], sys.getallocatedblocks()


def test_loading_again_and_again_leaves_nothing(bank, pipelines, tmp_path):
    pipelines["shared"].to_disk(tmp_path / "model")
    vocab, counts = bank.vocab("shared"), []
    for _ in range(3):
        bank.load("again", tmp_path / "model")
        assert bank.vocab("again") is vocab
        bank("Peter opens the office.", "again")
        bank.load("again", pipelines["separate"], replace=True)
        bank.unload("again")
        counts.append(in_use())
    (_, (objects, blocks), *_, (objects_then, blocks_then)) = counts
    assert objects_then == objects
    # The special cases of one English tokenizer are more than 1,000 blocks in its vocabulary.
    assert blocks_then - blocks < 500


def test_tokenizers_are_shared_where_they_are_equal(tiny_folder, pipelines):
    plain = pipelines["separate"]
    other = spacy.util.load_model_from_config(plain.config).from_bytes(plain.to_bytes())
    other.tokenizer.add_special_case("Denmark", [{"ORTH": "Den"}, {"ORTH": "mark"}])
    bank = AdapterBank(str(tiny_folder))
    for name, nlp in {"first": plain, "second": plain, "other": other}.items():
        bank.load(name, nlp)
    words = {name: [token.text for token in bank("Denmark", name)] for name in bank.names}
    assert words == {"first": ["Denmark"], "second": ["Denmark"], "other": ["Den", "mark"]}
    tokenizers = [task.nlp.tokenizer for task in bank._tasks.values()]
    assert tokenizers[0] is tokenizers[1] is not tokenizers[2]
    assert {type(task.nlp) for task in bank._tasks.values()} == {type(plain)}


def test_p715_another_backbone_or_precision_is_refused(bank, tmp_path, corpus, tiny_folder):
    other = build_pipeline(save_tiny_backbone(tmp_path / "other", "bert", seed=1), corpus)
    half = build_pipeline(
        tiny_folder,
        corpus,
        backbone={"@misc": "spacy_ptv2.Backbone.v1", "name": str(tiny_folder), "dtype": "bfloat16"},
    )
    for nlp, words in ((other, "other"), (half, "bfloat16")):
        with pytest.raises(PTuningError, match=f"P715.*{words}.*float32"):
            bank.load("other", nlp)
    assert "other" not in bank


@pytest.mark.parametrize("pipeline", [None, 3, {}])
def test_p716_what_is_no_pipeline(bank, pipeline):
    with pytest.raises(PTuningError, match=f"P716.*{type(pipeline).__name__}"):
        bank.load("new", pipeline)


@pytest.mark.parametrize("item", ["Peter", ("Peter",), (3, "shared"), ("Peter", "shared", 1), ["Peter", "shared"]])
@pytest.mark.parametrize("as_tuples", [False, True])
def test_p717_what_a_stream_holds(bank, item, as_tuples):
    with pytest.raises(PTuningError, match="P717"):
        list(bank.pipe([(item, 1) if as_tuples else item], as_tuples=as_tuples))
    with pytest.raises(PTuningError, match="P717"):
        list(bank.pipe([item], as_tuples=True))


def test_p718_a_doc_of_another_vocabulary(bank):
    with pytest.raises(PTuningError, match=r"P718.*'shared'.*bank.vocab"):
        bank(Doc(spacy.blank("en").vocab, words=["Peter"]), "shared")


def test_the_tokenizer_is_set_up_before_threads_use_it(tmp_path):
    """Changing its truncation while another thread encodes is an error of tokenizers: "Already borrowed"."""
    from tokenizers import Tokenizer

    folder = save_tiny_backbone(tmp_path / "truncating", "bert")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding()
    tokenizer.save(str(folder / "tokenizer.json"))
    backend = AdapterBank(str(folder)).backbone.tokenizer.backend_tokenizer
    assert (backend.truncation, backend.padding) == (None, None)
