"""Extractive question answering: for each question of a Doc the best span over all of its windows, or no answer.

In: Docs with `doc._.questions`. Out: `doc._.answers` and `doc._.no_answer` (`annotations/answers.py`). The head says of
each token how well an answer starts and ends there.
Source: Liu et al. 2021, section 4.1 ("Extractive Question Answering"), https://arxiv.org/abs/2110.07602.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.types import Floats2d

from ..alignment.layouts import QuestionLayout
from ..annotations.answers import Answer, answers_of
from ..annotations.given import copy_words
from ..annotations.names import ANSWERS, NO_ANSWER, texts_of
from ..errors import Errors, FormatError, PTuningError
from ..optimizers.divergence import ChanceLoss
from ..reading import is_number
from .answer_spans import best_spans
from .head import Head, HeadModel, Scorer
from .losses import Target, choice_loss
from .sequence_scores import ScoredSequence, layout_of, score_sequences

NoAnswer = Literal["auto"] | bool
Prediction = list[tuple[list[Answer], float]]  # for each question its answers, and the probability that there is none
DEFAULTS: dict[str, Any] = {"n_best": 1, "longest": 30, "threshold": 0.5}


class QuestionAnswerer(Head):
    """Finds answers to questions in Docs.

    vocab, model, name, scorer: See `Head`; the model is `spacy_ptv2.TokenClassifier.v1` over a
        `spacy_ptv2.SequenceEncoder.v1` with the layout `spacy_ptv2.QuestionLayout.v1`.
    no_answer (bool | "auto"): Whether there may be no answer; "auto": if the training corpus has such questions.
    n_best (int): How many answers to keep.
    longest (int): Most words of an answer.
    threshold (float): A question is left unanswered if the probability of no answer is higher.
    RAISES (PTuningError): P407 for a setting that cannot be.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: HeadModel,
        name: str = "question_answerer",
        *,
        no_answer: NoAnswer = "auto",
        n_best: int = DEFAULTS["n_best"],
        longest: int = DEFAULTS["longest"],
        threshold: float = DEFAULTS["threshold"],
        scorer: Scorer | None = None,
    ) -> None:
        configured = {"n_best": n_best, "longest": longest, "threshold": threshold}
        if wrong := _wrong_setting({"no_answer": no_answer, **configured}):
            got = {"no_answer": no_answer, **configured}[wrong[0]]
            raise PTuningError(Errors.P407.format(name=wrong[0], expected=wrong[1], got=got))
        super().__init__(vocab, model, name, fixed={"no_answer": no_answer}, configured=configured, scorer=scorer)
        self.layout = layout_of(model, name, QuestionLayout)

    @property
    def given(self) -> tuple[str, ...]:
        """Questions."""
        return self.layout.given

    @property
    def outputs(self) -> Sequence[str]:
        """What the head says of each token."""
        return ("start", "end")

    @property
    def may_be_none(self) -> bool:
        """Whether a question may have no answer."""
        return self.cfg["no_answer"] is True

    def initialize(self, get_examples: Callable[[], Iterable[Example]], *, nlp: Language | None = None) -> None:
        """Find out whether there are unanswerable questions, and size the output layer.

        RAISES (PTuningError): P442 if no example has a question.
        """
        counts = [len(answers) for example in get_examples() for answers in answers_of(example.reference)]
        if not counts:
            raise PTuningError(Errors.P442.format(name=self.name, attribute=self.layout.attribute))
        if self.cfg["no_answer"] == "auto":
            self.cfg["no_answer"] = 0 in counts
        super().initialize(get_examples, nlp=nlp)

    def answer(self, question: str | Sequence[str], doc: Doc | Sequence[Doc]) -> Any:
        """Answer one question or several on one Doc or several, which stay as they are.

        RETURNS (Answer | list): The best answer; a list for several questions; for several Docs a list of either.
        """
        questions = [question] if isinstance(question, str) else list(question)
        docs = [copy_words(own) for own in ([doc] if isinstance(doc, Doc) else doc)]
        for own in docs:
            own._.set(self.layout.attribute, questions)
        found = [[answers[0] for answers, _ in prediction] for prediction in self.predict(docs)]
        by_doc = [answers[0] for answers in found] if isinstance(question, str) else found
        return by_doc[0] if isinstance(doc, Doc) else by_doc

    def predict(self, docs: Iterable[Doc]) -> list[Prediction]:
        """Return each Doc's answers to each of its questions."""
        docs = list(docs)
        found: list[Prediction] = [[] for _ in docs]
        for scored in score_sequences(self.model, self.layout, docs):
            for own in scored:
                found[own.doc].append(self._decode(own))
        return found

    def set_annotations(self, docs: Iterable[Doc], predictions: list[Prediction]) -> None:
        """Write the answers of each Doc."""
        for doc, prediction in zip(docs, predictions, strict=True):
            if texts_of(doc, self.layout.attribute):
                doc._.set(ANSWERS, [answers for answers, _ in prediction])
                doc._.set(NO_ANSWER, [probability for _, probability in prediction])

    def _decode(self, scored: ScoredSequence) -> tuple[list[Answer], float]:
        body = scored.sequence.body
        words = np.array([row for row, token in enumerate(body) if not token.is_space], dtype=np.int64)
        spans = best_spans(
            scored.scores,
            words,
            n_best=self.cfg["n_best"],
            longest=self.cfg["longest"],
            may_be_none=self.may_be_none,
        )
        answers: list[Answer] = []
        for start, end, score in zip(spans.starts, spans.ends, spans.scores, strict=True):
            span = body[start:end]
            answers.append({"answer": span.text, "score": score, "start": span.start_char, "end": span.end_char})
        if not answers or (self.may_be_none and spans.no_answer > self.cfg["threshold"]):
            none: Answer = {"answer": "", "score": spans.no_answer, "start": 0, "end": 0}
            answers = [none, *answers][: self.cfg["n_best"]]
        return answers, spans.no_answer

    def _rows_per_output(self, docs: Sequence[Doc]) -> list[int]:
        return [len(sequence.body) for sequence in self.layout(docs)]

    def _gold(self, examples: Sequence[Example]) -> list[Target]:
        return [target for example in examples for target in self._targets(example)]

    def _targets(self, example: Example) -> Iterator[Target]:
        """Yield for each question the rows that it is about and those where its first gold answer starts and ends."""
        doc, gold = example.predicted, answers_of(example.reference)
        words = np.array([token.i for token in doc if not token.is_space], dtype=np.int64)
        for number, _ in enumerate(texts_of(doc, self.layout.attribute)):
            right: tuple[int, ...] | None = None
            answers = gold[number] if number < len(gold) else None
            if answers == [] and self.may_be_none:
                right = (len(words), len(words))
            elif answers:
                right = _place(doc, answers[0], words)
            yield Target(words, right, may_be_none=self.may_be_none, n_rows=len(doc))

    def _loss_of(self, gold: Sequence[Target], scores: list[Floats2d]) -> tuple[float, list[Floats2d]]:
        return choice_loss(self.model.ops.xp, gold, scores)

    def _count(self, gold: Sequence[Target], chance: ChanceLoss) -> None:
        for target in gold:
            if target.right is not None:
                chance.add_choice(len(target.rows) + target.may_be_none)

    def check_cfg(self, cfg: dict[str, Any], where: str) -> None:
        """Refuse settings that `to_disk` never wrote.

        RAISES (FormatError): P641.
        """
        super().check_cfg(cfg, where)
        if wrong := _wrong_setting({"no_answer": "auto", **DEFAULTS, **cfg}):
            raise FormatError(Errors.P641.format(path=where, field=wrong[0], expected=wrong[1], got=cfg[wrong[0]]))


def _place(doc: Doc, answer: Answer, words: np.ndarray[Any, np.dtype[np.int64]]) -> tuple[int, int] | None:
    """Return which words an answer starts and ends with, by their numbers among the words; None if it is none."""
    span = doc.char_span(answer["start"], answer["end"], alignment_mode="expand")
    if span is None:
        return None
    first = int(np.searchsorted(words, span.start))
    last = int(np.searchsorted(words, span.end)) - 1
    return (first, last) if first <= last else None


def _wrong_setting(settings: dict[str, Any]) -> tuple[str, str] | None:
    """Return the name of a setting that cannot be, and what was expected; None if all can."""
    if settings["no_answer"] not in ("auto", True, False):
        return "no_answer", '"auto", true or false'
    for name in ("n_best", "longest"):
        if isinstance(settings[name], bool) or not isinstance(settings[name], int) or settings[name] < 1:
            return name, "a number of 1 or more"
    threshold = settings["threshold"]
    return None if is_number(threshold) and 0 <= threshold <= 1 else ("threshold", "a number from 0 to 1")
