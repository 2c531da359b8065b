"""Every spaCy command that touches a config or a pipeline, run on the shipped configs over tiny backbones."""

import json
import zipfile

import pytest
import spacy
from spacy.cli import app
from spacy.tokens import DocBin
from spacy.util import load_config
from typer.testing import CliRunner

import spacy_ptv2.cli  # noqa: F401  (which adds the commands to spaCy's)

from .conftest import ROOT
from .tiny import FAST

TREES = ("tagging_parsing", "treebank")
CONFIGS = sorted((ROOT / "configs").glob("*.cfg"))
FINE_TUNING = ROOT / "configs" / "finetune_ner.cfg"
BACKBONE_SETTING = {
    "ner": "components.transformer.model.backbone.name",
    "ner_prompts": "components.transformer.model.backbone.name",
    "multitask": "paths.backbone",
    "reference_ner": "components.transformer.model.backbone.name",
    "finetune_ner": "paths.backbone",
    "tagging_parsing": "components.transformer.model.backbone.name",
    "treebank": "components.transformer.model.backbone.name",
    "spancat": "components.transformer.model.backbone.name",
    "multi_corpus": "components.transformer.model.backbone.name",
    "srl": "components.role_labeler.model.tok2vec.backbone.name",
    "frames": "paths.backbone",
    "squad": "components.question_answerer.model.tok2vec.backbone.name",
    "textcat": "components.text_classifier.model.tok2vec.backbone.name",
    **dict.fromkeys(("pairs", "copa", "wic"), "components.pair_classifier.model.tok2vec.backbone.name"),
}
# Of corpora of their own: tests/test_workflows.py, or below.
TASKS = ("srl", "squad", "textcat", "pairs", "copa", "wic", "frames", "spancat", "multi_corpus")


PROPS = """peter  -     (A0*)
opens  open  (V*)
the    -     (A1*
office -     *)
in     -     (AM-LOC*
london -     *)
.      -     *

mary   -     (A0*)  *
works  work  (V*)   *
and    -     *      *
john   -     *      (A0*)
opens  open  *      (V*)
a      -     *      (A1*
letter -     *      *)
.      -     *      *
"""


def small_task(name, encoder=None):
    encoder = encoder or BACKBONE_SETTING[name].removesuffix(".backbone.name")
    return {
        f"{encoder}.windows.length": 32,
        f"{encoder}.windows.overlap": 8,
        f"{encoder}.adapter.prompt.length": 4,
        f"{encoder}.adapter.lora_rank": 1,
        **{f"training.optimizer.learn_rates.{part}": 0.01 for part in ("prompt", "lora", "word_shape", "head")},
        "training.dropout": 0.0,
        "training.batcher.size": 2000,
        "initialize.before_init.min_steps": 0,
    }


SMALL = {
    "ner": {
        "components.transformer.model.windows.length": 32,
        "components.transformer.model.windows.overlap": 8,
        "components.transformer.model.adapter.prompt.length": 4,
        "components.transformer.model.adapter.lora_rank": 1,
        **FAST,
        "initialize.before_init.min_steps": 0,
        "initialize.before_init.epochs": 30,
        "training.batcher.size": 6,
    },
    "multitask": {
        **{
            f"components.{name}.model.tok2vec.{key}": value
            for name in ("token_classifier", "tagger")
            for key, value in {
                "windows.length": 32,
                "windows.overlap": 8,
                "adapter.prompt.length": 4,
                "adapter.lora_rank": 1,
            }.items()
        },
        **FAST,
        "initialize.before_init.min_steps": 0,
        "initialize.before_init.epochs": 30,
        "training.batcher.size": 6,
    },
    "reference_ner": {
        "components.transformer.model.windows.length": 32,
        "components.transformer.model.windows.overlap": 8,
        "components.transformer.model.adapter.prompt.length": 4,
        "initialize.before_init.epochs": 60,
        "training.batcher.size": 2,
    },
    **{
        name: {
            "components.transformer.model.windows.length": 32,
            "components.transformer.model.windows.overlap": 8,
            "components.transformer.model.adapter.prompt.length": 4,
            "components.transformer.model.adapter.lora_rank": 1,
            **FAST,
            "components.parser.min_action_freq": 1,
            "initialize.before_init.min_steps": 0,
            "initialize.before_init.epochs": 30,
            "training.batcher.size": 12,
        }
        for name in TREES
    },
    "ner_prompts": {
        "components.transformer.model.windows.length": 32,
        "components.transformer.model.windows.overlap": 8,
        "components.transformer.model.adapter.prompt.length": 8,
        "initialize.before_init.min_steps": 0,
        "initialize.before_init.epochs": 30,
        "training.batcher.size": 6,
    },
    "finetune_ner": {
        "components.transformer.model.get_spans.window": 16,
        "components.transformer.model.get_spans.stride": 12,
        "training.optimizer.learn_rate.initial_rate": 0.002,
        "training.optimizer.learn_rate.warmup_steps": 2,
        "initialize.before_init.epochs": 60,
    },
    **{name: small_task(name) for name in TASKS},
    "spancat": {**small_task("spancat"), "initialize.before_init.min_steps": 200},
    "frames": {
        **small_task("frames", "components.predicate_finder.model.tok2vec"),
        **small_task("frames", "components.role_labeler.model.tok2vec"),
        "initialize.before_init.min_steps": 100,
    },
}


