"""What the cluster says of a phase: the objects of its API, as far as an audit compares the store with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from alcove_api.leaderboard import LeaderboardStatus
from alcove_api.phase import Phase, explain_missing_phase
from alcove_audit.errors import AuditError
from alcove_operator.core import parse_objects
from alcove_operator.core.model import CompetitionView, DatasetView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules, datasets_by_alias

Raw = Mapping[str, Any]
_METADATA = ("name", "namespace", "uid", "generation", "creationTimestamp", "deletionTimestamp")


def pick_fields(raw: Raw) -> dict[str, Any]:
    """Of an object, what an audit needs and the API server does not change by itself."""
    metadata = {key: raw["metadata"][key] for key in _METADATA if key in raw["metadata"]}
    return {
        "kind": raw.get("kind", ""),
        "metadata": metadata,
        "spec": raw.get("spec") or {},
        "status": raw.get("status") or {},
    }


@dataclass(frozen=True)
class PhaseState:
    """Raw objects: from the API server, or as :func:`pick_fields` leaves them."""

    phase_name: str
    competition: Raw
    datasets: tuple[Raw, ...]
    leaderboard: Raw | None
    submissions: tuple[Raw, ...]
    """To this phase, of all teams."""
    teams: frozenset[str] | None = None
    """Namespaces of the teams that take part; None where that is not known: then all do."""

    @cached_property
    def rules(self) -> PhaseRules:
        """Raises AuditError where the Competition cannot be read or has no such phase."""
        try:
            view = parse_objects.competition_view(self.competition)
        except ValidationError as error:
            raise AuditError(parse_objects.explain_unreadable("The Competition", error)) from None
        phase = view.phase(self.phase_name)
        if phase is None:
            known = (p.name for p in view.spec.phases)
            asked = f"{view.namespace}/{view.name}"
            raise AuditError(explain_missing_phase(asked, self.phase_name, known))
        return PhaseRules(view, phase)

    @property
    def phase(self) -> Phase:
        return self.rules.phase

    @property
    def view(self) -> CompetitionView:
        return self.rules.competition

    @property
    def phase_path(self) -> tuple[str, str, str]:
        """Namespace, competition, phase: where the board's files are."""
        return self.view.namespace, self.view.name, self.phase_name

    @cached_property
    def datasets_by_name(self) -> dict[str, DatasetView]:
        """Raises AuditError where one cannot be read."""
        try:
            views = [parse_objects.dataset_view(raw) for raw in self.datasets]
        except ValidationError as error:
            raise AuditError(parse_objects.explain_unreadable("A Dataset", error)) from None
        return {view.name: view for view in views}

    @cached_property
    def datasets_by_alias(self) -> dict[str, DatasetView]:
        return datasets_by_alias(self.rules, self.datasets_by_name)

    @cached_property
    def submission_views(self) -> tuple[SubmissionView, ...]:
        """Of teams that take part, and of the organizer; not those that only show a team what became of a rerun."""
        known = None if self.teams is None else self.teams | {self.view.namespace}
        return tuple(
            view
            for view in self._every_view
            if not view.shows_rerun and (known is None or {view.namespace, view.team} <= known)
        )

    @cached_property
    def rerun_results(self) -> dict[tuple[str, str], SubmissionView]:
        """Those that show a team what became of a rerun, by namespace of the team and name of the rerun."""
        return {(view.namespace, view.name): view for view in self._every_view if view.shows_rerun}

    @cached_property
    def _every_view(self) -> tuple[SubmissionView, ...]:
        return tuple(parse_objects.submission_view(raw) for raw in self.submissions)

    @cached_property
    def board_status(self) -> LeaderboardStatus:
        """An empty one where there is no Leaderboard. Raises AuditError where it cannot be read."""
        try:
            return LeaderboardStatus.model_validate((self.leaderboard or {}).get("status") or {})
        except ValidationError as error:
            raise AuditError(parse_objects.explain_unreadable("The Leaderboard", error)) from None

    def named_objects(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each object with the name of its file in an archive, sorted by that."""
        found = [("competition", self.competition)]
        found += [(f"datasets/{raw['metadata']['name']}", raw) for raw in self.datasets]
        found += [("leaderboard", self.leaderboard)] if self.leaderboard else []
        found += [(f"submissions/{raw['metadata']['uid']}", raw) for raw in self.submissions]
        for name, raw in sorted(found):
            yield f"{name}.json", pick_fields(raw)
