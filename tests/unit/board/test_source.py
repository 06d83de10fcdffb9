"""What the server reads of the API server, and what its log says of what it cannot show."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any, cast

import pytest
from minio import Minio

from alcove_board.source import BoardSource
from alcove_kube.client import KubeClient
from tests.unit.board.test_documents import leaderboard
from tests.unit.kube.server import Answer, serving


def listed(*boards: dict[str, Any], after: str = "") -> Answer:
    return Answer(body={"items": list(boards), "metadata": {"continue": after}})


def ignore(_: str) -> None:
    """What was read is not counted."""


def test_the_log_says_once_which_leaderboard_is_not_shown_and_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = leaderboard("damaged", opensAt="soon")
    steps = (listed(damaged, leaderboard("practice"), after="more"),) * 2 + (
        listed(leaderboard("practice")),
        listed(damaged),
    )
    caplog.set_level(logging.ERROR, "alcove_board")

    async def ask(source: BoardSource) -> None:
        said = []
        for _ in steps:
            # Each look asks the server: what is fresh is another test's.
            await source._load_phases("")
            said.append(len(caplog.records))
        assert said == [2, 2, 2, 3]

    with serving(*steps) as server:
        kube = KubeClient.from_kubeconfig(server.kubeconfig(tmp_path))
        asyncio.run(ask(BoardSource(kube, cast(Minio, None), "alcove", "hackathon", ignore)))
    messages = [record.getMessage() for record in caplog.records]
    assert "hackathon/cup-damaged cannot be read" in messages[0]
    assert "opensAt" in messages[0]
    assert "more than 512 Leaderboards" in messages[1]
