"""The service of examples/serve: what it answers, what it refuses, and that its README is true."""

import json
import re
import shlex
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient
from pydantic import ValidationError

from examples.serve import app as service
from examples.serve.settings import Settings, read_settings
from spacy_ptv2.serialization.models import adapter_shims
from spacy_ptv2.serving import AdapterBank
from spacy_ptv2.serving.guards import OutOfTimeError, Workers, check_size
from spacy_ptv2.serving.limits import Limits

from ..conftest import ROOT
from ..pipeline.test_shared_backbone import build

README = (ROOT / "examples" / "serve" / "README.md").read_text(encoding="utf8")
TEXT = "Peter opens the Danish office of London."


@pytest.fixture(scope="module")
def nlp(tiny_folder):
    return build(tiny_folder, shared=True)


@pytest.fixture(scope="module")
def settings(tiny_folder, nlp, tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    nlp.to_disk(folder / "news")
    nlp.remove_pipe("tagger")
    nlp.get_pipe("second").model.get_ref("output_layer").set_param("W", np.zeros((7, 32), dtype="f"))
    nlp.to_disk(folder / "letters")
    limits = Limits(texts=3, characters_per_text=100, characters=200, requests=2)
    tasks = {name: str(folder / name) for name in ("news", "letters")}
    return Settings(backbone=str(tiny_folder), tasks=tasks, limits=limits)


@pytest.fixture(scope="module")
def client(settings):
    return TestClient(service.create_app(settings), raise_server_exceptions=False)


def ask(client, *pairs):
    return client.post("/annotate", json=[{"text": text, "task": task} for text, task in pairs])


def test_answers_in_order_with_confidences_and_tags(client, settings):
    bank = AdapterBank(settings.backbone)
    for name, path in settings.tasks.items():
        bank.load(name, path)
    response = ask(client, (TEXT, "letters"), (TEXT, "news"), ("", "news"))
    assert response.status_code == 200
    letters, news, empty = response.json()
    assert empty == {"task": "news", "entities": []}
    assert letters.keys() == {"task", "entities"}
    doc = bank(TEXT, "news")
    groups = [doc.spans["ents"], doc.spans["second"]]
    expected = [
        (s.start_char, s.end_char, s.text, s.label_, pytest.approx(score, abs=1e-5))
        for group in groups
        for s, score in zip(group, group.attrs["scores"], strict=True)
    ]
    assert expected
    got = [tuple(entity.values()) for entity in news["entities"]]
    assert len(got) == len(expected)
    assert all(entity in expected for entity in got)
    assert got == sorted(got, key=lambda entity: entity[:2])
    assert news["tags"] == [{"start": t.idx, "end": t.idx + len(t), "tag": t.tag_} for t in doc]


def test_entities_of_components_without_confidences(nlp):
    doc = nlp.make_doc(TEXT)
    doc.set_ents([doc.char_span(0, 5, label="PER")])
    entity = {"start": 0, "end": 5, "text": "Peter", "label": "PER", "confidence": None}
    assert service.to_json(doc, "news") == {"task": "news", "entities": [entity]}


def test_unknown_tasks_name_the_known_ones(client):
    response = ask(client, (TEXT, "news"), (TEXT, "other"))
    assert response.status_code == 404
    assert response.json()["tasks"] == ["news", "letters"]
    assert "'other'" in response.json()["error"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a"] * 4, "at most 3 texts, got 4"),
        (["a" * 101], "at most 100 characters in a text, got 101"),
        (["a" * 100, "b" * 100, "c"], "at most 200 characters in all texts, got 201"),
    ],
)
def test_too_much_is_refused(client, texts, message):
    response = ask(client, *((text, "news") for text in texts))
    assert response.status_code == 413
    assert message in response.json()["error"]
    assert ask(client, *((text[:60], "news") for text in texts[:3])).status_code == 200


