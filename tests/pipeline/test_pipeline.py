"""The two components together: annotating, training, saving, copying, and everything odd that users feed them."""

import shutil
import threading
from functools import partial

import numpy as np
import pytest
import spacy
import torch
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus, Example
from spacy.util import fix_random_seed

from spacy_ptv2.errors import BackboneError, FormatError, PTuningError
from spacy_ptv2.layers.encode_pieces import get_shim
from spacy_ptv2.pipeline import safetensors_pipe
from spacy_ptv2.pipeline.batching import batch_by_tokens

from ..tiny import build_pipeline, ner_model, option_blocks, save_tiny_backbone, train

TEXTS = [
    "Peter opens the office of London.",
    "",
    " ",
    "EU",
    "John works in New York for the Danish office. " * 12,
    "👍 \u200b \x07",
    "Mary was in Paris at " + "x" * 200,
]


def vectors(nlp, texts, batch_size):
    return [doc.tensor for doc in nlp.pipe(texts, batch_size=batch_size)]


def entities(docs):
    return [[(ent.start, ent.end, ent.label_) for ent in doc.ents] for doc in docs]


def check_replaced_listeners(nlp, upstream, component, folder):
    """Give a component its own copy of the transformer: same predictions, also after loading, over one backbone."""
    expected = entities(nlp.pipe(TEXTS))
    backbone = get_shim(nlp.get_pipe(upstream).model.layers[0]).backbone
    nlp.replace_listeners(upstream, component, ["model.tok2vec"])
    nlp.remove_pipe(upstream)
    assert entities(nlp.pipe(TEXTS)) == expected
    nlp.to_disk(folder / "model")
    loaded = spacy.load(folder / "model")
    assert entities(loaded.pipe(TEXTS)) == expected
    nodes = loaded.get_pipe(component).model.walk()
    assert next(get_shim(node) for node in nodes if node.shims).backbone is backbone


@pytest.fixture(scope="module")
def trained(tiny_folder, corpus):
    """A trained pipeline, which no test changes."""
    nlp = build_pipeline(tiny_folder, corpus)
    train(nlp, corpus)
    return nlp


def test_batched_equals_one_by_one(nlp):
    for one, many in zip(vectors(nlp, TEXTS, 1), vectors(nlp, TEXTS, 100), strict=True):
        np.testing.assert_allclose(one, many, atol=1e-5)


def test_one_vector_per_token_is_all_that_stays(nlp):
    for doc in nlp.pipe(TEXTS):
        assert doc.tensor.shape == (len(doc), 32)
        assert not doc.user_data


def test_learns_the_corpus(nlp, corpus):
    losses = [loss["token_classifier"] for loss in train(nlp, corpus)]
    assert losses[-1] < losses[0] / 10
    scores = nlp.evaluate(list(Corpus(corpus)(nlp)))
    assert scores["ents_f"] == scores["seqeval_f"] == 1.0


def test_confidence_per_entity(trained):
    doc = trained("Peter works in London")
    group = doc.spans["ents"]
    assert [(s.start, s.end, s.label_) for s in group] == entities([doc])[0]
    assert len(group.attrs["scores"]) == len(doc.ents) > 0
    assert all(0 < score <= 1 for score in group.attrs["scores"])
    stored = DocBin(docs=[doc], store_user_data=False)
    (loaded,) = DocBin().from_bytes(stored.to_bytes()).get_docs(trained.vocab)
    assert loaded.spans["ents"].attrs["scores"] == group.attrs["scores"]


def test_confidence_is_the_product_of_the_tags(nlp):
    head = nlp.get_pipe("token_classifier")
    docs = [Doc(nlp.vocab, words=["a"] * n) for n in (40, 0, 3)]
    logits = np.random.default_rng(0).normal(size=(43, len(head.tag_scheme.tags))).astype("f")
    logits[:20, head.tag_scheme.tag_ids["I-PER"]] += 9  # one entity of 20 tokens
    probabilities = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
    tags = head.tag_scheme.decode(np.log(probabilities), [len(doc) for doc in docs])
    expected = probabilities[np.arange(43), tags]
    decoded = head._decode(docs, logits)
    predictions = decoded.free.in_docs(decoded.entities, head.confidences(decoded, 1.0))
    assert (0, 20, "PER") in [entity[:3] for entity in predictions[0]]
    for first, prediction in zip((0, 40, 40), predictions, strict=True):
        for start, end, _, confidence in prediction:
            assert confidence == pytest.approx(expected[first + start : first + end].prod(), rel=1e-4)


