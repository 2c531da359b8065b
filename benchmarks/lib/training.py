"""What the benchmarks of training run on: sentences, adapters and fine-tuning under one head, and a step of each.

The configs are those that are shipped, `configs/ner.cfg` for adapters and `configs/finetune_ner.cfg` for the baseline;
its `ner` gives way to the linear head of the former, so that both train the same task on the same batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import DocBin
from spacy.training import Corpus, Example
from spacy.training.initialize import init_nlp
from spacy.util import load_config
from thinc.api import Config, Model, PyTorchShim, fix_random_seed, require_gpu, set_gpu_allocator

from spacy_ptv2 import BackboneSource, find_backbone
from spacy_ptv2.serialization.models import trained_parameters
from spacy_ptv2.training.trainer import Trainer, main_score, resolve_training

from .pipelines import CONFIGS, baseline_config, read_corpus

CLOCK = Path(__file__).with_name("clock.py")  # for --code
BATCH_WORDS = 640  # padded, of all that is compared: as configs/finetune_ner.cfg has it
ENCODER = "components.transformer.model"
PROMPT_RATE = "training.optimizer.learn_rates.prompt"
FP32: Mapping[str, Any] = {f"{ENCODER}.runtime.mixed_precision": False, f"{ENCODER}.backbone.dtype": "float32"}
WARM_CACHE: Mapping[str, Any] = {f"{ENCODER}.runtime.hidden_state_cache_mb": 4096}  # warm after the round that warms up


def save_sentences(corpus: Path | None, n_sentences: int, folder: Path) -> Path:
    """Write sentences from all over a corpus, and a few of them as `dev.spacy`, into a folder.

    corpus (Path | None): A `.spacy` file, None for Wikigold. n_sentences (int): 0 for all.
    RETURNS (Path): `train.spacy` there.
    """
    vocab = spacy.blank("en").vocab
    docs = list(read_corpus(corpus, vocab))
    if 0 < n_sentences < len(docs):
        docs = [docs[number * len(docs) // n_sentences] for number in range(n_sentences)]
    DocBin(docs=docs[:8]).to_disk(folder / "dev.spacy")
    DocBin(docs=docs).to_disk(folder / "train.spacy")
    return folder / "train.spacy"


def prompt_config(corpus: Path, backbone: str, changes: Mapping[str, Any] | None = None) -> Config:
    """Return the shipped config for deep prompts + LoRA, with the batches of fine-tuning.

    changes (Mapping): Settings by their names with dots.
    """
    own = {f"{ENCODER}.backbone.name": backbone, "training.batcher.size": BATCH_WORDS}
    overrides = {**_paths(corpus), **own, **(changes or {})}
    return load_config(CONFIGS / "ner.cfg", overrides=overrides, interpolate=False)


def one_epoch_config(corpus: Path, backbone: str, layers: list[int] | None) -> Config:
    """Return the shipped config for one epoch over a corpus, which is its dev corpus as well."""
    overrides = {
        "paths.train": str(corpus),
        "paths.dev": str(corpus),
        f"{ENCODER}.backbone.name": backbone,
        f"{ENCODER}.adapter.prompt.layers": layers,
        f"{ENCODER}.adapter.word_shape_place": "prompt",
        "initialize.before_init.epochs": 1,
    }
    return load_config(CONFIGS / "ner.cfg", overrides=overrides, interpolate=False)


def evaluated(evaluations: int, epochs: int) -> dict[str, int]:
    """Return the change to a config of ours that evaluates a training of so many epochs about so often; 0: none."""
    if not evaluations:
        return {}
    return {"initialize.before_init.evaluations_per_epoch": max(1, round(evaluations / epochs))}


def top_third_changes(layers: Sequence[int]) -> dict[str, Any]:
    """Return what puts the prompt into some layers alone, and leaves those below as they are in the bare backbone."""
    adapter = f"{ENCODER}.adapter"
    return {f"{adapter}.prompt.layers": list(layers), f"{adapter}.word_shape_place": "prompt"}


def finetune_config(corpus: Path, backbone: str, changes: Mapping[str, Any] | None = None) -> Config:
    """Return the shipped config for fine-tuning, with the linear head in the place of spaCy's `ner`.

    changes (Mapping): Settings by their names with dots.
    """
    own = {"paths.backbone": str(find_backbone(BackboneSource(backbone)))}
    overrides = {**_paths(corpus), **own, **(changes or {})}
    config = load_config(baseline_config(), overrides=overrides, interpolate=False)
    listener = config["components"].pop("ner")["model"]["tok2vec"]
    head = deepcopy(load_config(CONFIGS / "ner.cfg", interpolate=False)["components"]["token_classifier"])
    head["model"]["tok2vec"] = listener
    config["components"]["token_classifier"] = head
    config["nlp"]["pipeline"] = ["transformer", "token_classifier"]
    return config


def score(nlp: Language, corpus: Path) -> float:
    """Return what a pipeline scores on a `.spacy` file, by the `score_weights` of its config."""
    return main_score(nlp.evaluate(list(Corpus(corpus)(nlp))), nlp.config["training"]["score_weights"])


def count_parts(nlp: Language) -> dict[str, int]:
    """Return how many numbers are trained of each part (see `spacy_ptv2.parameter_groups`).

    Thinc's own torch shims are counted too: they hold the "backbone" of spacy-transformers.
    """
    models = [model for _, pipe in nlp.pipeline if isinstance(model := getattr(pipe, "model", None), Model)]
    shims = [shim for model in models for node in model.walk() for shim in node.shims]
    counts = {part: count for part, count in trained_parameters(models).items() if part != "backbone"}
    trained_whole = [shim._model for shim in shims if isinstance(shim, PyTorchShim)]
    counts["backbone"] = sum(weights.numel() for module in trained_whole for weights in module.parameters())
    return {part: count for part, count in counts.items() if count}


def compute_on(gpu_id: int) -> None:
    """Let what is built from now on compute on a GPU, -1 for the CPU, with one allocator for Thinc and torch."""
    if gpu_id >= 0:
        require_gpu(gpu_id)
        set_gpu_allocator("pytorch")


def _paths(corpus: Path) -> dict[str, Any]:
    return {"paths.train": str(corpus), "paths.dev": str(corpus.with_name("dev.spacy"))}


class SpacyLoop:
    """A pipeline in training, with the batches of its corpus. Steps are those of `spacy train`.

    config (Config): A training config, not interpolated. gpu_id (int): What it computes on; see `compute_on`.
    """

    def __init__(self, config: Config, gpu_id: int = -1) -> None:
        config["initialize"]["before_init"]["epochs"] = 1000  # so that the schedule does not end
        self.nlp = init_nlp(config, use_gpu=gpu_id)
        self._trainer = Trainer(self.nlp, resolve_training(self.nlp))
        examples = list(self._trainer.train_corpus(self.nlp))
        self.batches: list[list[Example]] = list(self._trainer.settings["batcher"](examples))
        fix_random_seed(0)

    def step(self, batch: int) -> None:
        """Learn from a batch, by its number."""
        self._trainer.update(self.batches[batch], {"step": batch, "epoch": 0})
        self._trainer.step()


def write_clocked_epoch(config: Config, folder: Path, *, profile: bool = False) -> tuple[Path, Path]:
    """Write a config that trains for one epoch under the clock of `clock.py`.

    RETURNS (tuple[Path, Path]): The config, and the file that the clock will write.
    """
    path, times = folder / "config.cfg", folder / "times.json"
    times.unlink(missing_ok=True)
    own = Config(config)
    own["initialize"]["before_init"].update(epochs=1, evaluations_per_epoch=1, min_steps=0)
    own["training"]["before_update"] = {"@callbacks": "benchmarks.clock.v1", "path": str(times), "profile": profile}
    own.to_disk(path, interpolate=False)
    return path, times
