"""Errors of ours under spaCy's own commands: a message on standard error, no traceback."""

import os
import subprocess
import sys

import pytest
import typer
from spacy.cli import app
from typer.testing import CliRunner

from spacy_ptv2.cli.plain_errors import VARIABLE, show_errors_plainly
from spacy_ptv2.errors import Errors, PTuningError

from ..conftest import ROOT


def train(tmp_path, **environment):
    """Over a backbone that is nowhere."""
    arguments = ["--paths.train", "none.spacy", "--paths.dev", "none.spacy", "--output", "training"]
    backbone = ["--components.transformer.model.backbone.name", "nobody/nothing"]
    return subprocess.run(
        [sys.executable, "-m", "spacy", "train", ROOT / "configs" / "ner.cfg", *arguments, *backbone],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_spacy_train_says_what_is_wrong(tmp_path):
    result = train(tmp_path)
    assert result.returncode == 1
    assert "nobody/nothing" in " ".join(result.stderr.split()) and "[P1" in result.stderr
    assert "Traceback" not in result.stderr + result.stdout and "spacy_ptv2/" not in result.stderr


@pytest.mark.exhaustive
def test_the_traceback_on_request(tmp_path):
    assert "Traceback" in train(tmp_path, **{VARIABLE: "1"}).stderr


def make_app(error):
    commands = typer.Typer()

    @commands.command()
    def fails(steps: int = 1) -> None:
        """Fails at once."""
        raise error

    show_errors_plainly(commands)
    show_errors_plainly(commands)  # again, as a second import would
    return commands


def test_other_errors_stay_as_they_are():
    result = CliRunner().invoke(make_app(KeyError("other")), [])
    assert isinstance(result.exception, KeyError)


def test_options_and_help_stay():
    commands = make_app(PTuningError(Errors.P406))
    assert "--steps" in CliRunner().invoke(commands, ["--help"]).output
    result = CliRunner().invoke(commands, ["--steps", "3"])
    assert result.exit_code == 1 and result.stderr.count("[P406]") == 1 and not result.stdout


def test_all_of_spacys_commands_do():
    assert all(hasattr(command.callback, "_shows_errors_plainly") for command in app.registered_commands)
