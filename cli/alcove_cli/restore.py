"""``alcove restore``: makes a competition again from a backup, with its status, in a cluster where it is not."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from alcove_api import keys
from alcove_api.base import API_VERSION
from alcove_api.origin import Origin, count_generations, creation_time, identify
from alcove_api.words import count_of
from alcove_cli.backup import (
    COPIES_AT_ONCE,
    KINDS,
    BackupList,
    StoredObject,
    WholeStore,
    check_operator_is_stopped,
    refuse_other_competitions,
)
from alcove_cli.errors import CommandError
from alcove_kube.client import KubeClient, Object
from alcove_kube.resources import COMPETITIONS, CONFIG_MAPS, NAMESPACES, SUBMISSIONS
from alcove_store.client import put_file, store_errors, stream
from alcove_store.errors import StoreNotFoundError

MOVED = ("Competition", "Submission")
"""Kinds that the store knows by their UID."""


@dataclass(frozen=True)
class Backup:
    folder: Path
    listed: BackupList
    objects: tuple[Object, ...]

    @classmethod
    def read(cls, folder: Path) -> Backup:
        """Raises CommandError unless it is a whole backup."""
        try:
            listed = BackupList.model_validate_json((folder / "backup.json").read_bytes())
            text = (folder / "objects.json").read_bytes()
        except (OSError, ValidationError) as error:
            raise CommandError(
                f"{folder} is not a whole backup ({type(error).__name__}).",
                remedy="Give the folder that alcove backup wrote, or make another.",
            ) from error
        if hashlib.sha256(text).hexdigest() != listed.objects_sha256:
            raise CommandError(f"{folder}/objects.json was changed since the backup. Nothing was restored.")
        return cls(folder, listed, tuple(json.loads(text)))

    def of_kind(self, kind: str) -> list[Object]:
        return [raw for raw in self.objects if raw["kind"] == kind]


def restore(
    kube: KubeClient,
    backup: Backup,
    store: WholeStore,
    say: Callable[[str], None],
    *,
    with_others: bool = False,
) -> None:
    """Can be repeated until it has come to its end: what is there already from the same backup stays.

    ``with_others``: though the store has others of which the backup is, too, and theirs are put back as they were.

    Raises CommandError where the cluster is not ready for it, the errors of store and API server, and OSError.
    """
    check_operator_is_stopped(kube, backup.listed.competition_namespace)
    _check_namespaces(kube, backup)
    _check_competition(kube, backup)
    _check_submissions(kube, backup)
    if not with_others:
        _check_others(backup, store)
    say(f"{count_of(len(backup.listed.store), 'object')} of the store…")
    fill_store(backup, store, say)
    made = _Restored(kube)
    for kind in KINDS:
        found = backup.of_kind(kind)
        for raw in found:
            made.make(raw)
        say(f"{len(found)} × {kind}")
    made.finish(backup.of_kind("Competition"))


def _check_namespaces(kube: KubeClient, backup: Backup) -> None:
    wanted = {raw["metadata"]["namespace"] for raw in backup.objects}
    missing = sorted(name for name in wanted if kube.find(NAMESPACES, None, name) is None)
    if missing:
        raise CommandError(
            f"There is no namespace {', '.join(missing)} in this cluster. Nothing was restored.",
            remedy="Install the chart first, in the same namespace and with the same teams.",
        )


def _check_competition(kube: KubeClient, backup: Backup) -> None:
    """Its status is what is restored last. What was done since would be undone."""
    (old,) = backup.of_kind("Competition")
    namespace, name = backup.listed.competition_namespace, backup.listed.competition
    found = kube.find(COMPETITIONS, namespace, name)
    if found is not None and identify(found) == identify(old):
        raise CommandError(
            f"The Competition {namespace}/{name} of this backup is in this cluster already. Nothing was restored.",
            remedy="Start the operator, which goes on with it. Restore into a release that is new.",
        )


def _check_submissions(kube: KubeClient, backup: Backup) -> None:
    """Another competition of that name would have what this one has taken for its own."""
    wanted = {"namespace": backup.listed.competition_namespace, "name": backup.listed.competition}
    own = {identify(raw) for raw in backup.of_kind("Submission")}
    for found in kube.find_all(SUBMISSIONS, None):
        if found["spec"]["competition"] == wanted and found.get("status") and identify(found) not in own:
            where = f"{found['metadata']['namespace']}/{found['metadata']['name']}"
            raise CommandError(
                f"The Submission {where} in this cluster is not of this backup. Nothing was restored.",
                remedy="Restore into a release to which nobody has submitted.",
            )


def _check_others(backup: Backup, store: WholeStore) -> None:
    """Theirs would be rolled back to what they were."""
    own = f"{backup.listed.competition_namespace}.{backup.listed.competition}"
    in_backup = {keys.audited_competition(entry.key) for entry in backup.listed.store} - {"", own}
    if in_backup:
        rolled_back = in_backup & store.find_competitions()
        refuse_other_competitions(
            rolled_back, "The backup has them as they were then, and would put that back."
        )


def fill_store(backup: Backup, store: WholeStore, say: Callable[[str], None]) -> None:
    """Puts what is not there yet as it is in the backup: again, it would be another version, and younger.

    Raises CommandError where a file was changed since the backup, the store's errors, and OSError.
    """

    def put(entry: StoredObject, *, repeat: bool = False) -> bool:
        path = backup.folder / entry.file
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != entry.sha256:
                raise CommandError(f"{path} was changed since the backup: it is not {entry.key}.")
            if not repeat and _is_there(store, entry):
                return False
            file.seek(0)
            put_file(store.client, store.buckets[entry.bucket], entry.key, file, entry.bytes)
            return True

    # The newest version of a dataset's name is the one that was written last, so these are put in any case.
    names = [entry for entry in backup.listed.store if entry.key.startswith(keys.dataset_names())]
    in_any_order = [entry for entry in backup.listed.store if not entry.key.startswith(keys.dataset_names())]
    with ThreadPoolExecutor(COPIES_AT_ONCE) as pool:
        _count(pool.map(put, in_any_order), len(in_any_order), say)
    for _, versions in groupby(sorted(names, key=_dataset_name), _dataset_name):
        for number, entry in enumerate(versions):
            if number:
                # A store may give times in whole seconds.
                time.sleep(1)
            put(entry, repeat=True)


def _is_there(store: WholeStore, entry: StoredObject) -> bool:
    """Whether the newest version has the same bytes. Raises the store's errors."""
    bucket = store.buckets[entry.bucket]
    try:
        with store_errors(f"looking for {entry.key}"):
            size = store.client.stat_object(bucket, entry.key).size
        if size != entry.bytes:
            return False
        digest = hashlib.sha256()
        for piece in stream(store.client, bucket, entry.key):
            digest.update(piece)
    except StoreNotFoundError:
        return False
    return digest.hexdigest() == entry.sha256


