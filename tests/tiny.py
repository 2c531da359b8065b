"""Tiny seeded backbones with real tokenizers, and a pipeline over one."""

import string
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Corpus, Example
from spacy.util import fix_random_seed, load_config
from thinc.api import Adam, Config
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from spacy_ptv2.adapters.build import build_encoder
from spacy_ptv2.adapters.encoder import AdaptedEncoder
from spacy_ptv2.alignment.word_shape import N_WORD_SHAPES
from spacy_ptv2.annotations.given import give
from spacy_ptv2.annotations.names import GIVEN
from spacy_ptv2.backbones.backbone import Backbone
from spacy_ptv2.options import AdapterOptions, PromptOptions, RuntimeOptions, WindowOptions

OPTIONS = {"adapter": AdapterOptions, "windows": WindowOptions, "runtime": RuntimeOptions}
# For tiny backbones.
SMALL = {"prompt": {"length": 4}, "lora_rank": 1, "window": 32, "overlap": 8, "mixed_precision": False}

# Rates for tiny backbones and few steps.
FAST = {
    f"training.optimizer.learn_rates.{part}": rate
    for part, rate in {"prompt": 0.03, "lora": 0.002, "word_shape": 0.005, "head": 0.005}.items()
}
NER_CONFIG = Path(__file__).parents[1] / "configs" / "ner.cfg"
WORDS = "the of in to and a is was for at opens danish office letter garden peter london paris john mary works".split()
TEXT = [" ".join(WORDS), "A long letter from Denmark came late on Monday, and nobody read it twice."]

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]

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


# Around one text, and around two; the number after a colon is the token type.
TEMPLATES = {
    "bert": ("<s> $A </s>", "<s> $A </s> $B:1 </s>:1"),
    "roberta": ("<s> $A </s>", "<s> $A </s> </s> $B </s>"),
    "t5": ("$A </s>", "$A </s> $B </s>"),
    "mt5": ("$A </s>", "$A </s> $B </s>"),
    "llama": ("<s> $A", "<s> $A <s> $B:1"),
    "mistral": ("<s> $A", "<s> $A <s> $B:1"),
}
ROBERTA_LIKE = ("camembert", "mpnet", "roberta", "xlm-roberta")
UNIGRAM = ("albert", "camembert", "deberta-v2", "mt5", "t5", "xlm-roberta")
BYTE_LEVEL = ("deberta", "gpt2", "llama", "mistral", "modernbert", "qwen2", "qwen3", "roberta")

# What a family's config needs beside or instead of the common settings.
SETTINGS: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 16},
    "camembert": {"max_position_embeddings": 66},
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {
        "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"],
        "share_att_key": True,
        "position_buckets": 4,
        "max_relative_positions": 64,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
    },
    "distilbert": {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48},
    "electra": {"embedding_size": 16},
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64},
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "sliding_window": 4},
    "mobilebert": {"embedding_size": 16, "intra_bottleneck_size": 16, "num_feedforward_networks": 2},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 6},
    "mpnet": {"max_position_embeddings": 66},
    "mt5": {"d_model": 32, "d_kv": 4, "d_ff": 48, "num_layers": 3, "num_heads": 4},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "roberta": {"max_position_embeddings": 66},
    "t5": {"d_model": 32, "d_kv": 4, "d_ff": 48, "num_layers": 3, "num_heads": 4},
    "xlm-roberta": {"max_position_embeddings": 66},
}


def save_tiny_backbone(
    folder: Path, family: str, *, seed: int = 0, deviation: float | None = None, **overrides: Any
) -> Path:
    """Save a tiny random model of a family (3 layers, width 32, 64 positions) with a fast tokenizer.

    deviation: Of its matrices, instead of the family's own start. overrides: Settings of its config.
    RETURNS: The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer(family)
    tokenizer.save_pretrained(folder)
    settings: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "cls_token_id": tokenizer.cls_token_id,
        "sep_token_id": tokenizer.sep_token_id,
        "type_vocab_size": 2,
    }
    own = SETTINGS.get(family, {})
    if own.keys() & {"d_model", "dim", "n_embd"}:  # families with names of their own for sizes
        settings = {name: settings[name] for name in ("vocab_size", "pad_token_id", "bos_token_id", "eos_token_id")}
    config = AutoConfig.for_model(family, **{**settings, **own, **overrides})
    torch.manual_seed(seed)
    model = AutoModel.from_config(config)
    if deviation is not None:
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=deviation)
            for module in model.modules():
                if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
                    module.weight[module.padding_idx] = 0.0
    model.save_pretrained(folder)
    return folder


def build_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """Return a fast tokenizer of the kind that a family has: WordPiece, byte-level BPE or SentencePiece's Unigram."""
    kind = "unigram" if family in UNIGRAM else "byte_level" if family in BYTE_LEVEL else "word_piece"
    tokenizer = {"unigram": _unigram, "byte_level": _byte_level, "word_piece": _word_piece}[kind]()
    pad, first, last, unknown, mask = SPECIAL
    decoder = family in ("gpt2", "qwen2", "qwen3")  # these add nothing
    if not decoder:
        single, pair = TEMPLATES.get(family, TEMPLATES["roberta" if family in ROBERTA_LIKE else "bert"])
        tokenizer.post_processor = TemplateProcessing(
            single=single,
            pair=pair,
            special_tokens=[(piece, tokenizer.token_to_id(piece)) for piece in (first, last)],
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token=first,
        sep_token=last,
        pad_token=None if decoder else pad,
        unk_token=unknown,
        mask_token=mask,
    )


