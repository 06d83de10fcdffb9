"""``alcove rescore``: how ranks move by other settings, and then making it so. Nothing is run but scorer Jobs.

The new scores of those who count are made first, by Jobs that show nobody anything; a Job compares the two boards.
Then the settings are put into the Competition: from there on it is the operator's ordinary work, which finds these
scores in the store. The old ones stay beside them. The command needs an organizer's rights in the competition's
namespace and no credentials of the store.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import typer
from pydantic import ValidationError

from alcove_api.comparison import Comparison
from alcove_api.errors import AlcoveError
from alcove_api.leaderboard import LeaderboardStatus
from alcove_api.words import count_of
from alcove_cli import rank_changes
from alcove_cli.competitions import parse_competition_object
from alcove_cli.decide import MAX_WRITES
from alcove_cli.errors import CommandError, FailedError, choose_failure
from alcove_cli.options import parse_competition
from alcove_cli.rescore_jobs import PreviewJobs
from alcove_cli.rescore_plan import RescorePlan, ScoringChanges, find_deleted, find_scoring, plan_rescore
from alcove_cli.rescore_wait import read_submissions, score_jobs, wait_until_shown
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS, CONFIG_MAPS, DATASETS, DEPLOYMENTS, JOBS, LEADERBOARDS
from alcove_operator import config
from alcove_operator.api import Api
from alcove_operator.core import parse_objects, scoring_retries
from alcove_operator.core.model import CompetitionView, DatasetView, SubmissionView
from alcove_operator.team_list import with_listed_teams

OPERATOR = "alcove-operator"
"""Name of its Deployment, in the competition's namespace."""
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
"""Of objects and namespaces, as the API server has them."""


@dataclass(frozen=True)
class RescoreOptions:
    changes: ScoringChanges
    phase: str | None = None
    dry_run: bool = False
    yes: bool = False
    as_json: bool = False
    timeout: float = 3600.0


def say(message: str) -> None:
    """For people: standard output is for the answer."""
    print(message, file=sys.stderr, flush=True)


def rescore_competition(api: Api, competition: str, options: RescoreOptions) -> None:
    """Raises CommandError of exit status 2 where it was asked wrongly, of 1 or 3 where something failed."""
    ref = parse_competition(competition)
    if not all(NAME.fullmatch(part) for part in ref):
        raise CommandError(f"{competition!r} is not the name of a Competition: expected NAMESPACE/NAME.")
    try:
        asyncio.run(_rescore(api, ref, options))
    except CommandError:
        raise
    except AlcoveError as error:
        raise choose_failure(error)(str(error)) from error


async def _rescore(api: Api, ref: tuple[str, str], options: RescoreOptions) -> None:
    raw = await api.find(COMPETITIONS, *ref)
    if raw is None:
        raise CommandError(
            f"There is no Competition {ref[1]} in the namespace {ref[0]}: give NAMESPACE/NAME."
        )
    competition = parse_competition_object(raw)
    now = find_scoring(competition, options.phase)
    new = options.changes.applied(now)
    settings = await _settings(api, ref[0])
    views = await read_submissions(api, ref, settings)
    planned = plan_rescore(competition, views, await _datasets(api, ref[0]), new, options.phase)
    same = new == now
    await warn_of_deleted(api, competition, options, views, same)
    if planned.left_behind:
        count = count_of(len(planned.left_behind), "submission")
        say(f"{count} cannot be scored again: retention has deleted the predictions. What they show stays.")
    if same and not planned.again:
        _answer(options, ref, competition, planned, Comparison(boards=()))
        say(f"Nothing would change: every score is already by {rank_changes.describe_scoring(new)}.")
        if not options.dry_run:
            await _start_again(api, ref, planned)
        return
    comparison = await _preview(api, settings, competition, planned)
    _answer(options, ref, competition, planned, comparison)
    missing = [problem for board in comparison.boards for problem in board.problems]
    if missing:
        raise FailedError(
            f"Not every submission got a new score ({missing[0]}) Nothing was changed. Is this `alcove` of the version "
            "of the release's images?"
        )
    if options.dry_run:
        say(
            "Nothing was changed: the new scores lie in the store beside the old ones, and nobody is shown them."
        )
        return
    _confirm(options, planned, ref)
    if not same:
        await _write(api, ref, raw, planned)
        which = f"The phase {options.phase} of {ref[0]}/{ref[1]}" if options.phase else f"{ref[0]}/{ref[1]}"
        say(f"{which} is scored by {rank_changes.describe_scoring(new)} from now on.")
    await _start_again(api, ref, planned)
    await wait_until_shown(api, settings, competition, planned, comparison, options.timeout, say)
    if not same:
        say(_to_remember(new.model_dump(mode="json", by_alias=True, exclude_none=True), options.phase))


async def _settings(api: Api, namespace: str) -> config.OperatorSettings:
    """What the operator was installed with: the scorer's image, its accounts, the store."""
    found = await api.find(DEPLOYMENTS, namespace, OPERATOR)
    if found is None:
        raise FailedError(
            f"There is no Deployment {OPERATOR} in the namespace {namespace}, so the image that scores is unknown. "
            "Is that the release's namespace?"
        )
    (container,) = found["spec"]["template"]["spec"]["containers"]
    settings = config.from_environment({v["name"]: v.get("value", "") for v in container.get("env", ())})
    name = settings.teams_config_map
    listed = await api.find(CONFIG_MAPS, namespace, name) if name else None
    return with_listed_teams(settings, (listed or {}).get("data") or {})


