"""The Dockerfile, which cannot be built without a registry: what would fail, or be unsafe, as far as its text says.

And the templates for issues, which nothing else reads.
"""

import json
import re
from fnmatch import fnmatch

import pytest
import srsly

from examples.serve.app import create_app
from examples.serve.settings import VARIABLE

from .conftest import ROOT

LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf8")).splitlines()
INSTRUCTIONS = [line.split(" ", 1) for line in LINES if line and not line.startswith("#")]
KNOWN = {"ARG", "CMD", "COPY", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "USER", "WORKDIR"}


def all_of(name):
    return [value for instruction, value in INSTRUCTIONS if instruction == name]


def test_instructions_and_variables_are_known():
    assert {name for name, _ in INSTRUCTIONS} <= KNOWN
    names = [name for name, _ in INSTRUCTIONS]
    declared = {value.split("=")[0] for value in all_of("ARG")}
    assert set(re.findall(r"\$\{(\w+)\}", "\n".join(LINES))) <= declared
    assert all_of("FROM") == ["python:${PYTHON}-slim"] and INSTRUCTIONS[0] == ["ARG", "PYTHON=3.11"]
    assert names.index("USER") < names.index("CMD") and names.count("CMD") == 1


def test_it_runs_as_a_user_without_rights():
    (user,) = all_of("USER")
    assert user not in ("root", "0") and any("useradd" in run and run.endswith(user) for run in all_of("RUN"))


def test_what_is_copied_is_there_and_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = [line[1:] for line in ignored if line.startswith("!")]
    assert ignored[0] == "*"
    for value in all_of("COPY"):
        *sources, _ = value.split()
        for source in sources:
            assert (ROOT / source).exists() and any(fnmatch(source, pattern) for pattern in sent)


def test_what_is_installed_is_known():
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    arguments = dict(value.split("=", 1) for value in all_of("ARG"))
    assert set(arguments["EXTRAS"].split(",")) <= set(project["optional-dependencies"])
    assert any(requirement == arguments["TORCH"].strip('"') + ".0" for requirement in project["dependencies"])
    assert f"BACKBONE ?= {arguments['BACKBONE']}" in (ROOT / "Makefile").read_text()


def test_it_starts_the_service_and_asks_for_its_health():
    command, health = json.loads(all_of("CMD")[0]), all_of("HEALTHCHECK")[0]
    module, _, factory = command[command.index("--factory") + 1].partition(":")
    assert (module, factory) == (create_app.__module__, create_app.__name__)
    port = command[command.index("--port") + 1]
    assert all_of("EXPOSE") == [port] and f"127.0.0.1:{port}/health" in health
    assert '"/health"' in (ROOT / "examples" / "serve" / "app.py").read_text()
    assert VARIABLE in all_of("ENV")[0]
    probe = json.loads(health[health.index("[") :])
    compile(probe[2], "probe", "exec")


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem
)
def test_templates_of_issues(path):
    form = srsly.yaml_loads(path.read_text(encoding="utf8"))
    if path.stem == "config":
        assert set(form) == {"blank_issues_enabled"}
        return
    assert {"name", "description", "body"} <= set(form)
    for field in form["body"]:
        assert field["type"] in ("textarea", "input", "markdown") and field["attributes"]["label"] and field["id"]


def test_security_says_how_to_report_without_an_invented_address():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf8")
    assert "## How to report" in text and "private" in text and "@" not in text
