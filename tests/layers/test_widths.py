"""Widths are known while components are built, and those of a loaded pipeline are those of its backbone."""

import pytest
import spacy
from spacy.kb import InMemoryLookupKB
from spacy.ml.models.entity_linker import build_nel_encoder
from spacy.ml.models.multi_task import create_pretrain_characters
from spacy.training import Example
from spacy.training.pretrain import create_pretraining_model, make_update
from spacy.util import fix_random_seed
from thinc.api import Adam

from spacy_ptv2.architectures import build_ptuning_listener_v1
from spacy_ptv2.architectures import build_tok2vec_ptuning_v1 as build_tok2vec
from spacy_ptv2.architectures import build_transformer_model_v1 as build_drop_in
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.errors import BackboneError, FormatError
from spacy_ptv2.serialization.models import adapter_shims

from ..tiny import build_pipeline, option_blocks, save_tiny_backbone


def model_block(name):
    return {
        "@architectures": "spacy_ptv2.Tok2VecPTuning.v1",
        "backbone": {"@misc": "spacy_ptv2.Backbone.v1", "name": str(name)},
        **option_blocks(prompt={"length": 2}, lora_rank=1),
    }


@pytest.mark.parametrize(
    "build",
    [
        lambda name: build_tok2vec(BackboneSource(name)),
        pytest.param(build_drop_in, marks=pytest.mark.spacy_transformers),
    ],
)
def test_known_where_the_backbone_is_here(build, tiny_folder):
    assert build(str(tiny_folder)).get_dim("nO") == 32
    assert build("not/here").has_dim("nO") is None


@pytest.mark.parametrize("factory", ["token_classifier", "tagger"])
def test_listeners_have_it_as_soon_as_they_are_connected(tiny_folder, factory):
    nlp = spacy.blank("en")
    nlp.add_pipe("ptuning_transformer", config={"model": model_block(tiny_folder)})
    tok2vec = {"@architectures": "spacy_ptv2.PTuningListener.v1"}
    architecture = {"tagger": "spacy.Tagger.v2", "token_classifier": "spacy_ptv2.TokenClassifier.v1"}[factory]
    head = nlp.add_pipe(factory, config={"model": {"@architectures": architecture, "tok2vec": tok2vec}})
    assert head.model.get_ref("tok2vec").get_dim("nO") == 32


def test_pretraining_is_built_before_anything_is_initialised(tiny_folder):
    tok2vec = build_tok2vec(BackboneSource(str(tiny_folder)))
    build = create_pretrain_characters(maxout_pieces=2, hidden_size=16, n_characters=2)
    nlp = spacy.blank("en")
    model = build(nlp.vocab, tok2vec)
    model.initialize(X=[nlp.make_doc("peter works in a garden")])
    assert model.predict([nlp.make_doc("peter works")]).shape[0] == 2


def test_pretraining_through_a_listener_trains_what_it_listens_to(tiny_folder):
    nlp = spacy.blank("en")
    upstream = nlp.add_pipe("ptuning_transformer", config={"model": model_block(tiny_folder)})
    tok2vec = {"@architectures": "spacy_ptv2.PTuningListener.v1", "upstream": "ptuning_transformer"}
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec}})
    objective = create_pretrain_characters(maxout_pieces=2, hidden_size=16, n_characters=2)
    settings = {"component": "tagger", "layer": "tok2vec", "objective": objective, "dropout": 0.1}
    model = create_pretraining_model(nlp, settings)
    assert model.get_ref("tok2vec") is upstream.model
    (shim,) = adapter_shims(upstream.model)
    before = shim.encoder.prompt.values.detach().clone()
    docs, optimizer = [nlp.make_doc("peter works in a garden at paris")] * 20, Adam(0.01)
    fix_random_seed(0)  # of the words, a few are drawn for the loss: in a short batch it can be none
    for _ in range(3):  # the output layer starts at zero, and lets no gradient through at first
        make_update(model, docs, optimizer, model.attrs["loss"])
    assert not shim.encoder.prompt.values.equal(before)


def test_a_listener_with_a_width_serves_an_entity_linker(tiny_folder):
    assert build_nel_encoder(build_ptuning_listener_v1(width=32)).get_ref("tok2vec").get_dim("nO") == 32
    nlp = spacy.blank("en")
    nlp.add_pipe("ptuning_transformer", config={"model": model_block(tiny_folder)})
    nlp.add_pipe("sentencizer")
    listener = {"@architectures": "spacy_ptv2.PTuningListener.v1", "width": 32}
    model = {"@architectures": "spacy.EntityLinker.v2", "tok2vec": listener}
    linker = nlp.add_pipe("entity_linker", config={"model": model})
    doc = nlp.make_doc("peter works in paris")
    example = Example.from_dict(doc, {"links": {(0, 5): {"Q1": 1.0}}, "entities": [(0, 5, "PERSON")]})

    def make_kb(vocab):
        kb = InMemoryLookupKB(vocab, entity_vector_length=4)
        kb.add_entity("Q1", freq=1, entity_vector=[1, 2, 3, 4])
        kb.add_alias("peter", ["Q1"], [1.0])
        return kb

    linker.set_kb(make_kb)
    optimizer = nlp.initialize(lambda: [example])
    assert nlp.update([example], sgd=optimizer)["entity_linker"] > 0.0


def test_a_width_that_is_not_the_backbones_is_refused(tiny_folder):
    nlp = spacy.blank("en")
    nlp.add_pipe("ptuning_transformer", config={"model": model_block(tiny_folder)})
    tok2vec = {"@architectures": "spacy_ptv2.PTuningListener.v1", "width": 40}
    with pytest.raises(FormatError, match="P642.*width 40.*returns 32"):
        nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec}})


def test_another_backbone_is_named_as_such_whatever_its_width(tiny_folder, corpus, tmp_path, monkeypatch):
    """Not as a size that does not fit: what is found first need not be what a pipeline was trained on."""
    build_pipeline(tiny_folder, corpus).to_disk(tmp_path / "pipeline")
    wider = save_tiny_backbone(tmp_path / "wider", "bert", hidden_size=40)
    with monkeypatch.context() as patch:
        patch.setenv("SPACY_PTV2_BACKBONE", str(wider))
        with pytest.raises(BackboneError, match="P105"):
            spacy.load(tmp_path / "pipeline")
    assert spacy.load(tmp_path / "pipeline")("peter works").tensor.shape == (2, 32)


def test_initialisation_takes_the_backbone_that_is_there_by_then(tiny_folder, tmp_path, monkeypatch):
    model = build_tok2vec(BackboneSource(str(tiny_folder)))
    monkeypatch.setenv("SPACY_PTV2_BACKBONE", str(save_tiny_backbone(tmp_path / "wider", "bert", hidden_size=40)))
    model.initialize()
    assert model.get_dim("nO") == 40
