"""The names of tensors are those of the saved file, whichever process and whoever tells of them."""

import gc
import weakref

import numpy as np
import pytest
import spacy
from safetensors.numpy import load_file
from spacy.training import Corpus
from thinc.api import Adam

from spacy_ptv2.optimizers import create_optimizer
from spacy_ptv2.optimizers.divergence import ChanceLoss
from spacy_ptv2.optimizers.parameters import ParameterNames, parameters_of, parameters_of_pipeline
from spacy_ptv2.optimizers.protocol import await_gradients, drive, introduce, observe, stepping, take_turn

from ..tiny import build_pipeline
from ..training.kinds import KINDS, start


def names_of(nlp):
    return {parameter.name for parameter in parameters_of_pipeline(nlp).values()}


def test_names_are_those_of_the_saved_file(nlp, tmp_path):
    nlp.to_disk(tmp_path)
    saved = {
        f"{name}/{key}": array
        for name in nlp.pipe_names
        for key, array in load_file(tmp_path / name / "model.safetensors").items()
    }
    found = {parameter.name: parameter.weights for parameter in parameters_of_pipeline(nlp).values()}
    assert "ptuning_transformer/1.prompt.values" in saved
    assert found.keys() == saved.keys()
    for name, array in saved.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_that_trains_has_a_name_of_its_own(kind, tiny_folder, corpus):
    """The same in each pipeline of one config, and the one that its key stands for."""
    nlp, batches = start(kind, tiny_folder, corpus)
    again, _ = start(kind, tiny_folder, corpus)
    parameters = parameters_of_pipeline(nlp)
    assert names_of(nlp) == names_of(again) and len(names_of(nlp)) == len(parameters)
    assert not set(parameters) & set(parameters_of_pipeline(again))  # Thinc's keys
    optimizer = create_optimizer(nlp, total_steps=3)
    for batch in batches[:3]:
        nlp.update(batch, sgd=optimizer)
    assert set(optimizer.averages) <= set(parameters)
    names = {optimizer.names[key] for key in optimizer.averages}
    assert names == {parameters[key].name for key in optimizer.averages}
    assert any(name.startswith("tagger/") for name in names) and not any("others" in name for name in names)


def test_our_components_tell_by_themselves(tiny_folder, corpus):
    """In a loop that knows nothing of names; those of spaCy go by the order in which they came."""
    nlp, batches = start("listener", tiny_folder, corpus)
    optimizer = nlp.create_optimizer()
    nlp.update(batches[1], sgd=optimizer)
    names = {optimizer.names[key] for key in optimizer.averages}
    assert {name.split("/")[0] for name in names} == {"transformer", "token_classifier", "others"}
    assert {name for name in names if name.startswith("others")} == {"others/0.W", "others/0.b"}  # the tagger


def test_a_component_that_comes_later_is_known(tiny_folder, corpus):
    nlp = spacy.blank("en")
    optimizer = create_optimizer(nlp, total_steps=3)
    trained = build_pipeline(tiny_folder, corpus)
    nlp.add_pipe("token_classifier", source=trained)
    node = nlp.get_pipe("token_classifier").model.get_ref("output_layer")
    assert optimizer.names[node.id, "W"].startswith("token_classifier/")


def test_two_pipelines_of_the_same_names_stay_apart(tiny_folder, corpus):
    first, second = (build_pipeline(tiny_folder, corpus) for _ in range(2))
    names = ParameterNames()
    for nlp in (first, second):
        names.introduce(nlp, parameters_of_pipeline)
    (key, parameter), (other, _) = (next(iter(parameters_of_pipeline(nlp).items())) for nlp in (first, second))
    assert (names[key], names[other]) == (parameter.name, f"{parameter.name}#2")
    assert names.key(names[other]) == other


def test_an_optimizer_keeps_no_pipeline_alive(tiny_folder, corpus):
    nlp = build_pipeline(tiny_folder, corpus)
    optimizer, reference = create_optimizer(nlp, total_steps=3), weakref.ref(nlp)
    nlp.update(list(Corpus(corpus)(nlp)), sgd=optimizer)
    del nlp
    gc.collect()
    assert reference() is None
    assert optimizer.averages


def test_what_has_no_model_has_no_parameters():
    assert parameters_of("sentencizer", None) == parameters_of("other", True) == {}


def test_gradients_come_by_name(nlp):
    """However the components are ordered, so that processes can add theirs up."""
    optimizer = create_optimizer(nlp, total_steps=3)
    drive(optimizer)
    keys = {parameter.name: key for key, parameter in parameters_of_pipeline(nlp).items()}
    for number, name in enumerate(sorted(keys, reverse=True)):
        optimizer(keys[name], np.zeros(2, "float32"), np.full(2, number, "float32"))
    assert [name for name, _ in optimizer._gradients] == sorted(keys)
    assert [pending.gradient[0] for _, pending in optimizer._gradients] == list(range(len(keys)))[::-1]


def test_one_of_thincs_takes_no_notice(nlp):
    """Whatever our components tell: it trains, and a gradient that is not finite is left out."""
    optimizer, weights = Adam(0.01), np.ones(2, "float32")
    observe(optimizer, "head", 1.0, ChanceLoss(2))
    introduce(optimizer, nlp, parameters_of_pipeline)
    drive(optimizer)
    await_gradients(optimizer, lambda: pytest.fail("called"))
    assert take_turn(optimizer, 1) is None
    with stepping(optimizer, "the head") as step, pytest.warns(UserWarning, match="PW12.*the head"):
        step((0, "W"), weights, np.full(2, np.nan, "float32"))
    np.testing.assert_array_equal(weights, 1.0)
    with stepping(optimizer, "the head") as step:
        step((0, "W"), weights, np.ones(2, "float32"))
    assert (weights < 1.0).all()
