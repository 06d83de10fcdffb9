"""What takes room in the store, and whose it is: from the keys and sizes of its objects. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from alcove_api import keys
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.core.reconcile_input import is_blind

Part = Literal["snapshots", "logs", "results", "bundle", "uploads"]
"""Predictions; output; records, scores and pages; code; what waits for admission, or is offered to other teams."""
PARTS: tuple[Part, ...] = ("snapshots", "logs", "results", "bundle", "uploads")
TEAMS = 50
"""Of how many teams a metric tells."""
UNKNOWN = "(unknown)"
"""Whose Submission is deleted, or is another release's in the same store."""

_RUN = re.compile(r"runs/([^/]+)/")
_SCORE = re.compile(r"scores/([^/]+)/")
_PAGE = re.compile(r"reports/[^/]+/([^/.]+)[/.]")
_CODE = re.compile(r"code/([0-9a-f]{64})\.tar\.gz")
_PHASE = re.compile(r"(?:boards|ladders)/([^/]+/[^/]+)/")
_UPLOAD = re.compile(rf"(?:{keys.BUNDLES}|{keys.SHARED})([^/]+)/")
_SNAPSHOT = re.compile(r"runs/[^/]+/[^/]+/[^/]+/snap/\d{8}\.bin")
_LOG = re.compile(r"runs/[^/]+/[^/]+/[^/]+/log\.txt|reports/[^/]+/[^/]+/[^/]+\.log")


def find_part(key: str) -> Part | None:
    """Of an object in the main bucket; None of what belongs to no Submission."""
    if _SNAPSHOT.fullmatch(key):
        return "snapshots"
    if _LOG.fullmatch(key):
        return "logs"
    if _CODE.fullmatch(key):
        return "bundle"
    return "results" if _find_submission(key) else None


def _find_submission(key: str) -> str:
    """UID of the Submission whose object it is; "" where it is none's."""
    found = _RUN.match(key) or _SCORE.match(key) or _PAGE.match(key)
    return found[1] if found else ""


def find_owner(key: str) -> str:
    """What an object is of: UID of a Submission, digest of code, or :func:`name_phase` of a phase; "" of all else.

    What waits for admission may be of any phase: it is :data:`keys.BUNDLES`.
    """
    if key.startswith(keys.BUNDLES):
        return keys.BUNDLES
    found = _CODE.fullmatch(key) or _PHASE.match(key)
    return found[1] if found else _find_submission(key)


def name_phase(namespace: str, competition: str, phase: str) -> str:
    """As keys have it."""
    return f"{namespace}.{competition}/{phase}"


@dataclass
class Size:
    objects: int = 0
    """Every version of every object."""
    bytes: int = 0

    def add(self, objects: int, count: int) -> None:
        self.objects += objects
        self.bytes += count


def _by_part() -> defaultdict[str, dict[Part, Size]]:
    return defaultdict(dict)


@dataclass
class StoreUse:
    """Grows with the number of Submissions, not with that of objects."""

    of_submissions: defaultdict[str, dict[Part, Size]] = field(default_factory=_by_part)
    """By UID."""
    of_code: dict[str, Size] = field(default_factory=dict)
    """By digest."""
    of_teams: dict[str, Size] = field(default_factory=dict)
    """Uploads, by namespace."""
    of_owners: defaultdict[str, dict[str, Size]] = field(default_factory=lambda: defaultdict(dict))
    """Of both buckets that the operator sees, by the first part of their keys and by :func:`find_owner`."""

    def add(self, key: str, size: int) -> None:
        """One version of an object in the main bucket."""
        self._count(key, size)
        part, code = find_part(key), _CODE.fullmatch(key)
        if code:
            _size(self.of_code, code[1]).add(1, size)
        elif part is not None:
            self.of_submissions[_find_submission(key)].setdefault(part, Size()).add(1, size)

    def add_upload(self, key: str, size: int) -> None:
        """One object in the bucket of uploads."""
        self._count(key, size)
        if found := _UPLOAD.match(key):
            _size(self.of_teams, found[1]).add(1, size)

    def _count(self, key: str, size: int) -> None:
        _size(self.of_owners[key.partition("/")[0]], find_owner(key)).add(1, size)

    def sum_prefixes(self, without: Container[str] = ()) -> dict[str, Size]:
        """By the first part of the keys. ``without``: owners that are left out, as :func:`find_owner` names them.

        A prefix below which there is nothing else is left out too.
        """
        sums: dict[str, Size] = {}
        for prefix, sizes in self.of_owners.items():
            for owner, size in sizes.items():
                if owner not in without:
                    _size(sums, prefix).add(size.objects, size.bytes)
        return sums


