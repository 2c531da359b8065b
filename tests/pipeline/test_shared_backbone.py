"""Several prompts in one pipeline: the same annotations and gradients as one after the other, in one pass."""

import copy
import pickle

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed
from thinc.api import Adam

from spacy_ptv2.adapters import joint_pass
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.pipeline.joint_reading import Request, begin_update_ahead
from spacy_ptv2.serialization.models import adapter_shims

from ..tiny import SMALL, option_blocks
from .test_pipeline import TEXTS

WORDS = ["Peter", "opens", "the", "Danish", "office", "of", "London", "."]
TAGS = ["NNP", "VBZ", "DT", "JJ", "NN", "IN", "NNP", "."]
ENTS = ["B-PER", "O", "O", "B-MISC", "O", "O", "B-LOC", "O"]


def tok2vec(folder, **prompt):
    return {
        "@architectures": "spacy_ptv2.Tok2VecPTuning.v1",
        "backbone": {"@misc": "spacy_ptv2.Backbone.v1", "name": str(folder)},
        **option_blocks(**{**SMALL, "lora_rank": 7, "backbone_dropout": False, "prompt": {"dropout": 0.0, **prompt}}),
    }


def examples_of(nlp, words=WORDS):
    doc = Doc(nlp.vocab, words=words, tags=TAGS[: len(words)], ents=ENTS[: len(words)])
    return [Example(Doc(nlp.vocab, words=words), doc)]


def build(folder, *, shared):
    """Entities over a transformer, tags and a second kind of entities over prompts of their own."""
    nlp = spacy.blank("en")
    if shared:
        nlp.add_pipe("shared_backbone")
    nlp.add_pipe("ptuning_transformer", config={"model": tok2vec(folder, length=4)})
    nlp.add_pipe("token_classifier")
    tagger = {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec(folder, length=3, layers=[1, 2])}
    nlp.add_pipe("tagger", config={"model": tagger})
    inner = {"@architectures": "spacy_ptv2.TokenClassifier.v1", "dropout": 0.0}
    nlp.add_pipe("token_classifier", name="second", config={
        "spans_key": "second", "model": {**inner, "tok2vec": tok2vec(folder, length=2, layers=[2])}
    })  # fmt: skip
    fix_random_seed(0)
    nlp.initialize(lambda: examples_of(nlp))
    for pipe in (nlp.get_pipe("token_classifier"), nlp.get_pipe("second"), nlp.get_pipe("tagger")):
        output = pipe.model.get_ref("output_layer") if pipe.model.has_ref("output_layer") else None
        if output is not None:  # heads start at zero; annotations should differ
            output.set_param("W", np.random.RandomState(0).normal(size=output.get_param("W").shape).astype("f"))
    return nlp


def annotations(docs):
    def spans(doc):
        return [(s.start, s.end, s.label_) for key in ("ents", "second") for s in doc.spans[key]]

    return [([t.tag_ for t in doc], spans(doc), doc.spans["ents"].attrs["scores"]) for doc in docs]


def assert_same(got, expected):
    for (tags, spans, scores), (other_tags, other_spans, other_scores) in zip(got, expected, strict=True):
        assert tags == other_tags
        assert spans == other_spans
        assert scores == pytest.approx(other_scores, abs=1e-5)


@pytest.fixture
def passes(monkeypatch):
    """The number of encoders in each pass of a backbone over a batch."""
    found = []
    original = joint_pass._read_batch
    monkeypatch.setattr(joint_pass, "_read_batch", lambda e, *args: found.append(len(e)) or original(e, *args))
    return found


@pytest.fixture
def pair(tiny_folder):
    return build(tiny_folder, shared=True), build(tiny_folder, shared=False)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_annotates_as_one_after_the_other(pair, passes, batch_size):
    shared, separate = pair
    expected = annotations(separate.pipe(TEXTS, batch_size=batch_size))
    assert any(spans for _, spans, _ in expected)
    assert set(passes) == {1}
    passes.clear()
    assert_same(annotations(shared.pipe(TEXTS, batch_size=batch_size)), expected)
    assert set(passes) == {3}
    assert_same(annotations([shared(text) for text in TEXTS]), expected)