def test_stretches_that_the_tokenizer_would_not_get_through_are_refused():
    limits = Limits()
    texts = [".,!(" * 5000] * 5
    with pytest.raises(HTTPException, match="413.*squared lengths may add up to 2000000, got 2000000000.*20000 char"):
        check_size(texts, limits)
    prose = "A word is " + "much shorter than a stretch of four hundred would be. " * 300
    check_size([prose] * 6, limits)
    check_size(["(" * 1400], limits)
    with pytest.raises(HTTPException, match="413"):
        check_size(["(" * 1000] * 3, limits)


def test_a_request_has_a_deadline(settings, monkeypatch):
    """And keeps its place as long as it computes."""
    limits = Limits(requests=1, seconds=0.3)
    go_on = threading.Event()

    def slow(self, stream, **kwargs):
        go_on.wait()
        yield from ()

    client = TestClient(service.create_app(settings.model_copy(update={"limits": limits})))
    with monkeypatch.context() as patched, client:
        patched.setattr(AdapterBank, "pipe", slow)
        late = ask(client, (TEXT, "news"))
        assert (late.status_code, late.json()["error"]) == (
            504, "The request was not done after 0.3 seconds. Send fewer or shorter texts.")  # fmt: skip
        assert ask(client, (TEXT, "news")).status_code == 503
        go_on.set()
        patched.undo()
        statuses = iter(lambda: ask(client, ("", "news")).status_code, 200)
        assert set(islice(statuses, 1000)) <= {503}
        assert ask(client, ("", "news")).status_code == 200


