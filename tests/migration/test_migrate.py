"""What becomes of single settings, what is refused, and what is warned about."""

import warnings

import pytest

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.migration.blocks import NOTHING, value_of
from spacy_ptv2.migration.migrate import migrate_config
from spacy_ptv2.shipped import read_shipped

from .configs import CURATED, HEAD, LISTENER, TRANSFORMER, migrated, read, small

MODEL = "components.transformer.model"
LISTENS = "components.head.model.tok2vec"
INLINE = """
[components.head]
factory = "tagger"

[components.head.model]
@architectures = "spacy.Tagger.v2"

[components.head.model.tok2vec]
@architectures = "spacy-transformers.Tok2VecTransformer.{version}"
name = "some/model"
get_spans = {{"@span_getters": "spacy-transformers.doc_spans.v1"}}
tokenizer_config = {{"use_fast": true}}
pooling = {{"@layers": "reduce_max.v1"}}
"""
TRAINING = """
[training]
max_epochs = {max_epochs}
max_steps = {max_steps}
accumulate_gradient = 3

[initialize]
before_init = {before_init}
"""
OWN_CALLBACK = '{"@callbacks": "mine.v1"}'
SOURCED = '\n[components.tagger]\nsource = "en_some_trf"\n'


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*PW4.*")
        yield


def model_of(text, changes=None):
    return migrated(text, changes).config["components"]["transformer"]["model"]


def change_of(migration, setting):
    (found,) = [change for change in migration.changes if change.setting == setting]
    return found


# Transformers


@pytest.mark.parametrize(
    "version", ["spacy-transformers.TransformerModel." + version for version in ("v1", "v2", "v3")]
)
def test_versions_of_the_model(version):
    assert model_of(small(), {f"{MODEL}.@architectures": version})["backbone"]["name"] == "some/model"


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_a_transformer_inside_a_component(version):
    migration = migrated(INLINE.format(version=version))
    expected = read_shipped("ner")["components"]["transformer"]["model"]
    expected["backbone"]["name"] = "some/model"
    expected["pooling"] = {"@layers": "reduce_max.v1"}
    assert migration.config["components"]["head"]["model"]["tok2vec"] == expected
    assert migration.backbones == ["some/model"]


def test_the_drop_in_keeps_what_is_ours():
    """Its adapter, and a training by our optimizer, which is for adapters already."""
    more = '\n[training]\nmax_steps = 70\n\n[training.optimizer]\n@optimizers = "spacy_ptv2.AdamW.v1"\n'
    changes = {f"{MODEL}.@architectures": "spacy_ptv2.TransformerModel.v1", f"{MODEL}.adapter": {"lora_rank": 3}}
    config = migrated(small(more=more), changes).config
    model = config["components"]["transformer"]["model"]
    assert model["adapter"] == {**read_shipped("ner")["components"]["transformer"]["model"]["adapter"], "lora_rank": 3}
    assert config["training"]["max_steps"] == 70 and config["training"]["accumulate_gradient"] == 1
    assert config["training"]["optimizer"]["@optimizers"] == "spacy_ptv2.AdamW.v1"
    assert config["initialize"]["before_init"] is None


