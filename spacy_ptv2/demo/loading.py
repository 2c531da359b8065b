"""The pipelines of a command line as tasks of one bank.

In: packages or folders, with a name of one's own before them where that is needed. Out: the bank, and what each task
offers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import spacy
from spacy.language import Language

from ..errors import Errors, PTuningError
from ..packaging.summary import trained_adapters
from ..serving import AdapterBank
from .offers import Offer, describe_offer


def name_pipelines(arguments: Sequence[str]) -> dict[str, str]:
    """Return pipelines by their names: that before an equals sign, else the last part of the path.

    RAISES (PTuningError): P790 if two have the same name, P794 if there is nothing before or after the sign.
    """
    named: dict[str, str] = {}
    for argument in arguments:
        name, sign, pipeline = argument.partition("=")
        if not sign or Path(argument).exists():
            name, pipeline = Path(argument).resolve().name, argument
        name = name.strip()
        if not name or not pipeline:
            raise PTuningError(Errors.P794.format(got=argument))
        if name in named:
            raise PTuningError(Errors.P790.format(name=name, first=named[name], second=pipeline))
        named[name] = pipeline
    return named


def load_tasks(named: Mapping[str, str]) -> tuple[AdapterBank, list[Offer]]:
    """Load pipelines into a bank over the backbone of the first one.

    named (Mapping[str, str]): Packages or folders, by the names of their tasks.
    RAISES (PTuningError): P792 if one cannot be loaded, P714 if it has no adapter, P715 if its backbone is another one.
    """
    pipelines = {name: _load(pipeline) for name, pipeline in named.items()}
    bank = _bank_over(*next(iter(pipelines.items())))
    for name, nlp in pipelines.items():
        bank.load(name, nlp)
    with suppress(Exception):  # a pipeline that fails says so on the page
        bank.timed([("The first text compiles what later ones use.", name) for name in bank.names])
    return bank, [describe_offer(name, named[name], nlp) for name, nlp in pipelines.items()]


def _load(pipeline: str) -> Language:
    try:
        return spacy.load(pipeline)
    except PTuningError:
        raise
    except Exception as error:  # a folder may lack anything
        raise PTuningError(Errors.P792.format(pipeline=pipeline, error=error)) from error


def _bank_over(name: str, nlp: Language) -> AdapterBank:
    adapters = trained_adapters(nlp)
    if not adapters:
        raise PTuningError(Errors.P714.format(name=name, components=", ".join(nlp.pipe_names) or "none"))
    return AdapterBank(adapters[0].backbone.source)
