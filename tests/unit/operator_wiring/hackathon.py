"""A small hackathon on the API server in memory: the operator's real parts, Job controller, kubelet and scorer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from minio import Minio

from alcove_api.board_documents import AggregateRequest, CountedSubmissions, PhaseActivity
from alcove_api.change_documents import CompetitionChange
from alcove_api.documents import StoreCredentials
from alcove_api.run_documents import RepeatedAttempt, Verdict
from alcove_api.score_documents import SCORER_VERSION, LiveCurve, ScoredRun, ScoreRequest, ScoreResult
from alcove_api.uploads import FormField, UploadPermit
from alcove_kube.client import Object
from alcove_kube.resources import (
    COMPETITIONS,
    DATASETS,
    JOBS,
    LEADERBOARDS,
    PODS,
    SUBMISSIONS,
    TEAM_USAGES,
    Resource,
)
from alcove_operator.api import Api
from alcove_operator.config import OperatorSettings
from alcove_operator.core import names
from alcove_operator.core.model import CodeFact
from alcove_operator.errors import CodeError
from alcove_operator.job_credentials import Issued, JobCredentials, grants_of
from alcove_operator.rankings import GENERATION
from alcove_operator.records import AGGREGATE, JobOrder
from alcove_operator.service import WORKERS, Service, find_place
from alcove_operator.store import OperatorStore
from alcove_operator.workqueue import WorkQueue
from alcove_store.errors import StoreFullError
from tests.unit.operator_core.cluster import Pod
from tests.unit.operator_core.pods import advance, may_run, stamp
from tests.unit.operator_wiring.memory_server import MemoryApi, MemoryServer, copy
from tests.unit.operator_wiring.virtual_time import wait_until

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
HACK, CUP = "hack", "cup"
WATCHED: dict[str, Resource] = {
    r.plural: r for r in (COMPETITIONS, DATASETS, LEADERBOARDS, TEAM_USAGES, JOBS, PODS, SUBMISSIONS)
}


@dataclass(frozen=True)
class MemoryStore(OperatorStore):
    verdicts: dict[tuple[str, str], Verdict] = field(default_factory=dict)
    scores: dict[tuple[str, str], ScoreResult] = field(default_factory=dict)

    boards: list[list[tuple[str, str]]] = field(default_factory=list)
    """Team and Submission of each entry of each board that was asked for."""
    documents: dict[tuple[str, str, str], CountedSubmissions] = field(default_factory=dict)
    board_requests: dict[tuple[str, int], AggregateRequest] = field(default_factory=dict)
    """By phase and generation."""
    reports: list[tuple[str, str]] = field(default_factory=list)
    """Namespace and UID of those that were given to their teams."""
    logs: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Output that was given to teams: namespace, UID, run and prefix."""
    changes: list[CompetitionChange] = field(default_factory=list)
    """The audit list."""
    activity: dict[str, PhaseActivity] = field(default_factory=dict)
    """The newest, by phase."""
    lacks: set[str] = field(default_factory=set)
    """"room" where it takes nothing more, "bundles" where none was uploaded."""
    taken: list[str] = field(default_factory=list)
    """Namespaces whose bundles were asked for."""

    def take_bundle(self, namespace: str, sha256: str, _limit: int) -> CodeFact:
        self.taken.append(namespace)
        if "bundles" in self.lacks:
            raise CodeError("CodeMissing", "There is no bundle.", remedy="Upload it.", wait=True)
        return CodeFact(accepted=True, sha256=sha256, bytes=100)

    def write_probe(self, _name: str) -> str | None:
        if "room" in self.lacks:
            raise StoreFullError("It is full.")
        return None

    def delete_probe(self, _name: str, _version: str | None) -> None:
        pass

    def permit_upload(self, key: str, limit: int, expires_at: datetime, endpoint: str) -> UploadPermit:
        fields = (FormField(name="key", value=key),)
        return UploadPermit(url=endpoint, fields=fields, bytes_at_most=limit, expires_at=expires_at)

    def list_uploads(self, _prefix: str) -> dict[str, datetime]:
        return {}

    def note_permit(self, key: str) -> None:
        pass

    def delete_uploads(self, gone: Sequence[str]) -> None:
        assert not gone

    def take_config_map(self, _name: str, _files: object, _binary: object, _limit: int) -> CodeFact:
        return CodeFact(accepted=True, sha256="c" * 64, bytes=100)

    def exists(self, key: str) -> bool:
        """All code that was ever admitted is."""
        return key.startswith("code/")

    def write_verdict(self, verdict: Verdict) -> Verdict:
        return self.verdicts.setdefault((verdict.submission_uid, verdict.alias), verdict)

    def list_repeated(self, _verdict: Verdict) -> tuple[RepeatedAttempt, ...]:
        return ()

    def digest_of_pages(self, _submission_uid: str) -> str:
        return ""

    def verdict(self, submission_uid: str, alias: str) -> Verdict | None:
        return self.verdicts.get((submission_uid, alias))

    def write_board_request(self, request: AggregateRequest) -> str:
        self.boards.append([(e.team, e.submission) for e in request.entries])
        self.board_requests[request.phase, request.generation] = request
        return "f" * 64

    def write_counted(
        self, namespace: str, competition: str, phase: str, counted: CountedSubmissions
    ) -> None:
        self.documents[namespace, competition, phase] = counted

    def counted(self, namespace: str, competition: str, phase: str) -> CountedSubmissions | None:
        return self.documents.get((namespace, competition, phase))

    def board_request(
        self, _ns: str, _competition: str, phase: str, generation: int
    ) -> AggregateRequest | None:
        return self.board_requests.get((phase, generation))

    def live_curve(self, _submission_uid: str) -> LiveCurve | None:
        return None

    def score_result(self, submission_uid: str, scoring_digest: str) -> ScoreResult | None:
        return self.scores.get((submission_uid, scoring_digest))

    def last_change(self, _namespace: str, _competition: str) -> tuple[int, CompetitionChange | None]:
        return len(self.changes), self.changes[-1] if self.changes else None

    def write_change(
        self, _namespace: str, _competition: str, number: int, change: CompetitionChange
    ) -> None:
        assert number == len(self.changes) + 1
        self.changes.append(change)

    def write_activity(self, _namespace: str, _competition: str, phase: str, activity: PhaseActivity) -> None:
        self.activity[phase] = activity

    def publish_report(self, namespace: str, submission_uid: str, shown_as: str = "") -> None:
        self.reports.append((namespace, shown_as or submission_uid))

    def publish_log(self, namespace: str, submission_uid: str, run: str, prefix: str) -> None:
        self.logs.append((namespace, submission_uid, run, prefix))

    def log_tail(self, _prefix: str, _size: int = 700) -> str:
        return ""


