"""What an organizer decides about teams while a competition goes on, as changes of the Competition's spec.

All functions but :func:`change_competition` and those that look things up are pure: from a spec, as the API server has
it, to a JSON patch.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from alcove_api.base import ApiModel, Name
from alcove_api.decisions import Cancellation, Exclusion, ExtraSubmissions
from alcove_api.phase import explain_missing_phase
from alcove_api.phase_dates import format_time
from alcove_cli.errors import CommandError, FailedError
from alcove_cli.options import parse_competition
from alcove_kube.client import KubeClient, Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS, NAMESPACES, SELF_REVIEWS, SUBMISSIONS

Patch = list[Object]
MAX_WRITES = 5
"""At writing the Competition, whose status others write all day."""
LISTS: dict[type[ApiModel], str] = {
    Exclusion: "excluded",
    Cancellation: "cancelled",
    ExtraSubmissions: "extraSubmissions",
}


def read_entry(kind: type[ApiModel], **fields: Any) -> ApiModel:
    """An entry of one of :data:`LISTS`. Raises CommandError, which names the option that is wrong."""
    try:
        return kind.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        problem = error.errors()[0]
        option = str(problem["loc"][0]) if problem["loc"] else "the entry"
        raise CommandError(f"{option} cannot be {problem.get('input')!r}: {problem['msg']}.") from error


def add_entry(spec: Object, entry: ApiModel) -> Patch:
    """Raises CommandError where it is there already, or names a phase that is not."""
    name = LISTS[type(entry)]
    made = entry.model_dump(mode="json", by_alias=True, exclude_none=True)
    phase = made.get("phase")
    if phase is not None:
        find_phase(spec, phase)
    listed = list(spec.get(name) or [])
    # Quota can be given back twice for the same reason; nobody is left out twice.
    if name != "extraSubmissions" and any(_subject(e) == _subject(made) for e in listed):
        raise CommandError(f"spec.{name} has such an entry already. To see it: alcove audit.")
    return [{"op": "add", "path": f"/spec/{name}", "value": [*listed, made]}]


def remove_exclusion(spec: Object, team: str, submission: str | None, phase: str | None) -> Patch:
    """Raises CommandError where there is no such entry."""
    listed = list(spec.get("excluded") or [])
    wanted = (team, submission, phase)
    left = [e for e in listed if (e["team"], e.get("submission"), e.get("phase")) != wanted]
    if len(left) == len(listed):
        known = "; ".join(_describe(e) for e in listed) or "nobody"
        asked = _describe({"team": team, "submission": submission, "phase": phase})
        raise CommandError(f"{asked} is not left out. Left out: {known}.")
    return [{"op": "add", "path": "/spec/excluded", "value": left}]


def extend_phase(spec: Object, phase: str, until: datetime, now: datetime) -> Patch:
    """Raises CommandError where that is no extension."""
    number, found = find_phase(spec, phase)
    old = _time(found.get("closesAt"))
    if old is None:
        raise CommandError(f"The phase {phase} has no closesAt: it is open without end.")
    if until <= old:
        raise CommandError(
            f"The phase {phase} closes at {format_time(old)}, and that is not before {format_time(until)}. To close it "
            "earlier: kubectl edit competition."
        )
    if until <= now:
        raise CommandError(f"{format_time(until)} has passed: it would stay closed.")
    reveals = _time(found.get("revealsAt"))
    if reveals is not None and reveals < until:
        raise CommandError(
            f"The phase {phase} reveals its scores at {format_time(reveals)}, before it would close. Move revealsAt "
            "first: kubectl edit competition."
        )
    at = f"{until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    # Another list of phases by now is another phase at this place.
    check = {"op": "test", "path": f"/spec/phases/{number}/name", "value": phase}
    return [check, {"op": "add", "path": f"/spec/phases/{number}/closesAt", "value": at}]


def find_phase(spec: Object, phase: str) -> tuple[int, Object]:
    """Its place and what it is. Raises CommandError where there is none."""
    for number, found in enumerate(spec.get("phases") or []):
        if found["name"] == phase:
            return number, found
    known = (found["name"] for found in spec.get("phases") or [])
    raise CommandError(explain_missing_phase("The competition", phase, known))


def _subject(entry: Object) -> Object:
    return {name: value for name, value in entry.items() if name != "reason"}


def _describe(entry: Object) -> str:
    submission = f"/{entry['submission']}" if entry.get("submission") else ""
    phase = f" in {entry['phase']}" if entry.get("phase") else ""
    return f"{entry['team']}{submission}{phase}"


def _time(value: object) -> datetime | None:
    return datetime.fromisoformat(str(value).replace("Z", "+00:00")) if value else None


def check_team(kube: KubeClient, team: Name) -> None:
    """Raises CommandError where there is no such team."""
    namespace = kube.find(NAMESPACES, None, team)
    labels = ((namespace or {}).get("metadata") or {}).get("labels") or {}
    if "alcove.dev/competition" not in labels:
        raise CommandError(
            f"{team} is not the namespace of a team. To see the teams: kubectl get namespaces -L alcove.dev/competition"
        )


def find_namespace(kube: KubeClient, competition: str, team: Name, submission: str | None = None) -> str:
    """Of a Submission that an entry may name: the team's, or the competition's for a baseline and for a rerun.

    Args:
        competition: NAMESPACE/NAME.
        team: its namespace; the competition's own for a baseline.
        submission: its name; without it, the team alone is looked for.

    Raises:
        CommandError: there is no such team or Submission.
    """
    organizers, _ = parse_competition(competition)
    if team != organizers:
        check_team(kube, team)
    if submission is None or (team != organizers and kube.find(SUBMISSIONS, team, submission) is not None):
        return team
    raw = kube.find(SUBMISSIONS, organizers, submission)
    if raw is not None and (raw["spec"].get("rerunOf") or {"team": organizers})["team"] == team:
        return organizers
    places = " and ".join(
        f"kubectl get submissions -n {place}" for place in dict.fromkeys((team, organizers))
    )
    raise CommandError(
        f"There is no Submission of {team} that is called {submission}. To see what there is: {places}"
    )


def change_competition(kube: KubeClient, competition: str, plan: Callable[[Object], Patch]) -> None:
    """Patches the Competition's spec, in the name of whoever asks.

    Args:
        competition: NAMESPACE/NAME.
        plan: from the spec as it is to a JSON patch; called again where others were faster.

    Raises:
        CommandError: there is no such Competition, or what ``plan`` raises.
        FailedError: others changed it each time.
    """
    namespace, name = parse_competition(competition)
    manager = f"alcove {find_user(kube)}"[:128]
    for _ in range(MAX_WRITES):
        raw = kube.find(COMPETITIONS, namespace, name)
        if raw is None:
            raise CommandError(
                f"There is no Competition {namespace}/{name}. Give --competition NAMESPACE/NAME."
            )
        version = raw["metadata"]["resourceVersion"]
        same = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
        try:
            kube.patch(COMPETITIONS, namespace, name, [same, *plan(raw["spec"])], manager=manager)
            return
        except ApiError as error:
            # A test that fails is 422, as a value that the schema refuses is.
            newest = kube.find(COMPETITIONS, namespace, name) if error.status in (409, 422) else raw
            if newest is None or newest["metadata"]["resourceVersion"] == version:
                raise
    raise FailedError(f"Others changed {namespace}/{name} {MAX_WRITES} times meanwhile. Try again.")


def find_user(kube: KubeClient) -> str:
    """Who the API server takes us for: its word, not ours."""
    made = kube.create(
        SELF_REVIEWS, None, {"apiVersion": SELF_REVIEWS.api_version, "kind": "SelfSubjectReview"}
    )
    return str(made["status"]["userInfo"]["username"])
