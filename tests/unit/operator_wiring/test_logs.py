"""The operator's log: a line about a Submission says which, of which team, and why; every refusal is in it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from alcove_kube.resources import Resource
from alcove_operator.logs import JsonFormatter, bind, bind_object
from alcove_operator.service import Service
from tests.unit.operator_wiring.hackathon import CUP, HACK, Hackathon
from tests.unit.operator_wiring.memory_server import Fate
from tests.unit.operator_wiring.virtual_time import run, wait_until

Line = dict[str, Any]


class Log(io.StringIO):
    def lines(self, **fields: str) -> list[Line]:
        """Those that have these fields, or begin with them."""
        found = [json.loads(line) for line in self.getvalue().splitlines()]
        return [line for line in found if all(line.get(k, "").startswith(v) for k, v in fields.items())]


@pytest.fixture
def log() -> Iterator[Log]:
    """What the operator's loggers write, as the operator's own handler writes it."""
    written = Log()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("alcove_operator")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield written
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_what_happens_to_a_submission_can_be_followed_by_its_name(log: Log) -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        hackathon.run_fate = "exit"

        async def test(_: Service) -> None:
            hackathon.submit("red", "one")
            hackathon.submit("blue", "two")
            await hackathon.ended("red", "one")
            await hackathon.ended("blue", "two")

        await hackathon.operate(test)

    run(scenario())
    for team, name in (("red", "one"), ("blue", "two")):
        mine = log.lines(submission=f"{team}/{name}")
        assert {line["team"] for line in mine} == {team}
        assert all(line["cause"] for line in mine), mine
        assert {"Admitted", "JobCreated", "ExitCode"} <= {line["cause"] for line in mine}
    about = [line for line in log.lines() if "Job r-" in line["message"] or "Job s-" in line["message"]]
    assert len(about) >= 4
    assert all("submission" in line for line in about)


def test_every_refusal_is_logged_with_its_reason(log: Log) -> None:
    async def scenario() -> None:
        hackathon = Hackathon(limits={"perDay": 1})
        closed = "2026-01-01T00:00:00Z"

        async def test(_: Service) -> None:
            hackathon.submit("red", "first")
            await hackathon.ended("red", "first")
            hackathon.submit("red", "too-many")
            # It waits a minute for its namespace's label, then is refused for what it was told before.
            hackathon.server.put("namespaces", "", {"metadata": {"name": "blue", "labels": {}}})
            hackathon.submit("blue", "stranger")
            await hackathon.ended("red", "too-many")
            await hackathon.ended("blue", "stranger")
            phase = hackathon.server.objects["competitions", HACK, CUP]["spec"]["phases"][0]
            hackathon.change_spec("competitions", HACK, CUP, phases=[{**phase, "closesAt": closed}])
            hackathon.submit("red", "late")
            await hackathon.ended("red", "late")

        await hackathon.operate(test)

    run(scenario())
    for name, cause in (
        ("red/too-many", "QuotaExceeded"),
        ("blue/stranger", "NotATeam"),
        ("red/late", "PhaseClosed"),
    ):
        (line,) = log.lines(submission=name, cause=cause, message="Rejected. ")
        assert (line["level"], line["team"]) == ("warning", name.partition("/")[0])
        assert len(line["message"]) > len("Rejected. ")


def test_a_turn_that_fails_says_whose_it_was(log: Log) -> None:
    async def scenario() -> None:
        hackathon = Hackathon()
        refused = True

        def fate(verb: str, resource: Resource) -> Fate:
            return Fate(refused=500 if refused and (verb, resource.plural) == ("POST", "jobs") else 0)

        async def test(_: Service) -> None:
            nonlocal refused
            hackathon.api.fate = fate
            hackathon.submit("red", "one")
            await wait_until("it failed", lambda: log.lines(submission="red/one", cause="ApiError"), 60)
            refused = False
            await hackathon.ended("red", "one")

        await hackathon.operate(test)

    run(scenario())
    line = log.lines(submission="red/one", cause="ApiError")[0]
    assert (line["level"], line["team"]) == ("warning", "red")
    assert line["message"].endswith("It is tried again.")


def test_fields_end_with_what_they_are_about() -> None:
    record = logging.LogRecord("l", logging.INFO, "", 0, "said %s", ("so",), None)

    def written() -> Line:
        found: Line = json.loads(JsonFormatter().format(record))
        return {key: value for key, value in found.items() if key not in ("time", "level", "logger")}

    with bind(job="j"):
        with bind_object("submission", "red", "one"):
            assert written() == {"job": "j", "submission": "red/one", "team": "red", "message": "said so"}
        assert written() == {"job": "j", "message": "said so"}
    assert written() == {"message": "said so"}
