"""The service as a process of its own, under uvicorn: what a client that means no good can do to the others."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from examples.serve.settings import Settings
from spacy_ptv2.serving.limits import Limits

from ..conftest import ROOT
from ..tiny import build_pipeline

pytestmark = pytest.mark.slow

GRACE = 2  # seconds
COMMAND = ["-m", "uvicorn", "--factory", "examples.serve.app:create_app", "--timeout-graceful-shutdown", str(GRACE)]


@pytest.fixture(scope="module")
def address(tiny_folder, corpus, tmp_path_factory):
    """A running service, stopped by SIGTERM while one client has sent half a request and another half its head."""
    folder = tmp_path_factory.mktemp("service")
    build_pipeline(tiny_folder, corpus).to_disk(folder / "news")
    settings = Settings(
        backbone=str(tiny_folder), tasks={"news": str(folder / "news")}, limits=Limits(seconds=60, requests=2)
    )
    (folder / "service.json").write_text(settings.model_dump_json())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "SPACY_PTV2_SERVICE": str(folder / "service.json"), "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *COMMAND, "--port", str(port)], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        wait_for(port, process, folder / "log")
        yield port
        half_open = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        half_open[0].sendall(b"POST /annotate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n[")
        half_open[1].sendall(b"POST /annotate HTTP/1.1\r\nHost:")
        assert ask(port, "/health")[0] == 200
        process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        process.wait(timeout=20 * GRACE)
        assert time.monotonic() - start >= GRACE / 2, "nobody was waited for"
        assert "Traceback" not in (folder / "log").read_text().partition("timeout graceful shutdown exceeded")[0]
    finally:
        process.kill()
        process.wait()


def wait_for(port, process, log):
    end = time.monotonic() + 200
    while time.monotonic() < end and process.poll() is None:
        try:
            return ask(port, "/health")
        except OSError:
            time.sleep(0.1)
    pytest.fail(log.read_text())


def ask(port, path, body=None):
    """Return the status, the answer and the seconds that it took."""
    start = time.monotonic()
    data = None if body is None else json.dumps(body).encode("utf8")
    request = Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=100) as response:
            return response.status, response.read(), time.monotonic() - start
    except HTTPError as error:
        return error.code, error.read(), time.monotonic() - start


def test_texts_that_the_tokenizer_would_not_get_through(address):
    texts = [{"text": ".,!(" * 5000, "task": "news"}] * 5
    status, answer, seconds = ask(address, "/annotate", texts)
    assert (status, seconds < 10) == (413, True)
    assert b"20000 characters" in answer


def test_health_is_answered_while_the_worst_texts_that_are_allowed_are_read(address):
    texts = [{"text": " ".join([".,!(" * 20] * 30), "task": "news"}] * 10
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(ask, address, "/annotate", texts) for _ in range(2)]
        answers = []
        while not all(request.done() for request in running):
            answers.append(ask(address, "/health"))
        assert {answer.result()[0] for answer in running} == {200}
    assert {status for status, _, _ in answers} == {200}
    longest = max(request.result()[2] for request in running)
    assert len(answers) >= 5
    assert median(seconds for _, _, seconds in answers) < max(0.5, longest / 4)


def test_a_task_of_a_megabyte_is_not_sent_back(address):
    status, answer, _ = ask(address, "/annotate", [{"text": "a", "task": "x" * 1_000_000}])
    assert (status, len(answer) < 400) == (404, True)
