"""A training that was interrupted goes on to the very files and curve of one that was not."""

import io
import json
import os
import random
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from spacy.tokens import DocBin, Span
from spacy.training.initialize import init_nlp
from thinc.api import Config, fix_random_seed

from spacy_ptv2.errors import DiskError, FormatError, PTuningError
from spacy_ptv2.serialization.tensors import dump_tensors
from spacy_ptv2.training.checkpoint import CHECKPOINT, check_config, read_checkpoint
from spacy_ptv2.training.interruption import Interrupted
from spacy_ptv2.training.random_state import RandomState
from spacy_ptv2.training.run import Checkpointing, train
from spacy_ptv2.training.trainer import Trainer

from ..small_disks import small_disk
from .kinds import KINDS
from .test_loop import ADAM, files_of, small_config

ALL = {"as shipped": {}, "another optimizer": {"optimizer": ADAM}}
ALL["batches that grow"] = {
    "training.batcher.size": {"@schedules": "compounding.v1", "start": 4, "stop": 40, "compound": 1.4}
}
ALL["streamed"] = {"is_planned": False, "training.max_epochs": -1, "training.max_steps": 9}
ALL["impatient"] = {"is_planned": False, "training.max_steps": 99, "training.patience": 8}
ALL["accumulated"] = {"training.accumulate_gradient": 2}
ALL["no seed"] = {"training.seed": None}
STOPS = (1, 4, 7)  # within the first epoch, at an evaluation, and after one


def run(config, folder, *, start=None, minutes=0.0, stop_at=None):
    """Train, and send the process a signal before a step. RETURNS: The curve, and what the generators give next."""

    def before_update(trainer, progress, own=Trainer.before_update):
        own(trainer, progress)
        if progress["step"] == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    if start is None:
        fix_random_seed(3)
    nlp = init_nlp(config)
    checkpointing = Checkpointing(config, minutes, start)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "before_update", before_update)
        train(nlp, folder, stdout=io.StringIO(), stderr=io.StringIO(), checkpointing=checkpointing)
    return curve_of(config), (random.random(), float(np.random.random()), float(torch.rand(())))


def curve_of(config):
    points = [json.loads(line) for line in Path(config["paths"]["curve"]).read_text(encoding="utf8").splitlines()]
    for point in points:
        del point["seconds"], point["scores"]["speed"]
        del point["peak_memory"]
    return points


def trained_files(folder):
    return {name: data for name, data in files_of(folder).items() if name != CHECKPOINT}


def without_times(checkpoint):
    header = {key: value for key, value in checkpoint.header.items() if key not in ("seconds", "checksum")}
    header["reported"] = json.loads(header["reported"])
    for info in header["reported"]:
        info.pop("seconds"), info["other_scores"].pop("speed")
    return header, {name: array.tobytes() for name, array in checkpoint.arrays.items()}


def assert_goes_on(config, tmp_path, stops):
    expected = run(config, tmp_path / "whole")
    start = None
    for at in stops:
        with pytest.raises(Interrupted, match=f"SIGTERM after {at + 1} steps"):
            run(config, tmp_path / "parts", start=start, stop_at=at)
        start = read_checkpoint(tmp_path / "parts" / CHECKPOINT)
        assert (start.n_steps, start.is_finished) == (at + 1, False)
    assert run(config, tmp_path / "parts", start=start) == expected
    assert trained_files(tmp_path / "parts") == trained_files(tmp_path / "whole")
    whole, parts = (read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("whole", "parts"))
    assert whole.is_finished and without_times(whole) == without_times(parts)


FIRST = ("as shipped", "another optimizer", "batches that grow")


@pytest.mark.parametrize(
    "name", [name if name in FIRST else pytest.param(name, marks=pytest.mark.exhaustive) for name in ALL]
)
def test_it_goes_on_to_the_very_result(name, tiny_folder, corpus, tmp_path):
    assert_goes_on(small_config("listener", tiny_folder, corpus, tmp_path, ALL[name]), tmp_path, STOPS)


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", KINDS[1:])
def test_it_goes_on_with_every_kind_of_pipeline(kind, tiny_folder, corpus, tmp_path):
    assert_goes_on(small_config(kind, tiny_folder, corpus, tmp_path, {}), tmp_path, (5,))


@pytest.fixture
def interrupted(tiny_folder, corpus, tmp_path):
    """Return a config, and the folder of its training, which was interrupted after two steps."""
    config = small_config("listener", tiny_folder, corpus, tmp_path, {})
    with pytest.raises(Interrupted):
        run(config, tmp_path / "out", stop_at=1)
    return config, tmp_path / "out"


def test_other_settings_are_refused_with_the_difference(interrupted):
    config, folder = interrupted
    checkpoint = read_checkpoint(folder / CHECKPOINT)
    check_config(checkpoint, config)
    changed = Config().from_str(config.to_str(), overrides={"training.dropout": 0.31, "nlp.batch_size": 7})
    with pytest.raises(PTuningError, match=r"P813.*training\.dropout: 0\.1 before, 0\.31 now\. Use"):
        check_config(checkpoint, changed)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda docs: [renamed(doc) for doc in docs], "P814.*labels of token_classifier are .*PLANET.*, expected"),
        (lambda docs: docs[::-1] + docs[:1], r"P816.*corpus has 4 examples with \d+ words, expected 3 examples"),
    ],
)
def test_another_corpus_is_refused(interrupted, change, problem):
    config, folder = interrupted
    other = Config().from_str(config.to_str())
    docs = list(DocBin().from_disk(other["corpora"]["train"]["path"]).get_docs(spacy.blank("en").vocab))
    DocBin(docs=change(docs)).to_disk(folder / "other.spacy")
    other["corpora"]["train"]["path"] = str(folder / "other.spacy")
    with pytest.raises(PTuningError, match=problem):
        run(other, folder, start=read_checkpoint(folder / CHECKPOINT))


