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

# One sequence per predicate, with windows long enough for most sentences.
DEFAULT_ROLE_LABELER = Config().from_str("""
[model]
@architectures = "spacy_ptv2.TokenClassifier.v1"

[model.tok2vec]
@architectures = "spacy_ptv2.SequenceEncoder.v1"
rows = "tokens"

[model.tok2vec.layout]
@misc = "spacy_ptv2.PredicateLayout.v1"

[model.tok2vec.backbone]
@misc = "spacy_ptv2.Backbone.v1"
name = "sentence-transformers/all-MiniLM-L6-v2"

[model.tok2vec.adapter]
@misc = "spacy_ptv2.Adapter.v1"

[model.tok2vec.adapter.prompt]
@misc = "spacy_ptv2.Prompt.v1"

[model.tok2vec.windows]
@misc = "spacy_ptv2.Windows.v1"

[model.tok2vec.runtime]
@misc = "spacy_ptv2.Runtime.v1"
""")

# One sequence per question; windows that hold a paragraph.
DEFAULT_QUESTION_ANSWERER = DEFAULT_ROLE_LABELER.merge(
    Config().from_str("""
[model]

[model.tok2vec]

[model.tok2vec.layout]
@misc = "spacy_ptv2.QuestionLayout.v1"

[model.tok2vec.windows]
@misc = "spacy_ptv2.Windows.v1"
length = 384
overlap = 128
""")
)

# One vector for the whole text, or for a pair of texts.
DEFAULT_TEXT_CLASSIFIER = DEFAULT_ROLE_LABELER.merge(
    Config().from_str("""
[model]
@architectures = "spacy_ptv2.SequenceClassifier.v1"

[model.tok2vec]
rows = "sequence"

[model.tok2vec.layout]
@misc = "spacy_ptv2.DocLayout.v1"

[model.tok2vec.windows]
@misc = "spacy_ptv2.Windows.v1"
length = 256
overlap = 0
""")
)
DEFAULT_PAIR_CLASSIFIER = DEFAULT_TEXT_CLASSIFIER.merge(
    {"model": {"tok2vec": {"layout": {"@misc": "spacy_ptv2.PairLayout.v1"}}}}
)
CLASS_WEIGHTS = {"cats_acc": 1.0, "cats_macro_f": 0.0, "cats_f_per_type": None}