def test_settings_that_have_a_place():
    changes = {
        "components.transformer.max_batch_items": 2048,
        "components.transformer.set_extra_annotations": {
            "@annotation_setters": "spacy-transformers.null_annotation_setter.v1"
        },
        f"{MODEL}.tokenizer_config": {"use_fast": False, "revision": "abc"},
        f"{MODEL}.mixed_precision": True,
        f"{MODEL}.grad_scaler_config": {"init_scale": 32768},
    }
    migration = migrated(small(), changes)
    model = migration.config["components"]["transformer"]["model"]
    assert model["windows"]["batch_pieces"] == 2048
    assert model["backbone"]["revision"] == "abc"
    assert model["runtime"]["mixed_precision"] is True
    for setting in ("model.tokenizer_config.use_fast", "model.grad_scaler_config", "set_extra_annotations"):
        assert change_of(migration, f"components.transformer.{setting}").after == "-"
    assert model_of(small(), {f"{MODEL}.mixed_precision": False})["runtime"]["mixed_precision"] == "auto"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("components.transformer.set_extra_annotations", {"@annotation_setters": "mine.v1"}),
        ("components.transformer.unheard_of", 1),
        (f"{MODEL}.get_spans", {"@span_getters": "mine.v1"}),
        (f"{MODEL}.transformer_config.output_attentions", True),
        (f"{MODEL}.tokenizer_config.max_length", 100),
        (f"{MODEL}.unheard_of", 1),
        ("initialize.components.transformer", {"unheard_of": 1}),
        (f"{LISTENS}.grad_factor", 0.0),
        (f"{LISTENS}.unheard_of", 1),
    ],
)
def test_what_is_lost_is_said(setting, value):
    sections = setting.split(".")
    config = read(small())
    block = config
    for name in sections[:-1]:
        block = block.setdefault(name, {})
    block[sections[-1]] = value
    with pytest.warns(UserWarning, match=rf"PW40\] {setting} ="):
        migration = migrate_config(config)
    assert change_of(migration, setting).after == "-"


def test_curated_transformers():
    migration = migrated(CURATED)
    config = migration.config
    assert config["components"]["transformer"]["model"]["backbone"]["name"] == "xlm-roberta-base"
    assert config["components"]["transformer"]["model"]["backbone"]["revision"] == "main"
    assert config["components"]["tagger"]["model"]["tok2vec"]["@architectures"] == "spacy_ptv2.PTuningListener.v1"
    assert config["initialize"]["components"] == {}
    assert config["training"]["before_update"] is None
    assert "curated" not in config.to_str()


# Listeners


def test_pooling_moves_to_the_transformer_where_all_agree():
    assert model_of(small(pooling="reduce_max.v1"))["pooling"] == {"@layers": "reduce_max.v1"}
    other = HEAD.format(name="other", factory="tagger") + LISTENER.format(
        name="other", upstream="transformer", pooling="reduce_mean.v1"
    )
    assert model_of(small(more=other))["pooling"] == {"@layers": "reduce_mean.v1"}
    with pytest.warns(UserWarning, match=r"PW40.*pooling = reduce_max.v1, reduce_mean.v1"):
        model = model_of(small(pooling="reduce_max.v1", more=other))
    assert model["pooling"] == read_shipped("ner")["components"]["transformer"]["model"]["pooling"]


def test_two_transformers():
    config = migrated(small(transformers=("one", "two"), upstream="two", pooling="reduce_max.v1")).config
    assert config["components"]["head"]["model"]["tok2vec"]["upstream"] == "two"
    poolings = [config["components"][name]["model"]["pooling"]["@layers"] for name in ("one", "two")]
    assert poolings == ["reduce_first.v1", "reduce_max.v1"]
    with pytest.raises(PTuningError, match=r"P764.*one, two.*components.head.model.tok2vec.upstream"):
        migrated(small(transformers=("one", "two")))


def test_a_listener_without_its_transformer():
    with pytest.raises(PTuningError, match=r"P762.*components.head.model.tok2vec.*'other'.*transformer"):
        migrated(small(upstream="other"))
    with pytest.raises(PTuningError, match=r"P762"):
        migrated(small(transformers=()))


def test_an_entity_linker_needs_the_width():
    with pytest.warns(UserWarning, match=r"PW42.*components.head.model.tok2vec.width"):
        migrated(small(), {"components.head.model.@architectures": "spacy.EntityLinker.v2"})


# Training


