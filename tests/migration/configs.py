"""Configs of other packages to migrate: spaCy's own templates, and small ones written out."""

from pathlib import Path

import spacy
from jinja2 import Template
from spacy.cli.init_config import RECOMMENDATIONS, TEMPLATE_PATH
from spacy.tokens import Doc, DocBin, Span
from spacy.util import load_config_from_str

from spacy_ptv2.migration.migrate import migrate_config

from ..tiny import FAST

LISTENER = """
[components.{name}.model.tok2vec]
@architectures = "spacy-transformers.TransformerListener.v1"
grad_factor = 1.0
upstream = "{upstream}"

[components.{name}.model.tok2vec.pooling]
@layers = "{pooling}"
"""
HEAD = """
[components.{name}]
factory = "{factory}"

[components.{name}.model]
@architectures = "spacy.Tagger.v2"
"""
TRANSFORMER = """
[components.{name}]
factory = "transformer"

[components.{name}.model]
@architectures = "spacy-transformers.TransformerModel.v3"
name = "some/model"

[components.{name}.model.get_spans]
@span_getters = "spacy-transformers.strided_spans.v1"
window = 128
stride = 96
"""
CURATED = """
[components.transformer]
factory = "curated_transformer"
all_layer_outputs = true
frozen = false

[components.transformer.model]
@architectures = "spacy-curated-transformers.XlmrTransformer.v1"
vocab_size = 250002
num_hidden_layers = 12
hidden_width = 768
piece_encoder = {"@architectures": "spacy-curated-transformers.XlmrSentencepieceEncoder.v1"}

[components.transformer.model.with_spans]
@architectures = "spacy-curated-transformers.WithStridedSpans.v1"
stride = 96
window = 128

[components.tagger]
factory = "tagger"

[components.tagger.model]
@architectures = "spacy.Tagger.v2"

[components.tagger.model.tok2vec]
@architectures = "spacy-curated-transformers.ScalarWeightingListener.v1"
width = ${components.transformer.model.hidden_width}
pooling = {"@layers": "reduce_mean.v1"}
upstream = "*"
grad_factor = 1.0

[components.tagger.model.tok2vec.weighting]
@architectures = "spacy-curated-transformers.ScalarWeight.v1"
num_layers = ${components.transformer.model.num_hidden_layers}

[training]

[training.before_update]
@callbacks = "spacy-curated-transformers.gradual_transformer_unfreezing.v1"
target_pipes = {"*": 1000}

[initialize]

[initialize.components]

[initialize.components.transformer]

[initialize.components.transformer.encoder_loader]
@model_loaders = "spacy-curated-transformers.HFTransformerEncoderLoader.v1"
name = "xlm-roberta-base"
revision = "main"

[initialize.components.transformer.piecer_loader]
@model_loaders = "spacy-curated-transformers.HFPieceEncoderLoader.v1"
name = "xlm-roberta-base"
"""


def template(*components: str, optimize: str = "efficiency") -> str:
    """The config that `spacy init config --gpu` fills: spaCy's template, rendered as it does where spacy-transformers
    is installed."""
    recommended = RECOMMENDATIONS["en"]
    return Template(TEMPLATE_PATH.read_text()).render(
        lang="en",
        components=list(components),
        optimize=optimize,
        hardware="gpu",
        transformer_data=recommended["transformer"],
        word_vectors=recommended["word_vectors"],
        has_letters=True,
    )


def small(*, transformers=("transformer",), upstream="*", pooling="reduce_mean.v1", factory="tagger", more="") -> str:
    """A config of transformers and one head; `more` comes after it."""
    head = HEAD.format(name="head", factory=factory)
    listener = LISTENER.format(name="head", upstream=upstream, pooling=pooling)
    return "".join(TRANSFORMER.format(name=name) for name in transformers) + head + listener + more


def migrated(text: str, changes=None):
    """Migrate the text of a config, after changes of settings by their names with dots."""
    return migrate_config(read(text, changes))


def read(text: str, changes=None):
    """Read a config without its outer sections."""
    sections = {line[1:-1].split(".")[0] for line in text.splitlines() if line.startswith("[")}
    outer = "".join(f"[{name}]\n\n" for name in sorted(sections) if f"[{name}]" not in text)
    return load_config_from_str(outer + text, changes or {})


def tiny_settings(folder: Path, corpus: Path) -> dict[str, object]:
    """Overrides for `spacy train` that make a migrated config train two steps over a tiny backbone."""
    model = "components.transformer.model"
    return {
        "paths.train": str(corpus),
        "paths.dev": str(corpus),
        f"{model}.backbone.name": str(folder),
        f"{model}.windows.length": 32,
        f"{model}.windows.overlap": 8,
        f"{model}.adapter.prompt.length": 4,
        f"{model}.adapter.lora_rank": 1,
        "initialize.before_init.epochs": 1,
        "initialize.before_init.min_steps": 2,
        **FAST,
    }


def write_annotated(path: Path) -> Path:
    """Write two sentences, often enough for the parser, with everything that spaCy's heads learn from."""
    vocab = spacy.blank("en").vocab
    docs = []
    for words, category in (("peter opens the danish office", "office"), ("mary reads a long letter", "letter")) * 20:
        doc = Doc(
            vocab,
            words=words.split(),
            tags=["NNP", "VBZ", "DT", "JJ", "NN"],
            pos=["PROPN", "VERB", "DET", "ADJ", "NOUN"],
            morphs=["Number=Sing", "Tense=Pres", "", "", "Number=Sing"],
            lemmas=[word.removesuffix("s") for word in words.split()],
            heads=[1, 1, 4, 4, 1],
            deps=["nsubj", "ROOT", "det", "amod", "obj"],
            ents=["B-PER", "O", "O", "O", "O"],
        )
        doc.cats = {name: float(name == category) for name in ("office", "letter")}
        doc.spans["sc"] = [Span(doc, 0, 1, "PER")]
        docs.append(doc)
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path
