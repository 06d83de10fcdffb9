"""Whether a Submission is admitted: everything that can be wrong with it, with what to do, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from alcove_api.competition import CompetitionSpec
from alcove_api.frameworks import FRAMEWORKS
from alcove_api.phase import Phase, explain_missing_phase
from alcove_api.run_names import list_run_names
from alcove_api.submission import RunStatus, SubmissionSpec, SubmissionStatus
from alcove_operator.core import names, usage
from alcove_operator.core.actions import AddFinalizer, AdmitCode, CountUsage, Decision, DropCode
from alcove_operator.core.conditions import find_condition
from alcove_operator.core.model import (
    CodeFact,
    CompetitionView,
    DatasetView,
    Facts,
    ReconcileSettings,
    SubmissionView,
)
from alcove_operator.core.run_ends import RECHECK
from alcove_operator.core.status import ADMITTED, MESSAGE, cut_line, set_condition

COPY_SHOWN_AFTER = timedelta(seconds=1)
"""Code that is copied within this time is not said to be on its way: nobody could read that, and it is a write."""
UPLOAD_LOOK = timedelta(seconds=2)
"""Between two looks for a bundle that is not uploaded yet: whoever submits waits for the next one."""


@dataclass(frozen=True)
class Obstacle:
    reason: str
    """One CamelCase word."""
    message: str
    """What is wrong and what to do."""
    waits: bool = False
    """Whether it may pass within moments, such as an object that is applied a little later."""
    organizer: bool = False
    """Whether only the organizer can repair it, so that it is waited for without end."""
    unknown: bool = False
    """Whether it only says that something could not be looked at."""
    until: datetime | None = None
    """Until when it is waited for; None for as long as what comes a little later."""


def advance_admission(
    submission: SubmissionView,
    competition: CompetitionView | None,
    datasets: Mapping[str, DatasetView],
    facts: Facts,
    settings: ReconcileSettings,
    now: datetime,
) -> Decision:
    """One step of the admission; ``datasets`` by name. Terminal in phase Rejected, or with ``admitted_at`` set.

    The finalizer comes just before anything is counted: until then a deleted Submission leaves nothing to undo.
    """
    status, spec = submission.status, submission.spec
    found = _obstacle(submission, competition, datasets, facts, settings, now)
    if found is not None:
        if facts.code is not None and facts.code.permit is not None:
            status = status.replace(upload=facts.code.permit)
        decision = _obstructed(status, found, settings, now)
        if competition is None or facts.code is None or decision.requeue_at is None:
            return decision
        # What the code lacked may be there by now.
        looked_at = facts.code.looked_at
        if looked_at is not None and now < looked_at + UPLOAD_LOOK:
            # What a look finds is a fact with its time, which makes another turn due at once.
            return replace(decision, requeue_at=min(decision.requeue_at, looked_at + UPLOAD_LOOK))
        again = (_admit_code(competition.spec),)
        return replace(decision, actions=again, requeue_at=min(decision.requeue_at, now + RECHECK))
    # What follows only asks the types: an obstacle was found above where any is missing.
    assert spec is not None
    assert competition is not None
    phase = competition.phase(spec.phase)
    assert phase is not None
    if spec.code.image is None and facts.code is None:
        return _copy(status, competition.spec, facts, now)
    team = submission.namespace
    # Who runs the competition has no quota.
    counted = submission.of_organizer or usage.is_counted(competition.usage_of(team), submission.uid)
    count = () if counted else (CountUsage(team, spec.phase, submission.uid),)
    if names.FINALIZER not in submission.finalizers:
        # This write proves, too, that nothing has changed since. What holds up the next one is shown in a later turn.
        return Decision(status, (AddFinalizer(), *count))
    if count:
        return Decision(_waiting(status, "Counting", "The quota is being checked.", now), count, fenced=True)
    shown = _admitted(status, phase, datasets, _code_digest(facts), now)
    if submission.of_organizer:
        return Decision(shown)
    used = usage.describe_use(competition.usage_of(team), competition.spec, team, spec.phase, now)
    return Decision(shown.replace(quota=used))


def _copy(status: SubmissionStatus, spec: CompetitionSpec, facts: Facts, now: datetime) -> Decision:
    ask, since = (_admit_code(spec),), facts.code_asked_at
    if since is None or now < since + COPY_SHOWN_AFTER:
        return Decision(status, ask, requeue_at=(since or now) + COPY_SHOWN_AFTER)
    return Decision(_waiting(status, "CheckingCode", "The code is being copied.", now), ask)


def drop_code(
    submission: SubmissionView, facts: Facts, settings: ReconcileSettings, now: datetime
) -> Decision:
    """Of a rejected Submission: `alcove submit` puts the code beside it a moment after it, so that it may come later
    than the rejection."""
    status, spec = submission.status, submission.spec
    since, dropped = find_condition(status.conditions, ADMITTED), facts.code_dropped_at
    if spec is None or spec.code.config_map is None or since is None or submission.of_organizer:
        return Decision(status)
    until = since.last_transition_time + timedelta(seconds=settings.waiting_seconds)
    if dropped is not None and (dropped >= until or now < dropped + RECHECK):
        return Decision(status, requeue_at=dropped + RECHECK if dropped < until else None)
    return Decision(status, (DropCode(spec.code.config_map.name, submission.object_uid),))


def _admit_code(spec: CompetitionSpec) -> AdmitCode:
    """A team gets no more permits at a time than submissions a day: each could come to nothing, and hold room."""
    return AdmitCode(spec.limits.bundle_bytes, spec.limits.per_day)


def _code_digest(facts: Facts) -> str:
    return facts.code.sha256 if facts.code else ""


def _obstructed(
    status: SubmissionStatus, found: Obstacle, settings: ReconcileSettings, now: datetime
) -> Decision:
    waiting = _waiting(status, found.reason, found.message, now, "Unknown" if found.unknown else "False")
    if found.organizer:
        return Decision(waiting)
    since = find_condition(waiting.conditions, ADMITTED)
    patience = timedelta(seconds=settings.waiting_seconds)
    until = found.until or (since.last_transition_time + patience if since is not None else now)
    if found.waits and now < until:
        return Decision(waiting, requeue_at=until)
    return Decision(waiting.replace(phase="Rejected", upload=None))


def _waiting(
    status: SubmissionStatus,
    reason: str,
    message: str,
    now: datetime,
    value: Literal["False", "Unknown"] = "False",
) -> SubmissionStatus:
    shown = set_condition(status, ADMITTED, (value, reason, message), now)
    return shown.replace(cause=reason, message=cut_line(message, MESSAGE))


def _admitted(
    status: SubmissionStatus,
    phase: Phase,
    datasets: Mapping[str, DatasetView],
    code_sha256: str,
    now: datetime,
) -> SubmissionStatus:
    """Admitted with the datasets that the phase has now: what is edited later is not for this Submission."""
    at = now.replace(microsecond=0)
    aliases = tuple(datasets[name].alias for name in phase.datasets)
    runs = tuple(RunStatus(dataset=run, queued_at=at) for run in list_run_names(aliases, phase.repeats))
    shown = set_condition(status, ADMITTED, ("True", "Admitted", "The runs are queued."), now)
    return shown.replace(
        phase="Queued",
        cause="",
        message="",
        upload=None,
        code_sha256=code_sha256,
        admitted_at=at,
        progress=f"0/{len(runs)}",
        runs=runs,
    )


def _obstacle(
    submission: SubmissionView,
    competition: CompetitionView | None,
    datasets: Mapping[str, DatasetView],
    facts: Facts,
    settings: ReconcileSettings,
    now: datetime,
) -> Obstacle | None:
    spec = submission.spec
    if spec is None:
        return Obstacle(
            "Invalid",
            f"The spec cannot be read: {submission.invalid}. Correct it, and apply it under another name.",
        )
    asked = f"{spec.competition.namespace}/{spec.competition.name}"
    if competition is None and facts.competition_unreadable:
        message = (
            f"The operator cannot read the competition {asked}. The Submission waits until the organizer "
        )
        return Obstacle("CompetitionUnreadable", f"{message}has corrected it.", organizer=True)
    if competition is None:
        return Obstacle(
            "CompetitionMissing",
            f"There is no competition {asked}. Correct spec.competition, and apply it under another name.",
            waits=True,
        )
    phase = competition.phase(spec.phase)
    if phase is None:
        said = explain_missing_phase(asked, spec.phase, (p.name for p in competition.spec.phases))
        return Obstacle("PhaseMissing", f"{said} Apply a Submission for one of them, under another name.")
    return (
        _membership(submission, asked, facts)
        or _closed(submission, phase)
        or _image(spec, competition)
        or _framework(spec, competition, settings)
        or _datasets(phase, datasets)
        or _quota(submission, competition, facts, now)
        or _code(submission, facts, now)
    )


def _membership(submission: SubmissionView, asked: str, facts: Facts) -> Obstacle | None:
    """``asked``: NAMESPACE/NAME of the competition."""
    if facts.team_member is None:
        message = (
            f"The operator cannot read the namespace {submission.namespace} at the moment, so it does not know "
            f"whether it is a team of {asked}. The Submission waits. If this lasts, ask the organizer to check "
            "that the namespace and the operator's rights in it exist."
        )
        return Obstacle("TeamUnknown", message, organizer=True, unknown=True)
    if not facts.team_member:
        return Obstacle(
            "NotATeam",
            f"The namespace {submission.namespace} is not a team of {asked}. The organizer adds it with "
            f"`kubectl label namespace {submission.namespace} "
            f"alcove.dev/competition={asked.replace('/', '.')}`.",
            waits=True,
        )
    return None


def _closed(submission: SubmissionView, phase: Phase) -> Obstacle | None:
    """By its time of creation, so that no team loses its chance while the operator is down."""
    if submission.of_organizer:
        return None
    if phase.from_ is not None:
        said = (
            f"Nobody submits to the phase {phase.name}: it runs what counts in the phase {phase.from_.phase}."
        )
        return Obstacle("PhaseTakesNone", f"{said} Submit to that one, under another name.")
    if phase.opens_at is not None and submission.created_at < phase.opens_at:
        when = f"{phase.opens_at:%Y-%m-%dT%H:%M:%SZ}"
        message = (
            f"The phase {phase.name} opens at {when}. Apply the Submission from then on, under another name."
        )
        return Obstacle("PhaseNotOpen", message)
    if phase.closes_at is not None and submission.created_at >= phase.closes_at:
        when = f"{phase.closes_at:%Y-%m-%dT%H:%M:%SZ}"
        return Obstacle("PhaseClosed", f"The phase {phase.name} has been closed since {when}.")
    return None


def _image(spec: SubmissionSpec, competition: CompetitionView) -> Obstacle | None:
    if spec.code.image is None:
        return None
    allowed = competition.spec.images.allowed
    if any(_below(spec.code.image.reference, prefix) for prefix in allowed):
        return None
    remedy = (
        f"Use an image that begins with {' or '.join(allowed)}" if allowed else "Submit a model.py instead"
    )
    return Obstacle("ImageNotAllowed", f"The competition does not allow this image. {remedy}.")


def _framework(
    spec: SubmissionSpec, competition: CompetitionView, settings: ReconcileSettings
) -> Obstacle | None:
    images = competition.spec.images
    offered = [name for name in FRAMEWORKS if name in settings.frameworks or images.find_ingestion(name)]
    if spec.code.image is not None or spec.code.framework in offered:
        return None
    message = (
        f"The competition has no image for code.framework {spec.code.framework}, only for {', '.join(offered)}. Apply "
        "it with one of these, under another name, or ask the organizer for an image."
    )
    return Obstacle("FrameworkMissing", message)


def _below(reference: str, prefix: str) -> bool:
    """Whole parts of a name only: registry.example allows neither registry.example.evil nor registry.examples."""
    rest = reference.removeprefix(prefix)
    return rest != reference and (prefix.endswith("/") or rest[:1] in ("/", ":", "@", ""))


def _datasets(phase: Phase, datasets: Mapping[str, DatasetView]) -> Obstacle | None:
    """A team is told of the phase, never of a Dataset's name."""
    missing = sum(name not in datasets for name in phase.datasets)
    if missing:
        message = f"{missing} of the {len(phase.datasets)} datasets of the phase {phase.name} are missing."
        return Obstacle("DatasetsMissing", f"{message} The organizer has to add them.", organizer=True)
    aliases = [datasets[name].alias for name in phase.datasets]
    double = sorted({alias for alias in aliases if aliases.count(alias) > 1})
    if double:
        message = f"Two datasets of the phase {phase.name} share the alias {double[0]}."
        return Obstacle("AliasesNotUnique", f"{message} The organizer has to rename one.", organizer=True)
    return None