def test_saved_files_are_exactly_these(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    for name in ("ptuning_transformer", "token_classifier"):
        assert {p.name for p in (tmp_path / "model" / name).iterdir()} == {"cfg", "model.safetensors"}
    assert sum(p.stat().st_size for p in (tmp_path / "model" / "ptuning_transformer").iterdir()) < 12_000


def test_round_trips_predict_the_same_over_one_backbone(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    expected = entities(trained.pipe(TEXTS))
    backbone = get_shim(trained.get_pipe("ptuning_transformer").model.layers[0]).backbone
    from_bytes = spacy.util.load_model_from_config(trained.config)
    from_bytes.from_bytes(trained.to_bytes())
    sourced = spacy.blank("en")
    for name in trained.pipe_names:
        sourced.add_pipe(name, source=trained)
    for other in (spacy.load(tmp_path / "model"), from_bytes, sourced):
        assert entities(other.pipe(TEXTS)) == expected
        assert get_shim(other.get_pipe("ptuning_transformer").model.layers[0]).backbone is backbone


def test_resumes_training_after_loading(trained, corpus, tmp_path):
    trained.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    before = get_shim(loaded.get_pipe("ptuning_transformer").model.layers[0]).to_bytes()
    loaded.resume_training()
    train(loaded, corpus, steps=2)
    assert get_shim(loaded.get_pipe("ptuning_transformer").model.layers[0]).to_bytes() != before


def test_replaced_listeners_predict_the_same_and_round_trip(nlp, corpus, tmp_path):
    train(nlp, corpus)
    check_replaced_listeners(nlp, "ptuning_transformer", "token_classifier", tmp_path)


def test_worker_processes_and_threads_agree(trained):
    expected = entities(trained.pipe(TEXTS))
    assert entities(trained.pipe(TEXTS, n_process=2)) == expected
    results = {}

    def run(number):
        results[number] = entities(trained.pipe(TEXTS))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(results.values()) == [expected] * 4


def test_entities_never_begin_or_end_on_spaces(trained):
    for doc in trained.pipe(["Peter  Hansen \n EU  ", "  New   York  "]):
        assert all(not ent[0].is_space and not ent[-1].is_space for ent in doc.ents)


def test_biluo_scheme_learns_too(tiny_folder, corpus):
    nlp = build_pipeline(tiny_folder, corpus)
    nlp.remove_pipe("token_classifier")
    nlp.add_pipe("token_classifier", config={"scheme": "biluo"})
    fix_random_seed(0)
    nlp.initialize(lambda: Corpus(corpus)(nlp))
    train(nlp, corpus)
    assert nlp.evaluate(list(Corpus(corpus)(nlp)))["ents_f"] == 1.0


@pytest.mark.parametrize("pooling", ["reduce_first.v1", "reduce_mean.v1"])
def test_poolings_train(tiny_folder, corpus, pooling):
    nlp = build_pipeline(tiny_folder, corpus, pooling={"@layers": pooling})
    losses = [loss["token_classifier"] for loss in train(nlp, corpus, steps=10)]
    assert losses[-1] < losses[0]


def test_tok2vec_inside_one_component(tiny_folder, corpus, tmp_path):
    nlp = spacy.blank("en")
    tok2vec = {
        "@architectures": "spacy_ptv2.Tok2VecPTuning.v1",
        "backbone": {"@misc": "spacy_ptv2.Backbone.v1", "name": str(tiny_folder)},
        **option_blocks(prompt={"length": 4}, window=32, overlap=8),
    }
    nlp.add_pipe("ner", config={"model": ner_model(tok2vec)})
    fix_random_seed(0)
    nlp.initialize(lambda: Corpus(corpus)(nlp))
    train(nlp, corpus, steps=80)
    assert nlp.evaluate(list(Corpus(corpus)(nlp)))["ents_f"] > 0.9
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    assert entities(loaded.pipe(TEXTS)) == entities(nlp.pipe(TEXTS))
    assert (tmp_path / "model" / "ner" / "model").stat().st_size < 100_000


def test_spacys_ner_learns_through_our_listener(tiny_folder, corpus):
    nlp = build_pipeline(tiny_folder, corpus)
    nlp.remove_pipe("token_classifier")
    nlp.add_pipe("ner", config={"model": ner_model({"@architectures": "spacy_ptv2.PTuningListener.v1"})})
    fix_random_seed(0)
    nlp.initialize(lambda: Corpus(corpus)(nlp))
    train(nlp, corpus, steps=80)
    assert nlp.evaluate(list(Corpus(corpus)(nlp)))["ents_f"] > 0.9


def test_spacys_tagger_shares_the_backbone_with_the_head(tiny_folder, corpus):
    nlp = build_pipeline(tiny_folder, corpus)
    tok2vec = {"@architectures": "spacy_ptv2.PTuningListener.v1"}
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec}})
    fix_random_seed(0)
    nlp.initialize(lambda: Corpus(corpus)(nlp))
    train(nlp, corpus)
    scores = nlp.evaluate(list(Corpus(corpus)(nlp)))
    assert scores["tag_acc"] > 0.9
    assert scores["ents_f"] == 1.0


