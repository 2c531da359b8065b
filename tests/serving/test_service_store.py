"""The service over a store, with gathered requests, and what it counts."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from examples.serve import app as service
from examples.serve.metrics import BOUNDS, Metrics
from examples.serve.settings import Gathering, Settings
from spacy_ptv2.serving import AdapterBank, BankStatus
from spacy_ptv2.serving.limits import Limits

from ..pipeline.test_shared_backbone import build
from .test_service import TEXT, ask

LINE = re.compile(r'[a-z][a-z0-9_]*(\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\})? [0-9.e+-]+(Inf)?')


@pytest.fixture(scope="module")
def settings(tiny_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    nlp = build(tiny_folder, shared=True)
    for name in ("news", "letters"):
        nlp.to_disk(folder / name)
    return Settings(backbone=str(tiny_folder), store=str(folder), limit_mb=100, limits=Limits(requests=8, seconds=60))


@pytest.fixture(params=[None, Gathering(), Gathering(wait_ms=5, batch_size=3)], ids=["alone", "gathered", "waiting"])
def client(settings, request):
    app = service.create_app(settings.model_copy(update={"gathering": request.param}))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_requests_at_the_same_time(client, settings):
    bank = AdapterBank(settings.backbone, store=settings.store)
    asked = [("news", TEXT), (None, "Peter, opens"), ("letters", TEXT[:20]), ("news", "")]
    expected = [service.to_json(bank(text, task), task) for task, text in asked]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: ask(client, *((text, task) for task, text in asked)), range(6)))
    for answer in answers:
        assert answer.status_code == 200
        got = answer.json()
        assert [(one["task"], len(one["entities"])) for one in got] == [
            (one["task"], len(one["entities"])) for one in expected
        ]
        assert got[1] == expected[1] == {"task": None, "entities": []}
        assert got[0]["tags"] == expected[0]["tags"]
    assert ask(client, (TEXT, "../news")).status_code == 404
    assert client.get("/health").json() == {"status": "ok", "tasks": 2}


def test_what_is_counted(client):
    ask(client, (TEXT, "news"), (TEXT, "news"))
    ask(client, (TEXT, "unknown"))
    client.get("/nowhere/at/all")
    status = client.get("/status").json()
    assert status["tasks"]["news"]["n_texts"] == 2
    assert status["store"]["misses"] == 1
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert all(LINE.fullmatch(line) for line in lines if not line.startswith("#"))
    assert samples['spacy_ptv2_requests_total{path="/annotate",status="200"}'] == "1"
    assert samples['spacy_ptv2_requests_total{path="/annotate",status="404"}'] == "1"
    assert samples['spacy_ptv2_requests_total{path="other",status="404"}'] == "1"
    assert samples["spacy_ptv2_annotate_seconds_count"] == "2"
    assert samples['spacy_ptv2_annotate_seconds_bucket{le="+Inf"}'] == "2"
    assert samples["spacy_ptv2_errors_total"] == "0"
    assert (samples["spacy_ptv2_store_hits_total"], samples["spacy_ptv2_store_misses_total"]) == ("1", "1")
    assert float(samples["spacy_ptv2_task_bytes"]) == float(samples["spacy_ptv2_store_bytes"]) > 0
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert all(any(sample.startswith(name) for sample in samples) for name in names) and len(set(names)) == len(names)


def test_failures_are_counted(client, monkeypatch):
    monkeypatch.setattr(AdapterBank, "pipe", lambda *args, **kwargs: 1 / 0)
    monkeypatch.setattr(AdapterBank, "timed", lambda *args, **kwargs: 1 / 0)
    assert ask(client, (TEXT, "news")).status_code == 500
    assert "spacy_ptv2_errors_total 1\n" in client.get("/metrics").text


def test_a_histogram_adds_up():
    metrics = Metrics()
    for seconds in (0.001, 0.005, 0.2, 100.0):
        metrics.note("/annotate", 200, seconds)
    buckets = re.findall(r'bucket\{le="(.*)"\} (\d+)', metrics.text(BankStatus({}, None)))
    assert [bound for bound, _ in buckets] == [*map(str, BOUNDS), "+Inf"]
    assert [int(count) for _, count in buckets] == [2] * 5 + [3] * 7 + [4]
    assert "store" not in metrics.text(BankStatus({}, None))


def test_gathered_requests_have_a_deadline(settings, monkeypatch):
    go_on = threading.Event()
    limits = Limits(requests=4, seconds=0.5)
    update = {"limits": limits, "gathering": Gathering()}
    monkeypatch.setattr(AdapterBank, "pipe", lambda *args, **kwargs: go_on.wait(30) and iter(()))
    with TestClient(service.create_app(settings.model_copy(update=update))) as client:
        assert ask(client, (TEXT, "news")).status_code == 504
        go_on.set()


def test_a_service_has_tasks(settings):
    with pytest.raises(ValidationError, match="expected tasks, or a store"):
        Settings(backbone=settings.backbone)
