"""What retention deletes of real stores, by whose rights, and that nothing else can be deleted."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from minio import Minio

from alcove_api import keys
from alcove_api.board_documents import CountedSubmissions, PhaseActivity
from alcove_api.competition import PRUNE
from alcove_kube.client import Object
from alcove_kube.resources import COMPETITIONS, DATASETS, SUBMISSIONS
from alcove_operator.api import Api
from alcove_operator.config import OperatorSettings
from alcove_operator.core.store_use import Size, list_rows, sum_teams
from alcove_operator.index import Index
from alcove_operator.metrics import Metrics
from alcove_operator.retention import CODE_AGE, RetentionKeeper
from alcove_operator.store import ACTIVITY_VERSIONS, OperatorStore
from alcove_operator.stored_objects import StoredObjects
from alcove_operator.team_list import TeamList
from alcove_store import client as store_client
from alcove_store.errors import StoreDeniedError
from tests.unit.operator_wiring.memory_server import MemoryApi, MemoryServer

from .conftest import ROLES, TEAMS, SetUpStore

pytestmark = pytest.mark.integration
MAIN, UPLOADS = keys.MAIN_BUCKET, keys.UPLOADS_BUCKET
NOW = datetime.now(UTC).replace(microsecond=0) + CODE_AGE + timedelta(hours=1)
"""Of the operator, so that code that a test puts into the store is old enough to be deleted."""
NAMESPACE, CUP = "retained", "cup"


def put(store: SetUpStore, key: str, data: bytes = b"{}") -> str:
    """The key's new version is the store's; returns the key."""
    store_client.put_bytes(store.root, MAIN, key, data)
    return key


def versions(store: SetUpStore, prefix: str) -> list[tuple[str, str]]:
    """Of every object below ``prefix``, delete markers too: key and version."""
    found = store.root.list_objects(MAIN, prefix=prefix, recursive=True, include_version=True)
    return [(str(entry.object_name), str(entry.version_id)) for entry in found]


def delete_every_version(client: Minio, store: SetUpStore, key: str) -> None:
    for _, version in versions(store, key):
        with store_client.store_errors(f"deleting {key}"):
            client.remove_object(MAIN, key, version_id=version)


def attempt(uid: str) -> str:
    return keys.attempt_prefix(uid, "table", 1, "pod")


def test_the_operator_deletes_what_retention_may_and_nobody_anything_else(set_up_store: SetUpStore) -> None:
    prunable = [
        keys.snapshot(attempt("uv"), 0), keys.log(attempt("uv")), keys.team_log("team-a", "uv", "table"),
        keys.code("a" * 64), keys.probe("ns"), keys.board("ns", "c", "p", "activity.json"),
    ]  # fmt: skip
    protected = [
        keys.record(attempt("uv"), 0), keys.manifest(attempt("uv")), keys.verdict("uv", "table"),
        keys.score_result("uv", "d"), keys.team_report("team-a", "uv"), keys.board("ns", "c", "p", "table.json"),
        keys.board("ns", "c", "p", "counted.json"), keys.board("ns", "c", "p", "request-1.json"),
        keys.dataset_manifest("a" * 64), keys.change(NAMESPACE, CUP, 1), "ladders/ns.c/p/d/team-a/table/00000000.json",
    ]  # fmt: skip
    for key in (*prunable, *protected):
        put(set_up_store, key)
    for who in (*ROLES, *TEAMS):
        client = set_up_store.client(who)
        for key in protected if who == "operator" else (*prunable, *protected):
            with pytest.raises(StoreDeniedError):
                delete_every_version(client, set_up_store, key)
            assert versions(set_up_store, key), f"{who} has deleted {key}"
    for key in prunable:
        delete_every_version(set_up_store.client("operator"), set_up_store, key)
        assert versions(set_up_store, key) == []


def test_what_is_deleted_takes_no_room_any_more(set_up_store: SetUpStore) -> None:
    uid, other = "uroom", "uroom2"
    for data in (b"x" * 100, b"y" * 50):
        put(set_up_store, keys.snapshot(attempt(uid), 0), data)
    put(set_up_store, keys.log(attempt(uid)), b"z" * 10)
    put(set_up_store, keys.record(attempt(uid), 0))
    put(set_up_store, keys.snapshot(attempt(other), 0), b"x")
    objects = StoredObjects(set_up_store.client("operator"), MAIN, UPLOADS)
    use = objects.measure().of_submissions[uid]
    assert use == {"snapshots": Size(2, 150), "logs": Size(1, 10), "results": Size(1, 2)}
    assert objects.delete_run_parts(uid, "team-a", {"snapshots"}) == Size(2, 150)
    assert objects.measure().of_submissions[uid] == {"logs": Size(1, 10), "results": Size(1, 2)}
    assert "snapshots" in objects.measure().of_submissions[other]
    assert objects.delete_run_parts(uid, "team-a", {"snapshots"}) == Size()


def test_a_probe_leaves_nothing_behind(set_up_store: SetUpStore) -> None:
    store = OperatorStore(set_up_store.client("operator"), MAIN)
    for _ in range(2):
        store.delete_probe("somewhere", store.write_probe("somewhere"))
    assert versions(set_up_store, keys.probe("somewhere")) == []


def test_what_runs_now_takes_no_more_room_the_longer_it_is_written(set_up_store: SetUpStore) -> None:
    """A store that keeps versions would keep one for every few seconds that anything runs."""
    where = ("activity", "cup", "practice")
    key = keys.board(*where, "activity.json")
    for _ in range(3):
        put(set_up_store, key)  # of a release that kept them
    store = OperatorStore(set_up_store.client("operator"), MAIN)
    store.write_activity(*where, PhaseActivity(waiting=0))
    assert len(versions(set_up_store, key)) == 1
    for waiting in range(1, 2 * ACTIVITY_VERSIONS):
        store.write_activity(*where, PhaseActivity(waiting=waiting))
    assert len(versions(set_up_store, key)) <= ACTIVITY_VERSIONS
    now = PhaseActivity.model_validate_json(store_client.get_bytes(set_up_store.root, MAIN, key))
    assert now.waiting == 2 * ACTIVITY_VERSIONS - 1


class Release:
    """A competition of two teams whose Submissions have ended, with all that they have left in a real store."""

    def __init__(self, store: SetUpStore, **spec: Any) -> None:
        self.store = store
        self.server = MemoryServer(lambda: NOW)
        self.api = MemoryApi(self.server)
        self.index, self.metrics = Index(), Metrics()
        phase = {"name": "practice", "datasets": ["ds"], "budget": {"seconds": 20}}
        metadata = {"name": CUP, "annotations": {PRUNE: "first"}}
        self.put("competitions", NAMESPACE, {"metadata": metadata, "spec": {"phases": [phase], **spec}})
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "R",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        status = {"observedGeneration": 1, "nTest": 4, "nLabels": 2, "conditions": [ready]}
        dataset = {"alias": "table", "domain": "tabular", "dataSha256": "d" * 64, "solutionSha256": "e" * 64}
        self.put("datasets", NAMESPACE, {"metadata": {"name": "ds"}, "spec": dataset, "status": status})
        settings = OperatorSettings.model_validate(
            {"namespaces": TEAMS, "competition_namespace": NAMESPACE, "image_ingestion": "i", "image_recorder": "r",
             "image_scorer": "s", "store_endpoint": "http://s", "store_credentials": "unused"}
        )  # fmt: skip
        client = store.client("operator")
        self.keeper = RetentionKeeper(
            cast(Api, self.api), self.index, OperatorStore(client, MAIN), StoredObjects(client, MAIN, UPLOADS),
            TeamList(cast(Api, self.api), settings), self.metrics, NAMESPACE, lambda: NOW,
        )  # fmt: skip
        OperatorStore(client, MAIN).write_counted(
            NAMESPACE, CUP, "practice", CountedSubmissions(competition_uid="u", entries=())
        )

    def put(self, plural: str, namespace: str, raw: Object) -> Object:
        made = self.server.put(plural, namespace, raw)
        resource = {r.plural: r for r in (COMPETITIONS, DATASETS, SUBMISSIONS)}[plural]
        self.index.apply(resource, made)
        return made

    def submit(self, team: str, name: str, days_ago: float, code: str) -> str:
        """Its UID. It was made and ended so long ago; in the store: predictions, a record, output, and its code."""
        sha256 = hashlib.sha256(code.encode()).hexdigest()
        at = f"{NOW - timedelta(days=days_ago):%Y-%m-%dT%H:%M:%SZ}"
        spec = {"competition": {"namespace": NAMESPACE, "name": CUP}, "phase": "practice",
                "code": {"bundle": {"sha256": sha256}}}  # fmt: skip
        run = {"dataset": "table", "phase": "Done", "alc": 0.5, "endedAt": at}
        status = {"phase": "Done", "codeSha256": sha256, "runs": [run], "scoringDigest": "?"}
        metadata = {"name": name, "creationTimestamp": at}
        made = self.put("submissions", team, {"metadata": metadata, "spec": spec, "status": status})
        uid = str(made["metadata"]["uid"])
        digest = self._digest(team, name)
        self.put("submissions", team, {**made, "status": {**status, "scoringDigest": digest}})
        for key in (
            keys.snapshot(attempt(uid), 0), keys.record(attempt(uid), 0), keys.log(attempt(uid)),
            keys.team_log(team, uid, "table"), keys.score_result(uid, digest),
        ):  # fmt: skip
            put(self.store, key, b"x" * 1000)
        put(self.store, keys.code(sha256), b"c" * 1000)
        return uid

    def _digest(self, team: str, name: str) -> str:
        from alcove_operator.core import boards
        from alcove_operator.core.reconcile_input import PhaseRules

        competition = self.index.competitions[NAMESPACE, CUP]
        view = self.index.submissions[team, name]
        rules = PhaseRules(competition, competition.spec.phases[0])
        return boards.compute_digests([view], rules, self.index.datasets_by_name())[view.uid]

    def list_filled(self) -> None:
        for team in TEAMS:
            self.index.replace(SUBMISSIONS, team, self.index.known(SUBMISSIONS, team), self._all(team))

    def _all(self, team: str) -> list[Object]:
        return [
            raw
            for (plural, of, _), raw in self.server.objects.items()
            if (plural, of) == ("submissions", team)
        ]

    def status(self, plural: str, namespace: str, name: str) -> Object:
        return dict(self.server.objects[plural, namespace, name].get("status") or {})

    def parts(self, uid: str) -> set[str]:
        return set(self.keeper.objects.measure().of_submissions.get(uid, {}))


@pytest.fixture
def release(set_up_store: SetUpStore) -> Any:
    made = Release(set_up_store, retention={"snapshotsDays": 10, "logsDays": 10, "bundlesDays": 10})
    yield made
    for key, version in versions(set_up_store, "audit/"):
        set_up_store.root.remove_object(MAIN, key, version_id=version)


def test_a_round_deletes_what_no_board_needs_and_says_so(release: Release) -> None:
    server = release.server
    old = release.submit("team-a", "old", 20, "old")
    shared = release.submit("team-a", "shared", 15, "same")
    young = release.submit("team-a", "young", 5, "young")
    last = release.submit("team-a", "last", 1, "last")
    blue = release.submit("team-b", "only", 30, "same")
    release.list_filled()
    asyncio.run(release.keeper.look([]))
    assert release.parts(old) == release.parts(shared) == {"results"}
    for uid in (young, last, blue):
        assert release.parts(uid) == {"results", "snapshots", "logs"}
    assert release.status("submissions", "team-a", "old")["pruned"] == dict.fromkeys(
        ("snapshots", "logs", "bundle"), f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    )
    assert set(release.status("submissions", "team-a", "shared")["pruned"]) == {"snapshots", "logs"}
    assert "pruned" not in release.status("submissions", "team-b", "only")
    codes = release.keeper.objects.measure().of_code
    for code, there in (("old", False), ("same", True), ("last", True), ("young", True)):
        assert (hashlib.sha256(code.encode()).hexdigest() in codes) is there, code
    said = release.status("competitions", NAMESPACE, CUP)["retention"]
    assert (said["request"], said["objects"], said["bytes"]) == ("first", 7, 7000)
    assert "7 objects" in said["message"]
    before = dict(server.objects)
    asyncio.run(release.keeper.look([]))
    assert dict(server.objects) == before, "there is nothing more to do, and nothing is written"


def test_what_the_store_could_not_delete_is_deleted_by_the_next_round(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = release.submit("team-a", "broken-off", 20, "broken-off")
    release.submit("team-a", "after", 1, "after")
    release.list_filled()
    with monkeypatch.context() as patch:
        patch.setattr(release.keeper.objects.client.__class__, "remove_objects", _fail)
        asyncio.run(release.keeper.look([]))
    assert "snapshots" in release.parts(old)
    assert "pruned" in release.status("submissions", "team-a", "broken-off"), "said before it is done"
    asyncio.run(release.keeper.look([]))
    assert release.parts(old) == {"results"}


def _fail(*_: object) -> Any:
    raise ConnectionError("broken off")


def test_code_stays_while_another_release_may_have_it(release: Release) -> None:
    put(release.store, keys.change("elsewhere", "cup", 1))
    release.submit("team-a", "mine", 20, "mine")
    release.submit("team-a", "newer", 1, "newer")
    release.list_filled()
    asyncio.run(release.keeper.look([]))
    assert hashlib.sha256(b"mine").hexdigest() in release.keeper.objects.measure().of_code


def remove_retention(release: Release) -> None:
    made = release.server.objects["competitions", NAMESPACE, CUP]
    release.put("competitions", NAMESPACE, {**made, "spec": {"phases": made["spec"]["phases"]}})


def change_solution(release: Release) -> None:
    made = release.server.objects["datasets", NAMESPACE, "ds"]
    release.put("datasets", NAMESPACE, {**made, "spec": {**made["spec"], "solutionSha256": "f" * 64}})


def take_dataset_for_damaged(release: Release) -> None:
    made = release.server.objects["datasets", NAMESPACE, "ds"]
    (ready,) = made["status"]["conditions"]
    conditions = [{**ready, "status": "False", "reason": "Damaged"}]
    release.put("datasets", NAMESPACE, {**made, "status": {**made["status"], "conditions": conditions}})


@pytest.mark.parametrize("change", [remove_retention, change_solution, take_dataset_for_damaged])
def test_nothing_goes_once_something_is_changed_in_the_middle_of_a_round(
    release: Release, monkeypatch: pytest.MonkeyPatch, change: Callable[[Release], None]
) -> None:
    uids = [
        release.submit("team-a", name, days, name)
        for name, days in (("first", 20), ("second", 19), ("third", 1))
    ]
    release.list_filled()
    delete = StoredObjects.delete_run_parts

    def delete_and_change(self: StoredObjects, *args: Any) -> Size:
        change(release)
        return delete(self, *args)

    monkeypatch.setattr(StoredObjects, "delete_run_parts", delete_and_change)
    asyncio.run(release.keeper.look([]))
    assert [release.parts(uid) == {"results"} for uid in uids] == [True, False, False]
    assert {hashlib.sha256(code).hexdigest() for code in (b"first", b"second")} <= set(
        release.keeper.objects.measure().of_code
    )
    assert (
        "The next round looks again" in release.status("competitions", NAMESPACE, CUP)["retention"]["message"]
    )


def test_code_stays_for_a_submission_that_comes_while_it_is_marked(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.submit("team-a", "gone", 20, "again")
    release.submit("team-a", "newer", 1, "newer")
    release.list_filled()
    patch = release.api.patch

    async def patch_and_submit(resource: Any, namespace: str, name: str, body: Object, *rest: Any) -> Object:
        if "bundle" in body["status"].get("pruned", ()):
            release.submit("team-b", "comes", 0, "again")
        return await patch(resource, namespace, name, body, *rest)

    monkeypatch.setattr(release.api, "patch", patch_and_submit)
    asyncio.run(release.keeper.look([]))
    assert hashlib.sha256(b"again").hexdigest() in release.keeper.objects.measure().of_code


def test_code_that_has_only_just_come_in_stays(set_up_store: SetUpStore) -> None:
    key = put(set_up_store, keys.code("7" * 64), b"code")
    objects = StoredObjects(set_up_store.client("operator"), MAIN, UPLOADS)
    assert objects.delete_code("7" * 64, datetime.now(UTC) - CODE_AGE) == Size()
    assert versions(set_up_store, key)
    assert objects.delete_code("7" * 64, NOW) == Size(1, 4)


def test_what_each_team_has_is_measured(release: Release) -> None:
    release.submit("team-a", "measured", 1, "measured")
    store_client.put_bytes(release.store.root, UPLOADS, keys.shared_archive("team-a", 3), b"s" * 500)
    release.list_filled()
    asyncio.run(release.keeper.look([]))
    use = release.keeper.objects.measure()
    mine = release.index.submissions_of(NAMESPACE, CUP)
    (row,) = [row for row in sum_teams(list_rows(use, mine)) if row.team == "team-a"]
    assert row.parts["snapshots"] == Size(1, 1000)
    assert row.parts["uploads"].bytes >= 500
    labels = {"competition": CUP, "team": "team-a"}
    assert release.metrics.registry.get_sample_value("alcove_team_store_bytes", labels) == row.bytes
    assert prefix_bytes(release) == {name: size.bytes for name, size in use.sum_prefixes().items()}
    assert prefix_bytes(release).keys() >= {"runs", "scores", "reports", "code", "shared"}


def prefix_bytes(release: Release) -> dict[str, float]:
    return {
        sample.labels["prefix"]: sample.value
        for metric in release.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "alcove_store_prefix_bytes"
    }