def test_batches_by_tokens():
    docs = [Doc(spacy.blank("en").vocab, words=["a"] * n) for n in (3, 3, 10, 1, 1, 1)]
    assert [[len(d) for d in batch] for batch in batch_by_tokens(docs, 2, 6)] == [[3, 3], [10], [1, 1], [1]]


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_full_batch_does_not_wait_for_the_next_document(nlp, batch_size):
    read = []
    next(nlp.pipe((read.append(text) or text for text in TEXTS), batch_size=batch_size))
    assert read == TEXTS[:batch_size]


def test_what_waits_between_components_is_bounded_in_tokens(nlp, monkeypatch):
    sizes = {name: [] for name in nlp.pipe_names}
    for name, pipe in nlp.pipeline:
        counted = partial(lambda predict, own, docs: own.append([*map(len, docs)]) or predict(docs), pipe.predict)
        monkeypatch.setattr(pipe, "predict", partial(counted, sizes[name]))
    monkeypatch.setattr(safetensors_pipe, "MAX_BUFFERED_TOKENS", 6)
    texts = [" ".join(["Peter"] * n) for n in (3, 3, 10, 1, 1, 1)]
    assert [doc.text for doc in nlp.pipe(texts, batch_size=1000)] == texts
    assert all(own == [[3, 3], [10], [1, 1, 1]] for own in sizes.values())


@pytest.mark.parametrize("component", ["ptuning_transformer", "token_classifier"])
def test_a_batch_that_fails_goes_to_the_error_handler(nlp, monkeypatch, component):
    pipe = nlp.get_pipe(component)
    predict = pipe.predict
    monkeypatch.setattr(pipe, "predict", lambda docs: predict(docs) if "EU" not in map(str, docs) else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(nlp.pipe(TEXTS, batch_size=2))
    failed = []
    nlp.set_error_handler(lambda name, pipe, docs, error: failed.append((name, [*map(str, docs)])))
    texts = [doc.text for doc in nlp.pipe(TEXTS, batch_size=2)]
    assert failed == [(component, TEXTS[2:4])]
    assert texts == TEXTS[:2] + TEXTS[4:]


# What goes wrong, and what is said then


def test_label_unseen_in_training(nlp):
    doc = Doc(nlp.vocab, words=["Titanic"], ents=["B-SHIP"])
    with pytest.raises(PTuningError, match="P401.*'SHIP'.*token_classifier.*LOC, MISC, ORG, PER"):
        nlp.update([Example(nlp.make_doc("Titanic"), doc)])


def test_gradient_of_the_loss_is_the_numeric_one(nlp, corpus):
    head = nlp.get_pipe("token_classifier")
    examples = list(Corpus(corpus)(nlp))[:2]
    rng = np.random.default_rng(0)
    logits = [rng.normal(size=(len(example.x), len(head.tag_scheme.tags))).astype("f") for example in examples]
    _, gradients = head.get_loss(examples, logits)
    for doc, token, tag in [(0, 0, 0), (0, 2, 3), (1, 1, 5)]:
        losses = []
        for step in (0.01, -0.01):
            logits[doc][token, tag] += step
            losses.append(head.get_loss(examples, logits)[0])
            logits[doc][token, tag] -= step
        assert gradients[doc][token, tag] == pytest.approx((losses[0] - losses[1]) / 0.02, abs=1e-4)


def test_tokens_without_gold_annotation_do_not_train(nlp):
    head = nlp.get_pipe("token_classifier")
    unknown = Example(nlp.make_doc("Peter works"), Doc(nlp.vocab, words=["Peter", "works"]))
    loss, (gradient,) = head.get_loss([unknown], [np.ones((2, len(head.tag_scheme.tags)), "f")])
    assert loss == 0.0
    assert not gradient.any()


def test_corpus_without_entities(tiny_folder, tmp_path):
    DocBin(docs=[spacy.blank("en")("Nothing here.")]).to_disk(tmp_path / "none.spacy")
    with pytest.raises(PTuningError, match="P402.*no entities.*1 examples"):
        build_pipeline(tiny_folder, tmp_path / "none.spacy")


def test_impossible_labels(nlp):
    with pytest.raises(PTuningError, match="P408"):
        nlp.get_pipe("token_classifier").add_label(" ")


def test_size_in_the_config_that_the_labels_do_not_make(tiny_folder, corpus):
    nlp = build_pipeline(tiny_folder, corpus)
    nlp.remove_pipe("token_classifier")
    nlp.add_pipe("token_classifier", config={"model": {"nO": 4}})
    with pytest.raises(PTuningError, match="P404.*nO = 4.*LOC, MISC, ORG, PER make 9"):
        nlp.initialize(lambda: Corpus(corpus)(nlp))


def test_prediction_before_initialization(tiny_folder):
    nlp = spacy.blank("en")
    backbone = {"@misc": "spacy_ptv2.Backbone.v1", "name": str(tiny_folder)}
    nlp.add_pipe("ptuning_transformer", config={"model": {"backbone": backbone}})
    with pytest.raises(PTuningError, match="P205.*nlp.initialize"):
        nlp("Hello")


@pytest.mark.parametrize("component", ["ptuning_transformer", "token_classifier"])
@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda file: file.unlink(), "P302"),
        (lambda file: file.write_bytes(file.read_bytes()[:-10]), "P301"),
        (lambda file: file.write_bytes(b""), "P301"),
        (lambda file: file.write_bytes(b"not safetensors at all"), "P301"),
        (lambda file: file.write_bytes(file.read_bytes()[:-3] + b"\x00\x01\x02"), "P306"),
    ],
)
def test_damaged_files_are_refused_by_name(trained, tmp_path, component, damage, code):
    trained.to_disk(tmp_path / "model")
    damage(tmp_path / "model" / component / "model.safetensors")
    with pytest.raises(FormatError, match=f"{code}.*{component}"):
        spacy.load(tmp_path / "model")


