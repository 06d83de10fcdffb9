"""A dataset with numbers to predict, by real jobs against a real store: from its check to a score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import d2_absolute_error_score, r2_score

from alcove_api import keys
from alcove_api.documents import CheckRequest, CheckResult
from alcove_api.score_documents import ScoreRequest, ScoreResult, Scoring
from alcove_format.solution import read_targets
from alcove_scorer.curves import Point, area_under_curve, resolve_rules
from alcove_toolkit.practice import make_practice
from alcove_toolkit.publish import publish

from .conftest import Job, Recording, Store, npy

pytestmark = pytest.mark.integration


def test_numbers_are_checked_and_scored_by_the_metric_of_the_competition(
    store: Store, start: Callable[..., Job], request_for: Callable[..., ScoreRequest], tmp_path: Path
) -> None:
    data = make_practice("friedman", tmp_path / "made", examples=200)
    digest, solution, _ = publish(data, data.with_suffix(".solution"), store.client)
    checking = CheckRequest(dataset="friedman", data_sha256=digest, solution_sha256=solution, metric="mae")
    status, message = start("check", checking).wait()
    checked = CheckResult.model_validate_json(message)
    assert (status, checked.task, checked.n_labels) == (0, "regression", 1)
    # The median of train, on test.
    assert checked.chance_score == pytest.approx(0, abs=0.01)
    assert checked.linear_score is not None
    assert 0.2 < checked.linear_score < 1

    truth = np.asarray(read_targets(data.with_suffix(".solution")))
    noise = np.random.default_rng(0).normal(size=truth.shape)
    predictions = [np.full_like(truth, truth.mean()), truth + 3 * noise, truth + noise]
    for metric, theirs in (("r2", r2_score), ("mae", d2_absolute_error_score)):
        made = request_for("one", scoring=Scoring(metric=metric))
        (dataset,) = made.datasets
        dataset = dataset.replace(solution_sha256=solution, n_test=len(truth), n_labels=1)
        request = made.replace(datasets=(dataset,))
        run = Recording(store, request.submission_uid, "one")
        for second, numbers in enumerate(predictions, 1):
            run.snapshot(second, npy(numbers))
        run.snapshot(9, npy(np.zeros((len(truth), 2))))
        run.seal()
        run.verdict()
        assert start("score", request).wait() == (0, "")
        found = store.get(keys.score_result(request.submission_uid, request.scoring_digest()))
        (scored,) = ScoreResult.model_validate_json(found or b"").runs
        expected = [theirs(truth, numbers) for numbers in predictions]
        assert [point.score for point in scored.points] == pytest.approx(expected, abs=1e-9)
        # The curve starts at what the best constant scores.
        rules = resolve_rules(30, metric_name=metric)
        assert rules.metric.chance == 0
        curve = [Point(i, i + 1.0, point.score) for i, point in enumerate(scored.points)]
        assert scored.alc == area_under_curve(curve, rules)
        assert [(r.seq, r.reason.split(":")[0]) for r in scored.refused] == [(3, f"shape {len(truth)} × 2")]
        report = (store.get(keys.report(request.submission_uid)) or b"").decode()
        assert metric in report