def _size(sizes: dict[str, Size], key: str) -> Size:
    return sizes.setdefault(key, Size())


def find_hidden(
    use: StoreUse,
    competitions: Iterable[CompetitionView],
    submissions: Iterable[SubmissionView],
    now: datetime,
) -> set[str]:
    """Owners of which nothing may be told: blind phases, their Submissions, and code that nobody else has.

    While there is a blind phase also Submissions and code that are not known, and what waits for admission: they may
    be of it.

    Args:
        use: what was measured.
        competitions: all of the release.
        submissions: all that are known.
        now: an aware time.
    """
    blind = {
        (competition.namespace, competition.name, phase.name)
        for competition in competitions
        for phase in competition.spec.phases
        if is_blind(phase, now)
    }
    if not blind:
        return set()
    shown: set[str] = set()
    for view in submissions:
        of = view.spec.competition if view.spec else None
        if view.spec and of and (of.namespace, of.name, view.spec.phase) not in blind:
            shown |= {view.uid, view.status.code_sha256}
    return {keys.BUNDLES, *(name_phase(*phase) for phase in blind)} | (
        (use.of_submissions.keys() | use.of_code.keys()) - shown
    )


@dataclass(frozen=True)
class UseRow:
    """What a team, or one Submission of it, takes up."""

    team: str
    submission: str
    """"" of a team's uploads, and where rows are whole teams."""
    phase: str
    parts: Mapping[Part, Size]

    @property
    def bytes(self) -> int:
        return sum(size.bytes for size in self.parts.values())


def list_rows(use: StoreUse, submissions: Iterable[SubmissionView]) -> list[UseRow]:
    """One for each Submission that has anything in the store, one for a team's uploads; largest first.

    Code that several have is counted with the first of them. What is of no ``submissions`` is :data:`UNKNOWN`.
    """
    rows, code = [], dict(use.of_code)
    views = {view.uid: view for view in submissions}
    for view in sorted(views.values(), key=lambda view: (view.created_at, view.name)):
        parts = dict(use.of_submissions.get(view.uid, {}))
        if (size := code.pop(view.status.code_sha256, None)) is not None:
            parts["bundle"] = size
        if parts:
            rows.append(UseRow(view.team, view.name, view.spec.phase if view.spec else "", parts))
    rows += [UseRow(team, "", "", {"uploads": size}) for team, size in use.of_teams.items()]
    rest: list[Mapping[Part, Size]] = [p for uid, p in use.of_submissions.items() if uid not in views]
    rest += [{"bundle": size} for size in code.values()]
    left = _add_up(rest)
    rows += [UseRow(UNKNOWN, "", "", left)] if left else []
    return sorted(rows, key=lambda row: (-row.bytes, row.team, row.submission))


def sum_teams(rows: Iterable[UseRow]) -> list[UseRow]:
    """One row a team, largest first."""
    found: defaultdict[str, list[Mapping[Part, Size]]] = defaultdict(list)
    for row in rows:
        found[row.team].append(row.parts)
    teams = [UseRow(team, "", "", _add_up(parts)) for team, parts in found.items()]
    return sorted(teams, key=lambda row: (-row.bytes, row.team))


def sum_shown_teams(
    use: StoreUse,
    competition: CompetitionView,
    submissions: Iterable[SubmissionView],
    now: datetime,
    *,
    blind: bool,
) -> dict[str, int]:
    """Bytes by team, of the :data:`TEAMS` that have most; largest first. Nothing tells of a blind phase.

    Args:
        use: what was measured.
        competition: whose teams these are.
        submissions: all of it.
        now: an aware time.
        blind: whether any phase of the release is: uploads may then be for it, and are left out.
    """
    hidden = {phase.name for phase in competition.spec.phases if is_blind(phase, now)}
    shown = [view for view in submissions if view.spec is not None and view.spec.phase not in hidden]
    teams = {view.team for view in shown}
    rows = [row for row in list_rows(use, shown) if row.team in teams and (row.submission or not blind)]
    return {row.team: row.bytes for row in sum_teams(rows)[:TEAMS]}


def _add_up(many: Iterable[Mapping[Part, Size]]) -> dict[Part, Size]:
    total: dict[Part, Size] = {}
    for parts in many:
        for part, size in parts.items():
            total.setdefault(part, Size()).add(size.objects, size.bytes)
    return total
