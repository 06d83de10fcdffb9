"""What a restored object is made of, and which backups are refused; the whole of it moves between two clusters in
``tests/integration/operator_wiring/test_move.py``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from alcove_api import keys
from alcove_api.origin import count_generations, creation_time, identify
from alcove_cli.backup import (
    KINDS,
    BackupList,
    StoredObject,
    WholeStore,
    check_operator_is_stopped,
    collect_objects,
    write_backup,
)
from alcove_cli.errors import CommandError
from alcove_cli.restore import Backup, restore
from alcove_kube.client import KubeClient, Object
from alcove_kube.resources import LEASES, Resource
from alcove_operator.core.parse_objects import competition_view, submission_view

NAMESPACE, TEAMS = "cup", "alcove.dev/competition"


class Cluster:
    """An API server that keeps what it is given."""

    def __init__(self, namespaces: tuple[str, ...] = (NAMESPACE, "red")) -> None:
        self.objects: dict[tuple[str, str | None, str], Object] = {
            ("namespaces", None, name): {"metadata": {"name": name, "labels": {TEAMS: f"{NAMESPACE}.cup"}}}
            for name in namespaces
        }
        self.made = 0
        self.writes_left = 1000

    def _count_write(self) -> None:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise InterruptedError

    def find(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        return self.objects.get((resource.plural, namespace, name))

    def find_all(self, resource: Resource, namespace: str | None, selector: str = "") -> list[Object]:
        of = [(key, raw) for key, raw in self.objects.items() if key[0] == resource.plural]
        label, _, value = selector.partition("=")
        of = [(key, raw) for key, raw in of if not label or raw["metadata"]["labels"].get(label) == value]
        return [raw for (_, where, _), raw in of if namespace in (None, where)]

    def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        self._count_write()
        self.made += 1
        meta = {
            **body["metadata"], "uid": f"new-{self.made}", "generation": 1, "resourceVersion": str(self.made),
            "creationTimestamp": "2031-01-01T00:00:00Z",
        }  # fmt: skip
        made = {**{k: v for k, v in body.items() if k != "status"}, "metadata": meta}
        self.objects[resource.plural, namespace, meta["name"]] = made
        return made

    def replace(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        self._count_write()
        old = self.objects[resource.plural, namespace, name]
        meta = {**old["metadata"], **body["metadata"], "generation": old["metadata"]["generation"] + 1}
        self.objects[resource.plural, namespace, name] = {**old, **body, "metadata": meta}
        return self.objects[resource.plural, namespace, name]

    def patch(self, resource: Resource, namespace: str, name: str, body: Object, subresource: str) -> Object:
        assert subresource == "status"
        self._count_write()
        raw = self.objects[resource.plural, namespace, name]
        raw["status"] = {**(raw.get("status") or {}), **body["status"]}
        return raw

    def delete(self, resource: Resource, namespace: str, name: str) -> bool:
        return self.objects.pop((resource.plural, namespace, name), None) is not None

    @property
    def client(self) -> KubeClient:
        return cast(KubeClient, self)


def competition(generation: int = 5, **status: Any) -> Object:
    phase = {"name": "practice", "datasets": ["digits"], "budget": {"seconds": 9}}
    meta = {
        "name": "cup", "namespace": NAMESPACE, "uid": "first-cup", "generation": generation,
        "creationTimestamp": "2030-01-01T00:00:00Z",
    }  # fmt: skip
    told = {"observedGeneration": generation, **status}
    return {"kind": "Competition", "metadata": meta, "spec": {"phases": [phase]}, "status": told}


def submission(name: str = "first", **status: Any) -> Object:
    meta = {
        "name": name, "namespace": "red", "uid": f"old-{name}", "generation": 1, "finalizers": ["alcove.dev/runs"],
        "labels": {"alcove.dev/chosen": "true"}, "creationTimestamp": "2030-01-02T03:04:05Z",
    }  # fmt: skip
    ref = {"namespace": NAMESPACE, "name": "cup"}
    spec = {"competition": ref, "phase": "practice", "code": {"bundle": {"sha256": "c" * 64}}}
    return {"kind": "Submission", "metadata": meta, "spec": spec, "status": status}


def saved(folder: Path, *objects: Object, store: tuple[StoredObject, ...] = ()) -> Path:
    folder.mkdir(exist_ok=True)
    text = json.dumps(objects).encode()
    (folder / "objects.json").write_bytes(text)
    listed = BackupList(
        competition_namespace=NAMESPACE,
        competition="cup",
        made_at=datetime.now(UTC),
        objects_sha256=hashlib.sha256(text).hexdigest(),
        store=store,
    )
    (folder / "backup.json").write_bytes(listed.canonical())
    return folder


def put_back(cluster: Cluster, folder: Path) -> None:
    restore(cluster.client, Backup.read(folder), cast(WholeStore, None), lambda _: None)


def test_a_restored_submission_is_known_by_what_it_was_first(tmp_path: Path) -> None:
    cluster = Cluster()
    permit = {"url": "http://old"}
    old = submission(phase="Done", rank=2, upload=permit, observedGeneration=1)
    put_back(cluster, saved(tmp_path, competition(), old))
    made = cluster.objects["submissions", "red", "first"]
    assert made["metadata"]["uid"] != "old-first"
    assert made["metadata"]["finalizers"] == ["alcove.dev/runs"]
    assert made["status"] == {
        "phase": "Done", "rank": 2, "observedGeneration": 1,
        "origin": {"uid": "old-first", "createdAt": "2030-01-02T03:04:05Z", "generation": 1},
    }  # fmt: skip
    view = submission_view(made)
    assert (view.uid, view.object_uid, view.chosen) == ("old-first", made["metadata"]["uid"], True)
    assert view.created_at == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (identify(made), creation_time(made)) == (view.uid, view.created_at)


def test_what_is_moved_twice_is_known_by_what_it_was_first(tmp_path: Path) -> None:
    first, second = Cluster(), Cluster()
    put_back(first, saved(tmp_path / "a", competition(), submission(phase="Done")))
    moved = [{**first.objects[key], "kind": kind} for key, kind in (
        (("competitions", NAMESPACE, "cup"), "Competition"), (("submissions", "red", "first"), "Submission"),
    )]  # fmt: skip
    put_back(second, saved(tmp_path / "b", *moved))
    assert submission_view(second.objects["submissions", "red", "first"]).uid == "old-first"
    cup = second.objects["competitions", NAMESPACE, "cup"]
    assert competition_view(cup).uid == "first-cup"
    # 5 before the first move, 1 in the first cluster, 1 in the second: the audit list never goes back.
    assert count_generations(cup) == 7


def test_the_chart_s_competition_gets_the_spec_and_the_counts_of_the_backup(tmp_path: Path) -> None:
    cluster = Cluster()
    fresh = competition()
    cluster.create(Resource("x", "competitions"), NAMESPACE, {**fresh, "spec": {"phases": []}})
    put_back(cluster, saved(tmp_path, competition(phases=[{"name": "practice", "submissions": 3}])))
    made = cluster.objects["competitions", NAMESPACE, "cup"]
    assert made["spec"] == competition()["spec"]
    assert made["status"]["phases"] == [{"name": "practice", "submissions": 3}]
    assert made["status"]["observedGeneration"] == made["metadata"]["generation"] == 2


def test_a_dataset_that_was_not_checked_as_it_is_now_is_checked_again(tmp_path: Path) -> None:
    meta = {"name": "d", "namespace": NAMESPACE, "uid": "d", "generation": 3}
    for seen, wanted in ((3, 1), (2, 0)):
        cluster = Cluster()
        raw = {
            "kind": "Dataset",
            "metadata": {**meta, "name": f"d{seen}"},
            "spec": {},
            "status": {"observedGeneration": seen},
        }
        put_back(cluster, saved(tmp_path, competition(), raw))
        assert cluster.objects["datasets", NAMESPACE, f"d{seen}"]["status"] == {"observedGeneration": wanted}


def test_owners_are_those_of_this_cluster(tmp_path: Path) -> None:
    cluster = Cluster()
    owner = {"apiVersion": "alcove.dev/v1alpha1", "kind": "Competition", "name": "cup", "uid": "first-cup"}
    meta = {
        "name": "practice",
        "namespace": NAMESPACE,
        "uid": "b",
        "generation": 1,
        "ownerReferences": [owner],
    }
    board = {
        "kind": "Leaderboard",
        "metadata": meta,
        "spec": {"competition": "cup"},
        "status": {"generation": 4},
    }
    put_back(cluster, saved(tmp_path, competition(), board))
    made = cluster.objects["leaderboards", NAMESPACE, "practice"]
    (now,) = made["metadata"]["ownerReferences"]
    assert now["uid"] == cluster.objects["competitions", NAMESPACE, "cup"]["metadata"]["uid"]
    assert made["status"] == {"generation": 4}


def moving() -> tuple[Object, ...]:
    """A competition with a count of usage, a submission and its code, owned as in a cluster."""
    cup = {"apiVersion": "alcove.dev/v1alpha1", "kind": "Competition", "name": "cup", "uid": "first-cup"}
    code = submission(phase="Done", rank=1)
    code["spec"]["code"] = {"configMap": {"name": "first"}}
    usage = {"name": "cup.red", "namespace": NAMESPACE, "uid": "u", "generation": 1, "ownerReferences": [cup]}
    owner = {"apiVersion": "alcove.dev/v1alpha1", "kind": "Submission", "name": "first", "uid": "old-first"}
    files = {"name": "first", "namespace": "red", "uid": "c", "ownerReferences": [owner]}
    return (
        competition(),
        {
            "kind": "TeamUsage",
            "metadata": usage,
            "spec": {"competition": "cup", "team": "red"},
            "status": {"total": 3},
        },
        code,
        {"kind": "ConfigMap", "metadata": files, "data": {"model.py": "pass"}},
    )


def fill(cluster: Cluster, objects: tuple[Object, ...]) -> None:
    for raw in objects:
        where = (KINDS[raw["kind"]].plural, raw["metadata"]["namespace"], raw["metadata"]["name"])
        cluster.objects[where] = {key: value for key, value in raw.items() if key != "kind"}


def test_a_backup_has_counts_and_code_and_nothing_of_an_earlier_competition() -> None:
    cluster = Cluster()
    objects = moving()
    fill(cluster, objects)
    earlier = json.loads(json.dumps(objects[1]))
    earlier["metadata"] |= {"name": "cup.blue", "ownerReferences": [{"uid": "earlier-cup"}]}
    secret = {"kind": "ConfigMap", "metadata": {"name": "other", "namespace": "red"}, "data": {}}
    fill(cluster, (earlier, secret))
    assert collect_objects(cluster.client, NAMESPACE, "cup") == list(objects)


def test_a_backup_has_submissions_of_the_release_and_its_teams_alone() -> None:
    cluster = Cluster((NAMESPACE, "red", "stranger", "elsewhere"))
    cluster.objects["namespaces", None, "stranger"]["metadata"]["labels"] = {}
    cluster.objects["namespaces", None, "elsewhere"]["metadata"]["labels"] = {TEAMS: "other.cup"}
    for number, where in enumerate((NAMESPACE, "red", "stranger", "elsewhere")):
        raw = submission(f"s{number}", phase="Done")
        raw["metadata"]["namespace"] = where
        fill(cluster, (raw,))
    fill(cluster, (competition(),))
    found = [raw for raw in collect_objects(cluster.client, NAMESPACE, "cup") if raw["kind"] == "Submission"]
    assert [raw["metadata"]["namespace"] for raw in found] == [NAMESPACE, "red"]


class Interfering:
    """A store during whose listing something happens."""

    def __init__(self, happen: Callable[[], None]) -> None:
        self._happen = happen

    def list_objects(self) -> list[tuple[str, str]]:
        self._happen()
        return []

    def find_competitions(self) -> set[str]:
        return {f"{NAMESPACE}.cup"}


class SharedStore(Interfering):
    """One in which others have competitions, too."""

    def __init__(self, *other_competitions: str) -> None:
        super().__init__(lambda: None)
        self._other_competitions = other_competitions

    def find_competitions(self) -> set[str]:
        return {f"{NAMESPACE}.cup", *self._other_competitions}


def test_a_backup_has_what_is_of_others_only_where_that_is_asked_for(tmp_path: Path) -> None:
    cluster, folder = Cluster(), tmp_path / "saved"
    fill(cluster, moving())
    store = cast(WholeStore, SharedStore("other.cup", f"{NAMESPACE}.earlier"))
    with pytest.raises(CommandError, match=rf"{NAMESPACE}\.earlier, other\.cup") as error:
        write_backup(cluster.client, NAMESPACE, "cup", store, folder, lambda _: None)
    assert "--with-others" in str(error.value)
    assert not folder.exists()
    write_backup(cluster.client, NAMESPACE, "cup", store, folder, lambda _: None, with_others=True)
    assert Backup.read(folder).listed.competition == "cup"


def test_a_restore_rolls_others_back_only_where_that_is_asked_for(tmp_path: Path) -> None:
    entry = StoredObject(
        bucket="main", key=keys.change("other", "cup", 1), bytes=1, sha256="0" * 64, file="store/0"
    )
    backup = Backup.read(saved(tmp_path / "saved", *moving(), store=(entry,)))
    here, elsewhere = (cast(WholeStore, SharedStore(name)) for name in ("other.cup", "third.cup"))
    with pytest.raises(CommandError, match=r"too, or had them: other\.cup\. The backup has them"):
        restore(Cluster().client, backup, here, lambda _: None)
    # Past the check, at the file that this backup lacks.
    for store, asked in ((elsewhere, False), (here, True)):
        with pytest.raises(FileNotFoundError):
            restore(Cluster().client, backup, store, lambda _: None, with_others=asked)


@pytest.mark.parametrize("gone_again", [False, True])
def test_a_backup_during_which_an_operator_works_is_not_whole(tmp_path: Path, *, gone_again: bool) -> None:
    cluster, folder = Cluster(), tmp_path / "saved"
    fill(cluster, moving())

    def start() -> None:
        spec = {} if gone_again else {
            "holderIdentity": "alcove-operator-0", "leaseDurationSeconds": 15,
            "renewTime": datetime.now(UTC).isoformat(),
        }  # fmt: skip
        lease = {"metadata": {"resourceVersion": "9"}, "spec": spec}
        cluster.objects[LEASES.plural, NAMESPACE, "alcove-operator"] = lease

    store = cast(WholeStore, Interfering(start))
    with pytest.raises(CommandError, match="An operator worked" if gone_again else "Stop it") as error:
        write_backup(cluster.client, NAMESPACE, "cup", store, folder, lambda _: None)
    assert "not whole" in str(error.value)
    with pytest.raises(CommandError, match="not a whole backup"):
        Backup.read(folder)


def test_a_restore_that_was_interrupted_anywhere_can_be_repeated(tmp_path: Path) -> None:
    folder = saved(tmp_path, *moving())
    whole = Cluster()
    put_back(whole, folder)
    writes = 1000 - whole.writes_left
    assert writes == 7  # Four objects, of which three have a status.
    for number in range(writes):
        cluster = Cluster()
        cluster.writes_left = number
        with pytest.raises(InterruptedError):
            put_back(cluster, folder)
        cluster.writes_left = 1000
        put_back(cluster, folder)
        assert cluster.objects == whole.objects, number


def test_what_was_restored_whole_is_not_rolled_back(tmp_path: Path) -> None:
    cluster, folder = Cluster(), saved(tmp_path, *moving())
    put_back(cluster, folder)
    made = cluster.made
    cluster.objects["submissions", "red", "first"]["status"]["rank"] = 2
    with pytest.raises(CommandError, match="in this cluster already"):
        put_back(cluster, folder)
    assert cluster.made == made
    assert cluster.objects["submissions", "red", "first"]["status"]["rank"] == 2


def test_where_it_was_backed_up_it_is_not_rolled_back(tmp_path: Path) -> None:
    cluster = Cluster()
    fill(cluster, moving())
    with pytest.raises(CommandError, match="in this cluster already"):
        put_back(cluster, saved(tmp_path, *moving()))
    assert not cluster.made


def test_where_somebody_has_submitted_nothing_is_restored(tmp_path: Path) -> None:
    cluster = Cluster()
    stranger = submission("stranger", phase="Queued")
    cluster.objects["submissions", "red", "stranger"] = stranger
    with pytest.raises(CommandError, match="red/stranger"):
        put_back(cluster, saved(tmp_path, competition(), submission()))
    assert not cluster.made


def test_namespaces_that_are_missing_are_named(tmp_path: Path) -> None:
    cluster = Cluster((NAMESPACE,))
    with pytest.raises(CommandError, match="no namespace red"):
        put_back(cluster, saved(tmp_path, competition(), submission()))
    assert not cluster.made


@pytest.mark.parametrize("what", ["changed", "without its end", "not there"])
def test_a_backup_that_is_not_whole_is_refused(tmp_path: Path, what: str) -> None:
    folder = saved(tmp_path / "saved", competition())
    if what == "changed":
        (folder / "objects.json").write_bytes(b"[]")
    elif what == "without its end":
        (folder / "backup.json").unlink()
    else:
        folder = tmp_path / "none"
    with pytest.raises(CommandError, match=r"Nothing was restored|not a whole backup"):
        Backup.read(folder)


def test_an_object_of_the_store_that_was_changed_is_not_put(tmp_path: Path) -> None:
    entry = StoredObject(
        bucket="main", key="scores/u/x.json", bytes=1, sha256="a" * 64, file="store/00000000"
    )
    folder = saved(tmp_path / "saved", competition(), store=(entry,))
    (folder / "store").mkdir()
    (folder / entry.file).write_bytes(b"x")
    cluster = Cluster()
    with pytest.raises(CommandError, match=r"not scores/u/x\.json"):
        put_back(cluster, folder)
    assert not cluster.made


@pytest.mark.parametrize(("age", "works"), [(1, True), (60, False)])
def test_an_operator_that_works_is_in_the_way(tmp_path: Path, *, age: float, works: bool) -> None:
    cluster = Cluster()
    spec = {
        "holderIdentity": "alcove-operator-0", "leaseDurationSeconds": 15,
        "renewTime": (datetime.now(UTC) - timedelta(seconds=age)).isoformat(),
    }  # fmt: skip
    cluster.objects[LEASES.plural, NAMESPACE, "alcove-operator"] = {"metadata": {}, "spec": spec}
    if not works:
        check_operator_is_stopped(cluster.client, NAMESPACE)
        return
    with pytest.raises(CommandError, match="Stop it"):
        put_back(cluster, saved(tmp_path / "saved", competition()))
    with pytest.raises(CommandError, match="Stop it"):
        write_backup(
            cluster.client, NAMESPACE, "cup", cast(WholeStore, None), tmp_path / "new", lambda _: None
        )
    assert not (tmp_path / "new").exists()