def build_options(**settings: Any) -> dict[str, Any]:
    """Return the option objects of a layer from settings by their plain names, as {"adapter": AdapterOptions(...)}.

    settings: Fields of the classes in `OPTIONS`; `window` is the length of windows.
    """
    return {name: kind(**_fields_of(kind, settings)) for name, kind in OPTIONS.items()}


def build_adapted(backbone: Backbone, prompt: PromptOptions, **settings: Any) -> AdaptedEncoder:
    """Return an encoder over a backbone. settings: As in `build_options`."""
    options = build_options(prompt=prompt, **settings)
    return build_encoder(backbone, options["adapter"], options["runtime"], n_word_shapes=N_WORD_SHAPES)


def option_blocks(**settings: Any) -> dict[str, Any]:
    """Return the config blocks that `build_options` would give as objects; `prompt` is a block itself."""
    blocks = {}
    for name, kind in OPTIONS.items():
        blocks[name] = {"@misc": f"spacy_ptv2.{name.title()}.v1", **_fields_of(kind, settings)}
    if "prompt" in settings:
        blocks["adapter"]["prompt"] = {"@misc": "spacy_ptv2.Prompt.v1", **settings["prompt"]}
    return blocks


def _fields_of(kind: type, settings: Mapping[str, Any]) -> dict[str, Any]:
    known = {field.name for field in fields(kind)}
    plain = {"length" if name == "window" else name: value for name, value in settings.items()}
    return {name: value for name, value in plain.items() if name in known}


def build_pipeline(folder: Path, corpus: Path, **settings: Any) -> Language:
    """Return an initialised pipeline: ptuning_transformer and token_classifier.

    settings: As in `option_blocks`, in addition to those set here, and blocks of `spacy_ptv2.Tok2VecPTuning.v1`.
    """
    nlp = spacy.blank("en")
    block: dict[str, Any] = {
        "@architectures": "spacy_ptv2.Tok2VecPTuning.v1",
        "backbone": {"@misc": "spacy_ptv2.Backbone.v1", "name": str(folder)},
        **option_blocks(**{**SMALL, **settings}),
        **{name: settings[name] for name in ("backbone", "pooling") if name in settings},
    }
    nlp.add_pipe("ptuning_transformer", config={"model": block})
    nlp.add_pipe("token_classifier")
    fix_random_seed(0)
    nlp.initialize(lambda: Corpus(corpus)(nlp))
    return nlp


def small_ner_config(folder: Path, corpus: Path, changes: Mapping[str, Any]) -> Config:
    """Return `configs/ner.cfg` over a tiny backbone, with windows for its positions and higher rates.

    There are no more steps than epochs give.
    changes (Mapping): Further settings, by their names with dots.
    """
    encoder = "components.transformer.model"
    overrides = {
        "paths.train": str(corpus),
        "paths.dev": str(corpus),
        f"{encoder}.backbone.name": str(folder),
        f"{encoder}.windows.length": 32,
        f"{encoder}.windows.overlap": 8,
        f"{encoder}.adapter.prompt.length": 4,
        f"{encoder}.adapter.lora_rank": 1,
        "initialize.before_init.min_steps": 0,
        **FAST,
        **changes,
    }
    return load_config(NER_CONFIG, interpolate=False, overrides=overrides)


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


def _word_piece() -> Tokenizer:
    pieces = [*string.ascii_lowercase, *string.digits, *string.punctuation, *WORDS]
    vocab = [*SPECIAL, *pieces, *(f"##{char}" for char in string.ascii_lowercase + string.digits)]
    ids = {piece: number for number, piece in enumerate(dict.fromkeys(vocab))}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token=SPECIAL[3]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXT * 5, trainer)
    return tokenizer


def _unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=150,
        special_tokens=SPECIAL,
        unk_token=SPECIAL[3],
        initial_alphabet=list(string.printable),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT * 5, trainer)
    return tokenizer


def task_block(folder: Path, layout: str, *, rows: str = "tokens", **settings: Any) -> dict[str, Any]:
    """Return the model block of a task over a tiny backbone.

    layout: As "Question"; rows: As of `SequenceEncoder.v1`; the head follows from it.
    settings: Of the layout, and those of `option_blocks` that differ from SMALL.
    """
    options = {name: settings.pop(name) for name in (*SMALL, "engine") if name in settings}
    head = "TokenClassifier" if rows == "tokens" else "SequenceClassifier"
    return {
        "@architectures": f"spacy_ptv2.{head}.v1",
        "tok2vec": {
            "@architectures": "spacy_ptv2.SequenceEncoder.v1",
            "layout": {"@misc": f"spacy_ptv2.{layout}Layout.v1", **settings},
            "rows": rows,
            "backbone": {"@misc": "spacy_ptv2.Backbone.v1", "name": str(folder)},
            **option_blocks(**{**SMALL, **options}),
        },
    }


def train_task(nlp: Language, docs: Sequence[Doc], *, steps: int = 60) -> list[dict[str, float]]:
    """Initialise a pipeline and train it on gold Docs of its own vocabulary. RETURNS: The losses of each step."""

    def examples() -> list[Example]:
        return [Example(nlp.make_doc(doc.text), doc) for doc in docs]

    fix_random_seed(0)
    nlp.initialize(examples)
    optimizer = Adam(0.01, use_averages=False)
    return [nlp.update(examples(), sgd=optimizer, losses={}) for _ in range(steps)]


def asked(nlp: Language, gold: Doc) -> Doc:
    """Return a Doc of the same text with what is given to tasks, and nothing else."""
    doc = nlp.make_doc(gold.text)
    give(gold, doc, GIVEN)
    return doc
