"""Entity scores two ways: spaCy's spans and seqeval's tag sequences, side by side.

Both count an entity as right if its boundaries and its label are. seqeval (https://github.com/chakki-works/seqeval) is
what papers report, so the two must agree, and a test compares them.
"""

from collections.abc import Callable, Iterable
from typing import Any

from spacy.scorer import get_ner_prf
from spacy.training import Example, biluo_to_iob

Scores = dict[str, Any]


def build_entity_scorer_v1() -> Callable[..., Scores]:
    """Build the scorer of `token_classifier`, which any component that sets `doc.ents` may use."""
    return score_entities


def score_entities(examples: Iterable[Example], **kwargs: Any) -> Scores:
    """Score `doc.ents`.

    RETURNS (dict): spaCy's ents_p, ents_r, ents_f (from 0 to 1, None without annotation) and ents_per_type, and
    seqeval_p, seqeval_r, seqeval_f over the same Docs (strict IOB2, micro average).
    """
    examples = list(examples)
    scores = dict(get_ner_prf(examples))
    gold: list[list[str]] = []
    predicted: list[list[str]] = []
    for example in examples:
        if not example.y.has_annotation("ENT_IOB"):
            continue
        tags = example.get_aligned_ner()
        if any(tag is None for tag in tags):  # differently tokenised: no tag sequence to compare
            continue
        gold.append(biluo_to_iob([str(tag) for tag in tags]))
        predicted.append(iob2_tags(example.predicted))
    scores.update(seqeval_scores(gold, predicted))
    return scores


def seqeval_scores(gold: list[list[str]], predicted: list[list[str]]) -> Scores:
    """Return seqeval's strict micro-averaged precision, recall and F1 of IOB2 sequences; None without entities."""
    names = ("seqeval_p", "seqeval_r", "seqeval_f")
    if not any(tag != "O" for sequence in (*gold, *predicted) for tag in sequence):
        return dict.fromkeys(names)
    from seqeval.metrics.v1 import precision_recall_fscore_support  # with scikit-learn, for whoever scores
    from seqeval.scheme import IOB2

    *result, _ = precision_recall_fscore_support(gold, predicted, average="micro", scheme=IOB2, zero_division=0)
    return {name: float(value) for name, value in zip(names, result, strict=True)}


def iob2_tags(doc: Any) -> list[str]:
    """Return a Doc's entities as IOB2 tags."""
    return [f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O" for token in doc]
