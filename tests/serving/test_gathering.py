"""Single requests that are gathered: each gets its own answer or its own error, in batches that they share."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from spacy_ptv2.errors import PTuningError, QueueError, TaskError
from spacy_ptv2.serving import AdapterBank, RequestQueue

from ..pipeline.test_pipeline import TEXTS
from ..pipeline.test_shared_backbone import annotations, assert_same
from .test_bank import bank, pipelines  # noqa: F401


class Watched:
    """A bank that says how large the batches of `pipe` were, and waits where it is told to."""

    def __init__(self, bank):  # noqa: F811
        self._bank = bank
        self.sizes = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.check, self.timed = bank.check, bank.timed

    def pipe(self, stream, **settings):
        self.may_go.wait()
        asked = list(stream)
        self.sizes.append(len(asked))
        return self._bank.pipe(asked, **settings)


@pytest.fixture
def watched(bank):  # noqa: F811
    return Watched(bank)


def mixed():
    return [(text, name) for text in TEXTS for name in ("shared", None, "separate")]


def test_threads_get_what_they_asked_for(bank, pipelines):  # noqa: F811
    asked = mixed() * 3
    with RequestQueue(bank, batch_size=5) as queue, ThreadPoolExecutor(8) as pool:
        docs = list(pool.map(lambda one: queue(*one), asked))
    assert [doc.text for doc in docs] == [text for text, _ in asked]
    expected = annotations(pipelines[name](text) for text, name in asked if name)
    assert_same(annotations(doc for doc, (_, name) in zip(docs, asked, strict=True) if name), expected)


def test_what_comes_while_a_batch_runs_is_the_next(watched):
    watched.may_go.clear()
    with RequestQueue(watched, batch_size=4) as queue:
        answers = [queue.submit(TEXTS[0], "shared")]
        while queue._waiting:
            time.sleep(0.001)
        answers += [queue.submit(TEXTS[0], "shared") for _ in range(6)]
        watched.may_go.set()
        assert len([answer.result() for answer in answers]) == 7
    assert watched.sizes == [1, 4, 2]


def test_the_first_waits_until_a_batch_is_full_or_its_time_is_over(watched):
    with RequestQueue(watched, wait_ms=60_000, batch_size=3) as queue:
        answers = [queue.submit(TEXTS[0], "shared") for _ in range(3)]
        assert all(answer.result(60) is not None for answer in answers)
    assert watched.sizes == [3]
    with RequestQueue(watched, wait_ms=20, batch_size=3) as queue:
        start = time.monotonic()
        queue(TEXTS[0], "shared")
        assert time.monotonic() - start >= 0.02


def test_an_error_is_that_of_its_own_request(bank, pipelines):  # noqa: F811
    nlp = pipelines["shared"]
    nlp.add_pipe("fails_on_denmark", after="ptuning_transformer")
    bank.load("fails", nlp)
    nlp.remove_pipe("fails_on_denmark")
    asked = [(TEXTS[0], "separate"), ("A letter from Denmark", "fails"), ("A letter", "fails"), (3, "shared")]
    with RequestQueue(bank, wait_ms=60_000, batch_size=len(asked)) as queue:
        answers = [queue.submit(*one) for one in asked]
        assert_same(annotations([answers[0].result()]), annotations([pipelines["separate"](TEXTS[0])]))
        with pytest.raises(KeyError, match="Denmark"):
            answers[1].result()
        assert answers[2].result().text == "A letter"
        with pytest.raises(PTuningError, match="P717"):
            answers[3].result()
        with pytest.raises(TaskError, match="P713"):
            queue.submit(TEXTS[0], "unknown")


def test_a_text_that_an_error_handler_drops_is_none(bank, pipelines):  # noqa: F811
    nlp = pipelines["shared"]
    nlp.add_pipe("fails_on_denmark", after="ptuning_transformer")
    handler = nlp.default_error_handler
    nlp.set_error_handler(lambda *_: None)
    bank.load("fails", nlp)
    nlp.set_error_handler(handler)
    nlp.remove_pipe("fails_on_denmark")
    with RequestQueue(bank, wait_ms=60_000, batch_size=2) as queue:
        answers = [queue.submit("A letter from Denmark", "fails"), queue.submit("Peter", "fails")]
        assert [answer.result() and answer.result().text for answer in answers] == [None, "Peter"]


def test_p733_a_queue_ends_with_what_it_has(watched):
    queue = RequestQueue(watched, wait_ms=60_000)
    waiting = queue.submit(TEXTS[0], "shared")
    queue.close()
    assert waiting.result(0).text == TEXTS[0]
    with pytest.raises(QueueError, match="P733"):
        queue.submit(TEXTS[0], "shared")
    queue.close()
    with pytest.raises(ZeroDivisionError), RequestQueue(watched, wait_ms=60_000) as queue:
        waiting = queue.submit(TEXTS[0], "shared")
        1 / 0  # noqa: B018
    assert waiting.cancelled() and not queue._thread.is_alive()


def test_what_is_cancelled_is_not_computed(watched):
    watched.may_go.clear()
    with RequestQueue(watched) as queue:
        first = queue.submit(TEXTS[0], "shared")
        while queue._waiting:
            time.sleep(0.001)
        second, third = (queue.submit(TEXTS[0], "shared") for _ in range(2))
        assert second.cancel()
        watched.may_go.set()
        assert first.result() and third.result()
    assert watched.sizes == [1, 1]


@pytest.mark.parametrize("settings", [{"wait_ms": -1}, {"wait_ms": float("nan")}, {"batch_size": 0}])
def test_p734_settings(bank, settings):  # noqa: F811
    with pytest.raises(PTuningError, match=f"P734.*{next(iter(settings))}"):
        RequestQueue(bank, **settings)


def test_tasks_of_a_store_are_loaded_by_the_queue(tiny_folder, pipelines, tmp_path):  # noqa: F811
    pipelines["separate"].to_disk(tmp_path / "good")
    pipelines["separate"].to_disk(tmp_path / "bad")
    (tmp_path / "bad" / "second" / "model.safetensors").write_bytes(b"")
    bank = AdapterBank(str(tiny_folder), store=tmp_path)  # noqa: F811
    with RequestQueue(bank, wait_ms=60_000, batch_size=2) as queue:
        bad, good = queue.submit(TEXTS[0], "bad"), queue.submit(TEXTS[0], "good")
        with pytest.raises(PTuningError, match="P732.*'bad'"):
            bad.result()
        assert_same(annotations([good.result()]), annotations([pipelines["separate"](TEXTS[0])]))
