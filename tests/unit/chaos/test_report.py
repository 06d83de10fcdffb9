"""The table of ``make chaos`` says what became of the runs that a fault could reach, and of no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.chaos.evidence import read_evidence, write_evidence
from bench.chaos.history import Evidence
from bench.chaos.judge import find_violations
from bench.chaos.report import count_outcomes, describe_strictness, quantile, summary, table
from tests.unit.chaos.histories import CUT, GO, REPEATED, UNDISTURBED, evidence

KINDS = ("operator", "participant", "recorder", "store")


def test_a_kill_in_a_pod_concerns_its_run_and_one_beside_it_all_that_were_under_way() -> None:
    runs = [replace(UNDISTURBED, uid="a", ended_at=GO + 30), replace(REPEATED, uid="b", ended_at=GO + 30)]
    over = replace(CUT, uid="c", submitted_at=GO - 90, ended_at=GO - 60)
    kills = [
        (GO + 2, "operator", "pod-of-operator"),
        (GO - 37, "recorder", "pod-1"),
        (GO + 300, "store", "pod-of-store"),
    ]
    counted = count_outcomes(Evidence([*runs, over], kills, {}), KINDS)
    assert counted["operator"] == {"as without it": 1, "repeated": 1}
    assert counted["recorder"].total() == 3, "each of them has a pod of that name"
    assert counted["store"] == {}, "nothing was under way"
    assert counted["participant"] == {}


def test_the_table_counts_kills_and_shows_no_time_of_what_never_worked_again() -> None:
    kills = [(GO + 2, "operator", "p"), (GO + 3, "etcd", "")]
    found = Evidence([UNDISTURBED], kills, {}, recoveries={"operator": [1.0, 3.0]})
    lines = {line.split("|")[1].strip(): line for line in table([found]).splitlines()}
    assert lines["operator"] == "| operator | 1 | 1 as without it | 2.0 s | 3.0 s |"
    assert lines["etcd"].endswith("| – | – |")
    assert "| 0 |" in lines["store"]


def test_times_are_counted_together_and_what_was_beside_a_run_is_of_its_own_time() -> None:
    first = Evidence([UNDISTURBED], [(GO + 2, "store", "s")], {}, recoveries={"store": [1.0]})
    second = Evidence([UNDISTURBED, REPEATED], [], {}, lasted=[(GO, GO + 5, "store-slow")])
    lines = {line.split("|")[1].strip(): line for line in table([first, second]).splitlines()}
    assert lines["store"] == "| store | 1 | 1 as without it | 1.0 s | 1.0 s |"
    assert lines["store-slow"].startswith("| store-slow | 1 | 1 as without it, 1 repeated |")
    assert summary([first, second], 0).startswith(
        "1 kills, 1 faults that lasted, 3 submissions, 0 violations."
    )


def test_evidence_that_was_written_down_is_judged_the_same(tmp_path: Path) -> None:
    pods = frozenset({"r-1-digits-1-abcde", "r-1-digits-2-fghij"})
    kills, lasted = [(GO + 5.6, "participant", "pod-1")], [(GO, GO + 5.0, "store-slow")]
    found = Evidence([CUT, REPEATED], kills, {"r-1": 2}, lasted, [pods], totals={"red": (2, 1)})
    write_evidence(found, tmp_path / "1.evidence.json")
    again = read_evidence(tmp_path / "1.evidence.json")
    assert len(find_violations(found)) == 4
    assert find_violations(again) == find_violations(found)
    assert table([again]) == table([found])


def test_it_says_how_many_attempts_would_have_been_excused() -> None:
    kills = [(GO - 37, "recorder", "pod-1"), (GO + 2, "store", "s")]
    told = describe_strictness([evidence(REPEATED, *kills), evidence(UNDISTURBED)])
    assert "RecorderLost 33%" in told
    assert "StoreAway 33%" in told
    assert "StoreFull 0%" in told
    assert "NodeLost 0%" in told


def test_a_quantile_of_nothing_is_none() -> None:
    assert quantile([], 0.5) == "–"
    assert quantile([4.0], 0.99) == "4.0 s"
