"""The judge's table of causes and faults speaks of causes that there are and of faults that happen."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

from alcove_operator.core import causes, stalled_starts
from bench.chaos import excuses
from bench.chaos.__main__ import ALL
from tests.unit.chaos.histories import GO, REPEATED, attempt, evidence, run


def test_each_cause_that_the_platform_pays_for_has_its_faults() -> None:
    assert set(causes.CAUSES_BY_PAYER["Platform"]) == excuses.CAUSES


def test_only_what_happens_excuses_and_nothing_that_happens_to_the_operator() -> None:
    named = {*excuses.UNKNOWN.own, *excuses.UNKNOWN.beside}
    assert named <= set(ALL)
    assert not {kind for kind in named if kind.startswith(("operator", "watches", "events", "api-", "score"))}


def test_the_operators_words_narrow_down_what_excuses_a_cause() -> None:
    ended = run(attempt(1, go_at=GO - 40), attempt(2, "pod-2"), why="The pod ended before the go.")
    found = excuses.find_excuses(ended, 1, "NeverStarted")
    assert "supervisor" in found.own
    assert "store" not in found.beside
    assert "store" in excuses.find_excuses(ended, 2, "NeverStarted").beside, "nothing is said of the second"


def messages(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Each cause that the platform pays for, and the beginning of a message; a value in it is an x."""
    for call in ast.walk(ast.parse(inspect.getsource(module))):
        if not (isinstance(call, ast.Call) and getattr(call.func, "id", "") == "charge_platform"):
            continue
        cause, said = call.args
        if isinstance(said, ast.Call) and isinstance(said.func, ast.Attribute):
            said = said.func.value
        parts = said.values if isinstance(said, ast.JoinedStr) else [said]
        if isinstance(cause, ast.Constant) and not isinstance(said, ast.Name):
            words = (str(one.value) if isinstance(one, ast.Constant) else "x" for one in parts)
            yield str(cause.value), "".join(words)


def test_the_operators_reasons_are_known_by_their_words() -> None:
    found = [*messages(causes), *messages(stalled_starts)]
    assert {cause for cause, _ in found} >= {
        "StoreAway",
        "NodeLost",
        "NeverStarted",
        "PodGone",
        "RecorderLost",
    }
    for cause, said in found:
        assert excuses.find_cause(run(attempt(1, go_at=GO - 40), attempt(2, "pod-2"), why=said), 1) == (
            cause,
            "Platform",
        )


def test_an_attempt_lasts_from_its_job_to_the_operators_word() -> None:
    found = replace(evidence(REPEATED), made={"r-uid1-digits-1": GO - 49, "r-uid1-digits-2": GO - 8.5})
    assert excuses.find_time(REPEATED, 1, found) == (GO - 49, GO - 9)
    assert excuses.find_time(REPEATED, 2, found) == (GO - 8.5, GO + 9.5)
