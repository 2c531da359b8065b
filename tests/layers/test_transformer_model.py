"""The drop-in: spacy-transformers' own component and listeners over our layer."""

import copy

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Corpus
from spacy.util import fix_random_seed, registry
from thinc.api import reduce_first, reduce_mean

from spacy_ptv2.architectures import build_tok2vec_ptuning_v1, build_transformer_model_v1
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.layers.encode_pieces import get_shim
from spacy_ptv2.options import PromptOptions
from spacy_ptv2.packaging.wheels import package_pipeline

from ..packaging.conftest import unpack
from ..pipeline.test_pipeline import TEXTS, check_replaced_listeners, entities
from ..tiny import SMALL, build_options, ner_model, option_blocks, train

pytestmark = pytest.mark.spacy_transformers
PROMPT = PromptOptions(length=4, dropout=0.0)
SETTINGS = {"prompt": PROMPT, "window": 32, "overlap": 8, "mixed_precision": False, "backbone_dropout": False}
STRIDED = "spacy-transformers.strided_spans.v1"


def model_config(folder):
    """What a config of spacy-transformers has in its [components.transformer.model], the architecture renamed."""
    return {
        "@architectures": "spacy_ptv2.TransformerModel.v1",
        "name": str(folder),
        "get_spans": {"@span_getters": STRIDED, "window": 24, "stride": 16},
        "tokenizer_config": {"use_fast": True},
        "transformer_config": {},
        "mixed_precision": False,
        "grad_scaler_config": {},
        **option_blocks(**SMALL),
    }


def build_pipeline(folder, corpus):
    """spaCy's `ner` behind the factory "transformer", initialised."""
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", config={"model": model_config(folder)})
    tok2vec = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    nlp.add_pipe("ner", config={"model": ner_model(tok2vec)})
    fix_random_seed(0)
    nlp.initialize(lambda: Corpus(corpus)(nlp))
    return nlp


@pytest.fixture
def nlp(tiny_folder, corpus):
    return build_pipeline(tiny_folder, corpus)


@pytest.fixture
def trained(nlp, corpus):
    train(nlp, corpus, steps=80)
    return nlp


def build(tiny_folder, **settings):
    theirs = {name: settings.pop(name) for name in list(settings) if name.endswith("_config")}
    options = build_options(**{**SETTINGS, **settings})
    model = build_transformer_model_v1(name=str(tiny_folder), **theirs, **options)
    model.initialize()
    return model


def test_trains_under_the_transformer_factory(trained, corpus):
    examples = list(Corpus(corpus)(trained))
    assert trained.evaluate(examples)["ents_f"] > 0.9


def test_odd_texts_keep_every_token(nlp):
    for doc in nlp.pipe(TEXTS):
        assert len(doc._.trf_data.align.lengths) == (len(doc) if len(doc) else 0)
        assert (doc._.trf_data.align.lengths > 0).all()


