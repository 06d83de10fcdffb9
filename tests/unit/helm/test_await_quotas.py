"""The hook that waits for the teams' quotas leaves none without its limit."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from alcove_kube.client import KubeClient
from alcove_kube.errors import ApiError
from tests.unit.helm.chart import CHART
from tests.unit.kube.server import Answer, Asked, refusal, serving


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("alcove_await_quotas", CHART / "files" / "await_quotas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hook = _load()
UNLIMITED = {"count/configmaps": "9"}
WHOLE = {**UNLIMITED, hook.LIMIT: "2"}


def quota(hard: dict[str, str]) -> Answer:
    """One that is counted."""
    return Answer(body={"spec": {"hard": hard}, "status": {"hard": hard, "used": dict.fromkeys(hard, "0")}})


def limits_set(asked: list[Asked]) -> list[str | None]:
    return [a.body["spec"]["hard"][hook.LIMIT] for a in asked if a.verb == "PATCH"]


def test_a_limit_that_was_taken_out_and_not_put_back_is_put_back_by_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook, "PAUSE", 0.0)
    uncounted = Answer(body={"spec": {"hard": WHOLE}})
    with serving(uncounted, Answer(), refusal(500, "InternalError")) as server:
        with pytest.raises(ApiError):
            hook.wait(KubeClient.from_kubeconfig(server.kubeconfig(tmp_path)), "2", ["red"])
        assert limits_set(server.asked)[:2] == [None, "2"]
    with serving(quota(UNLIMITED), Answer(), Answer(), quota(WHOLE)) as server:
        assert hook.wait(KubeClient.from_kubeconfig(server.kubeconfig(tmp_path)), "2", ["red"]) == []
        assert limits_set(server.asked) == [None, "2"]
