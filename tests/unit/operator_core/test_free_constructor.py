"""A phase whose constructors are free: its pods and their credentials last for that time too."""

from __future__ import annotations

from datetime import timedelta

from alcove_api.run_documents import RunConfig
from alcove_operator.core.model import ReconcileSettings
from alcove_operator.core.runs import count_deadline_seconds
from alcove_operator.job_credentials import life_of

from .test_activity import rules


def test_its_pods_have_the_free_time_beside_the_budget() -> None:
    settings = ReconcileSettings()
    charged = count_deadline_seconds(rules(), settings)
    free = count_deadline_seconds(rules(compat={"freeConstructor": True}), settings)
    assert free == charged + 1200


def test_its_credentials_outlast_both() -> None:
    told = RunConfig(
        submission_uid="u", alias="d", attempt=1, data_sha256=None, code_sha256=None, budget_ns=1200 * 10**9,
        n_test=1, n_labels=1, free_constructor_ns=1200 * 10**9,
    )  # fmt: skip
    assert life_of(told) >= timedelta(seconds=2400)
