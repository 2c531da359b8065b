"""New labels on a trained pipeline: what it knows stays, and what is new is learned."""

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Corpus, Example
from spacy.util import fix_random_seed
from thinc.api import Adam

from spacy_ptv2.optimizers.adamw import build_adamw_v1
from spacy_ptv2.serialization.models import model_to_bytes
from spacy_ptv2.serialization.tensors import load_tensors

from ..tiny import build_pipeline, train

TEXT = "Peter Hansen opens the Danish office of Acme in New York"
RATES = {"prompt": 0.03, "lora": 0.002, "scalar_mix": 0.01, "word_shape": 0.005, "head": 0.01}


def entities(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


@pytest.fixture
def trained(tiny_folder, corpus):
    nlp = build_pipeline(tiny_folder, corpus)
    train(nlp, corpus)
    return nlp


def ship_example(nlp):
    return Example(nlp.make_doc("the garden of paris"), Doc(nlp.vocab, words="the garden of paris".split(), ents=SHIP))


SHIP = ["O", "B-SHIP", "O", "O"]


def test_a_new_label_leaves_what_was_learned(trained):
    head = trained.get_pipe("token_classifier")
    before = head.model.get_ref("output_layer")
    weights, bias = before.get_param("W").copy(), before.get_param("b").copy()
    expected = entities(trained(TEXT))
    assert expected
    assert head.add_label("SHIP") == 1
    assert head.add_label("SHIP") == 0
    output = head.model.get_ref("output_layer")
    assert output.get_dim("nO") == len(bias) + 2
    np.testing.assert_array_equal(output.get_param("W")[: len(bias)], weights)
    np.testing.assert_array_equal(output.get_param("b")[: len(bias)], bias)
    assert head.model.get_dim("nO") == output.get_dim("nO")
    assert entities(trained(TEXT)) == expected


@pytest.mark.parametrize("ours", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_training_goes_on_with_the_optimizer_that_was_there(trained, corpus, tmp_path, ours):
    optimizer = build_adamw_v1(RATES, iter([1.0] * 1000), restarts=0) if ours else Adam(0.01, use_averages=False)
    examples = list(Corpus(corpus)(trained))
    trained.update(examples, sgd=optimizer)
    trained.get_pipe("token_classifier").add_label("SHIP")
    examples.append(ship_example(trained))
    for _ in range(150):
        trained.update(examples, sgd=optimizer)
        optimizer.step_schedules()
    assert entities(trained("the garden of paris")) == [("garden", "SHIP")]
    assert trained.evaluate(list(Corpus(corpus)(trained)))["ents_f"] == 1.0
    trained.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert loaded.get_pipe("token_classifier").labels == ("LOC", "MISC", "ORG", "PER", "SHIP")
    assert entities(loaded(TEXT)) == entities(trained(TEXT))


def test_initializing_a_loaded_pipeline_with_other_labels(trained, corpus, tmp_path):
    trained.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    fix_random_seed(0)
    examples = [*Corpus(corpus)(loaded), ship_example(loaded)]
    optimizer = loaded.initialize(lambda: examples)
    head = loaded.get_pipe("token_classifier")
    assert set(head.labels) == {"LOC", "MISC", "ORG", "PER", "SHIP"}
    optimizer = Adam(0.01, use_averages=False)
    losses = [loaded.update(examples, sgd=optimizer)["token_classifier"] for _ in range(60)]
    assert losses[-1] < losses[0] / 5


def test_initializing_again_begins_anew(trained, tiny_folder, corpus):
    """Nothing of a trained prompt or head is left, as in the folds of a cross-validation."""
    fix_random_seed(0)
    trained.initialize(lambda: Corpus(corpus)(trained))
    fresh = build_pipeline(tiny_folder, corpus)
    for name in fresh.pipe_names:
        before, after = (load_tensors(model_to_bytes(own.get_pipe(name).model), name)[0] for own in (fresh, trained))
        assert before.keys() == after.keys()
        for key, tensor in before.items():
            np.testing.assert_array_equal(tensor, after[key])


def test_the_biluo_scheme_grows_too(trained, corpus):
    trained.remove_pipe("token_classifier")
    head = trained.add_pipe("token_classifier", config={"scheme": "biluo"})
    with trained.select_pipes(enable=["token_classifier"]):
        head.initialize(lambda: list(Corpus(corpus)(trained)), nlp=trained)
    head.add_label("SHIP")
    assert head.model.get_ref("output_layer").get_dim("nO") == 1 + 4 * 5
    assert head.tag_scheme.tags[-4:] == ("B-SHIP", "I-SHIP", "L-SHIP", "U-SHIP")
    assert trained(TEXT) is not None