def _dataset_name(entry: StoredObject) -> str:
    return entry.key.rpartition("/")[0]


def _count(done: Iterable[bool], of: int, say: Callable[[str], None]) -> None:
    already_stored = 0
    for number, was_put in enumerate(done, 1):
        already_stored += not was_put
        if number % 1000 == 0:
            say(f"  {number} of {of}")
    if already_stored:
        say(f"{count_of(already_stored, 'object')} of these the store had already.")


@dataclass
class _Restored:
    kube: KubeClient
    uids: dict[str, str] = field(default_factory=dict)
    """Of what was restored: here, by what it was in the other cluster."""

    def make(self, old: Object) -> None:
        """Whole, but for the status of a Competition, which :meth:`finish` writes."""
        resource, meta = KINDS[old["kind"]], old["metadata"]
        where = (resource, meta["namespace"], meta["name"])
        body = self._body(old)
        found = self.kube.find(*where)
        if found is None:
            found = self.kube.create(resource, meta["namespace"], body)
        elif "spec" in body and found["spec"] != body["spec"]:
            # Of the chart's, as it was installed: what was decided since is in the backup.
            version = found["metadata"]["resourceVersion"]
            changed = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
            found = self.kube.replace(*where, changed)
        self.uids[meta["uid"]] = found["metadata"]["uid"]
        if resource not in (COMPETITIONS, CONFIG_MAPS):
            self.kube.patch(*where, {"status": _status(old, found)}, "status")
        if meta.get("deletionTimestamp"):
            self.kube.delete(*where)

    def finish(self, competitions: Iterable[Object]) -> None:
        for old in competitions:
            where = (COMPETITIONS, old["metadata"]["namespace"], old["metadata"]["name"])
            found = self.kube.find(*where)
            if found is not None:
                self.kube.patch(*where, {"status": _status(old, found)}, "status")

    def _body(self, old: Object) -> Object:
        meta = old["metadata"]
        owners = [
            {**owner, "uid": self.uids[owner["uid"]]}
            for owner in meta.get("ownerReferences") or ()
            if owner["uid"] in self.uids
        ]
        wanted: Object = {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "labels": meta.get("labels") or {},
            "annotations": meta.get("annotations") or {},
            "finalizers": meta.get("finalizers") or [],
            "ownerReferences": owners,
        }
        known = ("spec", "data", "binaryData", "immutable")
        version = "v1" if old["kind"] == "ConfigMap" else API_VERSION
        content = {name: old[name] for name in known if name in old}
        return {"apiVersion": version, "kind": old["kind"], "metadata": wanted, **content}


def _status(old: Object, new: Object) -> Object:
    """The status that ``old`` had, as one of ``new``."""
    status: dict[str, Any] = dict(old.get("status") or {})
    # A permit is for the other store.
    status.pop("upload", None)
    # What had been looked at had that generation; this object counts its own.
    if status.get("observedGeneration") is not None:
        current = status["observedGeneration"] == old["metadata"]["generation"]
        status["observedGeneration"] = new["metadata"]["generation"] if current else 0
    if old["kind"] in MOVED:
        origin = Origin(uid=identify(old), created_at=creation_time(old), generation=count_generations(old))
        status["origin"] = origin.model_dump(mode="json", by_alias=True)
    return status
