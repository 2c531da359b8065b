"""What somebody typed, on the Doc of a task, and as the Python that does the same.

In: the fields of the page. Out: a Doc with its questions, predicates or second text, and lines of code.
"""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from spacy.tokens import Doc

from ..serving.limits import Text
from .offers import Offer


class Given(BaseModel):
    """A text, and what is asked of it. predicates (list[str]): Words; each place where one stands is a predicate."""

    model_config = ConfigDict(extra="forbid")

    text: Text
    questions: Annotated[list[Text], Field(max_length=8)] = []
    second_text: Text = ""
    choices: Annotated[list[Text], Field(max_length=8)] = []
    predicates: Annotated[list[Text], Field(max_length=32)] = []

    @property
    def texts(self) -> list[str]:
        """All texts that are read."""
        return [self.text, *self.questions, self.second_text, *self.choices, *self.predicates]


def ask(doc: Doc, offer: Offer, given: Given) -> str:
    """Write what a task is asked onto its Doc. What was not given stays away.

    RETURNS (str): Python that loads the pipeline and annotates the same text.
    """
    lines = []
    for own in offer.asks:
        value = getattr(given, own.what)
        if not value:
            continue
        if own.what == "predicates":
            words = {word.lower() for word in value}
            spans = [doc[token.i : token.i + 1] for token in doc if token.lower_ in words]
            doc.spans[own.where] = spans
            places = ", ".join(f"doc[{span.start}:{span.end}]" for span in spans)
            lines.append(f"doc.spans[{_literal(own.where)}] = [{places}]")
        else:
            doc._.set(own.where, value)
            lines.append(f"doc._.{own.where} = {_literal(value)}")
    return _program(offer.pipeline, given.text, lines)


def _program(pipeline: str, text: str, asking: list[str]) -> str:
    if asking:
        annotate = [f"doc = nlp.make_doc({_literal(text)})", *asking, "doc = nlp(doc)"]
    else:
        annotate = [f"doc = nlp({_literal(text)})"]
    return "\n".join(["import spacy", "", f"nlp = spacy.load({_literal(pipeline)})", *annotate])


def _literal(value: str | list[str]) -> str:
    """Return texts as JSON writes them, which Python reads too."""
    return json.dumps(value, ensure_ascii=False)
