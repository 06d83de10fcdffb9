"""``alcove backup``: a competition with all that its store holds, in one folder, for ``alcove restore``.

What the folder has: ``objects.json``, the objects of the API as they were; ``store/``, one file an object of the store,
numbered in the order in which they were written; and, last, ``backup.json``. Without that the folder is not whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from minio import Minio
from minio.credentials import StaticProvider
from pydantic import ValidationError

from alcove_api import keys
from alcove_api.base import Time
from alcove_api.competition import CompetitionSpec
from alcove_api.documents import Document, Sha256, StoreCredentials
from alcove_api.words import count_of
from alcove_cli.errors import CommandError
from alcove_cli.evidence import read_settings
from alcove_kube.client import KubeClient, Object
from alcove_kube.resources import (
    COMPETITIONS,
    CONFIG_MAPS,
    DATASETS,
    LEADERBOARDS,
    LEASES,
    NAMESPACES,
    SUBMISSIONS,
    TEAM_USAGES,
    Resource,
)
from alcove_store.client import client, store_errors, stream
from alcove_store.errors import StoreNotFoundError

ROOT_SECRET, LEASE = "alcove-store-root", "alcove-operator"
COPIES_AT_ONCE = 8
"""Objects of the store that are copied side by side."""
PASSING = (keys.PERMITS, keys.probe(""))
"""Prefixes of the store that no backup has."""
KINDS: dict[str, Resource] = {
    "Competition": COMPETITIONS,
    "Dataset": DATASETS,
    "TeamUsage": TEAM_USAGES,
    "Leaderboard": LEADERBOARDS,
    "Submission": SUBMISSIONS,
    "ConfigMap": CONFIG_MAPS,
}
"""In the order in which they are restored: an owner before what it owns."""
Bucket = Literal["main", "solutions", "uploads"]


class StoredObject(Document):
    bucket: Bucket
    key: str
    bytes: int
    sha256: Sha256
    file: str


class BackupList(Document):
    """``backup.json``: what a backup is of, and every object of the store in it, in the order of writing."""

    version: Literal[1] = 1
    competition_namespace: str
    competition: str
    made_at: Time
    objects_sha256: Sha256
    """Of ``objects.json``."""
    store: tuple[StoredObject, ...]


@dataclass(frozen=True)
class WholeStore:
    """All buckets of a release's store, with rights to everything."""

    client: Minio
    buckets: dict[Bucket, str]

    @classmethod
    def connect(cls, kube: KubeClient, namespace: str, endpoint: str, file: Path | None) -> WholeStore:
        """With the credentials in ``file``, by default those of the root user in the release's Secret.

        Raises CommandError where they cannot be read, ApiError where the cluster refuses.
        """
        settings = read_settings(kube, namespace)
        if file is not None:
            try:
                root = StoreCredentials.model_validate_json(file.read_bytes())
            except (OSError, ValidationError) as error:
                raise CommandError(
                    f"{file} does not hold credentials of the store ({type(error).__name__}).",
                    remedy='Expected: {"access_key": "…", "secret_key": "…"}.',
                ) from error
        else:
            secret = kube.read_secret(namespace, ROOT_SECRET)
            root = StoreCredentials(
                access_key=secret["rootUser"].decode(), secret_key=secret["rootPassword"].decode()
            )
        region = settings.store_region if settings else "us-east-1"
        provider = StaticProvider(root.access_key, root.secret_key, root.session_token)
        return cls(
            client(endpoint, region, provider, read_timeout=60.0, retries=5),
            {
                "main": settings.store_bucket if settings else keys.MAIN_BUCKET,
                "solutions": settings.store_solutions_bucket if settings else keys.SOLUTIONS_BUCKET,
                "uploads": settings.store_uploads_bucket if settings else keys.UPLOADS_BUCKET,
            },
        )

    def list_objects(self) -> list[tuple[Bucket, str]]:
        """The newest version of each, those that were written first first.

        Without what is only for the moment: that a permit was given, and probes.
        """
        found: list[tuple[datetime, Bucket, str]] = []
        for name, bucket in self.buckets.items():
            with store_errors(f"listing {bucket}"):
                entries = self.client.list_objects(bucket, recursive=True)
                found += [(e.last_modified, name, e.object_name) for e in entries]
        return [(name, key) for _, name, key in sorted(found) if not key.startswith(PASSING)]

    def find_competitions(self) -> set[str]:
        """NAMESPACE.NAME of each that any release has made in this store, deleted ones too. Raises StoreError."""
        with store_errors(f"listing {keys.CHANGES}"):
            found = list(self.client.list_objects(self.buckets["main"], prefix=keys.CHANGES))
        return {keys.audited_competition(entry.object_name or "") for entry in found} - {""}


def refuse_other_competitions(other_competitions: set[str], what: str) -> None:
    """Raises CommandError if there are any. ``what``: what would be done to them."""
    if other_competitions:
        raise CommandError(
            f"The store has other competitions too, or had them: {', '.join(sorted(other_competitions))}. {what}",
            consequence="Nothing was done.",
            remedy="With --with-others it is done all the same. Give a competition that may move a store of its own.",
        )


def check_operator_is_stopped(
    kube: KubeClient, namespace: str, consequence: str = "Nothing was done."
) -> str:
    """Raises CommandError while an operator holds its Lease, or has not given it back for less than that lasts.

    Returns the Lease's version, "" where there is none: it is another once an operator has worked.
    """
    found = kube.find(LEASES, namespace, LEASE) or {}
    spec = found.get("spec") or {}
    if spec.get("holderIdentity"):
        renewed = datetime.fromisoformat(spec["renewTime"])
        if (datetime.now(UTC) - renewed).total_seconds() <= spec.get("leaseDurationSeconds", 0):
            raise CommandError(
                f"The operator {spec['holderIdentity']} works in {namespace}, and would change things meanwhile.",
                consequence=consequence,
                remedy=f"Stop it: kubectl scale deployment alcove-operator --replicas=0 -n {namespace}; runs go on.",
            )
    return str((found.get("metadata") or {}).get("resourceVersion", ""))