def test_documents_are_tokenised_and_aligned_once(pair, monkeypatch):
    calls = []
    import spacy_ptv2.alignment.encoding as encoding

    original = encoding.piece_docs
    monkeypatch.setattr(
        encoding, "piece_docs", lambda docs, *a, **k: calls.append(len(docs)) or original(docs, *a, **k)
    )
    for nlp, expected in zip(pair, (1, 3), strict=True):
        list(nlp.pipe(TEXTS))
        assert calls == [len(TEXTS)] * expected
        calls.clear()


def test_nothing_waits_when_all_is_done(pair):
    shared, _ = pair
    list(shared.pipe(TEXTS))
    for _, pipe in shared.pipeline:
        for shim in adapter_shims(getattr(pipe, "model", None)):
            assert not shim.predicted._waiting
            assert not shim.begun._waiting


def test_a_switched_off_component_is_left_out(pair, passes):
    shared, separate = pair
    with shared.select_pipes(disable=["second"]), separate.select_pipes(disable=["second"]):
        tags = [[t.tag_ for t in doc] for doc in separate.pipe(TEXTS)]
        passes.clear()
        assert [[t.tag_ for t in doc] for doc in shared.pipe(TEXTS)] == tags
        assert set(passes) == {2}


def test_retokenised_documents_are_computed_anew(pair, passes):
    shared, separate = pair

    @spacy.Language.component("merge_first_two")
    def merge(doc):
        with doc.retokenize() as retokenizer:
            if len(doc) > 1:
                retokenizer.merge(doc[:2])
        return doc

    for nlp in pair:
        nlp.add_pipe("merge_first_two", after="token_classifier")
    expected = [[(t.text, t.tag_) for t in doc] for doc in separate.pipe(TEXTS)]
    passes.clear()
    assert [[(t.text, t.tag_) for t in doc] for doc in shared.pipe(TEXTS)] == expected
    assert set(passes) == {1, 3}


def test_workers_copies_and_pickles(pair):
    shared, separate = pair
    expected = annotations(separate.pipe(TEXTS))
    assert_same(annotations(shared.pipe(TEXTS, n_process=2)), expected)
    for other in (copy.deepcopy(shared), pickle.loads(pickle.dumps(shared))):
        assert other.get_pipe("shared_backbone")._nlp() is other
        assert_same(annotations(other.pipe(TEXTS)), expected)


def test_saved_and_loaded(pair, tmp_path, passes):
    shared, separate = pair
    expected = annotations(separate.pipe(TEXTS))
    shared.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    passes.clear()
    assert_same(annotations(loaded.pipe(TEXTS)), expected)
    assert set(passes) == {3}


def gradients(nlp):
    return {
        (name, key): parameter.grad.numpy().copy()
        for name, pipe in nlp.pipeline
        for shim in adapter_shims(getattr(pipe, "model", None))
        for key, parameter in shim.encoder.named_parameters()
    }


def test_one_backward_pass_gives_the_same_gradients(pair, passes):
    found = []
    for nlp in pair:
        passes.clear()
        nlp.update(examples_of(nlp), sgd=False)
        found.append((gradients(nlp), list(passes)))
    (got, shared_passes), (expected, separate_passes) = found
    assert (shared_passes, separate_passes) == ([3], [1, 1, 1])
    assert got.keys() == expected.keys() and len(got) == 12
    for key, gradient in expected.items():
        assert np.abs(gradient).max() > 0, key
        np.testing.assert_allclose(got[key], gradient, atol=1e-5 * np.abs(gradient).max())


