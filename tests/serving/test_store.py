"""Tasks of a store: loaded when they are first asked for, within a limit, the same as loaded by spaCy itself."""

import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import spacy
import srsly
from spacy.lang.en import English

from spacy_ptv2.errors import FormatError, PTuningError, StoredTaskError, TaskError
from spacy_ptv2.serialization.models import adapter_shims
from spacy_ptv2.serving import AdapterBank
from spacy_ptv2.serving import bank as bank_module
from spacy_ptv2.serving.blanks import MOST_KEPT, Blanks

from ..pipeline.test_pipeline import TEXTS
from ..pipeline.test_shared_backbone import annotations, assert_same, build
from .test_bank import merges_first_two  # noqa: F401

NAMES = ("news", "letters", "notes", "mail", "other")


@pytest.fixture(scope="module", autouse=True)
def short_tokenizer():
    """English without its two thousand special cases, which take most of the time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(English.Defaults, "tokenizer_exceptions", {})
        yield


@pytest.fixture(scope="module")
def store(tiny_folder, tmp_path_factory):
    """Four tasks of one config whose prompts and heads differ, and one of another config with another training."""
    folder = tmp_path_factory.mktemp("store")
    nlp = build(tiny_folder, shared=True)
    for seed, name in enumerate(NAMES[:4]):
        draw = np.random.RandomState(seed)
        for component in ("token_classifier", "second"):
            output = nlp.get_pipe(component).model.get_ref("output_layer")
            output.set_param("W", draw.normal(size=output.get_param("W").shape).astype("f"))
        for _, pipe in nlp.pipeline:
            for shim in adapter_shims(pipe.model):
                for parameter in shim.encoder.parameters():
                    parameter.data += float(draw.normal(scale=0.1))
        nlp.meta["description"] = name
        nlp.config["training"]["seed"] = seed
        nlp.to_disk(folder / name)
    build(tiny_folder, shared=False).to_disk(folder / NAMES[4])
    return folder


@pytest.fixture(scope="module")
def alone(store):
    return {name: spacy.load(store / name) for name in NAMES}


@pytest.fixture
def bank(tiny_folder, store):
    return AdapterBank(str(tiny_folder), store=store)


def limited(tiny_folder, store, n_tasks):
    """A bank whose limit has room for some of the four tasks."""
    bank = AdapterBank(str(tiny_folder), store=store)
    bank.vocab(NAMES[0])
    size = bank.status().tasks[NAMES[0]].n_bytes
    return AdapterBank(str(tiny_folder), store=store, limit_mb=(n_tasks + 0.5) * size / 1e6)


def assert_as_alone(alone, docs, asked):
    assert_same(annotations(docs), annotations(alone[name](text) for text, name in asked))


def test_tasks_are_loaded_when_asked_for(bank, alone):
    assert (len(bank), bank.names, bank.find()) == (0, (), tuple(sorted(NAMES)))
    asked = [(text, name) for text in TEXTS for name in NAMES]
    assert_as_alone(alone, bank.pipe(asked), asked)
    assert len({str(spans) for _, spans, _ in annotations(bank.pipe(asked))}) > 5
    assert set(bank.names) == set(NAMES)
    assert bank.status().store.misses == 5


def test_copies_are_what_spacy_loads(bank, alone, store):
    for name in NAMES:
        nlp = bank._find({}, name).nlp
        assert nlp.to_bytes(exclude=["vocab"]) == alone[name].to_bytes(exclude=["vocab"])
        assert (nlp.meta, nlp.config, type(nlp)) == (alone[name].meta, alone[name].config, type(alone[name]))
        assert set(srsly.read_json(store / name / "vocab" / "strings.json")) <= set(nlp.vocab.strings)
    tasks = bank._loaded().values()
    assert len({id(task.nlp.tokenizer) for task in tasks}) == 1
    shims = [shim for task in tasks for shim in adapter_shims(task.nlp.get_pipe("tagger").model)]
    assert len({shim.encoder.prompt.values.data_ptr() for shim in shims}) == len(tasks)


def test_of_one_config_only_the_first_is_built(bank, monkeypatch):
    loaded = []
    monkeypatch.setattr(spacy, "load", lambda path, load=spacy.load: loaded.append(path.name) or load(path))
    for name in NAMES:
        bank.vocab(name)
    assert loaded == ["news", "other"]


def test_what_is_not_known_to_be_copied_is_built(tiny_folder, tmp_path, store):
    nlp = spacy.load(store / "other")
    nlp.add_pipe("merges_first_two", after="token_classifier")
    for name in "ab":
        nlp.to_disk(tmp_path / name)
    bank = AdapterBank(str(tiny_folder), store=tmp_path)
    expected = [[token.text for token in nlp(text)] for text in TEXTS]
    for name in "ab":
        assert [[token.text for token in bank(text, name)] for text in TEXTS] == expected
    assert not bank._vocabularies._blanks._kept


def test_blanks_are_bounded(tmp_path):
    blanks = Blanks()
    for number in range(MOST_KEPT + 3):
        (tmp_path / "config.cfg").write_text(f"[nlp]\nbatch_size = {number}\n\n[training]\nseed = {number}")
        blanks.keep(tmp_path, lambda: spacy.blank("xx"))
    assert len(blanks._kept) == MOST_KEPT
    (tmp_path / "config.cfg").write_text(f"[nlp]\nbatch_size = {number}\n\n[training]\nseed = 0")
    assert blanks.keep(tmp_path, lambda: spacy.blank("xx")) is None and len(blanks._kept) == MOST_KEPT
    (tmp_path / "config.cfg").write_text("[nlp]\nbatch_size = ${training.seed}\n\n[training]\nseed = 0")
    assert blanks.load(tmp_path) is None


def test_the_least_recently_used_leave(tiny_folder, store, alone):
    bank = limited(tiny_folder, store, 2)
    for name in ("news", "letters", "news", "notes"):
        assert_as_alone(alone, [bank(TEXTS[0], name)], [(TEXTS[0], name)])
    assert set(bank.names) == {"news", "notes"}
    use = bank.status().store
    assert (use.hits, use.misses, use.evictions, use.failures) == (1, 3, 1, 0)
    assert 0 < use.bytes <= use.limit and use.loading_seconds > 0
    assert bank.status("new?").tasks["news"].n_texts == 2
    assert bank.status("new?").tasks.keys() == {"news"}


def test_one_task_above_the_limit_is_the_only_one(tiny_folder, store, alone):
    bank = AdapterBank(str(tiny_folder), store=store, limit_mb=1e-6)
    asked = [(text, name) for text in TEXTS for name in NAMES]
    assert_as_alone(alone, bank.pipe(asked), asked)
    assert bank.names == ("other",)


def test_a_stream_keeps_what_it_is_at_while_others_push_it_out(tiny_folder, store, alone):
    bank = limited(tiny_folder, store, 1)
    asked = [(text, NAMES[number % 4]) for number, text in enumerate(TEXTS * 4)]
    got = []
    for number, doc in enumerate(bank.pipe(asked, batch_size=3)):
        got.append(doc)
        bank(TEXTS[0], NAMES[(number + 2) % 4])
    assert_as_alone(alone, got, asked)
    assert len(bank) == 1 and bank.status().store.evictions > 5


def test_what_is_loaded_by_name_stays_and_comes_first(tiny_folder, store, alone):
    bank = limited(tiny_folder, store, 1)
    bank.load("news", store / "letters")
    for name in ("letters", "notes", "mail"):
        bank(TEXTS[0], name)
    assert bank.names == ("news", "mail")
    assert_as_alone(alone, [bank(TEXTS[0], "news")], [(TEXTS[0], "letters")])
    bank.unload("news")
    assert_as_alone(alone, [bank(TEXTS[0], "news")], [(TEXTS[0], "news")])


def test_patterns(bank, store):
    for name in ("news", "notes", "mail"):
        bank.vocab(name)
    bank.load("n[e]ws", store / "letters")
    assert bank.find("n*") == ("n[e]ws", "news", "notes")
    assert bank.find("[lm]*") == ("mail", "letters")
    bank.unload("n[e]ws")  # these very words first
    assert set(bank.names) == {"news", "notes", "mail"}
    bank.unload("n*")
    assert bank.names == ("mail",)
    with pytest.raises(TaskError, match=r"P713.*'x\*'.*'mail', those of the store"):
        bank.unload("x*")
    assert "news" in bank and "letters" in bank and "x" not in bank and None not in bank


def test_errors_name_few_tasks(bank, monkeypatch):
    monkeypatch.setattr(bank_module, "MOST_NAMED", 2)
    for name in NAMES:
        bank.vocab(name)
    with pytest.raises(TaskError, match=r"one of: 'news', 'letters', \.\.\., those of the store"):
        bank.check("x")


def test_names_do_not_lead_out_of_the_store(tiny_folder, store, tmp_path):
    inside = tmp_path / "store"
    inside.mkdir()
    shutil.copytree(store / "other", tmp_path / "secret")
    shutil.copytree(store / "other", inside / "task")
    (inside / "out").symlink_to(tmp_path / "secret")
    (inside / "circle").symlink_to(inside / "circle")
    (inside / "again").symlink_to(inside / "task")
    (inside / "empty").mkdir()
    (inside / "file").write_text("")
    bank = AdapterBank(str(tiny_folder), store=inside)
    for name in ("..", ".", "", "../secret", str(tmp_path / "secret"), "out", "circle", "task/", "task/../task", "a\0",
                 "\ud800", "x" * 5000, "task\\..", " task", "empty", "file", "~", "C:task"):  # fmt: skip
        assert name not in bank, name
        with pytest.raises(TaskError, match="P713"):
            bank("Peter", name)
    assert bank.find() == ("again", "task")
    assert bank("Peter", "again").text == "Peter"


def test_p732_a_broken_task_fails_each_time_and_no_other_does(tiny_folder, store, tmp_path, alone):
    for name in ("news", "letters", "notes"):
        shutil.copytree(store / name, tmp_path / name)
    (tmp_path / "letters" / "token_classifier" / "model.safetensors").write_bytes(b"damaged")
    (tmp_path / "notes" / "config.cfg").write_text("[nlp\n")
    bank = AdapterBank(str(tiny_folder), store=tmp_path)
    for _ in range(2):
        assert_as_alone(alone, [bank(TEXTS[0], "news")], [(TEXTS[0], "news")])
        with pytest.raises(StoredTaskError, match="P732.*'letters'.*P301.*safetensors") as found:
            bank(TEXTS[0], "letters")
        assert isinstance(found.value.__cause__, FormatError)
        with pytest.raises(StoredTaskError, match="P732.*'notes'"):
            list(bank.pipe([(TEXTS[0], "notes")]))
    assert (bank.names, bank.status().store.failures) == (("news",), 4)
    shutil.copytree(store / "letters", tmp_path / "letters", dirs_exist_ok=True)
    assert_as_alone(alone, [bank(TEXTS[0], "letters")], [(TEXTS[0], "letters")])


def test_p730_p731_what_a_store_is(tiny_folder, store):
    with pytest.raises(PTuningError, match="P730.*nowhere"):
        AdapterBank(str(tiny_folder), store=store / "nowhere")
    for limit, folder in ((0, store), (-1, store), (float("nan"), store), (1, None)):
        with pytest.raises(PTuningError, match="P731"):
            AdapterBank(str(tiny_folder), store=folder, limit_mb=limit)


def test_texts_without_a_task(bank, alone):
    asked = [("Peter, opens", None), (TEXTS[0], "news"), ("London again", None), ("", None), (TEXTS[0], "letters")]
    for docs in (list(bank.pipe(asked, batch_size=2)), bank.timed(asked)[0], [bank(*one) for one in asked]):
        assert [doc.text for doc in docs] == [text for text, _ in asked]
        assert [token.text for token in docs[0]] == ["Peter", ",", "opens"]
        assert not any(doc.ents or doc.has_annotation("TAG") for doc in (docs[0], docs[2]))
        assert_as_alone(alone, [docs[1], docs[4]], [asked[1], asked[4]])
    assert [doc.text for doc in AdapterBank(bank.backbone.source, lang="en").pipe([("don't", None)])] == ["don't"]


@pytest.mark.parametrize("room", [2, 4])
def test_threads_load_a_task_once_and_get_what_it_says(tiny_folder, store, alone, room, monkeypatch):
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    bank = limited(tiny_folder, store, room)
    start = threading.Barrier(6)
    asked = [(text, NAMES[number % 4]) for number, text in enumerate(TEXTS * 2)]

    def read(number):
        start.wait()
        return list(bank.pipe(asked[::-1] if number % 2 else asked, batch_size=1 + number))

    try:
        with ThreadPoolExecutor(6) as pool:
            results = list(pool.map(read, range(6)))
    finally:
        sys.setswitchinterval(before)
    for number, docs in enumerate(results):
        assert_as_alone(alone, docs[::-1] if number % 2 else docs, asked)
    use = bank.status().store
    assert use.bytes <= use.limit and use.hits + use.misses >= 6 * len(asked)
    if room == 4:
        assert use.misses == 4 and use.evictions == 0