def find_team_namespaces(kube: KubeClient, namespace: str, name: str) -> set[str]:
    """Those that may submit: of the competition's teams, and its own. Raises ApiError."""
    labelled = kube.find_all(NAMESPACES, None, f"alcove.dev/competition={namespace}.{name}")
    return {namespace, *(found["metadata"]["name"] for found in labelled)}


def collect_objects(kube: KubeClient, namespace: str, name: str) -> list[Object]:
    """The Competition, its Datasets, counts of usage, boards and Submissions, and the code that these name.

    Raises CommandError where there is no such Competition, ApiError where they cannot be read.
    """
    competition = kube.find(COMPETITIONS, namespace, name)
    if competition is None:
        raise CommandError(f"There is no Competition {namespace}/{name}. Give NAMESPACE/NAME.")
    wanted = {
        d for phase in CompetitionSpec.model_validate(competition["spec"]).phases for d in phase.datasets
    }
    # Another may write a Submission for it into a namespace of theirs. It is none: its team is not there after a move.
    teams = find_team_namespaces(kube, namespace, name)
    submissions = [
        s
        for s in kube.find_all(SUBMISSIONS, None)
        if s["spec"]["competition"] == {"namespace": namespace, "name": name}
        and s["metadata"]["namespace"] in teams
    ]
    named = {
        (s["metadata"]["namespace"], s["spec"]["code"]["configMap"]["name"])
        for s in submissions
        if s["spec"]["code"].get("configMap")
    }
    code = (kube.find(CONFIG_MAPS, *where) for where in sorted(named))
    found = {
        "Competition": [competition],
        "Dataset": [d for d in kube.find_all(DATASETS, namespace) if d["metadata"]["name"] in wanted],
        "TeamUsage": [u for u in kube.find_all(TEAM_USAGES, namespace) if _is_owned(u, competition)],
        "Leaderboard": [b for b in kube.find_all(LEADERBOARDS, namespace) if _is_owned(b, competition)],
        "Submission": sorted(submissions, key=lambda s: s["metadata"]["creationTimestamp"]),
        "ConfigMap": [c for c in code if c is not None],
    }
    # Lists leave out what each object is.
    return [{**raw, "kind": kind} for kind, objects in found.items() for raw in objects]


def _is_owned(raw: Object, competition: Object) -> bool:
    """By this very Competition, rather than by an earlier one of its name."""
    owners = raw["metadata"].get("ownerReferences") or ()
    return any(owner["uid"] == competition["metadata"]["uid"] for owner in owners)


def write_backup(
    kube: KubeClient,
    namespace: str,
    name: str,
    store: WholeStore,
    folder: Path,
    say: Callable[[str], None],
    *,
    with_others: bool = False,
) -> BackupList:
    """``with_others``: though the store is not this competition's alone.

    Raises CommandError where ``folder`` is there already, or the store is others' too; the store's errors; OSError.
    """
    if folder.exists():
        raise CommandError(f"{folder} is there already. Give a folder that is not.")
    lease = check_operator_is_stopped(kube, namespace)
    objects = collect_objects(kube, namespace, name)
    if not with_others:
        other_competitions = store.find_competitions() - {f"{namespace}.{name}"}
        refuse_other_competitions(
            other_competitions,
            "The backup would have what is theirs, solutions and code, and a restore put it back.",
        )
    # Results that nobody may see yet, and solutions: its owner's alone.
    folder.mkdir(mode=0o700, parents=True)
    (folder / "store").mkdir()
    text = json.dumps(objects, indent=1, ensure_ascii=False).encode()
    (folder / "objects.json").write_bytes(text)
    made = BackupList(
        competition_namespace=namespace,
        competition=name,
        made_at=datetime.now(UTC),
        objects_sha256=hashlib.sha256(text).hexdigest(),
        store=tuple(_copy_store(store, folder, say)),
    )
    consequence = f"{folder} is not whole, and no restore takes it."
    if check_operator_is_stopped(kube, namespace, consequence) != lease:
        raise CommandError(
            f"An operator worked in {namespace} while the backup was made.",
            consequence=consequence,
            remedy="Delete the folder, and make the backup again with the operator stopped.",
        )
    (folder / "backup.json").write_bytes(made.canonical())
    return made


def _copy_store(store: WholeStore, folder: Path, say: Callable[[str], None]) -> Iterator[StoredObject]:
    listed = store.list_objects()
    say(f"{count_of(len(listed), 'object')} of the store…")

    def copy(number: int, bucket: Bucket, key: str) -> StoredObject | None:
        file, digest, size = f"store/{number:08d}", hashlib.sha256(), 0
        try:
            with (folder / file).open("wb") as target:
                for piece in stream(store.client, store.buckets[bucket], key):
                    digest.update(piece)
                    size += len(piece)
                    target.write(piece)
        except StoreNotFoundError:
            # Of an upload that was taken in or given up meanwhile.
            (folder / file).unlink()
            return None
        return StoredObject(bucket=bucket, key=key, bytes=size, sha256=digest.hexdigest(), file=file)

    with ThreadPoolExecutor(COPIES_AT_ONCE) as pool:
        copied = pool.map(lambda numbered: copy(numbered[0], *numbered[1]), enumerate(listed))
        for number, one in enumerate(copied, 1):
            if one is not None:
                yield one
            if number % 1000 == 0:
                say(f"  {number} of {len(listed)}")
