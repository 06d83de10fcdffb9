"""Every attack of the suite on the throwaway cluster: a test for each, which fails where its promise is not held."""

from __future__ import annotations

import numpy as np
import pytest

from alcove_cli.conformance.intrusions import INTRUSIONS
from alcove_cli.conformance.neighbour import beside_attacks
from alcove_cli.conformance.suite import CaseResult, list_attacks

pytestmark = pytest.mark.e2e
NEIGHBOUR = beside_attacks(np.zeros((1, 1), np.bool_))
CASES = [case.id for attack in (NEIGHBOUR, *list_attacks()) for case in attack.cases]


@pytest.mark.parametrize("case", [*CASES, *(one.id for one in INTRUSIONS)])
def test_the_promise_holds(results: dict[str, CaseResult], case: str) -> None:
    assert results[case].complaint is None


@pytest.mark.parametrize(
    ("case", "seen"),
    [
        ("resources/memory-bomb", "DeadlineReached"),
        ("resources/full-disk", "DeadlineReached"),
    ],
)
def test_without_its_limit_the_attack_succeeds(results: dict[str, CaseResult], case: str, seen: str) -> None:
    complaint = results[f"unlimited/{case}"].complaint
    assert complaint is not None
    assert seen in complaint