def test_round_trip_saves_the_prompt_alone(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    expected = entities(trained.pipe(TEXTS))
    loaded = spacy.load(tmp_path / "model")
    assert entities(loaded.pipe(TEXTS)) == expected
    backbones = [get_shim(n.get_pipe("transformer").model.layers[0]).backbone for n in (trained, loaded)]
    assert backbones[0] is backbones[1]
    assert sum(file.stat().st_size for file in (tmp_path / "model" / "transformer").iterdir()) < 12_000
    assert entities(spacy.util.load_model_from_config(trained.config).from_bytes(trained.to_bytes()).pipe(TEXTS)) == (
        expected
    )


def test_replaced_listeners_share_the_backbone(trained, tmp_path):
    check_replaced_listeners(trained, "transformer", "ner", tmp_path)


def test_its_wheel_requires_the_extra(trained, tmp_path):
    """Which bounds spacy-transformers itself; also where the layer stands in the place of a listener."""
    trained.replace_listeners("transformer", "ner", ["model.tok2vec"])
    trained.remove_pipe("transformer")
    trained.to_disk(tmp_path / "model")
    wheel = package_pipeline(tmp_path / "model", tmp_path, name="whole", version="1.0.0")
    (metadata,) = unpack(wheel, tmp_path / "site").glob("*.dist-info/METADATA")
    required = [line for line in metadata.read_text().splitlines() if line.startswith("Requires-Dist")]
    assert required == ["Requires-Dist: spacy-ptv2[spacy-transformers]<0.2.0,>=0.1.0"]


@pytest.mark.parametrize("pooling", [reduce_first, reduce_mean])
def test_agrees_with_our_own_layer(tiny_folder, pooling):
    from spacy_transformers.layers import trfs2arrays

    docs = [spacy.blank("en")(text) for text in TEXTS]
    theirs = build(tiny_folder)
    own = build_tok2vec_ptuning_v1(BackboneSource(str(tiny_folder)), pooling=pooling(), **build_options(**SETTINGS))
    own.initialize()
    shim = get_shim(theirs.layers[0])
    get_shim(own.layers[0]).import_state(shim.export_state(), shim.header())
    vectors = trfs2arrays(pooling(), grad_factor=1.0).predict(theirs.predict(docs).doc_data)
    for doc, a, b in zip(docs, vectors, own.predict(docs), strict=True):
        words = [not token.is_space for token in doc]
        if any(words):
            np.testing.assert_allclose(a[words], b[words], atol=1e-5)


def test_spaces_stand_on_the_special_piece(tiny_folder):
    model = build(tiny_folder)
    (data,) = model.predict([spacy.blank("en").make_doc("\nPeter\nworks\n\n")]).doc_data
    assert data.align.lengths.tolist() == [1] * 5
    assert [data.wordpieces.strings[0][i] for i in data.align.dataXd] == ["<s>", "peter", "<s>", "works", "<s>"]


def test_empty_docs(tiny_folder):
    model = build(tiny_folder)
    vocab = spacy.blank("en").vocab
    batch, backprop = model.begin_update([Doc(vocab), Doc(vocab)])
    assert len(batch.doc_data) == 2
    backprop(batch)


@pytest.mark.parametrize("n_tokens", [None, 8])
def test_long_documents(tiny_folder, n_tokens):
    get_spans = n_tokens and registry.get("span_getters", STRIDED)(window=n_tokens, stride=n_tokens)
    doc = spacy.blank("en")("Peter opens the Danish office in London . " * 20)
    model = build(tiny_folder, get_spans=get_spans)
    (data,) = model.predict([doc]).doc_data
    assert data.model_output.last_hidden_state.shape[0] > 1
    assert len(data.align.lengths) == len(doc)
    width = data.model_output.last_hidden_state.shape[1]
    assert width <= 32
    pieces = [data.wordpieces.strings[i // width][i % width] for i in data.align.dataXd[:2]]
    assert pieces == ["peter", "o"] or pieces == ["peter", "opens"]


@pytest.mark.parametrize(
    "settings", [{"output_attentions": False}, {"hidden_dropout_prob": 0.1, "use_cache": True, "return_dict": True}]
)
def test_settings_that_change_nothing_are_taken(tiny_folder, settings):
    assert build(tiny_folder, transformer_config=settings).get_dim("nO") == 32


@pytest.mark.parametrize("settings", [{"output_attentions": True}, {"hidden_dropout_prob": 0.5}, {"hidden_size": 64}])
def test_another_model_is_refused_as_soon_as_it_can_be(tiny_folder, settings, monkeypatch):
    name = next(iter(settings))
    with pytest.raises(PTuningError, match=f"P207.*{name}"):
        build_transformer_model_v1(name=str(tiny_folder), transformer_config=settings)
    with pytest.raises(PTuningError, match=f"P207.*{name}"):  # the backbone comes later
        model = build_transformer_model_v1(name="not/here", transformer_config=settings)
        monkeypatch.setenv("SPACY_PTV2_BACKBONE", str(tiny_folder))
        model.initialize()


def test_tokenizer_and_transformer_are_public(tiny_folder):
    from spacy_ptv2.layers.transformer_model import TransformerModel

    model = build_transformer_model_v1(name=str(tiny_folder))
    assert model.tokenizer is None and model.transformer is None
    model.initialize()
    for one in (model, model.copy(), model.copy().copy(), copy.deepcopy(model)):
        assert isinstance(one, TransformerModel)
        assert one.tokenizer.is_fast and one.tokenizer("paris")["input_ids"]
        assert one.transformer.config.hidden_size == one.get_dim("nO") == 32
        assert one.transformer is get_shim(model.layers[0]).backbone.model
    assert get_shim(model.copy().layers[0]) is not get_shim(model.layers[0])


def test_what_a_frozen_shared_backbone_cannot_honour_is_refused(tiny_folder):
    for where in ("transformer_config", "tokenizer_config"):
        with pytest.raises(PTuningError, match=f"P210.*{where}"):
            build(tiny_folder, **{where: {"trust_remote_code": True}})


def test_what_has_no_effect_is_warned_of(tiny_folder):
    with pytest.warns(UserWarning, match="PW03.*use_fast"):
        build(tiny_folder, tokenizer_config={"use_fast": False})
    with pytest.warns(UserWarning, match="PW02"):
        build(tiny_folder, grad_scaler_config={"init_scale": 32768})
