"""Tiny seeded backbones with real tokenizers, and a pipeline over one."""

import string
from pathlib import Path
from typing import Any

import spacy
import torch
from spacy.language import Language
from spacy.training import Corpus
from spacy.util import fix_random_seed
from thinc.api import Adam
from tokenizers import ByteLevelBPETokenizer
from transformers import AutoConfig, AutoModel, BertTokenizerFast, RobertaTokenizerFast

WORDS = "the of in to and a is was for at opens danish office letter garden peter london paris john mary works".split()
TEXT = [" ".join(WORDS), "A long letter from Denmark came late on Monday, and nobody read it twice."]

TRAIN_CONLL = """-DOCSTART- -X- -X- O

Acme NNP B-NP B-ORG
opens VBZ B-VP O
Danish JJ B-NP B-MISC
office NN I-NP O

Peter NNP B-NP B-PER
Hansen NNP I-NP I-PER

-DOCSTART- -X- -X- O

John NNP B-NP B-PER
works VBZ B-VP O
in IN B-PP O
New NNP B-NP B-LOC
York NNP I-NP I-LOC
. . O O
"""


def save_tiny_backbone(folder: Path, family: str, *, seed: int = 0, **overrides: Any) -> Path:
    """Save a tiny random model of a family with a fast tokenizer. RETURNS: The folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _byte_level(folder) if family in ("roberta", "xlm-roberta", "camembert") else _word_piece(folder)
    tokenizer.save_pretrained(folder)
    settings: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 64 + (2 if family in ("roberta", "xlm-roberta", "camembert") else 0),
        "pad_token_id": tokenizer.pad_token_id,
        "type_vocab_size": 2,
    }
    if family == "electra":
        settings["embedding_size"] = 16
    config = AutoConfig.for_model(family, **{**settings, **overrides})
    torch.manual_seed(seed)
    AutoModel.from_config(config).save_pretrained(folder, safe_serialization=True)
    return folder


def build_pipeline(backbone: Path, corpus: Path, **model: Any) -> Language:
    """Return an initialised pipeline: ptuning_transformer and token_classifier.

    model: Settings of `spacy_ptv2.Tok2VecPTuning.v1` beside those set here.
    """
    nlp = spacy.blank("en")
    block: dict[str, Any] = {
        "@architectures": "spacy_ptv2.Tok2VecPTuning.v1",
        "backbone": {"@misc": "spacy_ptv2.Backbone.v1", "name": str(backbone)},
        "prompt": {"@misc": "spacy_ptv2.Prompt.v1", "length": 4},
        "window": 32,
        "overlap": 8,
        "mixed_precision": False,
        **model,
    }
    nlp.add_pipe("ptuning_transformer", config={"model": block})
    nlp.add_pipe("token_classifier")
    fix_random_seed(0)
    nlp.initialize(lambda: Corpus(corpus)(nlp))
    return nlp


def ner_model(tok2vec: dict[str, Any]) -> dict[str, Any]:
    """Return the model block of spaCy's own `ner`, small, over a tok2vec block."""
    return {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 16,
        "maxout_pieces": 2,
        "use_upper": False,
        "tok2vec": tok2vec,
    }


def train(nlp: Language, corpus: Path, *, steps: int = 60) -> list[dict[str, float]]:
    """Train on a whole small corpus in every step. RETURNS: The losses of each."""
    examples = list(Corpus(corpus)(nlp))
    optimizer = Adam(0.01, use_averages=False)
    fix_random_seed(0)
    return [nlp.update(examples, sgd=optimizer, losses={}) for _ in range(steps)]


def _word_piece(folder: Path) -> BertTokenizerFast:
    pieces = [*string.ascii_lowercase, *string.digits, *string.punctuation, *WORDS]
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces]
    vocab += [f"##{char}" for char in string.ascii_lowercase + string.digits]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(vocab)) + "\n", encoding="utf8")
    return BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), do_lower_case=True)


def _byte_level(folder: Path) -> RobertaTokenizerFast:
    trainer = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer.train_from_iterator(TEXT * 5, vocab_size=400, min_frequency=1, special_tokens=special, show_progress=False)
    trainer.save_model(str(folder))
    return RobertaTokenizerFast(vocab_file=str(folder / "vocab.json"), merges_file=str(folder / "merges.txt"))
