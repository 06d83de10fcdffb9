"""What `kubectl get` prints fits a terminal: the widths of realistic values, laid out as kubectl lays them out.

tests/integration/operator_wiring/test_tables.py has kubectl itself print some of them.
"""

from __future__ import annotations

import pytest

from alcove_api.base import Kind
from alcove_api.competition import COMPETITION
from alcove_api.dataset import DATASET
from alcove_api.leaderboard import LEADERBOARD
from alcove_api.schema import KINDS
from alcove_api.submission import SUBMISSION
from alcove_api.team_usage import TEAM_USAGE
from alcove_operator.core.phases import LINE
from alcove_operator.core.status import MESSAGE, SCORES
from alcove_scorer.board_status import LEADERS_CELLS

GAP = 3
"""Spaces between two columns."""
SENTENCE = "Message"
NAMES = {
    SUBMISSION.name: "sklearn-12",
    COMPETITION.name: "hackathon",
    DATASET.name: "handwriting",
    LEADERBOARD.name: "feedback-tabular",
    TEAM_USAGE.name: "hackathon.hackathon-red",
}
WIDEST: dict[str, dict[str, str | int]] = {
    SUBMISSION.name: {
        "Phase": "practice", "State": "Rejected", "Runs": "6/6", "Score": "0.732", "Rank": "12/140", "Age": "59m",
        "Cause": "DeadlineReached", "Scores": SCORES, "Message": MESSAGE,
    },
    COMPETITION.name: {
        "Ready": "False", "Running": "12", "Queued": "140", "Age": "59m", "Phases": LINE, "Capacity": "16",
        "Reason": "DatasetsNotReady",
    },
    DATASET.name: {
        "Ready": "Unknown", "Alias": "handwriting", "Train": "100000", "Test": "100000", "Age": "59m",
        "Reason": "CheckNotDone", "Domain": "tabular", "Labels": "1000", "Chance": "0.5", "Linear": "0.8675309",
    },
    LEADERBOARD.name: {
        "Teams": "2000", "Leaders": LEADERS_CELLS, "Updated": "59m", "Closes": "28 Mar 14:00 UTC",
    },
    TEAM_USAGE.name: {
        "Total": "10000", "Last": "2027-03-08", "That-Day": "1000",
        "Compute-s": "86400.125", "Age": "59m",
    },
}  # fmt: skip
"""By kind and column: a value, or the columns that it takes at most."""


def width(kind: Kind, *, wide: bool) -> int:
    """Of a line, the sentence at its end left out: it is bounded for teams alone."""
    found = [max(len("NAME"), len(NAMES[kind.name]))]
    for column in kind.columns:
        if column.priority and not wide:
            continue
        value = WIDEST[kind.name].get(column.name)
        if value is None:
            assert column.name == SENTENCE
            assert column is kind.columns[-1]
            continue
        found.append(max(len(column.name), value if isinstance(value, int) else len(value)))
    return sum(found) + GAP * (len(found) - 1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_table_fits_its_columns(kind: Kind) -> None:
    assert width(kind, wide=False) <= 80
    assert width(kind, wide=True) <= (80 if kind is LEADERBOARD else 160)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_wide_adds_stands_behind_the_rest(kind: Kind) -> None:
    priorities = [column.priority for column in kind.columns]
    assert priorities == sorted(priorities)
