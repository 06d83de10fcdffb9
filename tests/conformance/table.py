"""Writes the table of attacks in docs/security.md: python -m tests.conformance.table [--check]."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alcove_cli.conformance.catalogue import Case
from alcove_cli.conformance.intrusions import INTRUSIONS, Intrusion
from alcove_cli.conformance.neighbour import beside_attacks
from alcove_cli.conformance.suite import list_attacks
from tests.unit.docs.pages import REPOSITORY

PAGE = REPOSITORY / "docs" / "security.md"
BEGIN, END = "<!-- attacks: python -m tests.conformance.table -->\n", "<!-- end of attacks -->\n"
CLASSES = {"time": "Time", "data": "Data", "rights": "Rights", "resources": "Resources", "files": "Files"}
ELSEWHERE = Path(__file__).with_name("elsewhere.csv")
"""Attacks that unit, integration and end-to-end tests try, each where it costs least."""


@dataclass(frozen=True)
class Row:
    kind: str
    attack: str
    outcome: str
    pays: str
    test: str
    """A case of the suite, or the path of a test below tests/ and its name."""


def list_elsewhere() -> list[Row]:
    with ELSEWHERE.open(encoding="utf-8", newline="") as file:
        return [Row(*line) for line in list(csv.reader(file))[1:]]


def list_rows() -> list[Row]:
    """Those of the suite, then those that other tests try."""
    attacks = (*list_attacks(), beside_attacks(np.zeros((1, 1), np.bool_)))
    cases: list[Case | Intrusion] = [case for attack in attacks for case in attack.cases]
    cases += INTRUSIONS
    return [*(Row(c.kind, c.attack, c.outcome, c.pays, c.id) for c in cases), *list_elsewhere()]


def build_table() -> str:
    rows = list_rows()
    parts = [f"{len(rows)} attacks, each with what comes of it, who pays, and the test that shows it.\n"]
    for kind, title in CLASSES.items():
        parts.append(f"### {title}\n\n| attack | outcome | who pays | test |\n|---|---|---|---|")
        found = [row for row in rows if row.kind == kind]
        parts[-1] += "".join(f"\n| {r.attack} | {r.outcome} | {r.pays} | `{r.test}` |" for r in found) + "\n"
    return "\n".join(parts)


def put_table(page: str) -> str:
    """The page with the table as it is now. Raises ValueError where it has no place for one."""
    before, rest = page.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n{build_table()}\n{END}{after}"


def main() -> int:
    page = PAGE.read_text()
    wanted = put_table(page)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(wanted)
        return 0
    if page == wanted:
        return 0
    print("The table of docs/security.md is not current: run python -m tests.conformance.table.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
