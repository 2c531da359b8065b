"""The arithmetic of much text on many machines: from what one thread was measured to do, to hours and gigabytes.

Nothing is measured here. Every figure is a product or a quotient of those in `Constants` and `Fleet`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Constants:
    """What was measured on one machine, for one backbone.

    word_seconds (float): Processor seconds of a whole `annotate`, per word and pass. pass_seconds (float): Those of
    them in the backbone's passes. word_operations (float): Floating-point operations of the passes, per word.
    read_bytes, written_bytes (float): Of JSON lines, per word. start_seconds (float): From the start of Python to the
    first annotated text. task_bytes (float): Of a task on disk. task_memory (float): What a further task adds to a
    process that has the backbone, in bytes. task_seconds (float): To load it. backbone_bytes (float): Of the file of
    weights. backbone_seconds (float): To load weights of its own, as each fine-tuned task has them.
    """

    word_seconds: float
    pass_seconds: float
    word_operations: float
    read_bytes: float
    written_bytes: float
    start_seconds: float
    task_bytes: float
    task_memory: float
    task_seconds: float
    backbone_bytes: float
    backbone_seconds: float

    @property
    def other_seconds(self) -> float:
        """Processor seconds of a word outside the passes."""
        return self.word_seconds - self.pass_seconds


@dataclass(frozen=True)
class Work:
    """What there is to annotate. passes (float): How many tasks read each document."""

    documents: float
    words: float  # in a document
    tasks: int
    passes: float

    @property
    def words_read(self) -> float:
        """Words that go through the backbone, each as often as it does."""
        return self.documents * self.words * self.passes


@dataclass(frozen=True)
class Fleet:
    """The machines. cores (int): In each node. gpu_operations (float): Floating-point, of a GPU, a second."""

    nodes: int
    cores: int
    gpus: int
    gpu_operations: float


def cpu_hours(constants: Constants, work: Work, fleet: Fleet) -> float:
    """Return how long the nodes are busy, a process of one thread on each core."""
    seconds = work.words_read * constants.word_seconds / (fleet.nodes * fleet.cores)
    return (seconds + constants.start_seconds) / 3600


def gpu_hours(constants: Constants, work: Work, fleet: Fleet) -> float:
    """Return how long the GPUs compute, if enough cores bring them what they read."""
    return work.words_read * constants.word_operations / (fleet.gpus * fleet.gpu_operations) / 3600


def cores_per_gpu(constants: Constants, fleet: Fleet) -> float:
    """Return how many cores tokenise, decode and write as fast as a GPU computes."""
    return fleet.gpu_operations / constants.word_operations * constants.other_seconds


def node_megabytes_per_second(constants: Constants, work: Work, fleet: Fleet) -> float:
    """Return what a node reads and writes while its cores are busy: a document once, annotations once per pass."""
    per_word = constants.read_bytes / work.passes + constants.written_bytes
    return per_word * fleet.cores / constants.word_seconds / 1e6


@dataclass(frozen=True)
class Tasks:
    """What many tasks take. disk (float): Of one copy. memory (float): Of a process that holds all of them, in bytes.

    traffic (float): What the nodes read if each reads every task once. switching (float): Processor hours to load all
    tasks once in each process, one after the other.
    """

    disk: float
    memory: float
    traffic: float
    switching: float


def adapted(constants: Constants, work: Work, fleet: Fleet) -> Tasks:
    """Return what tasks over one backbone take."""
    disk, memory = (
        constants.backbone_bytes + work.tasks * own for own in (constants.task_bytes, constants.task_memory)
    )
    return _tasks(work, fleet, disk, memory, constants.task_seconds)


def fine_tuned(constants: Constants, work: Work, fleet: Fleet) -> Tasks:
    """Return what tasks take of which each has all weights for itself. They load as ours do, and then their weights."""
    disk = work.tasks * constants.backbone_bytes
    return _tasks(work, fleet, disk, disk, constants.task_seconds + constants.backbone_seconds)


def _tasks(work: Work, fleet: Fleet, disk: float, memory: float, loading: float) -> Tasks:
    """Return it from bytes, and the seconds to load a task."""
    return Tasks(disk, memory, fleet.nodes * disk, work.tasks * loading * fleet.nodes * fleet.cores / 3600)
