"""The page of a search: the table, the charts, the best trial in detail, and names that would be scripts."""

import json
import re

import pytest

from spacy_ptv2.errors import PTuningError
from spacy_ptv2.reports import tuning_charts
from spacy_ptv2.tuning.record import RECORD
from spacy_ptv2.tuning.results import FAILED, FINISHED, PRUNED, RESULTS, TRIALS, Result, read_results, write_results
from spacy_ptv2.tuning.table import markdown, short_names

from .conftest import SCRIPT
from .test_training_report import run, svgs

RATE, SECOND, KIND = "a.learn_rates.lora", "b.learn_rates.lora", "c.kind"


def trial(number, scores, state=FINISHED, *, failure=None, **settings):
    curve = [(10 * place, score) for place, score in enumerate(scores)]
    given = {RATE: 0.001 * 4**number, SECOND: number + 1, KIND: [SCRIPT, None, "a|b"][number % 3], **settings}
    return Result(number, state, given, number == 0, curve, 7.5, failure)


TRIALS_OF_IT = [
    trial(0, [0.1, 0.5, 0.5]),
    trial(1, [0.1, 0.625, 0.6]),
    trial(2, [0.0, 0.2], PRUNED),
    trial(4, [], FAILED, failure=f"[P409] {SCRIPT}"),
]


@pytest.fixture
def search(tmp_path, training):
    folder = tmp_path / "search"
    (folder / TRIALS / "trial_001").mkdir(parents=True)
    (folder / TRIALS / "trial_001" / "model-best").symlink_to(training / "model-best")
    (folder / RECORD).write_text("{}")
    write_results(folder, TRIALS_OF_IT)
    return folder


def test_what_was_written_is_read(search):
    assert read_results(search) == TRIALS_OF_IT


def test_the_page(search, gold, tmp_path):
    run(search, tmp_path / "page.html", "--test", gold)
    html = (tmp_path / "page.html").read_text(encoding="utf8")
    assert "Report on a search" in html and "In detail: <b>trial_001</b>, the best trial on dev." in html
    table = re.search(r"<caption>Trials, the best first</caption>.*?</table>", html, flags=re.DOTALL)[0]
    assert re.findall(r'<th scope="row">(\w+)</th>', table) == ["trial_001", "trial_000", "trial_002", "trial_004"]
    assert '<td class="n">62.50</td><td class="n">10</td>' in table
    assert all(note in table for note in ("best", "shipped config", "pruned", "failed"))
    assert ">a.learn_rates.lora</th>" in table and ">kind</th>" in table
    assert SCRIPT not in html and "trial_004 failed: [P409]" in html
    drawn = re.search(r'<section id="search".*?</section>', html, flags=re.DOTALL)[0]
    assert len(svgs(drawn)) == 2 + 3
    assert "the best so far rises from 50.0 to 62.5." in drawn
    assert "of which 1 ended early" in drawn
    assert "Trained numbers" in html and "Calibration" in html  # of the best trial


def test_before_the_first_trial_has_ended(search, tmp_path):
    (search / RESULTS).unlink()
    run(search, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf8")
    assert "No trial has ended yet" in html and "In detail" not in html
    write_results(search, TRIALS_OF_IT[3:])
    run(search, tmp_path / "page.html")
    assert "trial_004 failed" in (tmp_path / "page.html").read_text(encoding="utf8")


@pytest.mark.parametrize("damaged", ["{", "{}", '{"trials": [{}]}', '{"trials": [{"number": 1, "curve": 3}]}'])
def test_damaged_results_are_refused(search, tmp_path, damaged):
    (search / RESULTS).write_text(damaged)
    with pytest.raises(PTuningError, match=r"P782.*trials\.json"):
        read_results(search)
    assert "P782" in run(search, tmp_path / "page.html", exit_code=1)


def test_numbers_have_a_scale_and_other_values_places():
    rate, number, kind = (tuning_charts._by_setting(TRIALS_OF_IT[:3], name, name) for name in (RATE, SECOND, KIND))
    assert all("The best has" in chart.alt for chart in (rate, number, kind))
    assert tuning_charts._by_setting(TRIALS_OF_IT, "no.such", "such") is None
    assert tuning_charts.of_tuning([], [RATE]) == []


def test_table():
    lines = markdown(TRIALS_OF_IT, [RATE, SECOND, KIND], "a|b").splitlines()
    assert lines[0].startswith("Trials of a\\|b")
    assert lines[2] == "| trial | score | at step | seconds | a.learn_rates.lora | b.learn_rates.lora | kind |  |"
    assert lines[4] == "| trial_001 | 62.50 | 10 | 8 | 0.004 | 2 | null | best |"
    assert lines[5].endswith("| shipped config |") and "&lt;script>" in lines[5]
    assert "a\\|b" in lines[6] and lines[6].endswith("| pruned |")
    assert lines[7] == f"| trial_004 |  |  | 8 | {0.001 * 4**4} | 5 | null | failed |"
    assert lines[-1] == "- trial_004 failed: [P409] &lt;script>window.ran=1&lt;/script>"
    assert f"- kind: `{KIND}`" in lines


def test_short_names():
    names = ["training.dropout", "a.model.dropout", "a.prompt.length", "length"]
    assert list(short_names(names).values()) == ["training.dropout", "model.dropout", "prompt.length", "length"]
    assert json.dumps(short_names(["a"])) == '{"a": "a"}'