class FixedCredentials(JobCredentials):
    async def issue(self, order: JobOrder) -> Issued:
        files = dict.fromkeys(grants_of(order), StoreCredentials(access_key="a", secret_key="b"))
        return Issued(files, self.clock(), timedelta(days=1))


@dataclass
class EventFate:
    """What becomes of one event of a watch."""

    after: float = 0.0
    lost: bool = False
    repeated: bool = False


@dataclass
class MemoryWatch:
    """Of some teams' namespaces; where it fails, it is no longer alive."""

    namespaces: frozenset[str]
    alive: bool = True

    def cover(self, _namespaces: frozenset[str]) -> bool:
        return False

    def stop(self) -> None:
        self.alive = False


class Hackathon:
    """Two teams, one competition; :meth:`operate` runs an operator for as long as a test lasts."""

    def __init__(self, aliases: str = "d", teams: tuple[str, ...] = ("red", "blue"), **spec: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.server = MemoryServer(lambda: self.now)
        self.api = MemoryApi(self.server)
        self.store = MemoryStore(cast(Minio, None), "alcove")
        self.event_fate: Callable[[str], EventFate] = lambda _plural: EventFate()
        self.lost: set[str] = set()
        self.run_fate = "deadline"
        self.alc: float | None = 0.5
        self.final_outcome: dict[str, Any] = {}
        """Of runs in a phase that is called final: their ``fate`` and ``alc``, where they are to be others."""
        self.scoreless: set[str] = set()
        """Names of Submissions none of whose predictions is valid."""
        self.holding = False
        """Whether the participants' containers go on and on."""
        self.ranking_fails = ""
        """Why each Job that ranks fails."""
        self.kueue_places = 1
        self.admitted: list[str] = []
        """Names of the Jobs that Kueue has let begin, in order."""
        self.pods: dict[str, Pod] = {}
        self.most: Counter[str] = Counter()
        """Live pods at most: of all, and of each team."""
        self.opened: list[MemoryWatch] = []
        self.events: dict[str, asyncio.Queue[tuple[Object, bool]]] = {}
        """On their way from the server to the operator, by plural."""
        self.teams = teams
        self.settings = OperatorSettings(
            namespaces=teams, competition_namespace=HACK, image_ingestion="i", image_recorder="r",
            image_scorer="s", store_endpoint="http://store:9000", store_credentials=Path("unused"),
        )  # fmt: skip
        for team in teams:
            labels = {names.COMPETITION: f"{HACK}.{CUP}"}
            self.server.put("namespaces", "", {"metadata": {"name": team, "labels": labels}})
        for alias in aliases:
            self.server.put("datasets", HACK, _dataset(alias))
        phase = {"name": "practice", "datasets": [f"ds-{a}" for a in aliases], "budget": {"seconds": 30}}
        self.server.put(
            "competitions", HACK, {"metadata": {"name": CUP}, "spec": {"phases": [phase], **spec}}
        )

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.loop.time())

    # --- what people and tests do

    def submit(self, team: str, name: str, config_map: str = "", phase: str = "practice") -> Object:
        spec = {
            "competition": {"namespace": HACK, "name": CUP},
            "phase": phase,
            "code": {"configMap": {"name": config_map}} if config_map else {"bundle": {"sha256": "c" * 64}},
        }
        return self.server.put("submissions", team, {"metadata": {"name": name}, "spec": spec})

    def change_spec(self, plural: str, namespace: str, name: str, **spec: Any) -> None:
        raw = self.server.objects[plural, namespace, name]
        metadata = {**raw["metadata"], "generation": raw["metadata"]["generation"] + 1}
        self.server.put(plural, namespace, {**raw, "metadata": metadata, "spec": {**raw["spec"], **spec}})

    def status(self, team: str, name: str) -> Object:
        return dict(self.server.objects["submissions", team, name].get("status") or {})

    def status_or_none(self, team: str, name: str) -> Object | None:
        raw = self.server.objects.get(("submissions", team, name))
        return None if raw is None else raw.get("status")

    def run_status(self, team: str, name: str, alias: str = "d") -> Object:
        return next((run for run in self.status(team, name).get("runs", []) if run["dataset"] == alias), {})

    def usage(self, team: str) -> Object:
        raw = self.server.objects.get(("teamusages", HACK, names.usage_name(CUP, team))) or {}
        return dict(raw.get("status") or {})

    def run_jobs(self) -> list[str]:
        """Names of all run Jobs that were ever created, in order."""
        return [name for plural, _, name in self.server.created if plural == "jobs" and name.startswith("r-")]

    async def running(self, team: str, name: str) -> None:
        """Waits until its run is."""
        await wait_until(
            f"the run of {team}/{name} goes on",
            lambda: self.run_status(team, name).get("phase") == "Running",
            60,
        )

    async def ended(self, team: str, name: str, seconds: float = 1800.0) -> Object:
        await wait_until(
            f"{team}/{name} ends", lambda: self.phase(team, name) in ("Done", "Failed", "Rejected"), seconds
        )
        return self.status(team, name)

    def board(self) -> list[str]:
        """Team and Submission of each entry, best first."""
        status = self.server.objects["leaderboards", HACK, "practice"].get("status") or {}
        return [f"{entry['team']}/{entry['submission']}" for entry in status.get("entries", [])]

    def phase(self, team: str, name: str) -> str:
        return str(self.status(team, name).get("phase") or "")

    # --- the operator and its surroundings

    def service(self) -> Service:
        credentials = FixedCredentials(self.api, self.settings, lambda: self.now)
        queue: WorkQueue[Any] = WorkQueue(jitter=lambda: 0.5, place_of=find_place)
        return Service(
            cast(Api, self.api),
            self.settings,
            self.store,
            credentials,
            lambda: self.now,
            queue=queue,
            open_watch=lambda _index, namespaces, _is_team: self._open_watch(namespaces),
        )

    def watches(self, namespace: str) -> bool:
        return any(watch.alive and namespace in watch.namespaces for watch in self.opened)

    def _open_watch(self, namespaces: frozenset[str]) -> MemoryWatch:
        """It lists everything first."""
        self.opened.append(MemoryWatch(namespaces))
        for (plural, namespace, _), raw in self.server.objects.items():
            if plural == "submissions" and namespace in namespaces:
                self.events[plural].put_nowait((copy(raw), False))
        return self.opened[-1]

    async def operate(self, test: Callable[[Service], Coroutine[Any, Any, None]]) -> None:
        """Starts an operator and everything around it, runs ``test``, then kills the operator where it stands."""
        service = self.service()
        self.opened.clear()
        self.events = {plural: asyncio.Queue() for plural in WATCHED}
        await service.start()

        def listen(plural: str, raw: Object, gone: bool) -> None:
            namespace = raw["metadata"]["namespace"]
            if plural in self.events and (namespace == HACK or self.watches(namespace)):
                self.events[plural].put_nowait((raw, gone))

        self.server.listeners.append(listen)
        loops = [service.queue.run(service.work, WORKERS), service.resync_forever(), self._nodes()]
        loops += [self._watch(service, plural, queue) for plural, queue in self.events.items()]
        tasks = [asyncio.create_task(loop) for loop in loops]
        testing = asyncio.create_task(test(service))
        try:
            done, _ = await asyncio.wait([testing, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self.server.listeners.remove(listen)
            for task in (testing, *tasks):
                task.cancel()
            await asyncio.gather(testing, *tasks, return_exceptions=True)

    async def _watch(self, service: Service, plural: str, queue: asyncio.Queue[tuple[Object, bool]]) -> None:
        while True:
            raw, gone = await queue.get()
            fate = self.event_fate(plural)
            await asyncio.sleep(fate.after)
            for _ in range((not fate.lost) + fate.repeated):
                service.index.apply(WATCHED[plural], raw, gone)

    async def _nodes(self) -> None:
        """The Job controller, the kubelets and the scorer, once a second."""
        while True:
            for (plural, _, name), raw in list(self.server.objects.items()):
                if plural == "jobs" and not (raw.get("status") or {}).get("conditions"):
                    self._job(name, raw)
                if plural == "pods" and "deletionTimestamp" in raw["metadata"] and not self._has_job(raw):
                    self.server.remove((plural, HACK, name))
            self._count()
            await asyncio.sleep(1.0)

    def _has_job(self, pod: Object) -> bool:
        return ("jobs", HACK, pod["metadata"]["labels"]["job-name"]) in self.server.objects

    def _count(self) -> None:
        live = [
            raw
            for (plural, *_), raw in self.server.objects.items()
            if plural == "pods" and may_run(raw["status"])
        ]
        teams = Counter(raw["metadata"]["labels"][names.TEAM] for raw in live)
        self.most["all"] = max(self.most["all"], len(live))
        for team, count in teams.items():
            self.most[team] = max(self.most[team], count)

    def _job(self, name: str, job: Object) -> None:
        role = job["metadata"]["labels"][names.ROLE]
        if role == names.SCORE:
            self._score(job)
        elif role == AGGREGATE:
            self._rank(job)
        elif role != names.RUN:
            self._end(job, "Complete")
        elif job["spec"].get("suspend"):
            self._admit(job)
        elif name not in self.pods:
            self._start(name, job)
        else:
            self._advance(name, job)

    def _admit(self, job: Object) -> None:
        """Kueue: whoever comes first in its queue, while there is room for that."""
        queue = job["metadata"]["labels"][names.LOCAL_QUEUE]
        jobs = [raw for (plural, *_), raw in self.server.objects.items() if plural == "jobs"]
        queued = [
            j for j in jobs if j["metadata"]["labels"].get(names.LOCAL_QUEUE) == queue and "status" not in j
        ]
        under_way = [j["metadata"]["name"] for j in queued if not j["spec"].get("suspend")]
        if len(under_way) < self.kueue_places:
            self.admitted.append(job["metadata"]["name"])
            self.server.put("jobs", HACK, {**job, "spec": {**job["spec"], "suspend": False}})

    def _start(self, name: str, job: Object) -> None:
        labels = {**job["metadata"]["labels"], "batch.kubernetes.io/job-name": name, "job-name": name}
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job["metadata"]["uid"]}
        spec = {"activeDeadlineSeconds": job["spec"]["template"]["spec"]["activeDeadlineSeconds"]}
        raw = {
            "metadata": {"name": f"{name}-pod", "labels": labels, "ownerReferences": [owner]},
            "spec": spec,
            "status": {"phase": "Pending"},
        }
        made = self.server.put("pods", HACK, raw)
        outcome = self.final_outcome if labels[names.PHASE] == "final" else {}
        fate = outcome.get("fate", self.run_fate) if labels[names.ATTEMPT] == "1" else self.run_fate
        self.pods[name] = Pod(made, labels[names.DATASET], int(labels[names.ATTEMPT]), fate)

    def suspend(self, job: str) -> None:
        raise AssertionError(f"Nothing here is started by Kueue, so {job} is not suspended.")

    def _advance(self, name: str, job: Object) -> None:
        pod, spot = self.pods[name], ("pods", HACK, f"{name}-pod")
        if spot not in self.server.objects:
            return
        pod.raw = self.server.objects[spot]
        if self.holding and pod.stage == 3:
            return
        if advance(self, pod):
            node = pod.raw["spec"].get("nodeName", "")
            if node and ("nodes", "", node) not in self.server.objects:
                ready = {"conditions": [{"type": "Ready", "status": "True"}]}
                self.server.put("nodes", "", {"metadata": {"name": node}, "status": ready})
            self.server.put("pods", HACK, pod.raw)
        if pod.raw["status"]["phase"] in ("Succeeded", "Failed"):
            self._end(job, "Complete" if pod.raw["status"]["phase"] == "Succeeded" else "Failed")

    def _end(self, job: Object, kind: str, message: str = "") -> None:
        condition = {
            "type": kind, "status": "True", "lastTransitionTime": stamp(self.now), "message": message,
        }  # fmt: skip
        self.server.put("jobs", HACK, {**job, "status": {"conditions": [condition]}})

    def _score(self, job: Object) -> None:
        variables = job["spec"]["template"]["spec"]["containers"][0]["env"]
        request = ScoreRequest.model_validate_json(
            next(v["value"] for v in variables if v["name"] == "ALCOVE_REQUEST")
        )
        uid, digest = request.submission_uid, request.scoring_digest()
        outcome = self.final_outcome if request.phase == "final" else {}
        if any((uid, dataset.alias) not in self.store.verdicts for dataset in request.datasets):
            return
        runs = tuple(
            _scored(
                self.store.verdicts[uid, dataset.alias],
                dataset.name,
                None if request.submission in self.scoreless else outcome.get("alc", self.alc),
            )
            for dataset in request.datasets
        )
        self.store.scores[uid, digest] = ScoreResult(
            submission_uid=uid, scorer_version=SCORER_VERSION, scoring_digest=digest, scoring=request.scoring,
            t0_seconds=1, budget_seconds=request.budget_seconds, runs=runs,
        )  # fmt: skip
        self._end(job, "Complete")

    def _find_request(self, job: Object) -> AggregateRequest | None:
        """What an aggregate Job is to rank, once the Leaderboard says that it was asked. One that is asked for a later
        board makes none, and ends."""
        labels = job["metadata"]["labels"]
        phase, generation = labels[names.PHASE], int(labels[GENERATION])
        board = self.server.objects["leaderboards", HACK, phase]
        requested = board["spec"].get("requested") or {}
        if requested.get("generation", 0) > generation:
            self._end(job, "Complete")
        if requested.get("generation", 0) != generation:
            return None
        return self.store.board_requests[phase, generation]

    def _rank(self, job: Object) -> None:
        """First come, first ranked."""
        request = self._find_request(job)
        if request is None:
            return
        if self.ranking_fails:
            self._end(job, "Failed", self.ranking_fails)
            return
        entries = [
            {"rank": rank, "team": e.team, "submission": e.submission, "submissionUid": e.submission_uid,
             "averageRank": float(rank)}
            for rank, e in enumerate(request.entries, 1)
        ]  # fmt: skip
        status = {"generation": request.generation, "teams": len(entries), "entries": entries}
        board = self.server.objects["leaderboards", HACK, request.leaderboard]
        self.server.put("leaderboards", HACK, {**board, "status": status})
        self._end(job, "Complete")


def _scored(verdict: Verdict, dataset: str, score: float | None) -> ScoredRun:
    return ScoredRun(
        alias=verdict.alias, dataset=dataset, attempt=verdict.attempt, cause=verdict.cause, alc=score,
        final_score=score, snapshots=3, points=(), refused=(), manifest_sha256=None,
    )  # fmt: skip


def _dataset(alias: str) -> Object:
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Sound",
        "message": "",
        "lastTransitionTime": stamp(START),
    }
    return {
        "metadata": {"name": f"ds-{alias}"},
        "spec": {"alias": alias, "dataSha256": "a" * 64, "solutionSha256": "b" * 64},
        "status": {"observedGeneration": 1, "nTest": 100, "nLabels": 3, "conditions": [ready]},
    }