def test_trains_to_the_same_losses(pair):
    """As `spacy train` does: all updates, then all steps."""
    losses = []
    for nlp in pair:
        history = []
        optimizer = Adam(0.01, use_averages=False)
        for _ in range(20):
            history.append(nlp.update(examples_of(nlp), sgd=False, losses={}))
            for _, pipe in nlp.pipeline:
                pipe.finish_update(optimizer) if getattr(pipe, "is_trainable", False) else None
        losses.append(history)
    for got, expected in zip(*losses, strict=True):
        assert got.pop("shared_backbone") == 0.0
        assert got == pytest.approx(expected, rel=1e-2)
    for name in ("token_classifier", "tagger", "second"):
        assert losses[0][-1][name] < losses[0][0][name] / 2


def test_frozen_components_are_left_out_of_training(pair, passes):
    shared, _ = pair
    shared.config["training"]["frozen_components"] = ["tagger"]
    shared.update(examples_of(shared), sgd=False, exclude=["tagger"])
    assert passes == [2]
    assert all(grad is not None for grad in gradients_or_none(shared, "second"))


def test_a_component_that_sees_other_examples_holds_nobody_up(pair):
    """Whoever does not take its part: the others' gradients come when the step is finished."""
    shared, _ = pair
    shared.update(examples_of(shared), sgd=False, exclude=["tagger"])
    assert all(grad is None for grad in gradients_or_none(shared, "second"))
    shared.get_pipe("shared_backbone").finish_update(Adam(0.01))
    assert all(grad is not None for grad in gradients_or_none(shared, "second"))


def test_a_batch_in_another_order_is_computed_anew(pair):
    shared, _ = pair
    layers = shared.get_pipe("shared_backbone")._layers(set())
    docs = [shared.make_doc(text) for text in ("Peter opens", "the Danish office")]
    expected = layers[0].predict(docs[::-1])
    begin_update_ahead([Request(layer, docs) for layer in layers])
    got, _ = layers[0].begin_update(docs[::-1])
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def gradients_or_none(nlp, name):
    return [p.grad for shim in adapter_shims(nlp.get_pipe(name).model) for p in shim.encoder.parameters()]


def test_of_another_pipeline_is_refused(pair):
    shared, _ = pair
    other = spacy.blank("en")
    other.add_pipe("shared_backbone", source=shared)
    with pytest.raises(PTuningError, match="P701.*shared_backbone.*add_pipe"):
        other("Peter")


@pytest.mark.parametrize("order", [["a", "b", "one", "two"], ["a", "one", "b", "two"]])
@pytest.mark.parametrize("with_shared", [False, True])
def test_each_listener_hears_its_own_transformer(tiny_folder, order, with_shared):
    """Also where another transformer has overwritten `doc.tensor` in between."""
    nlp = spacy.blank("en")
    head = {"@architectures": "spacy_ptv2.TokenClassifier.v1", "dropout": 0.0}
    for name, length in (("a", 2), ("b", 5)):
        nlp.add_pipe("ptuning_transformer", name=name, config={"model": tok2vec(tiny_folder, length=length)})
    for name, upstream in (("one", "a"), ("two", "b")):
        listener = {"@architectures": "spacy_ptv2.PTuningListener.v1", "upstream": upstream}
        nlp.add_pipe("token_classifier", name=name, config={"spans_key": name, "model": {**head, "tok2vec": listener}})
    nlp._components.sort(key=lambda pair: order.index(pair[0]))
    if with_shared:
        nlp.add_pipe("shared_backbone", first=True)
    fix_random_seed(0)
    nlp.initialize(lambda: examples_of(nlp))
    seen = {}
    for name in ("one", "two"):
        tok = nlp.get_pipe(name).model.get_ref("tok2vec")
        original = tok._func
        tok._func = lambda model, X, is_train, n=name, f=original: seen.setdefault(n, f(model, X, is_train))
    doc = nlp("Peter opens the office")
    for name, upstream in (("one", "a"), ("two", "b")):
        (expected,) = nlp.get_pipe(upstream).predict([doc])
        np.testing.assert_allclose(seen[name][0][0], expected, atol=1e-5)
