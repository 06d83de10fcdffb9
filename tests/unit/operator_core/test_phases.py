"""What is printed of a competition's phases."""

from __future__ import annotations

from datetime import UTC, datetime

from alcove_api.phase import Phase
from alcove_operator.core.phases import LINE, describe_phases

NOW = datetime(2026, 12, 5, tzinfo=UTC)


def phase(name: str, **dates: str) -> Phase:
    more = {field: f"2026-12-{day}T00:00:00Z" for field, day in dates.items()}
    return Phase.model_validate({"name": name, "datasets": ["d"], "budget": {"seconds": 9}, **more})


def test_what_takes_no_submissions_says_so() -> None:
    phases = [
        phase("old", closesAt="01"),
        phase("now", opensAt="02", closesAt="09"),
        phase("next", opensAt="08"),
    ]
    assert describe_phases(phases, NOW) == "now, next (from 8 Dec), old (over)"
    blind = phase("blind", closesAt="04", revealsAt="07")
    assert describe_phases([blind], NOW) == "blind (reveal 7 Dec)"


def test_one_that_takes_the_submissions_of_another_never_takes_any() -> None:
    source, reveals = {"from": {"phase": "now"}}, {"revealsAt": "2026-12-20T00:00:00Z"}
    waits = Phase.model_validate({**phase("final").model_dump(by_alias=True), **source, **reveals})
    assert describe_phases([waits], NOW) == "final (not open)"
    opened = waits.replace(opens_at=datetime(2026, 12, 4, tzinfo=UTC))
    assert describe_phases([opened], NOW) == "final (reveal 20 Dec)"
    assert describe_phases([opened], datetime(2026, 12, 21, tzinfo=UTC)) == "final (over)"


def test_many_phases_are_counted() -> None:
    phases = [phase(f"phase-{number}") for number in range(1, 9)]
    shown = describe_phases(phases, NOW)
    assert shown == "phase-1, phase-2 and 6 more"
    assert len(shown) <= LINE
