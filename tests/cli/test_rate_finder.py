"""`spacy ptv2 lr-find`: what it prints, what it writes, and what it leaves alone."""

import json
import re

import pytest
from spacy.cli._util import parse_config_overrides
from spacy.util import load_config
from typer.testing import CliRunner

from spacy_ptv2.cli import app, rate_finder
from spacy_ptv2.pipeline.token_classifier import TokenClassifier
from spacy_ptv2.training.rate_curve import RateSuggestion

from ..conftest import ROOT

N_STEPS = 40
RATES = {"prompt": 0.01, "lora": 0.001, "scalar_mix": 0.01, "word_shape": 0.001, "head": 0.001}


@pytest.fixture
def arguments(tiny_folder, corpus):
    settings = {
        "paths.train": corpus,
        "paths.dev": corpus,
        "components.transformer.model.backbone.name": tiny_folder,
        "components.transformer.model.windows.length": 32,
        "components.transformer.model.windows.overlap": 8,
        "components.transformer.model.adapter.prompt.length": 4,
    }
    overrides = [part for key, value in settings.items() for part in (f"--{key}", str(value))]
    return ["lr-find", str(ROOT / "configs" / "ner.cfg"), "--steps", str(N_STEPS), *overrides]


def invoke(arguments, exit_code=0):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == exit_code, f"{result.output}\n{result.exception!r}"
    return result.stdout if exit_code == 0 else result.stderr


def rows(output):
    """The cells of the table."""
    return [cells for cells in map(str.split, output.splitlines()) if re.fullmatch(r"(\d\S*( |$)){7}", " ".join(cells))]


def test_prints_the_curve_and_a_suggestion_that_spacy_train_takes(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = invoke([*arguments, "--output", "new/curve.json", "--training.optimizer.learn_rates.prompt", "0.06"])
    written = json.loads((tmp_path / "new" / "curve.json").read_text())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "new" / "curve.json"]
    assert written["learn_rates"] == {**RATES, "prompt": 0.06}
    assert len(written["points"]) == N_STEPS
    table = rows(output)
    assert len(table) == 20
    assert table[0] == ["0.001", "6e-05", "1e-06", "1e-05", "1e-06", "1e-06", f"{written['points'][0]['smoothed']:.3f}"]
    assert table[-1] == ["1e+02", "6", "0.1", "1", "0.1", "0.1", f"{written['points'][-1]['smoothed']:.3f}"]
    (options,) = (line for line in output.splitlines() if line.startswith("--training"))
    config = load_config(ROOT / "configs" / "ner.cfg", overrides=parse_config_overrides(options.split()))
    factor = written["suggestion"]["factor"]
    rates = {part: rate * factor for part, rate in written["learn_rates"].items()}
    assert config["training"]["optimizer"]["learn_rates"] == pytest.approx(rates, rel=0.05)


def test_interrupted_it_prints_what_it_has(arguments, monkeypatch):
    update, calls = TokenClassifier.update, []

    def interrupted(self, *args, **settings):
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return update(self, *args, **settings)

    monkeypatch.setattr(TokenClassifier, "update", interrupted)
    output = invoke(arguments)
    assert f"Interrupted after 7 of {N_STEPS} steps" in output
    assert len(rows(output)) == 7
    assert "No suggestion" in output


def test_says_why_it_ended_early(arguments, monkeypatch):
    monkeypatch.setattr(TokenClassifier, "update", lambda self, *args, losses, **_: losses.update({self.name: 1e400}))
    output = invoke(arguments)
    assert f"Ended after 0 of {N_STEPS} steps" in output
    assert "No suggestion" in output


@pytest.mark.parametrize(
    ("suggestion", "said"),
    [
        (RateSuggestion(0.4, 0.1, 3.0, False), "in the good range"),
        (RateSuggestion(0.04, 0.01, 0.3, False), "above the good range"),
        (RateSuggestion(4.0, 1.1, 30.0, False), "below the good range"),
    ],
)
def test_says_where_the_configured_rates_stand(suggestion, said, capsys):
    rate_finder._print_suggestion(suggestion, RATES)
    output = capsys.readouterr().out
    assert said in output
    assert f"--training.optimizer.learn_rates.prompt {RATES['prompt'] * suggestion.factor:.2g} " in output
    assert "ten times as high" not in output


def test_where_the_fall_may_go_on_no_range_is_claimed(capsys):
    """As when the test is interrupted far below the configured rates, which are not too high for that."""
    rate_finder._print_suggestion(RateSuggestion(0.04, 0.01, 0.09, True), RATES)
    output = capsys.readouterr().out
    assert "ten times as high" in output
    assert "good range" not in output


def test_shows_the_message_not_a_traceback(arguments):
    output = invoke([*arguments, "--steps", "3"], exit_code=1)
    assert "P407" in output and "Traceback" not in output
