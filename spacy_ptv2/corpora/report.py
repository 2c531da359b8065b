"""Describes annotated corpora: counts, and what training cannot learn from or evaluation cannot trust.

In: gold Docs of any task, and the tokenizer that a pipeline will use. Out: counts, and the doubtful places by kind.
Nothing is printed here. Source of the kinds: spaCy's `debug data`, https://spacy.io/api/cli#debug-data, which reports
entities for the component `ner` only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, DocBin

from ..errors import CorpusError, Errors, NoEntitiesError
from .conllu import read_trees
from .contents import CLASSES, ENTITIES, Annotation, Identity, annotations_of, identity_of
from .documents import to_docs
from .files import find_files, read_corpus
from .findings import Finding, Kind, find
from .options import FileOptions
from .spans import Tokenize
from .tasks import task_reader

RARE = 50  # a label with fewer entities in training is rare, as in `spacy debug data`


@dataclass
class CorpusReport:
    """What a corpus contains.

    lengths (list[int]): Of Docs, in tokens. pieces (list[int] | None): Of Docs, in word pieces, if they are known.
    sentences (int | None): None if no Doc has sentence starts. tags (int), heads (int): Tokens that have one.
    labels (dict[str, Counter[str]]): By kind; see `contents`. entity_lengths (Counter[int]): In tokens.
    annotated_docs (Counter[str]): Docs with annotations of each kind.
    identities (list[Identity]): Of each Doc. seen (dict[Identity, list[Annotation]]): The first annotations of each.
    """

    name: str
    lengths: list[int] = field(default_factory=list)
    pieces: list[int] | None = None
    sentences: int | None = None
    tags: int = 0
    heads: int = 0
    labels: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    entity_lengths: Counter[int] = field(default_factory=Counter)
    annotated_docs: Counter[str] = field(default_factory=Counter)
    findings: dict[Kind, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    identities: list[Identity] = field(default_factory=list)
    seen: dict[Identity, list[Annotation]] = field(default_factory=dict)

    @property
    def docs(self) -> int:
        """The number of Docs."""
        return len(self.lengths)

    def rare_labels(self, kind: str) -> dict[str, int]:
        """Return the labels of a kind that are fewer than `RARE`, with their counts, the most frequent first."""
        rare = [(label, count) for label, count in self.labels.get(kind, Counter()).items() if count < RARE]
        return dict(sorted(rare, key=lambda pair: (-pair[1], pair[0])))


@dataclass(frozen=True)
class Comparison:
    """How a corpus for evaluation differs from the training corpus, and what they share.

    unseen, unused (dict[str, dict[str, int]]): Labels that only this corpus has, and only training: counts by kind.
    shared (list[Finding]): Docs with a text, and what is asked of it, that training has too.
    n_contradictions (int): How many of these have other annotations there.
    same_text (list[Finding]): Docs whose text training has, but asked something else.
    """

    unseen: dict[str, dict[str, int]]
    unused: dict[str, dict[str, int]]
    shared: list[Finding]
    n_contradictions: int
    same_text: list[Finding]


def read_docs(path: Path, nlp: Language, task: str | None = None) -> list[Doc]:
    """Read a `.spacy` file, a folder of them, whatever `spacy ptv2 convert` reads, or CoNLL-U without entities.

    nlp (Language): Its tokenizer splits raw texts. If it splits inside entities, a warning says so (PW23).
    task (str | None): What other files are for, as `convert --task` takes it; None for entities.
    RAISES (CorpusError): P430 for a `.spacy` file, P850 for CoNLL-U; for others as `read_corpus` and the
        readers of tasks do.
    """
    if path.is_dir() and (paths := sorted(path.rglob("*.spacy"))):
        return [doc for file in paths for doc in read_docs(file, nlp)]
    if path.suffix != ".spacy":
        tokenize = Tokenize(nlp.lang or "xx", nlp.make_doc)
        if task is not None:
            return list(task_reader(task)(path, tokenize, lenient=False))
        try:
            corpus = read_corpus(path, FileOptions(misaligned="expand"), lambda: tokenize)
        except NoEntitiesError:
            return [doc for file in find_files(path) for doc in read_trees(file)]
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
        annotations = list(annotations_of(doc))
        _count(report, doc, annotations)
        identity = identity_of(doc)
        report.identities.append(identity)
        if identity in report.seen:
            kind: Kind = "duplicate" if report.seen[identity] == annotations else "contradiction"
            report.findings[kind].append(Finding(number, identity[0]))
        elif identity[0]:
            report.seen[identity] = annotations
        for kind, text in find(doc, nlp):
            report.findings[kind].append(Finding(number, text))
    _forget_other_tasks(report)
    return report


def _count(report: CorpusReport, doc: Doc, annotations: list[Annotation]) -> None:
    report.lengths.append(len(doc))
    if doc.has_annotation("SENT_START"):
        report.sentences = (report.sentences or 0) + sum(bool(token.is_sent_start) for token in doc)
    report.tags += sum(bool(token.tag) for token in doc)
    report.heads += sum(token.has_head() for token in doc)
    report.entity_lengths.update(len(ent) for ent in doc.ents)
    report.annotated_docs.update({annotation.kind for annotation in annotations})
    for annotation in annotations:
        report.labels[annotation.kind][annotation.label] += 1


def _forget_other_tasks(report: CorpusReport) -> None:
    """Leave out that Docs lack entities or classes where none of them has any, because they are for something else."""
    has_others = bool(report.tags or report.heads or any(kind != ENTITIES for kind in report.labels))
    if (
        has_others
        and len(report.findings.get("unannotated", ())) + len(report.findings.get("empty", ())) == report.docs
    ):
        report.findings.pop("unannotated", None)
    if not report.labels.get(CLASSES):
        report.findings.pop("unclassified", None)


def compare(train: CorpusReport, other: CorpusReport) -> Comparison:
    """Compare a corpus for evaluation with the training corpus."""
    texts = {identity[0] for identity in train.seen}
    places = [Finding(number, identity[0]) for number, identity in enumerate(other.identities)]
    shared = [place for place in places if other.identities[place.doc] in train.seen]
    different = [
        identity
        for identity in (other.identities[place.doc] for place in shared)
        if other.seen[identity] != train.seen[identity]
    ]
    same_text = [place for place in places if place.text in texts and other.identities[place.doc] not in train.seen]
    return Comparison(_only_in(other, train), _only_in(train, other), shared, len(different), same_text)


def _only_in(one: CorpusReport, other: CorpusReport) -> dict[str, dict[str, int]]:
    """Return the labels that only the first has, by kind, with their counts."""
    found = {
        kind: {label: n for label, n in sorted(labels.items()) if label not in other.labels.get(kind, ())}
        for kind, labels in one.labels.items()
    }
    return {kind: labels for kind, labels in found.items() if labels}