@pytest.mark.parametrize(
    ("max_epochs", "before_init", "reason"), [(-1, "null", "streamed"), (0, OWN_CALLBACK, "before_init")]
)
def test_steps_stay_where_they_cannot_be_counted(max_epochs, before_init, reason):
    text = small(more=TRAINING.format(max_epochs=max_epochs, max_steps=500, before_init=before_init))
    migration = migrated(text)
    training = migration.config["training"]
    assert (training["max_steps"], training["max_epochs"], training["patience"]) == (500, max_epochs, 1600)
    assert training["accumulate_gradient"] == 1
    assert training["optimizer"]["schedule"]["total_steps"] == "${training.max_steps}"
    assert migration.config["initialize"]["before_init"] == read(text)["initialize"]["before_init"]
    assert reason in change_of(migration, "training.max_steps").why
    with pytest.raises(PTuningError, match=r"P767.*max_steps is 0"):
        migrated(small(more=TRAINING.format(max_epochs=max_epochs, max_steps=0, before_init=before_init)))


def test_our_plan_for_fine_tuning_is_replaced():
    plan = '{"@callbacks": "spacy_ptv2.plan_steps.v1", "epochs": 3}'
    config = migrated(small(more=TRAINING.format(max_epochs=0, max_steps=0, before_init=plan))).config
    assert config["initialize"]["before_init"] == read_shipped("ner")["initialize"]["before_init"]


def test_a_batcher_of_ones_own_is_kept():
    more = '\n[training]\n\n[training.batcher]\n@batchers = "mine.v1"\n'
    migration = migrated(small(more=more))
    assert migration.config["training"]["batcher"] == {"@batchers": "mine.v1"}
    assert "160" in change_of(migration, "training.batcher").why


def test_a_frozen_transformer_trains_its_adapter():
    more = '\n[training]\nfrozen_components = ["transformer","x"]\nannotating_components = ["transformer","y"]\n'
    training = migrated(small(more=more)).config["training"]
    assert (training["frozen_components"], training["annotating_components"]) == (["x"], ["y"])
    only = '\n[training]\nfrozen_components = ["x"]\nannotating_components = ["transformer"]\n'
    training = migrated(small(more=only)).config["training"]
    assert (training["frozen_components"], training["annotating_components"]) == (["x"], ["transformer"])


def test_what_is_ones_own_stays():
    more = """
[paths]
train = "a.spacy"
folder = "data"

[mine]
path = "${paths.folder}/x"

[corpora]

[corpora.train]
@readers = "mine.v1"
path = ${paths.train}

[training]
seed = ${system.seed}
dropout = 0.3

[training.logger]
@loggers = "spacy.WandbLogger.v5"
project_name = "mine"

[training.score_weights]
tag_acc = 1.0

[initialize]
vectors = "en_core_web_lg"

[system]
seed = 7
"""
    before = read(small(more=more))
    after = migrate_config(before).config
    for section, names in {
        "paths": ("train", "folder"),
        "mine": ("path",),
        "corpora": ("train",),
        "training": ("seed", "dropout", "logger", "score_weights"),
        "initialize": ("vectors",),
        "system": ("seed",),
    }.items():
        for name in names:
            assert after[section][name] == before[section][name]
    assert "path = ${paths.train}" in after.to_str(interpolate=False)


# Variables


def test_a_backbone_may_be_a_variable():
    more = '\n[paths]\nbackbone = "some/other"\n'
    migration = migrated(small(more=more), {f"{MODEL}.name": "${paths.backbone}"})
    assert migration.config["components"]["transformer"]["model"]["backbone"]["name"] == "${paths.backbone}"
    assert migration.backbones == ["some/other"]
    open_one = migrated(small(more="\n[paths]\nbackbone = null\n"), {f"{MODEL}.name": "${paths.backbone}"})
    assert open_one.backbones == []  # to be given on the command line


def test_variables_that_led_to_what_is_gone_become_values():
    more = f"""
[mine]
window = ${{{MODEL}.get_spans.window}}
text = "over ${{{MODEL}.name}}"
steps = ${{training.max_steps}}
unknown = ${{nowhere.at_all}}
"""
    migration = migrated(small(more=more))
    mine = migration.config["mine"]
    assert (mine["window"], mine["text"]) == (128, '"over some/model"')
    assert (mine["steps"], mine["unknown"]) == ("${training.max_steps}", "${nowhere.at_all}")
    assert change_of(migration, "mine.window").after == "128"