def spacy_command(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, f"{arguments}\n{result.output}\n{result.exception!r}"
    return result.output


def overrides(name, tiny_folder, corpus):
    settings = {**SMALL[name], BACKBONE_SETTING[name]: tiny_folder, "paths.train": corpus, "paths.dev": corpus}
    return [part for key, value in settings.items() for part in (f"--{key}", str(value))]


def as_params(paths):
    needs = {FINE_TUNING: pytest.mark.spacy_transformers}
    return [pytest.param(path, id=path.stem, marks=needs.get(path, ())) for path in paths]


@pytest.fixture(scope="module", params=as_params(path for path in CONFIGS if path.stem not in TREES + TASKS))
def config_path(request):
    return request.param


@pytest.fixture(scope="module")
def settings(config_path, tiny_folder, corpus):
    return overrides(config_path.stem, tiny_folder, corpus)


@pytest.fixture(scope="module")
def pipeline(config_path, settings, tmp_path_factory):
    """What `spacy train` makes of the config."""
    folder = tmp_path_factory.mktemp("training")
    curve = ["--paths.curve", folder / "curve.jsonl"]
    spacy_command("train", config_path, "--output", folder, *settings, *curve)
    return folder / "model-best"


def test_every_config_has_its_small_settings():
    assert {path.stem for path in CONFIGS} == set(BACKBONE_SETTING) == set(SMALL)


def test_train(pipeline):
    points = [json.loads(line) for line in (pipeline.parent / "curve.jsonl").read_text().splitlines()]
    assert points[-1]["losses"] and points[-1]["score"] > points[0]["score"]
    assert {path.name for path in pipeline.parent.iterdir()} == {"model-best", "model-last", "curve.jsonl"}


def test_evaluate(pipeline, corpus, tmp_path):
    spacy_command("evaluate", pipeline, corpus, "--output", tmp_path / "scores.json")
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["ents_f"] >= 0.5
    assert scores.get("seqeval_f", scores["ents_f"]) == scores["ents_f"]
    assert set(scores["ents_per_type"]) == {"LOC", "MISC", "ORG", "PER"}


@pytest.mark.parametrize("path", as_params(CONFIGS))
def test_fill_config_adds_nothing(path, tmp_path):
    """The shipped files are complete, which is what `spacy debug` asks for."""
    spacy_command("init", "fill-config", path, tmp_path / "filled.cfg")
    shipped, filled = (load_config(path, interpolate=False) for path in (path, tmp_path / "filled.cfg"))
    assert filled == shipped


def train_trees(name, tiny_folder, corpus, folder, gpu_id=-1):
    """Train a config on tags, lemmas and trees over the corpus. RETURNS: Its scores."""
    docs = list(DocBin().from_disk(corpus).get_docs(spacy.blank("en").vocab))
    for doc in docs:
        for token in doc:
            token.tag_, token.head, token.dep_ = "N" if token.is_title else "X", doc[0], "dep" if token.i else "ROOT"
            token.lemma_, token.pos_ = token.text, "X"
            if token.is_title:
                token.lemma_, token.pos_ = token.text + "s", "NOUN"
                token.set_morph({"Case": "Nom"})
    trees, scores = folder / "trees.spacy", folder / "scores.json"
    DocBin(docs=docs).to_disk(trees)
    settings = [*overrides(name, tiny_folder, trees), "--gpu-id", gpu_id]
    spacy_command("train", ROOT / "configs" / f"{name}.cfg", "--output", folder / "training", *settings)
    model = folder / "training" / "model-best"
    spacy_command("evaluate", model, trees, "--output", scores, "--gpu-id", gpu_id)
    return json.loads(scores.read_text())


@pytest.mark.parametrize("name", TREES)
def test_treebanks(name, tiny_folder, corpus, tmp_path):
    scores = train_trees(name, tiny_folder, corpus, tmp_path)
    assert scores["tag_acc"] > 0.9 and scores["dep_las"] > 0.8
    if name == "treebank":
        assert scores["lemma_acc"] > 0.9 and scores["morph_acc"] > 0.9 and scores["pos_acc"] > 0.9


def train_small(name, tiny_folder, folder, *arguments):
    """Convert a file, train a config on it and score it as in training. RETURNS: The pipeline, its scores."""
    gold, scores = folder / "gold.spacy", folder / "scores.json"
    spacy_command("ptv2", "convert", *arguments[:1], gold, *arguments[1:])
    path = ROOT / "configs" / f"{name}.cfg"
    spacy_command("train", path, "--output", folder / "training", *overrides(name, tiny_folder, gold))
    model = folder / "training" / "model-best"
    spacy_command("ptv2", "evaluate", model, gold, "--output", scores)
    return spacy.load(model), json.loads(scores.read_text())


def test_spans_that_overlap(tiny_folder, tmp_path):
    """From texts with nested entities to spancat, which finds them."""
    records = [
        {"text": "peter opens\nthe  office of acme in london", "label": [[12, 31, "PLACE"], [26, 31, "ORG"]]},
        {"text": "mary works at acme", "label": [[14, 18, "ORG"]]},
    ]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, records)))
    arguments = (tmp_path / "texts.jsonl", "--spans-key", "sc")
    nlp, scores = train_small("spancat", tiny_folder, tmp_path, *arguments)
    assert scores["spans_sc_f"] == 1.0
    doc = nlp(records[0]["text"])
    assert {(span.text, span.label_) for span in doc.spans["sc"]} == {("the  office of acme", "PLACE"), ("acme", "ORG")}


