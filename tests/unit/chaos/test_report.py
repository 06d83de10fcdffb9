"""The table of ``make chaos`` says what became of the runs that a fault could reach, and of no others."""

from __future__ import annotations

from dataclasses import replace

from bench.chaos.judge import Evidence
from bench.chaos.report import count_outcomes, quantile, table
from tests.unit.chaos.test_judge import CUT, GO, REPEATED, UNDISTURBED

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
    evidence = Evidence([UNDISTURBED], [(GO + 2, "operator", "p"), (GO + 3, "etcd", "")], {})
    lines = {
        line.split("|")[1].strip(): line for line in table(evidence, {"operator": [1.0, 3.0]}).splitlines()
    }
    assert lines["operator"] == "| operator | 1 | 1 as without it | 2.0 s | 3.0 s |"
    assert lines["etcd"].endswith("| – | – |")
    assert "| 0 |" in lines["store"]


def test_a_quantile_of_nothing_is_none() -> None:
    assert quantile([], 0.5) == "–"
    assert quantile([4.0], 0.99) == "4.0 s"
