"""The pipelines of a command line as tasks of one bank.

In: packages or folders by name. Out: the bank, and what each task offers.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from spacy.language import Language

from ..errors import Errors, PTuningError
from ..packaging.summary import trained_adapters
from ..serving import AdapterBank
from ..serving.naming import load_pipeline
from .offers import Offer, describe_offer


def load_tasks(named: Mapping[str, str]) -> tuple[AdapterBank, list[Offer]]:
    """Load pipelines into a bank over the backbone of the first one.

    named (Mapping[str, str]): Packages or folders, by the names of their tasks.
    RAISES (PTuningError): P792 if one cannot be loaded, P714 if it has no adapter, P715 if its backbone is another one.
    """
    pipelines = {name: load_pipeline(pipeline) for name, pipeline in named.items()}
    bank = _bank_over(*next(iter(pipelines.items())))
    for name, nlp in pipelines.items():
        bank.load(name, nlp)
    with suppress(Exception):  # a pipeline that fails says so on the page
        bank.timed([("The first text compiles what later ones use.", name) for name in bank.names])
    return bank, [describe_offer(name, named[name], nlp) for name, nlp in pipelines.items()]


def _bank_over(name: str, nlp: Language) -> AdapterBank:
    adapters = trained_adapters(nlp)
    if not adapters:
        raise PTuningError(Errors.P714.format(name=name, components=", ".join(nlp.pipe_names) or "none"))
    return AdapterBank(adapters[0].backbone.source)