def test_frames_of_raw_text(tiny_folder, tmp_path):
    """In evaluation the config gives no predicates, so they are found."""
    (tmp_path / "train.props").write_text(PROPS)
    nlp, scores = train_small("frames", tiny_folder, tmp_path, tmp_path / "train.props", "--task", "srl")
    assert scores["spans_predicates_f"] > 0.9 and scores["srl_f"] > 0.5
    assert scores["srl_f"] == pytest.approx(nlp.meta["performance"]["srl_f"])
    doc = nlp("mary  works.\njohn opens a letter.")
    assert [frame.predicate.text for frame in doc._.frames] == ["works", "opens"]
    assert all(frame.predicate.sent == role.sent for frame in doc._.frames for role in frame.roles)


def test_debug_config(config_path, settings):
    assert "Config validation" in spacy_command("debug", "config", config_path, *settings)


def test_debug_data(config_path, tiny_folder, wikigold, tmp_path):
    docs = list(DocBin().from_disk(wikigold).get_docs(spacy.blank("en").vocab))
    for token in (token for doc in docs for token in doc):
        token.tag_ = "NUM" if token.is_digit else "WORD"  # for the config that asks for tags
    DocBin(docs=docs).to_disk(tmp_path / "tagged.spacy")
    settings = overrides(config_path.stem, tiny_folder, tmp_path / "tagged.spacy")
    assert "1696 training docs" in spacy_command("debug", "data", config_path, *settings, "--verbose", "--no-format")


def test_debug_model(config_path, settings):
    for component in load_config(config_path)["nlp"]["pipeline"]:
        assert "Layer 0" in spacy_command("debug", "model", config_path, component, "-P1", "-P2", *settings)


@pytest.mark.exhaustive
def test_benchmark_speed(pipeline, corpus):
    assert "words/s" in spacy_command("benchmark", "speed", pipeline, corpus, "--batches", 30, "--warmup", 1)


def test_apply(pipeline, tmp_path):
    (tmp_path / "texts.jsonl").write_text('{"text": "Peter Hansen"}\n{"text": "John works in New York ."}\n')
    spacy_command("apply", pipeline, tmp_path / "texts.jsonl", tmp_path / "docs.spacy")
    docs = list(DocBin().from_disk(tmp_path / "docs.spacy").get_docs(spacy.blank("en").vocab))
    assert [doc.text for doc in docs] == ["Peter Hansen", "John works in New York ."]
    assert any(doc.ents for doc in docs)


