"""What `alcove phases` says of a competition's rules."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alcove_api.competition import CompetitionSpec
from alcove_api.leaderboard import PublishedRules
from alcove_api.phase_dates import describe_dates
from alcove_cli.phases import describe_phases
from alcove_operator.core.published_rules import publish_rules
from tests.unit.cli.conftest import Typed
from tests.unit.kube.server import Answer, serving

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EARLY, LATE = "2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z"
SPEC = CompetitionSpec.model_validate(
    {
        "title": "Any-time learning",
        "phases": [
            {
                "name": "practice", "datasets": ["secret"], "budget": {"seconds": 1200}, "closesAt": LATE,
                "compat": {"freeConstructor": True},
            },
            {
                "name": "final", "datasets": ["secret"], "budget": {"seconds": 900, "disclosed": False},
                "resources": {"gpus": 0, "cpu": "500m", "memory": "1Gi", "disk": "1Gi"},
                "opensAt": LATE, "revealsAt": "2026-05-01T00:00:00Z", "feedback": {"mode": "none"},
            },
        ],
    }
)  # fmt: skip


def boards() -> list[dict[str, Any]]:
    status = {"practice": {"teams": 2, "leaders": "1 red, 2 blue"}}
    return [
        {
            "spec": {
                "competition": "hackathon",
                "phase": phase.name,
                "rules": publish_rules(SPEC, phase).model_dump(mode="json", by_alias=True, exclude_none=True),
            },
            "status": status.get(phase.name, {}),
        }
        for phase in reversed(SPEC.phases)
    ]


def test_every_rule_that_teams_may_know_is_said_and_no_other() -> None:
    text = describe_phases(boards(), "hackathon", NOW)
    assert (
        text
        == """hackathon: Any-time learning

practice: open until 2026-04-01 00:00 UTC.
  Each run has 1200 s, 1 GPU, 2 CPU, 8Gi memory, 10Gi disk.
  Before that, import and constructor of a model.py have 1200 s free of charge.
  Each team has 10 submissions a day (UTC), 100 in all, and 5 runs at a time.
  Scores are shown while a run goes on.
  2 teams are ranked. 1 red, 2 blue

final: opens at 2026-04-01 00:00 UTC.
  Each run has a time budget that is not disclosed, 500m CPU, 1Gi memory, 1Gi disk.
  Each team has 10 submissions a day (UTC), 100 in all, and 5 runs at a time.
  No score is shown before the reveal.
  Scores and ranks are revealed at 2026-05-01 00:00 UTC."""
    )
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({}, "open."),
        ({"opensAt": EARLY, "closesAt": LATE}, "open until 2026-04-01 00:00 UTC."),
        ({"closesAt": EARLY}, "closed since 2026-02-01 00:00 UTC."),
        ({"opensAt": LATE, "closesAt": "2026-04-02T00:00:00Z"},
         "opens at 2026-04-01 00:00 UTC, until 2026-04-02 00:00 UTC."),
    ],
)  # fmt: skip
def test_dates_are_said_as_of_now(rules: dict[str, str], said: str) -> None:
    assert describe_dates(PublishedRules.model_validate(rules), NOW) == said


def test_the_command_names_what_it_does_not_find(tmp_path: Path, alcove: Typed) -> None:
    with serving(Answer(body={"items": boards()})) as server:
        config = server.kubeconfig(tmp_path)
        assert "practice:" in alcove("phases", "--kubeconfig", config).stdout
        missing = alcove("phases", "hackathon/other", "--kubeconfig", config)
    assert missing.returncode == 2
    assert (
        "There is no competition other in the namespace hackathon. It has hackathon/hackathon."
        in missing.stderr
    )