async def _datasets(api: Api, namespace: str) -> Mapping[str, DatasetView]:
    try:
        views = [parse_objects.dataset_view(raw) for raw in await api.find_all(DATASETS, namespace)]
    except ValidationError as error:
        raise FailedError(parse_objects.explain_unreadable("A Dataset", error)) from None
    return {view.name: view for view in views}


async def warn_of_deleted(
    api: Api, competition: CompetitionView, options: RescoreOptions, views: list[SubmissionView], same: bool
) -> None:
    """What the comparison below cannot see."""
    phases = [p.name for p in competition.spec.phases if options.phase in (None, p.name)]
    found = {phase: await api.find(LEADERBOARDS, competition.namespace, phase) for phase in phases}
    shown = {
        phase: LeaderboardStatus.model_validate(raw.get("status") or {})
        for phase, raw in found.items()
        if raw is not None and raw["spec"].get("competition") == competition.name
    }
    deleted = find_deleted(shown, views)
    if not deleted:
        return
    stands = "stands for its team" if len(deleted) == 1 else "stand for their teams"
    then = "It is not compared." if len(deleted) == 1 else "They are not compared."
    if not same:
        then += " Under other settings the newest that is left counts instead, as the comparison has it."
    say(f"Deleted, and {stands} by the present settings: {', '.join(deleted)}. {then}")


async def _preview(
    api: Api, settings: config.OperatorSettings, competition: CompetitionView, planned: RescorePlan
) -> Comparison:
    """New scores, and what they do to the ranks. Its Jobs are gone when it ends, however it ends."""
    if not planned.comparison.boards:
        return Comparison(boards=())
    jobs = PreviewJobs(api, settings, competition, say)
    try:
        await jobs.score(planned.requests)
        return await jobs.compare(planned.comparison)
    finally:
        await jobs.delete()


def _answer(
    options: RescoreOptions,
    ref: tuple[str, str],
    competition: CompetitionView,
    planned: RescorePlan,
    found: Comparison,
) -> None:
    again = [f"{view.namespace}/{view.name}" for view in planned.again]
    old, new = find_scoring(competition, planned.phase), planned.scoring
    if options.as_json:
        document = rank_changes.as_document("/".join(ref), old, new, found, again)
        typer.echo(json.dumps(document, indent=2))
    elif found.boards or again or old != new:
        typer.echo(f"{rank_changes.describe_scoring(old)} → {rank_changes.describe_scoring(new)}")
        typer.echo(f"{count_of(len(again), 'submission')} would be scored again.\n")
        typer.echo(
            rank_changes.as_text(found) if found.boards else "No submission counts yet: no rank moves."
        )


def _confirm(options: RescoreOptions, planned: RescorePlan, ref: tuple[str, str]) -> None:
    if options.yes or not sys.stdin.isatty():
        return
    where = f" in the phase {planned.phase}" if planned.phase else ""
    question = (
        f"Score {'/'.join(ref)}{where} by {rank_changes.describe_scoring(planned.scoring)} from now on?"
    )
    if not typer.confirm(question, err=True):
        raise FailedError("Nothing was changed.")


async def _write(api: Api, ref: tuple[str, str], before: Object, planned: RescorePlan) -> None:
    """Replaces the settings, unless they are no longer those that the ranks were compared with."""
    old = find_scoring(parse_competition_object(before), planned.phase)
    for _ in range(MAX_WRITES):
        found = await api.get(COMPETITIONS, *ref)
        if find_scoring(parse_competition_object(found), planned.phase) != old:
            raise FailedError(
                "Somebody else changed the Competition's scoring. Nothing was changed: run it again."
            )
        names = [phase["name"] for phase in found["spec"]["phases"]]
        place = f"phases/{names.index(planned.phase)}/" if planned.phase else ""
        value = planned.scoring.model_dump(mode="json", by_alias=True, exclude_none=True)
        body = [
            {
                "op": "replace",
                "path": "/metadata/resourceVersion",
                "value": found["metadata"]["resourceVersion"],
            },
            {"op": "add", "path": f"/spec/{place}scoring", "value": value},
        ]
        try:
            await api.patch(COMPETITIONS, *ref, body)
            return
        except ApiError as error:
            if not error.conflict:
                raise
    raise FailedError("Others changed the Competition at each try. Nothing was changed: try again.")


async def _start_again(api: Api, ref: tuple[str, str], planned: RescorePlan) -> None:
    """Scoring that the operator gave up on, by these settings, starts again once its Job is deleted."""
    found = await score_jobs(api, ref)
    newest = [scoring_retries.newest_job(found, uid, digest) for uid, digest in planned.wanted.items()]
    failed = [job for job in newest if job is not None and job.finished == "Failed"]
    for job in failed:
        await api.delete(JOBS, ref[0], job.name, job.uid)
    if failed:
        say(f"Scoring starts again where it had failed: {count_of(len(failed), 'submission')}.")


def _to_remember(scoring: Object, phase: str | None) -> str:
    spec = (
        f"{{phases: [{{name: {phase}, scoring: {json.dumps(scoring)}}}]}}"
        if phase
        else f"{{scoring: {json.dumps(scoring)}}}"
    )
    return (
        "Put the same into the values of the Helm release, which does not see this change. `helm upgrade` leaves it\n"
        "as it is until the values' own scoring changes, and then writes the fields that differ and no others.\n"
        f"  competition: {{spec: {spec}}}"
    )