def _quota(
    submission: SubmissionView, competition: CompetitionView, facts: Facts, now: datetime
) -> Obstacle | None:
    if submission.of_organizer or usage.is_counted(
        competition.usage_of(submission.namespace), submission.uid
    ):
        return None
    assert submission.spec is not None  # asked for before
    team, phase = submission.namespace, submission.spec.phase
    used = competition.usage_of(team)
    refused = facts.usage_refused or usage.find_refusal(used, competition.spec, team, phase, now)
    return Obstacle("QuotaExceeded", refused.message) if refused else None


def _code(submission: SubmissionView, facts: Facts, now: datetime) -> Obstacle | None:
    code = facts.code
    if code is None or code.accepted:
        return None
    if code.looked_at is not None:
        return _upload(submission, code, code.looked_at, now)
    return Obstacle(code.reason or "CodeRefused", code.message, waits=code.wait)


def _upload(
    submission: SubmissionView, code: CodeFact, looked_at: datetime, now: datetime
) -> Obstacle | None:
    """Of a bundle that is not there. It is given up only after a look when the permit had expired: the store takes what
    comes until then, and may be away for a while."""
    assert submission.spec is not None
    assert submission.spec.code.bundle is not None
    name, sha256 = submission.name, submission.spec.code.bundle.sha256[:12]
    permit = code.permit
    if permit is None:
        message = (
            "The team has as many upload permits as it may have submissions a day. This waits until one has expired, "
            "an hour after it was given."
        )
        return Obstacle("UploadWaits", message, waits=True, until=now + RECHECK)
    if looked_at < permit.expires_at:
        message = f"Upload by {permit.expires_at:%H:%M} UTC with `alcove upload {name} FOLDER`."
        until = max(permit.expires_at, now + RECHECK)
        return Obstacle("UploadAwaited", message, waits=True, until=until)
    message = (
        f"The bundle {sha256}… was not uploaded within an hour. No quota is used up. Submit it again, under another "
        "name, with `alcove submit FOLDER`."
    )
    return Obstacle("CodeMissing", message)