@pytest.mark.parametrize(("text", "code"), [(None, "P302"), ("{", "P301"), ("[]", "P301")])
def test_damaged_settings_are_refused_by_name(trained, tmp_path, text, code):
    trained.to_disk(tmp_path / "model")
    file = tmp_path / "model" / "token_classifier" / "cfg"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    with pytest.raises(FormatError, match=f"{code}.*token_classifier"):
        spacy.load(tmp_path / "model")


def test_swapped_files_are_refused(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    head = tmp_path / "model" / "token_classifier" / "model.safetensors"
    shutil.copy(head, tmp_path / "model" / "ptuning_transformer" / "model.safetensors")
    with pytest.raises(FormatError, match="P305.*expected the layers"):
        spacy.load(tmp_path / "model")


def test_missing_backbone_at_load(trained, tmp_path, monkeypatch):
    trained.to_disk(tmp_path / "model")
    monkeypatch.setattr("spacy_ptv2.backbones.registry._shared", {})  # in a process that has not got it yet
    config = {"components.ptuning_transformer.model.backbone.name": "gone/backbone"}
    with pytest.raises(BackboneError, match="P101.*gone/backbone"):
        spacy.load(tmp_path / "model", config=config)


def test_wrong_backbone_at_load(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    other = save_tiny_backbone(tmp_path / "other", "bert", seed=3)
    config = {"components.ptuning_transformer.model.backbone.path": str(other)}
    with pytest.raises(BackboneError, match="P105"):
        spacy.load(tmp_path / "model", config=config)


def test_moved_backbone_at_load(trained, tmp_path, tiny_folder):
    trained.to_disk(tmp_path / "model")
    moved = shutil.copytree(tiny_folder, tmp_path / "moved")
    config = {
        "components.ptuning_transformer.model.backbone.name": "gone/backbone",
        "components.ptuning_transformer.model.backbone.path": str(moved),
    }
    assert entities(spacy.load(tmp_path / "model", config=config).pipe(TEXTS)) == entities(trained.pipe(TEXTS))


def test_unknown_option_is_refused_by_name():
    nlp = spacy.blank("en")
    backbone = {"@misc": "spacy_ptv2.Backbone.v1", "name": "x", "revisoin": "main"}
    with pytest.raises(Exception, match="revisoin"):
        nlp.add_pipe("ptuning_transformer", config={"model": {"backbone": backbone}})
