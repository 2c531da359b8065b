"""The page of the Python API, made from the code itself.

In: the public names. Out: Markdown with the signature and the docstring of each, and of its public methods. Docstrings
are in the house's form: text, then one parameter per line, RETURNS and RAISES.
"""

import inspect
import re
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import spacy_ptv2
from spacy_ptv2 import bulk, serving
from spacy_ptv2.annotations import roles
from spacy_ptv2.interchange import pipelines
from spacy_ptv2.migration import migrate
from spacy_ptv2.pipeline.choice_classifier import ChoiceClassifier
from spacy_ptv2.pipeline.head import Head
from spacy_ptv2.pipeline.labelled_head import LabelledHead
from spacy_ptv2.pipeline.predicate_finder import PredicateFinder
from spacy_ptv2.pipeline.ptuning_transformer import PTuningTransformer
from spacy_ptv2.pipeline.question_answerer import QuestionAnswerer
from spacy_ptv2.pipeline.role_labeler import RoleLabeler
from spacy_ptv2.pipeline.shared_backbone import SharedBackbone
from spacy_ptv2.pipeline.span_labeler import SpanLabeler
from spacy_ptv2.pipeline.text_classifier import PairClassifier, TextClassifier
from spacy_ptv2.pipeline.token_classifier import TokenClassifier

SAME_LINE = re.compile(r"(?<=\.) (?=(?:RETURNS|YIELDS|RAISES|[a-z_]\w*) \([^()]+\): )")  # a field after another
LONGEST = 100  # characters of a signature on one line

COMPONENTS: dict[str, list[type]] = {
    "ptuning_transformer": [PTuningTransformer],
    "shared_backbone": [SharedBackbone],
    "token_classifier": [TokenClassifier],
    "span_labeler": [SpanLabeler],
    "text_classifier": [TextClassifier],
    "pair_classifier": [PairClassifier, ChoiceClassifier],
    "question_answerer": [QuestionAnswerer],
    "predicate_finder": [PredicateFinder],
    "role_labeler": [RoleLabeler],
}
BASES: list[type] = [Head, LabelledHead]
# Title: module, names.
SECTIONS: dict[str, tuple[Any, list[str]]] = {
    "spacy_ptv2": (spacy_ptv2, [name for name in spacy_ptv2.__all__ if not name.startswith("__")]),
    "spacy_ptv2.serving": (serving, serving.__all__),
    "spacy_ptv2.bulk": (bulk, bulk.__all__),
    "spacy_ptv2.interchange.pipelines": (pipelines, ["import_adapter", "export_adapter"]),
    "spacy_ptv2.migration.migrate": (migrate, ["migrate_config"]),
    "spacy_ptv2.annotations.roles": (roles, ["to_allennlp"]),
}
FIELD = re.compile(r"([a-z_*][\w*]*(?:, [a-z_*][\w*]*)*)(?: \((.+?)\))?: (.*)", re.DOTALL)
RESULT = re.compile(r"(RETURNS|YIELDS|RAISES|Shape)\b(?: \((.+?)\))?:? ?(.*)", re.DOTALL)


def render_api() -> str:
    """Return the page."""
    lines = ["# Python API", "", "What other code may call, as it is in the code: signatures and docstrings."]
    for title, (module, names) in SECTIONS.items():
        lines += ["", f"## {title}"]
        for name in names:
            lines += _render(getattr(module, name), name)
    lines += [
        "",
        "## Components",
        "",
        "`nlp.add_pipe(NAME)` makes them and `nlp.get_pipe(NAME)` returns them. They have",
    ]
    lines += ["the methods of spaCy's components; here are those that differ, and the settings of a"]
    lines += ["[config](configuration.md)."]
    for name, kinds in COMPONENTS.items():
        for kind in kinds:
            lines += _render(kind, kind.__name__, f"`{name}`")
    for kind in BASES:
        lines += _render(kind, kind.__name__, "A base of the components that train a head.")
    return "\n".join([*lines, ""])


def _render(thing: Any, name: str, note: str = "") -> Iterator[str]:
    """Yield a heading, the signature and the docstring, and the same of each method of a class."""
    yield from ("", f"### {name}", "", note)
    is_error = inspect.isclass(thing) and issubclass(thing, Exception)
    yield from _described(thing, f"class {name}({thing.__base__.__name__})" if is_error else _signature(thing, name))
    if inspect.isclass(thing) and not is_error:
        for method, function in vars(thing).items():
            is_public = not method.startswith("_") or method == "__call__"
            if is_public and isinstance(function, FunctionType | property):
                is_call = isinstance(function, FunctionType)
                yield from ("", f"#### {_escape(f'{name}.{method}')}", "")
                yield from _described(function, _signature(function, method) if is_call else f"{name}.{method}")


def _signature(function: Any, name: str) -> str:
    """Return the signature on one line, or with one parameter a line where that is too long."""
    signature = inspect.signature(function)
    result = signature.return_annotation
    end = ")" if result in (signature.empty, None, "None") else f") -> {_type(result)}"
    parameters = _parameters(signature)
    whole = f"{name}({', '.join(parameters)}{end}"
    return whole if len(whole) <= LONGEST else "\n".join([f"{name}(", *(f"    {own}," for own in parameters), end])


def _parameters(signature: inspect.Signature) -> list[str]:
    shown = [own for own in signature.parameters.values() if own.name != "self"]
    texts = []
    for own in shown:
        plain = str(own.replace(annotation=own.empty, default=own.empty))
        kind = "" if own.annotation is own.empty else f": {_type(own.annotation)}"
        value = "" if own.default is own.empty else f" = {own.default!r}" if kind else f"={own.default!r}"
        texts.append(plain + kind + value)
    if named := [n for n, own in enumerate(shown) if own.kind is own.KEYWORD_ONLY]:
        texts.insert(named[0], "*")
    return texts


def _type(annotation: Any) -> str:
    """Return a type as it is in the code: without modules."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z])", "", text)


def _described(thing: Any, signature: str) -> Iterator[str]:
    yield from ("```python", signature, "```", "")
    yield from render_docstring(inspect.getdoc(thing) or "")


def render_docstring(text: str) -> Iterator[str]:
    """Turn a docstring into Markdown: its text stays, and parameters, results and errors become a list."""
    in_list = False
    for block in _blocks(text):
        found = FIELD.fullmatch(block) or RESULT.fullmatch(block)
        if found:
            names, kind, meaning = found.groups()
            shown = ", ".join(f"`{name}`" for name in names.split(", ")) if names.islower() else f"**{names}**"
            yield from ([] if in_list else [""])
            yield f"- {shown}{f' (`{kind}`)' if kind else ''}: {_escape(meaning)}"
        else:
            yield from ("", block if block.startswith("    ") else _escape(block))
        in_list = bool(found)


def _blocks(text: str) -> Iterator[str]:
    """Yield paragraphs and fields, each with the lines that continue it joined; indented text stays as it is."""
    for paragraph in SAME_LINE.sub("\n", text).split("\n\n"):
        block: list[str] = []
        for line in paragraph.splitlines():
            starts = re.match(r"(RETURNS|YIELDS|RAISES|Shape\b|[a-z_*][\w*, ]*?(?: \(.+?\))?: )", line)
            if block and starts and not line.startswith(" "):
                yield _join(block)
                block = []
            block.append(line)
        if block:
            yield _join(block)


def _join(lines: list[str]) -> str:
    return "\n".join(lines) if lines[0].startswith("    ") else " ".join(line.strip() for line in lines)


def _escape(text: str) -> str:
    """Keep what is not code from being read as Markdown."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*_<\[\]])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)
