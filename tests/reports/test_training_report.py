"""What is read of a training and of a comparison, and `spacy ptv2 report` as a command."""

import base64
import json
import re
import shutil
from itertools import pairwise

import pytest
import spacy
from click import unstyle
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_ptv2.annotations.roles import set_roles
from spacy_ptv2.cli import app
from spacy_ptv2.comparison.finished import is_comparison, read_comparison
from spacy_ptv2.comparison.methods import FULL
from spacy_ptv2.comparison.outcome import Job, Outcome
from spacy_ptv2.errors import PTuningError
from spacy_ptv2.reports import charts, page, training_charts
from spacy_ptv2.reports.parameters import locate_parameters
from spacy_ptv2.reports.training import losses_of, read_training
from spacy_ptv2.serialization.models import trained_parameters

from ..tiny import task_block, train_task
from .conftest import CURVE, IMAGE, LABEL, SCRIPT

MARKUP = re.compile(r"<(script|img|svg|b)\b[^>]*>", re.IGNORECASE)


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(app, ["report", *map(str, arguments)])
    assert result.exit_code == exit_code, f"{result.output}\n{result.exception!r}"
    return " ".join(unstyle(result.output).split())


def svgs(html):
    """The drawings of a page."""
    found = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    return [base64.b64decode(content).decode("utf8") for content in found]


