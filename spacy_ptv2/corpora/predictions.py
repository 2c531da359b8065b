"""Predictions in the form of the tasks' official files, as their official scripts read them.

In: examples whose predicted Docs a pipeline annotated. Out: SQuAD's {id: text}, and {id: probability of no answer} in a
second file where a question may have none; CoNLL-2005 columns; SuperGLUE's lines {"idx": ..., "label": ...}, for
MultiRC a line for each passage. docs/guides/tasks.md shows them.
Source of SuperGLUE's lines: what its authors' own toolkit writes for the benchmark, https://github.com/nyu-mll/jiant.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from spacy.tokens import Doc
from spacy.training import Example

from ..annotations.answers import answers_of, official_predictions
from ..annotations.given import give
from ..annotations.names import ANSWERS, CANDIDATES, CHOICE, IDX, QUESTION_IDS, ROLES, attribute_of
from ..errors import CorpusError, Errors, PTuningError
from .passages import MULTIRC_LABELS
from .props_lines import props_lines
from .text import write_whole

NO_ANSWER_ENDING = ".na_prob.json"
Files = dict[str, str]  # texts by the names of their files


def write_predictions(path: Path, examples: Sequence[Example]) -> list[Path]:
    """Write the predictions of all tasks that there are.

    path (Path): A folder, or with an ending a file, which must then be for one task.
    RETURNS (list[Path]): The files.
    RAISES (PTuningError): P050 if nothing was predicted, P051 if a file would have to be several; P052-P055 for
        predictions that cannot be written, P024 for a file that cannot. Then nothing is.
    """
    files: Files = {}
    tasks = [name for name, (is_predicted, _) in FORMS.items() if any(is_predicted(e.predicted) for e in examples)]
    if not tasks:
        raise CorpusError(Errors.P050.format(path=path))
    is_file = bool(path.suffix) and not path.is_dir()
    if is_file and len(tasks) > 1:
        raise CorpusError(Errors.P051.format(path=path, n=len(tasks), names=", ".join(tasks)))
    for name in tasks:
        files |= FORMS[name][1](examples, path.name if is_file else name)
    folder = path.parent if is_file else path
    for name, text in files.items():
        write_whole(text.encode("utf8"), folder / name)
    return [folder / name for name in files]


def _answers(examples: Sequence[Example], name: str) -> Files:
    for example in examples:
        give(example.reference, example.predicted, [f"doc._.{QUESTION_IDS}"])
    texts, no_answer = official_predictions(example.predicted for example in examples)
    files = {name: _json(texts)}
    if any(no_answer.values()) or not all(answers for e in examples for answers in answers_of(e.reference)):
        files[Path(name).stem + NO_ANSWER_ENDING] = _json(no_answer)
    return files


def _roles(examples: Sequence[Example], name: str) -> Files:
    pairs = ((example.predicted, example.reference) for example in examples)
    return {name: "".join(f"{line}\n" for line in props_lines(pairs))}


def _labels(examples: Sequence[Example], name: str) -> Files:
    lines = list(_passages(_label_lines(examples)))
    return {name: "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)}


def _label_lines(examples: Sequence[Example]) -> Iterator[dict[str, Any]]:
    """Yield the idx and the label of each Doc that has a label; without any idx, Docs are numbered from 0."""
    found = [attribute_of(example.reference, IDX) for example in examples]
    n_known = sum(idx is not None for idx in found)
    if 0 < n_known < len(found):
        raise PTuningError(Errors.P055.format(n=n_known, total=len(found)))
    seen: set[str] = set()
    for number, (idx, example) in enumerate(zip(found, examples, strict=True)):
        key = json.dumps(idx, sort_keys=True)
        if n_known and key in seen:
            raise PTuningError(Errors.P053.format(idx=f"The idx {key}"))
        seen.add(key)
        if (label := _label(example)) is not None:
            yield {"idx": idx if n_known else number, "label": label}


def _label(example: Example) -> str | int | None:
    """Return the best class, or the number of the best choice, or the candidate that it stands for."""
    choice, candidates = attribute_of(example.predicted, CHOICE), attribute_of(example.reference, CANDIDATES)
    if choice is not None:
        return candidates[choice] if candidates else choice  # type: ignore[no-any-return]
    cats = example.predicted.cats
    return max(cats, key=lambda label: cats[label]) if cats else None


def _passages(lines: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield lines whose idx is one number; the answers of MultiRC by their passages and questions."""
    passages: dict[Any, dict[Any, list[dict[str, Any]]]] = {}
    for line in lines:
        idx, label = line["idx"], line["label"]
        if isinstance(idx, dict) and "answer" in idx:
            answers = passages.setdefault(idx["paragraph"], {}).setdefault(idx["question"], [])
            answers.append({"idx": idx["answer"], "label": int(label) if label in MULTIRC_LABELS else label})
        else:
            yield {"idx": idx["query"] if isinstance(idx, dict) and "query" in idx else idx, "label": label}
    for number, questions in passages.items():
        listed = [{"idx": question, "answers": answers} for question, answers in questions.items()]
        yield {"idx": number, "passage": {"questions": listed}}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


FORMS: dict[str, tuple[Callable[[Doc], bool], Callable[[Sequence[Example], str], Files]]] = {
    "answers.json": (lambda doc: attribute_of(doc, ANSWERS) is not None, _answers),
    "roles.props": (lambda doc: ROLES in doc.spans, _roles),
    "labels.jsonl": (lambda doc: bool(doc.cats) or attribute_of(doc, CHOICE) is not None, _labels),
}
