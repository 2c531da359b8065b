"""Counts, intervals, confusion and calibration, against values worked out by hand or by plain resampling."""

import numpy as np
import pytest

from spacy_ptv2.reports import bootstrap
from spacy_ptv2.reports.calibration import calibrate, calibration_error, ranking
from spacy_ptv2.reports.confusion import MOST, OTHERS, confuse
from spacy_ptv2.reports.counts import EXCESS, MISSED, RIGHT, Score, score_labels

DOCS = [
    [("PER", RIGHT), ("PER", RIGHT), ("LOC", MISSED)],
    [("PER", EXCESS), ("LOC", RIGHT)],
    [],
    [("LOC", MISSED), ("LOC", EXCESS)],
]


def test_scores_by_hand():
    scores = score_labels(DOCS)
    assert [row.label for row in scores.labels] == ["LOC", "PER"]
    loc, per = scores.labels
    assert (loc.support, loc.n_predicted, loc.precision.value, loc.recall.value) == (3, 2, 1 / 2, 1 / 3)
    assert (per.f1.value, loc.f1.value) == (pytest.approx(0.8), pytest.approx(0.4))
    assert (scores.overall.precision.value, scores.overall.recall.value) == (3 / 5, 3 / 5)
    assert scores.macro_f1.value == pytest.approx(0.6)
    assert scores.n_docs == 4


def test_what_is_not_defined_is_none():
    (row,) = score_labels([[("PER", MISSED)], []]).labels
    assert row.precision == Score(None, None)
    assert (row.recall.value, row.f1.value) == (0.0, 0.0)
    assert score_labels([[], []]).overall.f1 == Score(None, None)


def test_intervals_are_those_of_resampling_docs():
    """The draws of Docs with equal counts are joined; the distribution is that of drawing Docs one by one."""
    random = np.random.default_rng(7)
    right, total = random.integers(0, 4, 60), random.integers(4, 6, 60)
    docs = [[("X", RIGHT)] * int(r) + [("X", MISSED)] * int(t - r) for r, t in zip(right, total, strict=True)]
    low, high = score_labels(docs).labels[0].recall.interval
    drawn = random.integers(0, 60, (4000, 60))
    expected = np.percentile(right[drawn].sum(axis=1) / total[drawn].sum(axis=1), [2.5, 97.5])
    assert (low, high) == (pytest.approx(expected[0], abs=0.012), pytest.approx(expected[1], abs=0.012))


def test_intervals_come_out_alike_again_and_docs_that_are_alike_have_none():
    assert score_labels(DOCS) == score_labels(DOCS)
    assert score_labels([[("X", RIGHT), ("X", MISSED)]] * 5).overall.recall == Score(0.5, (0.5, 0.5))
    sums = bootstrap.resample(np.ones((9, 2), dtype=np.int64))
    assert sums.shape == (bootstrap.N_RESAMPLES, 2)
    assert (sums == 9).all()


def test_confusion():
    pairs = [("A", "A")] * 3 + [("A", "B"), ("B", None), (None, "A"), (None, "A")]
    found = confuse(pairs, "missed", "spurious")
    assert (found.rows, found.columns) == (["A", "B", "spurious"], ["A", "B", "missed"])
    assert found.table == [[3, 1, 0], [0, 0, 1], [2, 0, 0]]
    assert confuse([("A", "B")], "missed", "spurious").rows == ["A", "B"]


def test_of_many_labels_those_that_are_confused_are_shown():
    pairs = [(f"L{i:02}", f"L{i:02}") for i in range(MOST + 5) for _ in range(3)] + [("L24", "L23")]
    found = confuse(pairs, "missed", "spurious")
    assert found.n_left_out == 5
    assert len(found.rows) == MOST + 1 and found.rows[-1] == OTHERS
    assert {"L23", "L24"} < set(found.rows)
    assert sum(map(sum, found.table)) == len(pairs)
    assert found.table[-1][-1] == 15


def test_calibration():
    found = calibrate([(0.9, True), (0.5, True), (0.9, True), (0.5, False)])
    assert (found.n, found.mean, found.right, found.auc) == (4, pytest.approx(0.7), 0.75, pytest.approx(5 / 6))
    assert [size for _, _, size in found.bins] == [1, 1, 1, 1]
    assert found.error == pytest.approx(0.3)  # |.5 - 1|, |.5 - 0|, |.9 - 1| twice, of bins of one
    assert calibrate([]) is None


def test_where_nothing_is_wrong_there_is_nothing_to_rank():
    assert calibrate([(0.9, True), (0.8, True)]).auc is None
    assert calibrate([(0.9, False)]).auc is None
    assert np.isnan(ranking(np.array([0.5]), np.array([1.0])))
    assert calibration_error(np.array([1.0, 1.0]), np.ones(2), 15) == 0.0
