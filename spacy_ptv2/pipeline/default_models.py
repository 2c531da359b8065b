"""The models and score weights that the factories build by default, as blocks of a config."""

from thinc.api import Config

DEFAULT_TRANSFORMER = Config().from_str("""
[model]
@architectures = "spacy_ptv2.Tok2VecPTuning.v1"

[model.backbone]
@misc = "spacy_ptv2.Backbone.v1"
name = "sentence-transformers/all-MiniLM-L6-v2"

[model.adapter]
@misc = "spacy_ptv2.Adapter.v1"

[model.adapter.prompt]
@misc = "spacy_ptv2.Prompt.v1"

[model.windows]
@misc = "spacy_ptv2.Windows.v1"

[model.runtime]
@misc = "spacy_ptv2.Runtime.v1"
""")

DEFAULT_TOKEN_CLASSIFIER = Config().from_str("""
[model]
@architectures = "spacy_ptv2.TokenClassifier.v1"

[model.tok2vec]
@architectures = "spacy_ptv2.PTuningListener.v1"
""")


def _over_sequences(head: str, rows: str, layout: str, **windows: int) -> Config:
    """Return a head over sequences of a layout, read by a backbone of its own. windows: What differs from defaults."""
    encoder = {
        **DEFAULT_TRANSFORMER.copy()["model"],
        "@architectures": "spacy_ptv2.SequenceEncoder.v1",
        "rows": rows,
        "layout": {"@misc": layout},
        "windows": {"@misc": "spacy_ptv2.Windows.v1", **windows},
    }
    return Config({"model": {"@architectures": head, "tok2vec": encoder}})


# One sequence per predicate, with windows long enough for most sentences.
DEFAULT_ROLE_LABELER = _over_sequences("spacy_ptv2.TokenClassifier.v1", "tokens", "spacy_ptv2.PredicateLayout.v1")
# One sequence per question; windows that hold a paragraph.
DEFAULT_QUESTION_ANSWERER = _over_sequences(
    "spacy_ptv2.TokenClassifier.v1", "tokens", "spacy_ptv2.QuestionLayout.v1", length=384, overlap=128
)
# One vector for the whole text, or for a pair of texts.
DEFAULT_TEXT_CLASSIFIER = _over_sequences(
    "spacy_ptv2.SequenceClassifier.v1", "sequence", "spacy_ptv2.DocLayout.v1", length=256, overlap=0
)
DEFAULT_PAIR_CLASSIFIER = _over_sequences(
    "spacy_ptv2.SequenceClassifier.v1", "sequence", "spacy_ptv2.PairLayout.v1", length=256, overlap=0
)
CLASS_WEIGHTS = {"cats_acc": 1.0, "cats_macro_f": 0.0, "cats_f_per_type": None}
