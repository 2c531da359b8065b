"""Describes annotated corpora: counts, and what training cannot learn from or evaluation cannot trust.

In: Docs with gold entities, and the tokenizer that a pipeline will use. Out: counts, and the doubtful places by kind.
Nothing is printed here. Source of the kinds: spaCy's `debug data`, https://spacy.io/api/cli#debug-data, which reports
entities for the component `ner` only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span

from ..errors import CorpusError, Errors
from .documents import to_docs
from .files import read_corpus
from .options import FileOptions
from .spans import Tokenize

RARE = 50  # a label with fewer entities in training is rare, as in `spacy debug data`

Kind = Literal[
    "empty",
    "unannotated",
    "partly_annotated",
    "misaligned",
    "whitespace_edge",
    "whitespace_inside",
    "across_sentences",
    "duplicate",
    "contradiction",
]
Annotation = list[tuple[str, str]]  # text and label of each entity


class Finding(NamedTuple):
    """A doubtful place: the index of its Doc, from 0, and the text there."""

    doc: int
    text: str


@dataclass
class CorpusReport:
    """What a corpus contains. sentences (int | None): None if no Doc has sentence starts."""

    name: str
    docs: int = 0
    tokens: int = 0
    longest_doc: int = 0  # in tokens
    docs_with_entities: int = 0
    sentences: int | None = None
    labels: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)  # of entities, in tokens
    findings: dict[Kind, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    texts: dict[str, Annotation] = field(default_factory=dict)  # the first annotation of each; single spaces in texts

    @property
    def entities(self) -> int:
        """The number of entities."""
        return self.labels.total()

    def rare_labels(self) -> dict[str, int]:
        """Return the labels with fewer than `RARE` entities and their counts, the most frequent first."""
        rare = [(label, count) for label, count in self.labels.items() if count < RARE]
        return dict(sorted(rare, key=lambda pair: (-pair[1], pair[0])))


@dataclass(frozen=True)
class Comparison:
    """How a corpus for evaluation differs from the training corpus, and what they share."""

    unseen_labels: dict[str, int]  # not in training, with their counts
    unused_labels: list[str]  # in training only
    shared_texts: list[str]


def read_docs(path: Path, nlp: Language) -> list[Doc]:
    """Read a `.spacy` file, a folder of them, or whatever `spacy ptv2 convert` reads.

    nlp (Language): Its tokenizer splits raw texts. If it splits inside entities, a warning says so (PW23).
    RAISES (CorpusError): P430 for a `.spacy` file; for others as `read_corpus` does.
    """
    if path.is_dir() and (paths := sorted(path.rglob("*.spacy"))):
        return [doc for file in paths for doc in read_docs(file, nlp)]
    if path.suffix != ".spacy":
        corpus = read_corpus(path, FileOptions(misaligned="expand"), lambda: Tokenize(nlp.lang or "xx", nlp.make_doc))
        return list(to_docs(corpus.documents, nlp.vocab))
    try:
        return list(DocBin().from_disk(path).get_docs(nlp.vocab))
    except Exception as error:  # damage may lead to any error: of zlib, msgpack or NumPy, or a KeyError
        problem = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise CorpusError(Errors.P430.format(path=path, problem=problem)) from error


def describe(name: str, docs: Iterable[Doc], nlp: Language) -> CorpusReport:
    """Count what a corpus contains and collect what is doubtful.

    nlp (Language): Its tokenizer determines what is misaligned.
    """
    report = CorpusReport(name)
    for number, doc in enumerate(docs):
        report.docs += 1
        report.tokens += len(doc)
        report.longest_doc = max(report.longest_doc, len(doc))
        report.docs_with_entities += bool(doc.ents)
        if doc.has_annotation("SENT_START"):
            report.sentences = (report.sentences or 0) + sum(bool(token.is_sent_start) for token in doc)
        report.labels.update(ent.label_ for ent in doc.ents)
        report.lengths.update(len(ent) for ent in doc.ents)
        for kind, text in (*_of_doc(doc), *_of_text(doc, report.texts), *_of_entities(doc, nlp)):
            report.findings[kind].append(Finding(number, text))
    return report


def compare(train: CorpusReport, other: CorpusReport) -> Comparison:
    """Compare a corpus for evaluation with the training corpus."""
    return Comparison(
        unseen_labels={label: count for label, count in other.labels.items() if label not in train.labels},
        unused_labels=sorted(train.labels.keys() - other.labels.keys()),
        shared_texts=[text for text in other.texts if text in train.texts],
    )


def _of_doc(doc: Doc) -> Iterator[tuple[Kind, str]]:
    """Yield what is doubtful about a whole Doc."""
    unknown = [token for token in doc if not token.ent_iob_]
    if not doc.text.strip():
        yield "empty", doc.text
    elif len(unknown) == len(doc):
        yield "unannotated", doc.text
    elif unknown:
        yield "partly_annotated", " ".join(token.text for token in unknown)


def _of_text(doc: Doc, texts: dict[str, Annotation]) -> Iterator[tuple[Kind, str]]:
    """Yield a finding if a text was seen before, annotated alike or not. texts: New texts are added to it."""
    text = _joined(doc.text)
    annotation = [(_joined(ent.text), ent.label_) for ent in doc.ents]
    if text in texts:
        yield ("duplicate" if texts[text] == annotation else "contradiction"), text
    elif text:
        texts[text] = annotation


def _of_entities(doc: Doc, nlp: Language) -> Iterator[tuple[Kind, str]]:
    """Yield what is doubtful about each entity. In Docs made from words alone, the words are the tokens."""
    read = nlp.make_doc(doc.text) if doc.ents and not doc.has_unknown_spaces else doc
    for ent in doc.ents:
        start, end = _without_edges(ent)
        if start < end and read.char_span(start, end) is None:
            tokens = [token.text for token in read if token.idx < end and token.idx + len(token) > start]
            yield "misaligned", f"{doc.text[start:end]}: {' | '.join(tokens)}"
        if ent.text != ent.text.strip():
            yield "whitespace_edge", ent.text
        elif any(char.isspace() for token in ent for char in token.text):
            yield "whitespace_inside", ent.text
        if any(token.is_sent_start for token in ent[1:]):
            yield "across_sentences", ent.text


def _joined(text: str) -> str:
    """Return a text with all white space replaced by single spaces."""
    return " ".join(text.split())


def _without_edges(ent: Span) -> tuple[int, int]:
    """Return where an entity starts and ends, in characters, without white space at its edges.

    If it is all white space, it ends before it starts.
    """
    text = ent.text
    return ent.end_char - len(text.lstrip()), ent.start_char + len(text.rstrip())
