"""Annotates a text with all tasks in common passes, and says what came out and how long it took.

In: what was typed. Out: JSON values for the page. Where a task fails, the others still answer.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from spacy.tokens import Doc

from ..errors import Errors
from ..serving import AdapterBank
from ..serving.annotations import to_json
from ..serving.task import Seconds
from .asking import Given, ask
from .offers import Offer

Json = dict[str, Any]
log = logging.getLogger(__name__)


def annotate(bank: AdapterBank, offers: Sequence[Offer], given: Given) -> Json:
    """Return the annotations of every task with its time and its Python, and the times of the whole."""
    start = perf_counter()
    asked = [_ask(bank, offer, given) for offer in offers]
    try:
        docs, seconds = bank.timed([(doc, offer.name) for (doc, _), offer in zip(asked, offers, strict=True)])
    except Exception:  # of a component, which may raise anything
        docs, seconds = _one_by_one(bank, offers, given)
    tasks = [
        {
            "name": offer.name,
            "annotations": None if doc is None else to_json(doc, offer.name),
            "error": Errors.P795.format(name=offer.name) if doc is None else None,
            "seconds": seconds.tasks[offer.name],
            "python": program,
        }
        for offer, doc, (_, program) in zip(offers, docs, asked, strict=True)
    ]
    n_words = len(given.text.split())
    return {"tasks": tasks, "together": seconds.together, "seconds": perf_counter() - start, "words": n_words}


def _one_by_one(bank: AdapterBank, offers: Sequence[Offer], given: Given) -> tuple[list[Doc | None], Seconds]:
    docs: list[Doc | None] = []
    seconds = Seconds()
    for offer in offers:
        start = perf_counter()
        try:
            docs.append(bank(_ask(bank, offer, given)[0], offer.name))
        except Exception:
            log.exception("The pipeline %r failed on a text of %d characters", offer.name, len(given.text))
            docs.append(None)
        seconds.tasks[offer.name] = perf_counter() - start
    return docs, seconds


def _ask(bank: AdapterBank, offer: Offer, given: Given) -> tuple[Doc, str]:
    doc = bank.make_doc(given.text, offer.name)
    return doc, ask(doc, offer, given)
