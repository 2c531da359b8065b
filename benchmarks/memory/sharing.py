"""Many pipelines over one backbone in one process: what each further one costs in memory and in time.

python -m benchmarks.memory.sharing BACKBONE_OR_PIPELINE [--copies 20]

From a hub id or a model folder it builds an untrained NER pipeline; a pipeline's folder is taken as it is. Copies get
random prompts of their own. What is measured is what they take beyond blank spaCy pipelines with the same tokenizer and
vocabulary: memory in a fresh process each, time side by side in one.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

import spacy
import torch
import typer
from spacy.language import Language
from wasabi import msg

from spacy_ptv2.serialization.models import adapter_shims

from ..lib.memory import in_fresh_process, resident_bytes
from ..lib.pipelines import LABELS, tok2vec_block

MAX_MEGABYTES, MAX_MILLISECONDS = 5.0, 50.0  # the bars
TEXT = "Ada Lovelace worked with Charles Babbage in London."


def main(source: str, copies: int = 20) -> None:
    """Measure and print; exit with 1 if a bar is missed."""
    with tempfile.TemporaryDirectory() as name:
        pipelines, blanks = make_copies(source, Path(name), copies)
        ours, blank = (in_fresh_process(megabytes_per_load, paths) for paths in (pipelines, blanks))
        (seconds, blank_seconds), pointers = in_fresh_process(seconds_per_load, pipelines, blanks)
    beyond, longer = ours - blank, 1000 * (seconds - blank_seconds)
    rows = [
        ("memory, MB", f"{ours:.2f}", f"{blank:.2f}", f"{beyond:.2f}", "5"),
        ("load, ms", *(f"{1000 * value:.1f}" for value in (seconds, blank_seconds)), f"{longer:.1f}", "50"),
        ("backbones in memory", str(pointers), "", "", "1"),
    ]
    msg.table(rows, header=("per further pipeline", "ours", "blank", "beyond", "bar"), divider=True)
    if beyond > MAX_MEGABYTES or longer > MAX_MILLISECONDS or pointers != 1:
        msg.fail(f"{copies} pipelines over {source}: a bar is missed", exits=1)
    msg.good(f"{copies} pipelines over {source}: one backbone, each further pipeline within the bars")


def make_copies(source: str, folder: Path, copies: int) -> tuple[list[str], list[str]]:
    """Save copies with random prompts, and as many blank pipelines. RETURNS: Their folders."""
    is_pipeline = (Path(source) / "meta.json").is_file()
    nlp = spacy.load(source) if is_pipeline else untrained(source)
    blank = spacy.blank(nlp.lang, vocab=nlp.vocab)
    pipelines, blanks = [], []
    for number in range(copies):
        for _, pipe in nlp.pipeline:
            for shim in adapter_shims(getattr(pipe, "model", None)):
                with torch.no_grad():
                    shim.encoder.prompt.rows().normal_()
        pipelines.append(str(folder / f"pipeline{number}"))
        blanks.append(str(folder / f"blank{number}"))
        nlp.to_disk(pipelines[-1])
        blank.to_disk(blanks[-1])
    return pipelines, blanks


def untrained(backbone: str) -> Language:
    """Return an untrained NER pipeline over a backbone, with the shipped defaults."""
    nlp = spacy.blank("en")
    nlp.add_pipe("ptuning_transformer", config={"model": tok2vec_block(backbone, None)})
    classifier = nlp.add_pipe("token_classifier")
    for label in LABELS:
        classifier.add_label(label)  # type: ignore[attr-defined]
    nlp.initialize()
    return nlp


def megabytes_per_load(folders: list[str]) -> float:
    """Return what each pipeline after the first adds to the resident memory of this process."""
    kept = [spacy.load(folders[0])]
    before = resident_bytes()
    kept += [spacy.load(folder) for folder in folders[1:]]
    return (resident_bytes() - before) / 1e6 / (len(kept) - 1)


def seconds_per_load(pipelines: list[str], blanks: list[str]) -> tuple[tuple[float, float], int]:
    """Return median seconds of a further load, ours and blank, and the number of backbones in memory."""
    kept = [spacy.load(pipelines[0]), spacy.load(blanks[0])]
    times: tuple[list[float], list[float]] = ([], [])
    for pair in zip(pipelines[1:], blanks[1:], strict=True):
        for folder, seconds in zip(pair, times, strict=True):
            start = time.perf_counter()
            kept.append(spacy.load(folder))
            seconds.append(time.perf_counter() - start)
    shims = [shim for nlp in kept for _, pipe in nlp.pipeline for shim in adapter_shims(getattr(pipe, "model", None))]
    pointers = {next(shim.backbone.model.parameters()).data_ptr() for shim in shims if shim.is_initialized}
    for nlp in kept:
        nlp(TEXT)
    return (median(times[0]), median(times[1])), len(pointers)


if __name__ == "__main__":
    typer.run(main)