def test_package(pipeline, tmp_path):
    spacy_command("package", pipeline, tmp_path, "--name", "tiny", "--version", "1.2.3", "--build", "sdist")
    (sdist,) = tmp_path.glob("*/dist/*.tar.gz")
    assert sdist.name == "en_tiny-1.2.3.tar.gz"


def test_wheel_asks_for_us_and_holds_no_backbone(tiny_folder, corpus, tmp_path):
    settings = overrides("ner", tiny_folder, corpus)
    spacy_command("train", ROOT / "configs" / "ner.cfg", "--output", tmp_path / "training", *settings)
    spacy_command("package", tmp_path / "training" / "model-best", tmp_path, "--name", "tiny", "--build", "wheel")
    (wheel,) = tmp_path.glob("*/dist/*.whl")
    assert wheel.stat().st_size < 60_000
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        assert "Requires-Dist: spacy-ptv2" in archive.read(metadata).decode()
        models = [name.split("/")[-2] for name in archive.namelist() if name.endswith(".safetensors")]
        assert sorted(models) == ["token_classifier", "transformer"]


def test_assemble(tiny_folder, corpus, tmp_path):
    """From a config alone, the labels being given, comes an untrained pipeline that loads."""
    config = load_config(ROOT / "configs" / "ner.cfg", interpolate=False)
    config["initialize"]["components"] = {"token_classifier": {"labels": ["LOC", "PER"]}}
    config.to_disk(tmp_path / "ner.cfg")
    spacy_command("assemble", tmp_path / "ner.cfg", tmp_path / "model", *overrides("ner", tiny_folder, corpus))
    assert spacy.load(tmp_path / "model").get_pipe("token_classifier").labels == ("LOC", "PER")


def test_assemble_from_a_trained_pipeline(tiny_folder, corpus, tmp_path):
    settings = overrides("ner", tiny_folder, corpus)
    spacy_command("train", ROOT / "configs" / "ner.cfg", "--output", tmp_path / "training", *settings)
    source = str(tmp_path / "training" / "model-best")
    config = {
        "nlp": {"lang": "en", "pipeline": ["transformer", "token_classifier"]},
        "components": {name: {"source": source} for name in ("transformer", "token_classifier")},
    }
    spacy.util.Config(config).to_disk(tmp_path / "assemble.cfg")
    spacy_command("assemble", tmp_path / "assemble.cfg", tmp_path / "model")
    text = "John works in New York ."
    trained, assembled = (spacy.load(path)(text) for path in (source, tmp_path / "model"))
    assert [ent.text for ent in assembled.ents] == [ent.text for ent in trained.ents] != []


def test_assemble_two_trained_pipelines(tiny_folder, corpus, tmp_path):
    """As docs/guides/many_adapters.md tells: each component brings its own prompt, and one pass serves both."""
    settings = overrides("ner", tiny_folder, corpus)
    block = {"replace_listeners": ["model.tok2vec"], "component": "token_classifier"}
    components = {"shared_backbone": {"factory": "shared_backbone"}}
    for name, seed in (("first", 0), ("second", 1)):
        folder = tmp_path / name
        head = "--components.token_classifier"
        arguments = [*settings, "--system.seed", seed, f"{head}.spans_key", name, f"{head}.overwrite", "true"]
        spacy_command("train", ROOT / "configs" / "ner.cfg", "--output", folder, *arguments)
        components[name] = {"source": str(folder / "model-best"), **block}
    config = {"nlp": {"lang": "en", "pipeline": list(components)}, "components": components}
    spacy.util.Config(config).to_disk(tmp_path / "assemble.cfg")
    spacy_command("assemble", tmp_path / "assemble.cfg", tmp_path / "model")
    combined = spacy.load(tmp_path / "model")
    for text in ("John works in New York .", "Peter Hansen", "Acme opens Danish office"):
        doc = combined(text)
        for name in ("first", "second"):
            alone = spacy.load(tmp_path / name / "model-best")(text)
            assert [(s.text, s.label_) for s in doc.spans[name]] == [(s.text, s.label_) for s in alone.spans[name]]
            assert doc.spans[name].attrs["scores"] == pytest.approx(alone.spans[name].attrs["scores"], abs=1e-5)


def test_find_function():
    output = spacy_command("find-function", "spacy_ptv2.Tok2VecPTuning.v1", "--registry", "architectures")
    assert "architectures.py" in output.replace("\n", "")
