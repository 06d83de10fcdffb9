"""A team's colour on boards: its own, from board to board, whatever its rank."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from alcove_api.board_documents import BoardHistory

LEADERS = 5
"""Teams of a board that are drawn in colour."""
COLOURS = 10
"""How many there are; more than leaders, so that who falls behind for a while comes back in the same."""


def read_colours(history: BoardHistory) -> dict[str, int]:
    """The numbers by team, as :func:`assign_colours` returned them."""
    return {colour.team: colour.number for colour in history.colours}


def assign_colours(leaders: Sequence[str], known: Mapping[str, int]) -> dict[str, int]:
    """A number below ``COLOURS`` for each leader and for those before it that are remembered, never one for two.

    A leader keeps the colour that it has. A new one starts to look for a free one at the place that its name says, so
    that it has the same in most phases. If none is free, it gets that of the team that has not led for longest.

    Args:
        leaders: at most ``LEADERS`` teams.
        known: what this returned for the board before. The order says who led last.
    """
    found = {team: number for team, number in known.items() if team not in leaders}
    found |= {team: known[team] for team in leaders if team in known}
    for team in leaders:
        if team in found:
            continue
        if len(found) >= COLOURS:
            found.pop(next(other for other in found if other not in leaders))
        start = int(hashlib.sha256(team.encode()).hexdigest(), 16)
        taken = set(found.values())
        found[team] = next(n for i in range(COLOURS) if (n := (start + i) % COLOURS) not in taken)
    return found