def test_what_computes_ends_at_its_next_text():
    workers = Workers(Limits())
    later = time.monotonic() + 60
    assert list(workers.until(later, [1, 2])) == [1, 2]
    with pytest.raises(OutOfTimeError):
        list(workers.until(time.monotonic() - 1, [1]))
    stream = workers.until(later, [1, 2])
    assert next(stream) == 1
    workers.stop()
    with pytest.raises(OutOfTimeError):
        next(stream)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps([{"text": "a", "task": "x" * 1_000_000}]),
        json.dumps([{"text": "a", "task": "news", "y" * 1_000_000: 1}]),
        json.dumps([{"text": {"z" * 1_000_000: 1}, "task": "news"}]),
        "[" + "w" * 1_000_000,
        '"' + "v" * 1_000_000 + '"',
    ],
)
def test_errors_show_little_of_what_they_are_about(settings, body):
    settings = settings.model_copy(update={"limits": Limits()})
    client = TestClient(service.create_app(settings))
    response = client.post("/annotate", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in (404, 422)
    assert len(response.text) < 400
    assert not re.search(r"(.)\1{100}", response.text)


def test_long_bodies_are_not_read(client):
    most = Limits(texts=3, characters=200).body_bytes
    read = []

    def chunks():
        for _ in range(1000):
            read.append(1000)
            yield b"[" + b" " * 999

    response = client.post("/annotate", content=chunks(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413
    assert response.json() == {"error": f"Expected a request of at most {most} bytes."}


@pytest.mark.parametrize(
    "body",
    ["", "{", "{}", "[1]", '[{"text": "a"}]', '[{"text": 1, "task": "news"}]', '[{"text": "\\ud800", "task": "news"}]',
     '[{"text": "a", "task": "news", "path": "/"}]'],
)  # fmt: skip
def test_malformed_requests(client, body):
    response = client.post("/annotate", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert response.json()["error"].startswith("Expected a list of {text, task}. body")


def test_failures_show_nothing_of_the_inside(client, monkeypatch, caplog):
    monkeypatch.setattr(AdapterBank, "pipe", lambda *args, **kwargs: 1 / 0)
    response = ask(client, (TEXT, "news"))
    assert response.status_code == 500
    assert response.json().keys() == {"error"}
    assert not re.search("Traceback|division|Error", response.text)
    assert "division by zero" in caplog.text
    monkeypatch.undo()
    assert [ask(client, (TEXT, "news")).status_code for _ in range(3)] == [200] * 3  # its place is free again


def test_one_request_too_many_is_told_to_come_back(settings, monkeypatch):
    client = TestClient(service.create_app(settings))  # of its own: at the end of `with` it stops
    inside, go_on = threading.Barrier(3), threading.Event()

    def slow(self, stream, **kwargs):
        inside.wait()
        go_on.wait()
        return iter([])

    monkeypatch.setattr(AdapterBank, "pipe", slow)
    with ThreadPoolExecutor(2) as pool, client:
        running = [pool.submit(ask, client, (TEXT, "news")) for _ in range(2)]
        inside.wait()
        refused = ask(client, (TEXT, "news"))
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert "2 requests" in refused.json()["error"]
        assert client.get("/health").json() == {"status": "ok", "tasks": 2}
        go_on.set()
        assert [response.result().status_code for response in running] == [200, 200]


def test_tasks(client, nlp):
    answer = client.get("/tasks").json()
    (shim, *_) = adapter_shims(nlp.get_pipe("second").model)
    assert answer["backbone"] == shim.backbone.source.name
    assert answer["tasks"].keys() == {"news", "letters"}
    assert answer["tasks"]["news"]["labels"]["second"] == ["LOC", "MISC", "PER"]
    assert 0 < answer["tasks"]["letters"]["adapter_bytes"] < answer["tasks"]["news"]["adapter_bytes"]


def test_other_addresses_and_methods_are_json_too(client):
    assert client.get("/admin").json() == {"error": "Not Found"}
    assert client.get("/annotate").json() == {"error": "Method Not Allowed"}


def test_commands_of_the_readme(client):
    commands = [shlex.split(line) for line in README.splitlines() if line.startswith("curl")]
    paths = [command[2].rpartition("/")[2] for command in commands]
    assert paths == ["annotate", "tasks", "status", "metrics", "health"]
    for command in commands:
        path = command[2].removeprefix("http://localhost:8000")
        if "-d" in command:
            (header,) = (command[i + 1] for i, part in enumerate(command) if part == "-H")
            name, _, value = header.partition(": ")
            response = client.post(path, content=command[command.index("-d") + 1], headers={name: value})
        else:
            response = client.get(path)
        assert response.status_code == 200, response.text
    example, answer = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, flags=re.DOTALL))
    assert Settings(**example).limits == Limits()
    assert answer[0]["entities"][0].keys() == {"start", "end", "text", "label", "confidence"}
    assert "uvicorn --factory examples.serve.app:create_app" in README


def test_the_python_of_the_guide_runs(nlp, tiny_folder, tmp_path, capsys):
    (tmp_path / "models").mkdir()
    nlp.to_disk(tmp_path / "models" / "letters")
    guide = (ROOT / "docs" / "guides" / "serving.md").read_text(encoding="utf8")
    block = "".join(re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL))
    for name, path in (("sentence-transformers/all-MiniLM-L6-v2", tiny_folder), ('"/models', f'"{tmp_path}/models'),
                       ("en_ptv2_news", tmp_path / "models" / "letters")):  # fmt: skip
        assert name in block
        block = block.replace(name, str(path))
    exec(block, {})
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_settings_come_from_a_file(settings, tmp_path, monkeypatch):
    monkeypatch.delenv("SPACY_PTV2_SERVICE", raising=False)
    with pytest.raises(SystemExit, match="SPACY_PTV2_SERVICE"):
        read_settings()
    path = tmp_path / "service.json"
    monkeypatch.setenv("SPACY_PTV2_SERVICE", str(path))
    path.write_text(settings.model_dump_json())
    assert read_settings() == settings
    path.write_text(settings.model_dump_json().replace('"texts":3', '"texts":0'))
    with pytest.raises(ValidationError, match=r"limits\.texts"):
        read_settings()
