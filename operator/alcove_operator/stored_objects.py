"""What lies in the store, whoever wrote it, and deleting it for good. All functions block."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from minio import Minio
from minio.datatypes import Object as StoredObject
from minio.deleteobjects import DeleteObject

from alcove_api import keys
from alcove_operator.core.store_use import Size, StoreUse, find_part
from alcove_store.client import store_errors
from alcove_store.errors import StoreError


@dataclass(frozen=True)
class StoredObjects:
    client: Minio
    bucket: str
    uploads: str = keys.UPLOADS_BUCKET

    def measure(self) -> StoreUse:
        """Looks through both buckets, old versions too: a request for each thousand objects. Raises StoreError."""
        use = StoreUse()
        for prefix in MEASURED:
            for entry in self._versions(prefix):
                use.add(entry.object_name or "", entry.size or 0)
        for prefix in (keys.BUNDLES, keys.SHARED):
            with store_errors(f"listing {prefix}"):
                for entry in self.client.list_objects(self.uploads, prefix=prefix, recursive=True):
                    use.add_upload(entry.object_name or "", entry.size or 0)
        return use

    def list_releases(self) -> set[str]:
        """Namespaces of all competitions that any release has made in this store. Raises StoreError."""
        with store_errors(f"listing {keys.CHANGES}"):
            found = list(self.client.list_objects(self.bucket, prefix=keys.CHANGES))
        return {keys.audited_competition(entry.object_name or "").partition(".")[0] for entry in found}

    def delete_run_parts(self, submission_uid: str, namespace: str, parts: Collection[str]) -> Size:
        """Predictions and output of a Submission, as ``parts`` says, with all their versions.

        ``namespace``: of the team, which has copies of the output.

        Raises:
            StoreError: the store failed, or keeps an object that is locked.
        """
        prefixes = [f"runs/{submission_uid}/", f"{keys.team_reports(namespace)}{submission_uid}/"]
        deleted = Size()
        for prefix in prefixes:
            size = self._delete(prefix, lambda found: find_part(found.object_name or "") in parts)
            deleted.add(size.objects, size.bytes)
        return deleted

    def delete_code(self, sha256: str, before: datetime) -> Size:
        """Those versions that were written ``before``. Raises as :meth:`delete_run_parts`."""
        key = keys.code(sha256)
        return self._delete(key, lambda found: found.object_name == key and _is_older(found, before))

    def delete_replaced(self, key: str) -> Size:
        """All versions of one object but the newest. Raises as :meth:`delete_run_parts`."""
        return self._delete(key, lambda found: found.object_name == key and found.is_latest != "true")

    def _delete(self, prefix: str, wanted: Callable[[StoredObject], bool]) -> Size:
        found = [entry for entry in self._versions(prefix) if wanted(entry)]
        gone = [DeleteObject(entry.object_name or "", entry.version_id) for entry in found]
        with store_errors(f"deleting below {prefix}"):
            failed = list(self.client.remove_objects(self.bucket, gone))
        if failed:
            raise StoreError(
                f"The object store did not delete {failed[0].name}: {failed[0].code}.",
                consequence="It takes room until it does.",
                remedy="Run the store's setup again, for the operator's rights. What is under object lock stays until "
                "its lock ends.",
            )
        return Size(len(found), sum(entry.size or 0 for entry in found))

    def _versions(self, prefix: str) -> Iterator[StoredObject]:
        with store_errors(f"listing {prefix}"):
            yield from self.client.list_objects(
                self.bucket, prefix=prefix, recursive=True, include_version=True
            )


def _is_older(entry: StoredObject, before: datetime) -> bool:
    return entry.last_modified is not None and entry.last_modified < before


MEASURED = ("runs/", "scores/", "reports/", "code/", "data/", "boards/", "ladders/", "audit/")
"""Prefixes of the main bucket: who may list them may not list the whole bucket."""
