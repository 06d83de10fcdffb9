"""What stands of a run once its pod is over."""

from __future__ import annotations

import pytest

from alcove_api.submission import RunStatus
from alcove_operator.core.causes import Context, find_cause
from alcove_operator.core.model import ContainerView
from alcove_operator.core.run_ends import record_end
from tests.unit.operator_core.cluster import START
from tests.unit.operator_core.test_causes import pod

FORGOTTEN = ContainerView("main", terminated=True, terminated_reason="ContainerStatusUnknown", exit_code=137)
"""As the kubelet reports a container that it no longer finds when it evicts the pod."""


@pytest.mark.parametrize("seen", [True, False])
def test_what_an_evicted_run_saved_counts_though_the_kubelet_forgot_that_it_began(seen: bool) -> None:
    evicted = pod(reason="Evicted", message="out exceeds", main=FORGOTTEN)
    run = RunStatus(dataset="d1", attempt=1, pod_uid="p", started_at=START if seen else None)
    ended = record_end(run, find_cause(evicted, Context()), evicted)
    assert (ended.cause, ended.charged_to) == ("DiskOverrun", "Participant")
    # With no sign of a go there is nothing of the pod's to score.
    assert (ended.pod_uid, ended.started_at) == (("p", START) if seen else ("", None))
