"""A small model of what surrounds the core: API server with lagging caches, Job controller, kubelet, store, scorer.

It is deliberately literal: objects are raw dictionaries as the API server gives them, caches are older versions of
them, and an operator that crashes keeps nothing but what it wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.run_documents import Verdict
from alcove_api.run_names import repeat_of
from alcove_api.score_documents import LiveCurve, ScoreRequest, ScoreResult
from alcove_api.submission import SubmissionStatus
from alcove_api.team_usage import TeamUsageStatus
from alcove_operator.core import actions, capacity, model, names, parse_objects, usage
from alcove_operator.core.model import CodeFact, Facts, LiveList, QuotaRefusal, ReconcileSettings, ScoreFault
from alcove_operator.core.reconcile import reconcile
from alcove_operator.core.scoring import shows_new_curve
from tests.unit.operator_core import scorer
from tests.unit.operator_core.pods import stamp
from tests.unit.operator_core.scorer import BUDGET

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
UID = "0f1e2d3c-0000-4000-8000-000000000001"
SETTINGS = ReconcileSettings()
CODE = "c" * 64
N_TEST = 100

# What becomes of an attempt → (cause, who pays).
FATES = {
    "finished": ("Finished", ""),
    "deadline": ("DeadlineReached", "Participant"),
    "nothing": ("NoPredictions", "Participant"),
    "exit": ("ExitCode", "Participant"),
    "signal": ("Signalled", "Participant"),
    "oom": ("OutOfMemory", "Participant"),
    "oom-child": ("OutOfMemory", "Participant"),
    "disk": ("DiskOverrun", "Participant"),
    "inodes": ("NodePressure", "Participant"),
    "bad-bundle": ("BadBundle", "Participant"),
    "node-lost": ("NodeLost", "Platform"),
    "node-silent": ("NodeLost", "Platform"),
    "preempted": ("Preempted", "Platform"),
    "recorder-lost": ("RecorderLost", "Platform"),
    "stage-fault": ("StagingFault", "Platform"),
    "stuck-pulling": ("NeverStarted", "Platform"),
    "no-room": ("NeverStarted", "Platform"),
    "no-pod": ("NeverStarted", "Platform"),
    "deleted": ("PodGone", "Platform"),
}
FATES_IN_KUEUE = FATES | dict.fromkeys(("evicted", "deleted"), ("Preempted", "Platform"))
"""Where Kueue starts the Jobs: it deletes the pod of one that it evicts, so one that is deleted was evicted."""
NEVER_WENT = frozenset({"bad-bundle", "stage-fault", "stuck-pulling", "no-room", "no-pod"})


class CrashError(Exception):
    """The operator is killed here."""


class AwayError(Exception):
    """The store does not answer."""


class OldViewError(Exception):
    """A write was refused, since the object is another by now, or gone."""


def _copy(raw: Any) -> Any:
    return json.loads(json.dumps(raw))


@dataclass
class Pod:
    raw: dict[str, Any]
    alias: str
    attempt: int
    fate: str
    stage: int = 0
    """How many steps it has gone."""
    gone: bool = False
    old: bool = False
    """Whether an earlier release made it, with an init container `stage`."""
    evicted: bool = False
    """By Kueue: its Job makes another one when it is admitted again."""


@dataclass
class Cluster:
    """One Submission with runs on ``fates``: for each run, by its name, what becomes of each of its attempts."""

    fates: dict[str, list[str]]
    capacity: int = 2
    max_attempts: int = 3
    feedback: str = "live"
    local_queue: str | None = None
    """Of Kueue."""
    max_snapshots: int = 16
    now: datetime = START
    facts: Facts = field(default_factory=lambda: Facts(team_member=True))
    store_up: bool = True
    competition_there: bool = True
    datasets_there: bool = True
    datasets_ready: bool = True
    """False: they are being checked, and nothing is known of them."""
    scored: tuple[str, ...] = ("ok",)
    """What becomes of each try at scoring: ok, fault or damaged; the last holds for all later ones."""
    scorer_says: str = ""
    """When it fails."""
    damage: dict[str, str] = field(default_factory=dict)
    old_attempts: int = 0
    """Attempts of each run whose pods an earlier release made."""
    refused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Why the files of a run were refused, all of them, by alias."""
    """What the scorer finds wrong with the records of a run, by alias."""
    code: CodeFact = field(default_factory=lambda: CodeFact(True, CODE, 100))
    pages_sha256: str = "d" * 64
    """Of the pages that are made of a score."""
    published: list[datetime] = field(default_factory=list)
    """When the report was given to the team."""
    logs: list[str] = field(default_factory=list)
    """Runs whose output was given to the team."""

    def __post_init__(self) -> None:
        self.version = 1
        self.submission: dict[str, Any] | None = {
            "metadata": {
                "uid": UID,
                "namespace": "team-a",
                "name": "first",
                "generation": 1,
                "resourceVersion": "1",
                "creationTimestamp": stamp(START),
                "finalizers": [],
            },
            "spec": {
                "competition": {"namespace": "comp", "name": "cup"},
                "phase": "practice",
                "code": {"bundle": {"sha256": CODE}},
            },
        }
        feedback: dict[str, Any] = {"mode": self.feedback, "maxSnapshots": self.max_snapshots}
        self.spec = CompetitionSpec.model_validate(
            {
                "capacity": self.capacity,
                "maxAttempts": self.max_attempts,
                **({"localQueue": self.local_queue} if self.local_queue else {}),
                "startTimeoutSeconds": 120,
                "phases": [
                    {
                        "name": "practice",
                        "datasets": [f"ds-{alias}" for alias in self.aliases()],
                        "repeats": max(map(repeat_of, self.fates)),
                        "budget": {"seconds": BUDGET},
                        "feedback": feedback,
                        **(
                            {"revealsAt": stamp(START + timedelta(days=9))} if self.feedback == "none" else {}
                        ),
                    }
                ],
            }
        )
        self.usage = TeamUsageStatus()
        """Of team-a."""
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pods: list[Pod] = []
        self.verdicts: dict[str, Verdict] = {}
        self.lose_verdicts = False
        self.scores: dict[str, ScoreResult] = {}
        self.requests: dict[str, ScoreRequest] = {}
        self.curve: LiveCurve | None = None
        self.saved: dict[tuple[str, int], int] = {}
        """Predictions, by alias and attempt."""
        self.scorer_jobs: list[str] = []
        """Every scorer's Job that was ever created."""
        self.lost: set[str] = set()
        self.history: list[dict[str, Any]] = []
        """Every status that was ever written."""
        self.written_at: list[datetime] = []
        self.created: list[tuple[str, int]] = []
        """(alias, attempt) of every run Job that was ever created."""
        self.requeue_at: datetime | None = None
        self.coming: SubmissionStatus | None = None
        """Of the Submission, while it is about to be admitted."""
        self.crashes = 0
        self.competition_missed = False
        """Whether the operator ever saw it gone."""
        self.cache: dict[str, Any] = {}
        self.deliver(("submission", "competition", "jobs", "pods"))

    # Caches: each kind is as old as its last delivery.

    def deliver(self, kinds: Iterable[str]) -> None:
        for kind in kinds:
            if kind == "submission":
                self.cache[kind] = _copy(self.submission)
            elif kind == "competition":
                self.cache[kind] = self.usage if self.competition_there else None
                self.competition_missed |= not self.competition_there
            elif kind == "jobs":
                self.cache[kind] = _copy(list(self.jobs.values()))
            else:
                self.cache[kind] = _copy([pod.raw for pod in self.pods if not pod.gone])

    # The operator.

    def plan(self) -> None:
        """The queue's part of the wiring, from the cached Submission."""
        raw = self.cache["submission"]
        if raw is None:
            return
        view = parse_objects.submission_view(raw)
        shown = view.status if view.status.admitted_at or self.coming is None else self.coming
        runs = shown.runs
        over = ("Scoring", "Done", "Failed")
        running = {(UID, r.dataset): "team-a" for r in runs if r.attempt and r.phase not in over}
        waiting = [
            capacity.Waiting(START, UID, i, r.dataset, "team-a")
            for i, r in enumerate(runs)
            if not r.attempt and r.phase not in over
        ]
        most = self.spec.limits.parallel
        if self.local_queue is None:
            result = capacity.grant_places(waiting, running, {}, self.spec.capacity, most)
        else:
            asked = {"" for job in self.jobs.values() if job["spec"]["suspend"]}
            result = capacity.hand_to_kueue(waiting, running, {}, most, asked, lambda _: "")
        self.facts = replace(
            self.facts,
            granted=frozenset(alias for _, alias in result.grants),
            queue={alias: place for (_, alias), place in result.places.items()},
        )

    def reconcile(self, crash_after: int | None = None) -> bool:
        """One pass on the cached views. ``crash_after``: how many writes it survives. True if anything was done."""
        raw = self.cache["submission"]
        if raw is None:
            return False
        view = parse_objects.submission_view(raw)
        competition = None
        if self.cache["competition"] is not None:
            used = {"team-a": self.cache["competition"]}
            competition = model.CompetitionView("comp", "cup", "u", self.spec, CompetitionStatus(), used)
        outcome = reconcile(
            view,
            competition,
            self._datasets(),
            [parse_objects.job_view(job) for job in self.cache["jobs"]],
            [parse_objects.pod_view(pod) for pod in self.cache["pods"]],
            replace(self.facts, lost_nodes=frozenset(self.lost)),
            SETTINGS,
            self.now,
        )
        self.requeue_at = outcome.requeue_at
        if outcome.coming is not None:
            self.coming = outcome.coming
            self.facts = replace(self.facts, queue_asked_at=self.facts.queue_asked_at or self.now)
        left = crash_after
        try:
            if left == 0:
                raise CrashError
            changed = outcome.status != view.status
            if (outcome.fenced or changed) and not self._write(view, outcome.status):
                return False
            if shows_new_curve(view.status, outcome.status):
                self.facts = replace(self.facts, curve_at=self.now)
            for action in outcome.actions:
                if left is not None:
                    left -= 1
                    if left == 0:
                        raise CrashError
                self._perform(action, outcome.status, view.resource_version)
        except CrashError:
            self._restart()
            return True
        except (AwayError, OldViewError):
            return False
        return changed or any(
            not isinstance(a, actions.ListLive | actions.ReadCurve) for a in outcome.actions
        )

    def _restart(self) -> None:
        self.crashes += 1
        self.coming = None
        self.facts = Facts(team_member=True)
        self.deliver(("submission", "competition", "jobs", "pods"))

    def _datasets(self) -> dict[str, model.DatasetView]:
        if not self.datasets_there:
            return {}
        found = (True, "", N_TEST, 3) if self.datasets_ready else (None, "", 0, 0)
        return {
            f"ds-{alias}": model.DatasetView(f"ds-{alias}", alias, "d" * 64, "e" * 64, *found)
            for alias in self.aliases()
        }

    def aliases(self) -> list[str]:
        """Of the datasets; ``fates`` has a run for each repeat."""
        return [run for run in self.fates if repeat_of(run) == 1]

    def _write(self, view: model.SubmissionView, status: Any) -> bool:
        current = self.submission
        if current is None or current["metadata"]["resourceVersion"] != view.resource_version:
            return False
        written = json.loads(status.model_dump_json(by_alias=True, exclude_none=True))
        if written != current.get("status"):
            current["status"] = written
            self._touch()
            self.history.append(written)
            self.written_at.append(self.now)
        return True

    def _touch(self) -> None:
        assert self.submission is not None
        self.version += 1
        self.submission["metadata"]["resourceVersion"] = str(self.version)

    def _perform(self, action: actions.Action, status: SubmissionStatus, version: str) -> None:
        """``status``: as the operator knows it then; ``version``: of the Submission that it judged."""
        match action:
            case actions.AddFinalizer() | actions.RemoveFinalizer():
                add, current = isinstance(action, actions.AddFinalizer), self.submission
                if add and (current is None or current["metadata"]["resourceVersion"] != version):
                    raise OldViewError
                self._finalize(add)
            case actions.CountUsage() | actions.SettleUsage():
                self._use(action)
            case actions.CreateRun():
                assert action.config.n_test == N_TEST
                labels = dict(action.labels)
                labels |= {names.LOCAL_QUEUE: action.local_queue} if action.local_queue else {}
                self._create(action.job, labels, action.active_deadline_seconds)
            case actions.StartScoring():
                assert {d.n_test for d in action.request.datasets} == {N_TEST}
                self.requests[action.job] = action.request
                self._create(action.job, dict(action.labels), 0)
            case actions.DeleteJob():
                self._delete(action.job)
            case actions.ListLive():
                views = [parse_objects.pod_view(pod.raw) for pod in self.pods if not pod.gone]
                live = LiveList(frozenset(self.jobs), {pod.job: pod for pod in views}, self.now, status.runs)
                self.facts = replace(self.facts, live=live)
            case _:
                self._stored(action)

    def _finalize(self, add: bool) -> None:
        if self.submission is None or add == (names.FINALIZER in self._finalizers()):
            return
        self.submission["metadata"]["finalizers"] = [names.FINALIZER] if add else []
        self._touch()
        if not add and "deletionTimestamp" in self.submission["metadata"]:
            self.submission = None

    def _use(self, action: actions.CountUsage | actions.SettleUsage) -> None:
        if isinstance(action, actions.SettleUsage):
            what = (
                action.phase,
                action.submission_uid,
                action.compute_seconds,
                action.refund,
                action.admitted_at,
            )
            self.usage = usage.settle_submission(self.usage, *what)
            self.facts = replace(self.facts, settled=True)
        elif self.competition_there:
            found = usage.count_submission(
                self.usage, self.spec, action.team, action.phase, action.submission_uid, self.now
            )
            if isinstance(found, QuotaRefusal):
                self.facts = replace(self.facts, usage_refused=found)
            else:
                self.usage = found

    def _stored(self, action: actions.Action) -> None:
        match action:
            case actions.AdmitCode():
                self._need_store()
                self.facts = replace(self.facts, code=self.code)
            case actions.ReadVerdict(_, alias):
                read = {
                    **self.facts.read_verdicts,
                    alias: None if self.lose_verdicts else self.verdicts.get(alias),
                }
                self.facts = replace(self.facts, read_verdicts=read)
            case actions.WriteVerdict(verdict):
                self._need_store()
                old = self.verdicts.setdefault(verdict.alias, verdict)
                assert _said(old) == _said(verdict), "a verdict was changed"
                self.facts = replace(self.facts, verdicts=self.facts.verdicts | {verdict.alias})
            case actions.ReadScore():
                self._need_store()
                found = self.scores.get(action.scoring_digest)
                if action.awaited and found is None:
                    return
                self.facts = replace(
                    self.facts,
                    score=found or ScoreFault("There is no result."),
                    pages_sha256=self.pages_sha256,
                )
            case actions.PublishReport():
                self._need_store()
                self.published.append(self.now)
                self.logs += [entry.run for entry in action.logs]
                self.facts = replace(self.facts, published=action.scoring_digest)
            case actions.ReadLogTail():
                self._need_store()
                self.facts = replace(self.facts, log_tails={**self.facts.log_tails, action.job: "last words"})
            case actions.ReadCurve():
                self.facts = replace(self.facts, curve=self.curve or self.facts.curve, curve_at=self.now)
            case actions.Emit():
                pass
            case _:
                raise AssertionError(action)

    def _need_store(self) -> None:
        if not self.store_up:
            raise AwayError

    def _finalizers(self) -> list[str]:
        assert self.submission is not None
        found: list[str] = self.submission["metadata"]["finalizers"]
        return found

    def _create(self, name: str, labels: dict[str, str], deadline: int) -> None:
        self.facts = replace(self.facts, live=None)
        if name in self.jobs:
            return
        if labels[names.ROLE] == names.RUN:
            self.created.append((labels[names.DATASET], int(labels[names.ATTEMPT])))
        else:
            self.scorer_jobs.append(name)
        self.jobs[name] = {
            "metadata": {
                "name": name,
                "uid": f"job-{len(self.created)}",
                "labels": labels,
                "creationTimestamp": stamp(self.now),
            },
            "spec": {"suspend": names.LOCAL_QUEUE in labels},
            "deadline": deadline,
        }

    def _delete(self, name: str) -> None:
        """Background propagation: the Job goes at once, its pod after it."""
        if self.jobs.pop(name, None) is not None:
            for pod in self.pods:
                if pod.raw["metadata"]["labels"]["job-name"] == name and not pod.gone:
                    pod.raw["metadata"].setdefault("deletionTimestamp", stamp(self.now))

    # Everybody else.

    def cancel(self) -> None:
        if self.submission is not None:
            if not self._finalizers():
                self.submission = None
            elif "deletionTimestamp" not in self.submission["metadata"]:
                self.submission["metadata"]["deletionTimestamp"] = stamp(self.now)
                self._touch()

    def suspend(self, job: str) -> None:
        if job in self.jobs:
            self.jobs[job]["spec"]["suspend"] = True
            self.jobs[job]["status"] = {}
            for pod in self.pods:
                pod.evicted |= pod.raw["metadata"]["labels"]["job-name"] == job

    def kueue(self) -> bool:
        """Admits the Job that has waited longest, also one that was evicted and is not yet removed."""
        for job in self.jobs.values():
            if job["spec"]["suspend"]:
                job["spec"]["suspend"] = False
                return True
        return False

    def controllers(self) -> bool:
        """The Job controller and the scorer, once."""
        done = False
        for name, job in list(self.jobs.items()):
            if job.get("status", {}).get("conditions") or job["spec"]["suspend"]:
                continue
            if job["metadata"]["labels"][names.ROLE] == names.SCORE:
                done = scorer.score(self, name, job) or done
                continue
            done = self._pod_of(name, job) or done
        return done

    def _pod_of(self, name: str, job: dict[str, Any]) -> bool:
        labels = job["metadata"]["labels"]
        alias, attempt = labels[names.DATASET], int(labels[names.ATTEMPT])
        job.setdefault("status", {}).setdefault("startTime", stamp(self.now))
        mine = [pod for pod in self.pods if pod.raw["metadata"]["labels"]["job-name"] == name]
        if all(pod.evicted and not self.alive(pod) for pod in mine):
            fates = self.fates[alias]
            fate = fates[min(attempt, len(fates)) - 1]
            if fate == "no-pod":
                return False
            self._check_new_pod(alias)
            raw = {
                "metadata": {
                    "name": f"{name}-{len(mine)}",
                    "uid": f"pod-{len(self.pods)}",
                    "labels": {**labels, "job-name": name},
                    "creationTimestamp": stamp(self.now),
                },
                "spec": {"activeDeadlineSeconds": job["deadline"]},
                "status": {"phase": "Pending"},
            }
            self.pods.append(Pod(raw, alias, attempt, fate, old=attempt <= self.old_attempts))
            return True
        ended = mine[-1].gone or mine[-1].raw["status"]["phase"] in ("Succeeded", "Failed")
        if ended:
            good = mine[-1].raw["status"]["phase"] == "Succeeded"
            said = {"type": "Complete" if good else "Failed", "status": "True"}
            said["lastTransitionTime"] = stamp(self.now)
            job["status"] = {**job["status"], "conditions": [said]}
        return ended

    def _check_new_pod(self, alias: str) -> None:
        assert alias not in self.verdicts, "a pod after the verdict"
        assert not [pod for pod in self.pods if pod.alias == alias and self.alive(pod)], "two live pods"

    def alive(self, pod: Pod) -> bool:
        if pod.gone or pod.raw["status"]["phase"] in ("Succeeded", "Failed"):
            return False
        at = parse_objects.pod_view(pod.raw).scheduled_at
        limit = pod.raw["spec"]["activeDeadlineSeconds"]
        return at is None or self.now < at + timedelta(seconds=limit + SETTINGS.grace_seconds)

    def kubelet(self, index: int) -> bool:
        """The pod with this number goes one step further."""
        from tests.unit.operator_core.pods import advance

        waiting = [pod for pod in self.pods if not pod.gone]
        return bool(waiting) and advance(self, waiting[index % len(waiting)])

    def wait(self, seconds: int) -> None:
        """Time passes, and the kubelets do not stand still in it."""
        if seconds > 10:
            while any([self.kubelet(index) for index in range(len(self.pods))]):
                pass
        self.now += timedelta(seconds=seconds)

    def settle(self, rounds: int = 300) -> None:
        """Everything goes on, fairly, until nothing changes and nothing is waited for."""
        self.store_up = self.competition_there = self.datasets_there = self.datasets_ready = True
        idle = 0
        for _ in range(rounds):
            self.deliver(("submission", "competition", "jobs", "pods"))
            self.plan()
            busy = self.reconcile()
            busy = self.kueue() or busy
            busy = self.controllers() or busy
            for index in range(len([pod for pod in self.pods if not pod.gone])):
                busy = self.kubelet(index) or busy
            if self.submission is None:
                break
            if not busy:
                if self.requeue_at is None and self.cache["submission"] == self.submission:
                    return
                idle += 1
                self.now = max(self.requeue_at or self.now, self.now + timedelta(seconds=2**idle))
            else:
                idle = 0
        else:
            raise AssertionError(f"never came to rest: {json.dumps(self.submission, indent=1)}")


def _said(verdict: Verdict) -> tuple[object, ...]:
    return verdict.attempt, verdict.pod_uid, verdict.phase, verdict.cause, verdict.charged_to
