"""`spacy_ptv2.train`: trains a pipeline that was put together in Python, without a config file.

In: a pipeline, and annotated Docs, texts or files. Out: the same pipeline, with the weights that scored best on dev.
The loop is that of the commands; optimizer and batches are those of the shipped config for the task.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spacy.language import Language
from spacy.training import Example
from spacy.training.loop import DIR_MODEL_BEST
from thinc.api import fix_random_seed

from ..corpora.examples import Source, read_examples
from ..errors import CorpusError, Errors
from ..optimizers.creation import OURS, SHIPPED
from ..pipeline.temperature import heads_of
from ..shipped import read_shipped
from .loggers import CURVE
from .planning import count_steps, write_plan
from .run import train_and_save

# Factories whose sequences need other batches than sentences do, and the shipped configs that have them.
TASKS = {
    "role_labeler": "srl",
    "question_answerer": "squad",
    "text_classifier": "textcat",
    "pair_classifier": "pairs",
}
CURVE_LOGGER = "spacy_ptv2.curve_logger.v1"


def train(
    nlp: Language,
    train: Source,
    dev: Source,
    *,
    output: str | Path | None = None,
    epochs: int = 8,
    min_steps: int = 3000,
    seed: int = 0,
) -> dict[str, Any]:
    """Train the components of a pipeline, and keep the weights that score best on dev.

    A pipeline that is new is initialised first; one that was loaded or trained before goes on from its weights, with
    the labels that it has. A pipeline whose config names an optimizer of this package trains by its own [training]
    block, any other by that of the shipped config for its task.

    nlp (Language): The pipeline; it is trained in place.
    train, dev (Source): A path to `.spacy` files or to any file that `spacy ptv2 convert` reads, or an iterable of
        annotated Docs, of Examples, of pairs of text and annotations as in `Example.from_dict`, or of rows such as
        those of a dataset with `tokens` and `ner_tags`.
    output (str | Path | None): A folder for model-best, model-last and the learning curve, which are overwritten; None
        to write nothing.
    epochs (int): Passes over the training corpus, each followed by an evaluation.
    min_steps (int): Least number of steps: a small corpus is passed more often.
    seed (int): Of everything random.
    RETURNS (dict[str, Any]): The scores on dev of the weights that were kept.
    RAISES (CorpusError): P789 if a corpus has no examples; P788 and others from reading one.
    """
    examples = {name: read_examples(source, nlp) for name, source in (("train", train), ("dev", dev))}
    for name, own in examples.items():
        if not own:
            raise CorpusError(Errors.P789.format(name=name))
    if output is None:
        with TemporaryDirectory() as folder:
            return _train(nlp, examples, Path(folder), (epochs, min_steps, seed), curve=None)
    return _train(nlp, examples, Path(output), (epochs, min_steps, seed), curve=str(Path(output) / CURVE))


def _train(
    nlp: Language, examples: dict[str, list[Example]], folder: Path, plan: tuple[int, int, int], *, curve: str | None
) -> dict[str, Any]:
    epochs, min_steps, seed = plan
    corpora = (lambda nlp: examples["train"], lambda nlp: examples["dev"])
    _choose_training(nlp, seed, curve)
    write_plan(nlp, count_steps(nlp, corpora[0]), epochs, min_steps=min_steps)
    fix_random_seed(seed)
    if nlp.path is None and nlp._optimizer is None:
        nlp.initialize(lambda: examples["train"])
    path = nlp.path
    train_and_save(nlp, folder, corpora=corpora)
    nlp.from_disk(folder / DIR_MODEL_BEST)
    nlp._path = path  # `from_disk` sets it, but the pipeline is not that file: it may train and be saved elsewhere
    return dict(nlp.meta["performance"])


def _choose_training(nlp: Language, seed: int, curve: str | None) -> None:
    """Write the [training] block that the pipeline needs into its config, unless it has one with our optimizer."""
    training = nlp.config["training"]
    if not str(training["optimizer"].get("@optimizers")).startswith(OURS):
        task = next((TASKS[factory] for factory in nlp.pipe_factories.values() if factory in TASKS), SHIPPED)
        block = read_shipped(task)["training"]
        del block["score_weights"]  # the components' own stay
        if not heads_of(nlp):
            block["before_to_disk"] = None
        training.update(block)
    training["seed"], training["gpu_allocator"] = seed, None
    if training["logger"]["@loggers"] == CURVE_LOGGER:
        training["logger"]["path"] = curve
