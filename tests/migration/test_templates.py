"""spaCy's own templates: what becomes of them, setting for setting, and that they train afterwards."""

import warnings

import pytest
import torch
from spacy.language import DEFAULT_CONFIG
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_nlp
from spacy.util import load_config_from_str

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.migration.migrate import migrate_config
from spacy_ptv2.serialization.models import adapter_shims
from spacy_ptv2.shipped import read_shipped

from .configs import migrated, template, tiny_settings, write_annotated

HEADS = [
    ("ner",),
    ("textcat",),
    ("textcat_multilabel",),
    ("tagger",),
    ("parser",),
    ("morphologizer",),
    ("trainable_lemmatizer",),
    ("spancat",),
    ("spancat_singlelabel",),
    ("span_finder",),
    ("tagger", "parser", "ner", "textcat", "sentencizer"),
]
KEPT = ("paths", "system", "nlp", "corpora")
DEFAULTS = "[paths], [system], [nlp], [corpora], [training], [initialize]"


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    return write_annotated(tmp_path_factory.mktemp("annotated") / "train.spacy")


def train_two_steps(config, folder, corpus):
    """Train, and check that the adapter and every head that was initialised learned something."""
    config = load_config_from_str(config.to_str(interpolate=False), tiny_settings(folder, corpus))
    nlp = init_nlp(config)
    (shim,) = adapter_shims(nlp.get_pipe("transformer").model)
    before = {name: tensor.clone() for name, tensor in shim.export_state().items()}
    train_nlp(nlp, None)
    assert nlp.config["training"]["max_steps"] == 2
    after = shim.export_state()
    assert not torch.equal(before["prompt.values"], after["prompt.values"])
    assert all(torch.isfinite(tensor).all() for tensor in after.values())
    return nlp


@pytest.mark.parametrize(
    ("heads", "optimize"),
    [
        *((heads, "efficiency") for heads in HEADS),
        *((heads, "accuracy") for heads in HEADS if "textcat" in heads[-1]),  # the others are the same
    ],
)
def test_they_train(heads, optimize, tiny_folder, annotated):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*PW4.*")
        migration = migrated(template(*heads, optimize=optimize))
    nlp = train_two_steps(migration.config, tiny_folder, annotated)
    assert nlp.pipe_names == ["transformer", *heads]
    assert len(nlp("peter opens the danish office")) == 5


@pytest.mark.parametrize("heads", HEADS, ids="-".join)
def test_what_stays_and_what_is_ours(heads):
    before = load_config_from_str(template(*heads))
    after, shipped = migrate_config(before).config, read_shipped("ner")
    filled = DEFAULT_CONFIG.merge(before)
    assert {name: filled[name] for name in KEPT} == {name: after[name] for name in KEPT}
    assert filled["training"]["logger"] == after["training"]["logger"]
    ours = shipped["components"]["transformer"]
    ours["model"]["backbone"]["name"] = "roberta-base"
    ours["model"]["pooling"] = {"@layers": "reduce_mean.v1"}
    if all(head.startswith("textcat") for head in heads):
        ours["model"]["windows"] = {**ours["model"]["windows"], "length": 256, "overlap": 0}
    assert after["components"]["transformer"] == ours
    listener = {"@architectures": "spacy_ptv2.PTuningListener.v1", "upstream": "*", "width": None}
    for head in heads:
        expected = before["components"][head]
        if "model" in expected:
            expected["model"]["tok2vec"] = listener
        assert after["components"][head] == expected


def test_training_is_that_of_the_shipped_config():
    for head, task in (("ner", "ner"), ("textcat", "textcat")):
        after, shipped = migrated(template(head)).config, read_shipped(task)
        names = ("optimizer", "batcher", "accumulate_gradient", "max_steps", "max_epochs", "eval_frequency", "patience")
        assert {name: after["training"][name] for name in names} == {name: shipped["training"][name] for name in names}
        assert after["initialize"]["before_init"] == shipped["initialize"]["before_init"]
    mixed = migrated(template("ner", "textcat")).config  # windows and batches for tokens
    assert mixed["training"]["batcher"] == read_shipped("ner")["training"]["batcher"]


def test_every_changed_setting_is_in_the_report():
    before = load_config_from_str(template("ner"))
    migration = migrate_config(before)
    assert [change.setting for change in migration.changes] == [
        DEFAULTS,
        "components.transformer.factory",
        "components.transformer.model",
        "components.transformer.model.name",
        "components.transformer.model.get_spans",
        "components.transformer.model.tokenizer_config.use_fast",
        "components.ner.model.tok2vec",
        "components.transformer.model.pooling",
        "training.optimizer",
        "training.batcher",
        "training.accumulate_gradient",
        "training.max_steps",
        "training.eval_frequency",
        "training.patience",
        "initialize.before_init",
    ]
    assert all(change.why.endswith(".") and change.before != change.after for change in migration.changes)
    assert migration.backbones == ["roberta-base"]
    assert before == load_config_from_str(template("ner"))  # not changed


def test_a_migrated_config_is_not_migrated_again():
    with pytest.raises(PTuningError, match=r"P760.*spacy_ptv2.Tok2VecPTuning.v1"):
        migrate_config(migrated(template("ner")).config)


@pytest.mark.spacy_transformers
@pytest.mark.parametrize("heads", HEADS, ids="-".join)
def test_what_spacy_writes_with_spacy_transformers_installed(heads, tiny_folder, annotated):
    """There the command fills the template; the migrated config is the same, and trains too."""
    from spacy.cli.init_config import init_config

    config = init_config(pipeline=list(heads), gpu=True)
    assert config["components"]["transformer"]["max_batch_items"]
    after, expected = migrate_config(config).config, migrated(template(*heads)).config
    assert after["components"]["transformer"] == expected["components"]["transformer"]
    for name in (head for head in heads if head != "sentencizer"):
        assert after["components"][name]["model"]["tok2vec"] == expected["components"][name]["model"]["tok2vec"]
    train_two_steps(after, tiny_folder, annotated)