@pytest.fixture(scope="module")
def html(training, gold, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    run(training, path, "--test", gold)
    return path.read_text(encoding="utf8")


def test_a_training_is_read(training):
    found = read_training(training)
    assert [(point.step, point.seconds, point.score) for point in found.curve] == [
        (0, 1, 0.1),
        (5, 3, 0.75),
        (9, 7, 0.75),
    ]
    assert found.best.step == 9  # of equal scores the latest is kept
    assert found.n_bytes == sum(f.stat().st_size for f in (training / "model-best").rglob("*") if f.is_file())
    assert [(name, len(points)) for name, points in losses_of(found.curve)] == [("a", 2), (SCRIPT, 3)]
    alone = read_training(training / "model-best")
    assert (alone.pipeline, alone.curve) == (training / "model-best", [])


def test_memory_is_shown_where_the_curve_has_it(training, html, tmp_path):
    assert read_training(training).peak("peak_memory") is None and "peak memory" not in html  # an older curve
    copy = tmp_path / "training"
    shutil.copytree(training, copy)
    peaks = [{"peak_memory": 2_345_600_000}, {"peak_memory": 999, "peak_gpu_memory": 71_000_000}, {}]  # resumed once
    lines = [json.dumps({**point, **own}) for point, own in zip(CURVE, peaks, strict=True)]
    (copy / "curve.jsonl").write_text("\n".join(lines))
    run(copy, tmp_path / "page.html")
    shown = re.sub(r"<[^>]+>|\s+", " ", (tmp_path / "page.html").read_text(encoding="utf8"))
    assert re.search(r"peak memory +2.3 GB +of the training process, evaluations included; on the GPU: 71.0 MB", shown)


def test_the_page_has_everything_and_escapes_all_of_it(html):
    for heading in ("Summary", "Learning curve", "Entities", "Errors", "All scores", "Trained numbers", "Calibration"):
        assert f">{heading}</h" in html
    assert "percentile bootstrap (Efron) over documents, 1000 resamples, seed 0" in html
    shown = re.sub(r"<style>.*?</style>|<script>\"use strict\".*?</script>", "", html, flags=re.DOTALL)
    assert {found.group(1) for found in MARKUP.finditer(shown)} == {"img"}
    assert all('src="data:image/svg+xml;base64,' in found.group() for found in MARKUP.finditer(shown))
    assert "onload=window.ran=1&gt;" in shown and "&lt;b&gt;training &amp; more" in shown
    assert "http" not in shown.replace("http-equiv", "")
    texts = "".join(svgs(html))
    assert "<script" not in texts and "window.ran" in texts


def test_the_policy_permits_the_pages_own_style_and_script_alone(html):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html).group(1).replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    for tag in ("style", "script"):
        content = re.search(f"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL).group(1)
        assert f"{tag}-src {page._hash(content)};" in policy


def test_headings_are_in_order_and_drawings_have_a_text(html):
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert len(re.findall(r'<img [^>]*alt="[^"]{10,}"', html)) == len(svgs(html)) == 4 + 1 + 1 + 1


def test_a_page_without_gold_data(training, tmp_path):
    assert "Saved the report" in run(training, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf8")
    assert "No pipeline was evaluated" in html
    assert ">All scores</h2>" not in html
    run(training / "model-best", tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf8")
    assert "No curve was recorded" in html and "Scores on dev of the best pipeline" not in html
    copy = tmp_path / "model"
    shutil.copytree(training / "model-best", copy)
    meta = json.loads((copy / "meta.json").read_bytes())
    (copy / "meta.json").write_text(json.dumps({**meta, "performance": {"ents_f": 0.1234, "ents_per_type": {}}}))
    run(copy, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf8")
    assert re.search(r"Scores on dev of the best pipeline.*ents_f</th><td class=\"n\">0.1234<", html, flags=re.DOTALL)


def test_pages_are_alike_to_the_byte(training, html, tmp_path):
    for name in ("a.html", "b.html"):
        run(training, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_parameters_are_where_they_are(training):
    nlp = spacy.load(training / "model-best")
    found = locate_parameters(nlp)
    (picture,) = found.adapters
    counts = trained_parameters([pipe.model for _, pipe in nlp.pipeline])
    assert (picture.of_backbone, found.heads) == (counts.pop("backbone"), {"token_classifier": counts.pop("head")})
    assert picture.totals == counts
    summed = {part: sum(place.get(part, 0) for place in (picture.embeddings, *picture.layers)) for part in counts}
    assert summed == counts and len(picture.layers) == 3
    (chart,) = training_charts.of_parameters(found)
    assert f"heads {found.heads['token_classifier']:,}" in chart.alt


@pytest.mark.parametrize("name", ["$x$ and $\\foo", "_hidden", "a\x00b\x1fc", "名前 🦊", SCRIPT, "x" * 500, "\n"])
def test_any_name_can_be_drawn(name):
    import xml.dom.minidom

    for chart in (
        charts.lines("t", "a", [(name, [0, 1], [1, 2]), ("other", [0], [1])], "x", "y"),
        charts.bars("t", "a", [name, "other"], {name: [1, 2], "other": [3, 4]}, "x"),
        charts.intervals("t", "a", [(name, 50.0, 40.0, 60.0)], "x"),
    ):
        (text,) = svgs(f'src="{chart.source}"')
        drawn = xml.dom.minidom.parseString(text)
        texts = ["".join(n.data for n in node.childNodes) for node in drawn.getElementsByTagName("text")]
        if name.strip():
            assert charts.plain(name) in [found.strip("\u200b") for found in texts]
        assert len(text) < 60_000


@pytest.mark.parametrize("values", [[0.01, 4.0], [1.2, 1.9], [3, 900_000], [0.5]])
def test_logarithmic_axes_have_plain_numbers(values):
    drawn = charts.lines("t", "a", [("loss", list(range(len(values))), values)], "x", "y", log=True)
    lengths = charts.shares("t", "a", {"train": [max(1, int(value)) for value in values]}, "x")
    for text in svgs(f'src="{drawn.source}" src="{lengths.source}"'):
        assert "mathdefault" not in text and "$" not in text
        assert re.search(r"<text[^>]*>[\d.,]+</text>", text)


def test_long_curves_are_thinned():
    points = list(range(10_000))
    chart = charts.lines("t", "a", [("loss", points, points)], "x", "y")
    assert len(chart.source) < 60_000


def test_large_corpora_make_bounded_pages(training, tmp_path):
    nlp = spacy.blank("en")
    docs = []
    for number in range(500):
        doc = nlp.make_doc(f"Peter Hansen {number} " + "works in London. " * 20)
        doc.set_ents([doc.char_span(0, 5, f"LABEL{number % 150}")])
        docs.append(doc)
    DocBin(docs=docs).to_disk(tmp_path / "gold.spacy")
    run(training, tmp_path / "page.html", "--test", tmp_path / "gold.spacy")
    html = (tmp_path / "page.html").read_text(encoding="utf8")
    assert len(html) < 1_500_000
    assert html.count("<li data-topics=") == 200
    assert re.search(r"200 of \d+ places with errors: of every kind and label the first ones", html)
    assert re.search(r"The 100 most frequent of 15\d labels", html)
    assert re.search(r"The 20 labels that are confused most are shown; 13\d others are taken together", html)


def outcome(dev, **changes):
    values = {
        "step": 10, "tests": [dev - 0.01], "scores": {}, "parameters": {"lora": 150, "head": 9}, "of_backbone": 10_000,
        "n_bytes": 2_000_000, "n_steps": 11, "words": 5, "seconds": 9.6, "curve": [(0, 1.0, 0.1), (10, 9.6, dev)],
    }  # fmt: skip
    return Outcome(dev=dev, **{**values, **changes})


def save(folder, job, dev):
    (folder / job.name).mkdir(parents=True)
    job.to_disk(folder / job.name)
    if dev is not None:
        outcome(dev).to_disk(folder / job.name)


@pytest.fixture
def comparison(tmp_path, training):
    folder = tmp_path / "comparison"
    for seed, dev in ((4, 0.7), (3, 0.9)):
        save(folder, Job("lora", seed), dev)
        save(folder, Job(FULL, seed, 1e-4), dev - 0.1)
    save(folder, Job(FULL, 3, 1e-5), 0.95)  # tried by the first seed alone
    save(folder, Job("prompt", 3), None)  # not finished
    (folder / "lora_seed4" / "model-best").symlink_to(training / "model-best")
    return folder


def test_the_runs_of_a_comparison(comparison, training):
    found = read_comparison(comparison)
    assert [(method, [job.seed for job, _ in runs]) for method, runs in found.table.items()] == [
        ("lora", [3, 4]),
        (FULL, [3, 4]),
    ]
    assert [job.rate for job, _ in found.table[FULL]] == [1e-4, 1e-4]
    assert ([job.name for job, _ in found.others], found.running) == (["full_1e-05_seed3"], ["prompt_seed3"])
    assert is_comparison(comparison) and not is_comparison(training)


def test_of_a_comparison_the_best_pipeline_that_is_kept_is_shown(comparison, gold, tmp_path):
    run(comparison, tmp_path / "page.html", "--test", gold)
    html = (tmp_path / "page.html").read_text(encoding="utf8")
    assert "In detail: <b>lora_seed4</b>" in html
    assert "full fine-tuning, rate 0.0001" in html and "+10.0 ± 0.0" in html
    assert "Not finished, so not in the table: prompt_seed3." in html
    assert "Runs with other learning rates, whose score on dev did not choose them: full_1e-05_seed3 95.0." in html
    assert len(svgs(html)) == 2 + 2 + 1 + 1 + 1


def test_a_comparison_without_pipelines_or_results(comparison, gold, tmp_path):
    (comparison / "lora_seed4" / "model-best").unlink()
    run(comparison, tmp_path / "page.html")
    assert "In detail" not in (tmp_path / "page.html").read_text(encoding="utf8")
    assert "P783" in run(comparison, tmp_path / "page.html", "--test", gold, exit_code=1)
    for path in comparison.glob("*/outcome.json"):
        path.unlink()
    run(comparison, tmp_path / "page.html")
    assert "No run is finished yet" in (tmp_path / "page.html").read_text(encoding="utf8")


def test_full_fine_tuning_keeps_no_pipeline(comparison, training, gold, tmp_path):
    folder = comparison / "full_0.0001_seed3"
    (folder / "model-best").symlink_to(training / "model-best")
    run(folder, tmp_path / "page.html")
    assert "Its pipeline is not kept" in (tmp_path / "page.html").read_text(encoding="utf8")
    assert "P783" in run(folder, tmp_path / "page.html", "--test", gold, exit_code=1)


def test_refusals(training, corpus, gold, comparison, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    assert "P781" in run(tmp_path / "empty", exit_code=1)
    assert "P785" in run(training, tmp_path / "page.txt", exit_code=1)
    DocBin().to_disk(tmp_path / "none.spacy")
    assert "P784" in run(training, tmp_path / "page.html", "--test", tmp_path / "none.spacy", exit_code=1)
    (tmp_path / "bad.spacy").write_bytes(b"no corpus")
    assert "P430" in run(training, tmp_path / "page.html", "--test", tmp_path / "bad.spacy", exit_code=1)
    (comparison / "lora_seed3" / "outcome.json").write_text("{}")
    assert "P782" in run(comparison, tmp_path / "page.html", exit_code=1)
    monkeypatch.setattr(charts, "find_spec", lambda name: None)
    assert "P780" in (said := run(training, tmp_path / "page.html", exit_code=1))
    assert "pip install 'spacy-ptv2[report]'" in said
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("line", ["{", "[]", '{"step": 1}', '{"step": 1, "seconds": 1, "score": null, "losses": {}}'])
def test_a_damaged_curve_is_refused(training, tmp_path, line):
    folder = tmp_path / "training"
    folder.mkdir()
    (folder / "model-best").symlink_to(training / "model-best")
    (folder / "curve.jsonl").write_text(json.dumps(CURVE[0]) + "\n" + line + "\n", encoding="utf8")
    with pytest.raises(PTuningError, match="P782.*curve.jsonl"):
        read_training(folder)


def test_figures_in_words():
    assert [page.size(n) for n in (0, 999, 1000, 1_579_202, 2.5e9, 3e12)] == [
        "0 bytes", "999 bytes", "1.0 kB", "1.6 MB", "2.5 GB", "3000.0 GB",
    ]  # fmt: skip
    assert [page.duration(n) for n in (3.4, 61, 3599.6, 7260)] == ["3 s", "1 min 01 s", "1 h 00 min", "2 h 01 min"]
    assert page.percent(None) == "–"
    assert (IMAGE in LABEL, page.visible("a\n\tb")) == (False, "a␤␉b")


def task_report(folder, name, component, block, docs):
    """The page of a pipeline of one component, trained for a few steps and evaluated on what it was trained on."""
    nlp = spacy.blank("en")
    nlp.add_pipe(component, config={"model": block})
    train_task(nlp, list(docs(nlp)), steps=3)
    nlp.to_disk(folder / name)
    DocBin(docs=docs(nlp), store_user_data=True).to_disk(folder / "gold.spacy")
    run(folder / name, folder / "page.html", "--test", folder / "gold.spacy")
    return (folder / "page.html").read_text(encoding="utf8")


def pairs(nlp):
    for text, second, label in (
        ("Rome is old.", SCRIPT, "yes"),
        ("Oslo <b>", "Is it?", "no"),
        ("Bonn", "Is it?", "no"),
    ):
        doc = nlp.make_doc(text)
        doc._.second_text, doc.cats = second, {"yes": float(label == "yes"), "no": float(label == "no")}
        yield doc


def frames(nlp):
    doc = nlp.make_doc("Mary works in London")
    doc.spans["predicates"] = [doc[1:2]]
    set_roles(doc, [[(0, 1, "<i>A0"), (2, 4, "AM-LOC")]])
    yield doc


def test_pairs_have_classes_and_show_what_they_are_paired_with(tiny_folder, tmp_path):
    block = task_block(tiny_folder, "Pair", rows="sequence")
    html = task_report(tmp_path, "pairs", "pair_classifier", block, pairs)
    assert "accuracy <strong>" in html and ">Confusion</h3>" in html and ">Errors</h3>" in html
    assert SCRIPT not in html and "<b>Bonn" not in html
    assert len(svgs(html)) == 3
    assert "document 0: gold <b>yes</b>" in html or "gold <b>no</b>, predicted <b>yes</b>" in html


def test_roles_have_what_their_scorer_returns(tiny_folder, tmp_path):
    html = task_report(tmp_path, "roles", "role_labeler", task_block(tiny_folder, "Predicate"), frames)
    assert "srl by type" in html and "&lt;i&gt;A0" in html and "<i>" not in html
    assert ">Entities</h2>" not in html and ">Trained numbers</h2>" in html
