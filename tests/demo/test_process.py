"""The command as a process of its own: it says where it is, answers, and ends when it is told to."""

import json
import os
import re
import signal
import subprocess
import sys
from urllib.request import Request, urlopen

import pytest

from ..conftest import ROOT
from .kinds import TEXT

pytestmark = pytest.mark.slow


def test_it_serves_until_it_is_interrupted(folder_of):
    command = [sys.executable, "-u", "-m", "spacy", "ptv2", "demo", f"words={folder_of('tags')}", "--port", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        address = next(found[0] for line in process.stdout if (found := re.search(r"http://127.0.0.1:\d+", line)))
        with urlopen(f"{address}/", timeout=60) as page:
            assert b"<title>spacy-ptv2 demo</title>" in page.read()
        body = json.dumps({"text": TEXT}).encode("utf8")
        with urlopen(Request(f"{address}/annotate", body, {"Content-Type": "application/json"}), timeout=60) as answer:
            (task,) = json.load(answer)["tasks"]
        assert task["name"] == "words" and task["annotations"]["tags"]
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