def test_variables_that_lead_to_blocks():
    shared = """
[blocks]

[blocks.listener]
@architectures = "spacy-transformers.TransformerListener.v1"
pooling = {"@layers": "reduce_mean.v1"}

[components.head]
factory = "tagger"

[components.head.model]
@architectures = "spacy.Tagger.v2"
tok2vec = ${blocks.listener}
"""
    config = migrated(TRANSFORMER.format(name="transformer") + shared).config
    assert config["components"]["head"]["model"]["tok2vec"]["@architectures"] == "spacy_ptv2.PTuningListener.v1"


def test_values_of_variables():
    config = {"a": {"b": "${a.c}", "c": "x", "d": '"${a.b}/${a:c}"', "e": "${a.f}", "f": "${a.e}", "g": '"${a.g}"'}}
    values = [value_of(config, config["a"][name]) for name in "bcdefg"]
    assert values == ["x", "x", "x/x", NOTHING, NOTHING, NOTHING]
    assert value_of(config, 3) == 3


# Refusals


@pytest.mark.parametrize("name", [None, "", 3])
def test_a_backbone_without_a_name(name):
    with pytest.raises(PTuningError, match=r"P761.*components.transformer.model.name"):
        migrated(small(), {f"{MODEL}.name": name})


def test_a_transformer_without_a_model_has_no_name():
    config = read(small())
    del config["components"]["transformer"]["model"]
    with pytest.raises(PTuningError, match=r"P761.*nothing"):
        migrate_config(config)


def test_a_curated_transformer_from_a_checkpoint():
    loader = "initialize.components.transformer.encoder_loader"
    checkpoint = "spacy-curated-transformers.PyTorchCheckpointLoader.v1"
    with pytest.raises(PTuningError, match=rf"P761.*{loader}.*{checkpoint}"):
        migrated(CURATED, {f"{loader}.@model_loaders": checkpoint})


def test_nothing_to_migrate():
    with pytest.raises(PTuningError, match=r"P760.*no architectures"):
        migrated('[nlp]\nlang = "en"\n')
    with pytest.raises(PTuningError, match=r"P760.*spacy_ptv2.Tok2VecPTuning.v1"):
        migrate_config(read_shipped("ner"))


def test_components_of_trained_pipelines():
    with pytest.raises(PTuningError, match=r"P763.*tagger from en_some_trf"):
        migrated("[components]\n" + SOURCED)
    with pytest.warns(UserWarning, match=r"PW41.*'tagger' is taken from en_some_trf"):
        migrated(small(more=SOURCED))
    migrated(small(more=SOURCED + 'replace_listeners = ["model.tok2vec"]\n'))  # it has its own


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        (f"{MODEL}.@architectures", "spacy-transformers.TransformerModel.v9"),
        (f"{LISTENS}.@architectures", "spacy-curated-transformers.TransformerLayersListener.v1"),
        ("components.transformer.factory", "someones_transformer"),
        ("components.head.scorer", {"@scorers": "spacy-transformers.unheard_of.v1"}),
        ("training.batcher", {"@batchers": "spacy-transformers.unheard_of.v1"}),
    ],
)
def test_what_has_no_counterpart(setting, value):
    place = setting.removesuffix(".@architectures").removesuffix(".factory")
    with pytest.raises(PTuningError, match=rf"P766.*{place}"):
        migrated(small(more="\n[training]\n"), {setting: value})


def test_a_transformer_of_ones_own():
    with pytest.raises(PTuningError, match=r"P766.*mine.v1 in transformer"):
        migrated(small(), {f"{MODEL}.@architectures": "mine.v1"})


def test_code_from_a_model_folder():
    with pytest.raises(PTuningError, match=r"P210.*components.transformer.model.transformer_config"):
        migrated(small(), {f"{MODEL}.transformer_config": {"trust_remote_code": True}})