def renamed(doc):
    """Return a Doc with as many labels, but another one."""
    doc.ents = [Span(doc, ent.start, ent.end, "PLANET") for ent in doc.ents]
    return doc


def test_another_backbone_is_refused(interrupted):
    config, folder = interrupted
    checkpoint = read_checkpoint(folder / CHECKPOINT)
    checkpoint.header["identity"] = dict.fromkeys(checkpoint.header["identity"], "0" * 64)
    with pytest.raises(PTuningError, match="P814.*backbone 0 of transformer are .*expected 0000"):
        run(config, folder, start=checkpoint)


def test_a_checkpoint_of_another_version_or_damaged_is_refused(interrupted):
    _, folder = interrupted
    path = folder / CHECKPOINT
    whole = path.read_bytes()
    checkpoint = read_checkpoint(path)
    path.write_bytes(dump_tensors(checkpoint.arrays, {**checkpoint.header, "version": 99}))
    with pytest.raises(FormatError, match=r"P812.*version 99.*version 1\."):
        read_checkpoint(path)
    for damaged in (whole[:-1], whole[: len(whole) // 2], b"", whole[:-1] + bytes([whole[-1] ^ 255])):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match="P30[16]"):
            read_checkpoint(path)
    kept = dict(checkpoint.header)
    for field in ("losses", "results", "random_values", "shuffled_normals"):
        path.write_bytes(dump_tensors(checkpoint.arrays, {**kept, field: None}))
        with pytest.raises(FormatError, match="P301"):
            run(interrupted[0], folder, start=read_checkpoint(path))


def test_an_optimizer_whose_state_is_unknown_is_refused(tiny_folder, corpus, tmp_path):
    config = small_config("listener", tiny_folder, corpus, tmp_path, {"optimizer": {"@optimizers": "tests.other.v1"}})
    with pytest.raises(PTuningError, match="P418.*Unknown.*spacy train"):
        run(config, tmp_path / "out")


@spacy.registry.optimizers("tests.other.v1")
def build_other():
    class Unknown(spacy.registry.resolve({"o": ADAM})["o"].__class__):
        pass

    return Unknown(0.01)


def test_checkpoints_between_evaluations(tiny_folder, corpus, tmp_path, monkeypatch):
    """With no minutes between them, after every step; with many, at evaluations alone, and at the end."""
    from spacy_ptv2.training import run as module

    steps = []
    monkeypatch.setattr(
        module, "save_checkpoint", lambda path, trainer, state, *rest, **how: steps.append(state.n_steps)
    )
    config = small_config("listener", tiny_folder, corpus, tmp_path, {})
    run(config, tmp_path / "out")
    assert steps == [*range(1, 14), 13]
    steps.clear()
    run(config, tmp_path / "out", minutes=60)
    assert steps == [1, 4, 7, 10, 13, 13]


def test_a_full_disk_leaves_the_last_complete_pipelines_and_checkpoint(tiny_folder, corpus, tmp_path):
    config = small_config("listener", tiny_folder, corpus, tmp_path, {})
    run(config, tmp_path / "whole")
    needed = sum(map(len, files_of(tmp_path / "whole").values())) // 1024
    n_full = 0
    for kilobytes in random.Random(0).sample(range(needed // 2, 2 * needed), 5):
        with small_disk(tmp_path / "disk", kilobytes) as disk:
            try:
                run(config, disk / "out")
            except DiskError as error:
                n_full += 1
                assert f"the disk at {disk}" in str(error)
            for name in ("model-best", "model-last"):
                if (disk / "out" / name).exists():
                    spacy.load(disk / "out" / name)
            if (disk / "out" / CHECKPOINT).exists():
                read_checkpoint(disk / "out" / CHECKPOINT)
    assert n_full


def test_random_numbers_go_on_from_a_state():
    fix_random_seed(5)
    np.random.normal()  # it, as the next, holds another number ready
    random.gauss(0, 1)
    state = RandomState.capture()

    def draw():
        return [(random.gauss(0, 1), float(np.random.normal()), float(torch.rand(()))) for _ in range(3)]

    drawn = draw()
    state.restore()
    assert draw() == drawn
    RandomState.load(*state.export()).restore()
    assert draw() == drawn


def test_killed_after_the_last_step_it_only_has_to_end(tiny_folder, corpus, tmp_path):
    """Between the checkpoint of the last evaluation and the end."""
    config = small_config("listener", tiny_folder, corpus, tmp_path, {})
    expected = run(config, tmp_path / "whole")
    whole = read_checkpoint(tmp_path / "whole" / CHECKPOINT)
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    fix_random_seed(4)
    assert run(config, tmp_path / "parts", start=whole) == expected
    assert trained_files(tmp_path / "parts") == trained_files(tmp_path / "whole")
    assert without_times(read_checkpoint(tmp_path / "parts" / CHECKPOINT)) == without_times(whole)
