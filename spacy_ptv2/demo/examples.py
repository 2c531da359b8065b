"""Texts to try, of our own, for what the pipelines offer; for other languages than English those that spaCy has."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from .offers import Offer

MOST = 6
# What each is an example of, and the fields of the page.
ENGLISH: tuple[tuple[str, dict[str, Any]], ...] = (
    ("entities", {"text": "Ada Lovelace met Charles Babbage in London, long before IBM built its first computer."}),
    (
        "frames",
        {
            "text": "Yesterday the gardener gave the children three apples, because they had watered the roses.",
            "predicates": ["gave", "watered"],
        },
    ),
    ("classes", {"text": "My new card has not arrived yet, although you sent it two weeks ago."}),
    (
        "answers",
        {
            "text": "The lighthouse of Lindau stands on Lake Constance. It was built in 1856 and is 33 metres high.",
            "questions": ["When was the lighthouse built?", "How high is it?"],
        },
    ),
    ("second_text", {"text": "All trains to Oslo are late today.", "second_text": "The train to Oslo is on time."}),
    ("choices", {"text": "The glass fell off the table. What happened?", "choices": ["It broke.", "It sang."]}),
    ("tags", {"text": "Two quiet cats slept on the warm roof while it rained."}),
    ("entities", {"text": "Marie Curie was born in Warsaw and taught at the University of Paris."}),
    ("classes", {"text": "How do I change the address in my account?"}),
)


def examples_for(offers: Sequence[Offer]) -> list[dict[str, Any]]:
    """Return texts with what is asked of them, at most `MOST`, for the languages and kinds of some tasks."""
    found = []
    for lang in dict.fromkeys(offer.lang for offer in offers):
        own = [offer for offer in offers if offer.lang == lang]
        if lang == "en":
            wanted = {name for offer in own for name in _examples_of(offer)}
            found += [fields for kind, fields in ENGLISH if kind in wanted]
        else:
            found += [{"text": text} for text in _sentences(lang)[:3]]
    return found[:MOST]


def _examples_of(offer: Offer) -> set[str]:
    """Return what a task needs examples of: classes of a pair, for one, need a second text."""
    asked = {ask.what for ask in offer.asks}
    return {*offer.kinds, *asked} - ({"classes"} if "second_text" in asked else set())


def _sentences(lang: str) -> list[str]:
    """Return spaCy's example sentences of a language; there may be none."""
    try:
        return list(import_module(f"spacy.lang.{lang}.examples").sentences)
    except ImportError:
        return []
