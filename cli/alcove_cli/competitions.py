"""A Competition as the API server gives it, and a phase of it, for the organizer's commands."""

from __future__ import annotations

from pydantic import ValidationError

from alcove_api.phase import Phase, explain_missing_phase
from alcove_cli.errors import CommandError, FailedError
from alcove_kube.client import Object
from alcove_operator.core import parse_objects
from alcove_operator.core.model import CompetitionView


def parse_competition_object(raw: Object) -> CompetitionView:
    """Raises FailedError where the object is not as the schema wants it."""
    try:
        return parse_objects.competition_view(raw)
    except ValidationError as error:
        raise FailedError(parse_objects.explain_unreadable("The Competition", error)) from None


def find_phase(competition: CompetitionView, phase: str) -> Phase:
    """Raises CommandError where there is no such phase."""
    found = competition.phase(phase)
    if found is None:
        known = (p.name for p in competition.spec.phases)
        asked = f"{competition.namespace}/{competition.name}"
        raise CommandError(explain_missing_phase(asked, phase, known))
    return found
