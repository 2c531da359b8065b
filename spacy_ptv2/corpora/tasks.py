"""The tasks other than entities whose files are read: from a path to Docs with all that is given and gold.

`store_user_data` of a `DocBin` must be on for what lies in extension attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from spacy.tokens import Doc

from ..errors import CorpusError, Errors
from .labelled_texts import FORMS, read_labelled_texts
from .passages import PASSAGE_FORMS, read_passages
from .props import read_props
from .spans import Tokenize
from .squad import read_squad

TaskReader = Callable[..., Iterable[Doc]]  # path, tokenize, lenient
SUPERGLUE_PAIRS = ("boolq", "rte", "cb")  # tasks of SuperGLUE whose names stand for "pairs"


def _read_srl(path: Path, tokenize: Tokenize, *, lenient: bool = False) -> Iterable[Doc]:
    return read_props(path, tokenize.make_doc("").vocab, lenient=lenient)


TASKS: dict[str, TaskReader] = {
    "srl": _read_srl,
    "squad": read_squad,
    **{name: partial(read_labelled_texts, task=name) for name in FORMS},
    **{name: partial(read_passages, task=name) for name in PASSAGE_FORMS},
}


def plain_name(task: str) -> str:
    """Return our name of a task or config, which may also be named as in SuperGLUE: RTE for pairs, WiC for wic."""
    name = task.lower()
    return "pairs" if name in SUPERGLUE_PAIRS else name


def task_reader(task: str) -> TaskReader:
    """Return the reader of a task's files.

    RAISES (CorpusError): P042 for another name.
    """
    name = plain_name(task)
    if name not in TASKS:
        raise CorpusError(Errors.P042.format(got=task, expected=", ".join(("ner", *TASKS, *SUPERGLUE_PAIRS))))
    return TASKS[name]
