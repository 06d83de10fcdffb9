"""The log of the faults says which came about, and which were never ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from bench.chaos.faults import Drawn
from bench.chaos.load import Load
from bench.chaos.shaking import Shaking
from tests.demo.hackathon import DemoError, Hackathon


class Stubborn:
    """A fault that cannot be brought about, and one that cannot be ended."""

    kinds = ("unheard", "endless")

    def apply(self, kind: str) -> None:
        if kind == "unheard":
            raise DemoError("Nobody answers.")

    def undo(self, kind: str) -> None:
        if kind == "endless":
            raise DemoError("Nobody answers.")


def test_a_fault_is_logged_as_what_became_of_it(tmp_path: Path) -> None:
    said: list[str] = []
    # Neither the cluster nor the load is asked for anything.
    shaking = Shaking(
        cast("Hackathon", None), cast("Load", None), tmp_path / "log", said.append, [Stubborn()], settle=0
    )
    for kind in Stubborn.kinds:
        shaking._apply(Drawn(0, kind, 5))
    shaking._undo_due(float("inf"))
    shaking._note_unended()
    logged = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(one["kind"], one["applied"], one["until"] is None) for one in logged] == [
        ("unheard", False, False),
        ("endless", True, True),
    ]
    assert any("endless could not be ended" in one for one in said)
