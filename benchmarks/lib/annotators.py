"""What the annotation benchmarks run: texts of a corpus, our pipeline, spacy-transformers' and the bare model.

Ours is the pipeline of configs/ner.cfg with seeded, untrained weights, or a trained one; the other that of
configs/finetune_ner.cfg (`TransformerLayer.v3`, strided spans of 128 every 96 tokens, `ner`) with untrained heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import spacy
import torch
from spacy.language import Language
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import load_config, load_model_from_config
from thinc.api import Adam, Config, fix_random_seed
from transformers import AutoModel

from spacy_ptv2.adapters.prompt import FlatPrompt
from spacy_ptv2.alignment.batches import group_with_little_padding
from spacy_ptv2.alignment.encoding import encode_docs
from spacy_ptv2.alignment.windows import WindowLimits
from spacy_ptv2.backbones.backbone import Backbone
from spacy_ptv2.backbones.lookup import find_backbone
from spacy_ptv2.backbones.registry import get_backbone
from spacy_ptv2.backbones.source import BackboneSource
from spacy_ptv2.migration.blocks import dotted, walk
from spacy_ptv2.options import EngineName
from spacy_ptv2.serialization.models import adapter_shims

from .pipelines import CONFIGS, LABELS, baseline_config, draw_head, read_corpus

SHIPPED = load_config(CONFIGS / "ner.cfg")
WINDOWS = SHIPPED["components"]["transformer"]["model"]["windows"]
READING = {f"windows.{name}": WINDOWS[name] for name in ("length", "overlap", "batch_pieces")}


@dataclass(frozen=True)
class Text:
    """Words of a corpus, whether a space follows each, and their IOB tags."""

    words: list[str]
    spaces: list[bool]
    tags: list[str]

    def make_doc(self, nlp: Language) -> Doc:
        """Return a Doc without annotations."""
        return Doc(nlp.vocab, words=self.words, spaces=self.spaces)


def read_texts(corpus: Path | None, n_docs: int = 0, *, n_words: int = 0) -> list[Text]:
    """Return the first documents of a .spacy file, or of Wikigold (sentences).

    n_docs (int), n_words (int): How many documents, and how many words at least; 0 for all.
    """
    vocab = spacy.blank("en").vocab
    docs = read_corpus(corpus, vocab)
    texts: list[Text] = []
    total = 0
    for doc in docs:
        if (n_docs and len(texts) == n_docs) or (n_words and total >= n_words):
            break
        if len(doc):
            texts.append(_text(doc))
            total += len(doc)
    return texts


def _text(doc: Doc) -> Text:
    tags = [f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O" for token in doc]
    return Text([token.text for token in doc], [bool(token.whitespace_) for token in doc], tags)


def cut_texts(texts: Sequence[Text], n_words: int, words_per_doc: int) -> list[Text]:
    """Return so many words as documents of a given length, the last one shorter.

    They are joined from texts, from the first again where they run out.
    """
    stream = _tokens(texts)
    sizes = [min(words_per_doc, n_words - start) for start in range(0, n_words, words_per_doc)]
    return [Text(*(list(column) for column in zip(*islice(stream, size), strict=True))) for size in sizes]


def _tokens(texts: Sequence[Text]) -> Iterator[tuple[str, bool, str]]:
    for text in cycle(texts):
        yield from zip(text.words, [*text.spaces[:-1], True], text.tags, strict=True)


def ours(backbone: str, *, dtype: str = "float32", **model: Any) -> Language:
    """Return configs/ner.cfg over a backbone, with a seeded prompt, LoRA without effect and a random head.

    model: Other settings of its `spacy_ptv2.Tok2VecPTuning.v1`, with dots as in `adapter.prompt.length`.
    """
    settings = {**model, "backbone.name": backbone, "backbone.dtype": dtype}
    overrides = {f"components.transformer.model.{name}": value for name, value in settings.items()}
    nlp = load_model_from_config(load_config(CONFIGS / "ner.cfg", overrides=overrides), auto_fill=True)
    fix_random_seed(0)
    blank = Example(Doc(nlp.vocab, words=["a"]), Doc(nlp.vocab, words=["a"]))
    nlp.get_pipe("transformer").initialize(lambda: [blank], nlp=nlp)  # type: ignore[attr-defined]
    nlp.get_pipe("token_classifier").initialize(lambda: [blank], nlp=nlp, labels=LABELS)  # type: ignore[attr-defined]
    draw_head(nlp.get_pipe("token_classifier"))
    return nlp


def trained(path: Path, *, dtype: str, engine: EngineName) -> Language:
    """Return a trained pipeline in another precision and engine, with windows and batches of configs/ner.cfg."""
    config = load_config(path / "config.cfg")
    settings: dict[str, Any] = {"nlp.batch_size": SHIPPED["nlp"]["batch_size"]}
    for block in _backbone_blocks(config["components"], "components"):
        encoder = {**READING, "runtime.engine": engine, "backbone.dtype": dtype}
        settings |= {f"{block.removesuffix('backbone')}{name}": value for name, value in encoder.items()}
    return spacy.load(path, config=settings)


def backbone_of(path: Path) -> str:
    """Return the name of the backbone of a trained pipeline."""
    config = load_config(path / "config.cfg")
    block: Any = config
    for part in next(_backbone_blocks(config["components"], "components")).split("."):
        block = block[part]
    return str(block["path"] or block["name"])


def _backbone_blocks(components: dict[str, Any], name: str) -> Iterator[str]:
    blocks = walk(components, (name,))
    return (dotted(*place) for place, block in blocks if block.get("@misc") == "spacy_ptv2.Backbone.v1")


def without_tuning(nlp: Language) -> Language:
    """Take adapters out of a pipeline. RETURNS: The same pipeline."""
    for _, pipe in nlp.pipeline:
        for shim in adapter_shims(getattr(pipe, "model", None)):
            shim.set_prompt(FlatPrompt(layers=(), lengths=(), width=shim.backbone.key_width, dropout=0.0))
            shim.encoder.lora = None
    return nlp


def spacy_transformers(backbone: str) -> Language:
    """Return configs/finetune_ner.cfg over the same backbone, untrained."""
    config: Config = load_config(baseline_config(), overrides={"paths.backbone": str(folder_of(backbone))})
    config["initialize"]["before_init"] = None
    nlp = load_model_from_config(config, auto_fill=True)
    words = [label.lower() for label in LABELS]
    doc = Doc(nlp.vocab, words=words, ents=[f"B-{label}" for label in LABELS])
    fix_random_seed(0)
    nlp.initialize(lambda: [Example(Doc(nlp.vocab, words=words), doc)], sgd=Adam(0.001))
    return nlp


def folder_of(backbone: str) -> Path:
    """Return where a backbone is on this machine."""
    return find_backbone(BackboneSource(backbone))


class BareForward:
    """The limit: the bare model of transformers over the windows of ours, all sorted by length, padded beforehand.

    backbone (str), dtype (str): The same model and precision. texts (Sequence[Text]): Their windows overlap as ours do.
    """

    def __init__(self, backbone: str, dtype: str, texts: Sequence[Text]) -> None:
        self.model = AutoModel.from_pretrained(folder_of(backbone), torch_dtype=getattr(torch, dtype)).eval()
        self.batches = padded_windows(get_backbone(BackboneSource(backbone)), texts)

    def __call__(self) -> None:
        """Run all batches."""
        with torch.inference_mode():
            for batch in self.batches:
                self.model(**batch)


def padded_windows(backbone: Backbone, texts: Sequence[Text]) -> list[dict[str, torch.Tensor]]:
    """Return batches of windows over all texts, both as large as in configs/ner.cfg, the shortest windows first."""
    blank = spacy.blank("en")
    limits = WindowLimits(WINDOWS["length"], WINDOWS["overlap"])
    docs = [text.make_doc(blank) for text in texts]
    windows = encode_docs(docs, backbone, limits, with_word_shapes=False).windows.ids
    batches = []
    for group in group_with_little_padding([len(ids) for ids in windows], WINDOWS["batch_pieces"]):
        rows = [torch.as_tensor(windows[index]) for index in group]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=backbone.pad_id)
        lengths = torch.tensor([len(row) for row in rows])
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        batches.append({"input_ids": ids, "attention_mask": mask})
    return batches


def annotate(nlp: Language, docs: Sequence[Doc]) -> None:
    """Run a pipeline over Docs, in the batches of its config."""
    for _ in nlp.pipe(docs):
        pass


def entity_f1(nlp: Language, texts: Sequence[Text]) -> float:
    """Return the entity F1 of a pipeline."""
    predicted = list(nlp.pipe([text.make_doc(nlp) for text in texts]))
    gold = [Doc(nlp.vocab, words=text.words, spaces=text.spaces, ents=text.tags) for text in texts]
    scores = get_ner_prf([Example(*pair) for pair in zip(predicted, gold, strict=True)])
    return float(scores["ents_f"] or 0.0)
