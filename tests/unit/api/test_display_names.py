"""What an organizer may call a team: anything that people can read, and nothing that hides or turns text around."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from alcove_api.competition import TeamTitle


@pytest.mark.parametrize(
    "name",
    ["R", "Red Pandas", "Ünïcode & <b>", "深層学習", "🐼 team", "الفريق", "x" * 40, "100 % $x$ 'q' \"d\""],
)
def test_what_people_can_read_is_taken(name: str) -> None:
    assert TeamTitle(namespace="red", display_name=name).display_name == name


@pytest.mark.parametrize(
    "name",
    ["", " Red", "Red ", "Red  Pandas", "Red\nPandas", "Red\tPandas", "Red\x1b[31m", "Red\x00", "evil\u202edna",
     "zero\u200bwidth", "no\u00a0break", "bom\ufeff", "private\ue000", "x" * 41],
)  # fmt: skip
def test_what_hides_or_turns_text_around_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        TeamTitle(namespace="red", display_name=name)
