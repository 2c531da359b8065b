"""What the server of the page answers, what it refuses, and that one task's failure is not that of the others."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from spacy.language import Language

from spacy_ptv2.demo import annotating
from spacy_ptv2.demo import app as application
from spacy_ptv2.demo.app import PAGE, create_app
from spacy_ptv2.demo.page_guard import POLICY, host_of
from spacy_ptv2.serving.annotations import to_json
from spacy_ptv2.serving.limits import Limits

from .kinds import SCRIPT, TEXT
from .test_offers import close

HOST = "http://127.0.0.1:8000"


@Language.component("fails_on_mary")
def fails_on_mary(doc):
    if "mary" in doc.text:
        raise KeyError("a secret of the inside")
    return doc


def client_of(loaded, host="127.0.0.1", **limits):
    app = create_app(*loaded, host, Limits(requests=1, **limits))
    return TestClient(app, base_url=HOST, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def loaded(load):
    return load("news", "topics", "answers", "roles", "tags", "choices")


@pytest.fixture(scope="module")
def client(loaded):
    return client_of(loaded)


def ask(client, text=TEXT, **given):
    return client.post("/annotate", json={"text": text, **given})


def test_all_tasks_answer(client, loaded):
    bank, offers = loaded
    given = {"questions": ["who ?"], "predicates": ["opens"], "choices": ["peter", "mary"]}
    answer = ask(client, **given).json()
    tasks = {task["name"]: task for task in answer["tasks"]}
    assert list(tasks) == [offer.name for offer in offers]
    found = {name: task["annotations"] for name, task in tasks.items()}
    for name in ("news", "topics", "tags"):
        assert close(found[name], to_json(bank(TEXT, name), name))
    assert [(e["label"], e["text"]) for e in found["news"]["entities"]][::2] == [("PER", "peter"), ("LOC", "london")]
    assert max(found["topics"]["classes"], key=found["topics"]["classes"].get) == "work"
    assert found["answers"]["answers"][0][0]["answer"] == "peter"
    (frame,) = found["roles"]["frames"]
    assert (frame["predicate"]["text"], frame["predicate"]["confidence"]) == ("opens", None)
    assert [role["label"] for role in frame["roles"]] == ["A0", "A1"]
    assert found["roles"]["entities"] == []
    assert found["tags"]["tags"][0] == {"start": 0, "end": 5, "tag": "NN"}
    assert len(found["choices"]["choice_scores"]) == 2
    assert all(task["error"] is None and "spacy.load(" in task["python"] for task in answer["tasks"])


def test_times(client, loaded, monkeypatch):
    answer = ask(client).json()
    assert 0 < answer["together"] + sum(task["seconds"] for task in answer["tasks"]) < answer["seconds"]
    assert answer["together"] > 0 and answer["words"] == 7


@pytest.mark.parametrize("text", ["", " \n\t ", "😀 שלום mary", SCRIPT, "a\u2028b", "\x00 peter"])
def test_odd_texts(client, text):
    answer = ask(client, text)
    assert answer.status_code == 200
    for task in answer.json()["tasks"]:
        assert all(text[e["start"] : e["end"]] == e["text"] for e in task["annotations"]["entities"])


def test_about(client, loaded):
    about = client.get("/about").json()
    assert [task["name"] for task in about["tasks"]] == [offer.name for offer in loaded[1]]
    assert about["tasks"][2]["asks"] == [{"what": "questions", "where": "questions"}]
    assert about["characters"] == Limits().characters_per_text
    assert about["examples"]


@pytest.mark.parametrize("name", sorted(path.name for path in PAGE.iterdir()))
def test_files_of_the_page(client, name):
    answer = client.get(f"/{name}")
    assert (answer.status_code, answer.content) == (200, (PAGE / name).read_bytes())
    assert answer.headers["Content-Security-Policy"] == POLICY
    if name.endswith(".js"):
        assert "javascript" in answer.headers["Content-Type"]


def test_the_page_names_no_other_address_and_has_no_inline_script():
    text = {path.name: path.read_text(encoding="utf8") for path in PAGE.iterdir()}
    for name, content in text.items():
        assert "http" not in content.replace("http://www.w3.org/2000/svg", "").replace("plain HTTP", ""), name
        assert not any(
            word in content for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(")
        )
    assert "style=" not in text["index.html"] and "onclick=" not in text["index.html"]
    assert text["index.html"].count("<script") == text["index.html"].count("</script>") == 1


def test_headers_are_on_every_answer(client, monkeypatch):
    refused = ask(client, "a" * 30_000)
    monkeypatch.setattr(application, "annotate", lambda *given: 1 / 0)
    answers = [client.get("/"), client.get("/about"), client.get("/nothing"), refused, ask(client)]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 413, 500]
    for answer in answers:
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not any(name.startswith("access-control") for name in answer.headers)
    assert POLICY.startswith("default-src 'self';") and "unsafe" not in POLICY
    assert "division" not in answers[-1].text


def test_other_origins_get_no_leave(client):
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/annotate", headers=headers)
    assert answer.status_code == 405
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:9", "LOCALHOST", "[::1]:8000", "127.0.0.2"])
def test_names_of_this_machine(client, host):
    assert client.get("/about", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "", "::1.x"],
)
def test_other_names_are_refused(client, host):
    answer = client.get("/about", headers={"Host": host})
    assert answer.status_code == 421
    assert answer.json() == {"error": "Open this page as http://127.0.0.1 or http://localhost."}
    assert ask(client_of_host(client, host)).status_code == 421


def client_of_host(client, host):
    return TestClient(client.app, base_url=HOST, headers={"Host": host})


def test_a_server_for_others_takes_any_name(loaded):
    client = client_of(loaded, "0.0.0.0")
    assert client.get("/about", headers={"Host": "demo.example"}).status_code == 200


def test_hosts_are_read_without_their_ports():
    hosts = ["a:80", "a", "[::1]:80", "[::1]", "127.0.0.1:1", "::1"]
    assert [host_of(host) for host in hosts] == ["a", "a", "::1", "::1", "127.0.0.1", ":"]


def test_limits(client):
    answer = ask(client, "a " * 10_001)
    assert (answer.status_code, answer.json()["error"]) == (
        413, "Expected at most 20000 characters in a text, got 20002.")  # fmt: skip
    answer = ask(client, questions=["a" * 20_001])
    assert answer.status_code == 413
    assert "shorter stretches" in ask(client, "(" * 2000).json()["error"]
    assert ask(client, "a" * 2_000_000).json()["error"].startswith("Expected a request of at most")
    assert ask(client, questions=["a"] * 9).status_code == 422
    for body in ("{", "[]", '{"text": 1}', '{"text": "\\ud800"}', '{"text": "a", "path": "/"}', "{}"):
        answer = client.post("/annotate", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("Expected a text, and what is asked of it. body")


def test_a_task_that_fails_leaves_the_others(loaded, caplog):
    bank, offers = loaded
    nlp = bank._tasks["tags"].nlp
    nlp.add_pipe("fails_on_mary", first=True)
    try:
        client = client_of(loaded)
        fine, failed = (ask(client, text).json()["tasks"] for text in ("peter", "mary works"))
    finally:
        nlp.remove_pipe("fails_on_mary")
    assert not any(task["error"] for task in fine)
    (broken,) = [task for task in failed if task["error"]]
    assert (broken["name"], broken["annotations"]) == ("tags", None)
    assert broken["error"].startswith("[P795] The pipeline 'tags' failed on this text.")
    assert "secret" not in str(failed) and "secret" in caplog.text
    assert len(offers) == len(failed) and all(task["annotations"] for task in failed if task is not broken)


def test_texts_that_an_error_handler_drops(loaded):
    nlp = loaded[0]._tasks["tags"].nlp
    nlp.add_pipe("fails_on_mary", first=True)
    pipe_handler = nlp.default_error_handler
    nlp.set_error_handler(lambda name, proc, docs, error: None)
    try:
        tasks = ask(client_of(loaded), "mary works").json()["tasks"]
    finally:
        nlp.set_error_handler(pipe_handler)
        nlp.remove_pipe("fails_on_mary")
    assert [task["name"] for task in tasks if task["error"]] == ["tags"]


def test_one_text_at_a_time_in_order(loaded, monkeypatch):
    running, most, seen = [], [], []
    original = annotating.annotate

    def slow(bank, offers, given):
        running.append(given.text)
        most.append(len(running))
        seen.append(given.text)
        try:
            return original(bank, offers, given)
        finally:
            running.remove(given.text)

    monkeypatch.setattr(application, "annotate", slow)
    with client_of(loaded) as client, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: ask(client, f"peter {number}"), range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert max(most) == 1 and sorted(seen) == [f"peter {number}" for number in range(8)]


def test_a_text_that_takes_too_long(loaded, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(application, "annotate", lambda *given: go_on.wait())
    with client_of(loaded, seconds=0.2) as client:
        late, busy = ask(client), ask(client)
        go_on.set()
    assert (late.status_code, busy.status_code) == (504, 503)
    assert "Send fewer or shorter texts" in late.json()["error"]
