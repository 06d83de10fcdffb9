"""What the operator itself does in the object store. All functions block; none touches Kubernetes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, NamedTuple, TypeVar, cast

from minio import Minio
from minio.commonconfig import CopySource
from minio.datatypes import PostPolicy
from minio.deleteobjects import DeleteObject
from pydantic import ValidationError

from alcove_api import keys
from alcove_api.board_documents import AggregateRequest, CountedSubmissions, PhaseActivity
from alcove_api.change_documents import CompetitionChange
from alcove_api.documents import Document
from alcove_api.notifications import NotificationLedger
from alcove_api.run_documents import RepeatedAttempt, Verdict
from alcove_api.score_documents import LiveCurve, ScoreResult
from alcove_api.uploads import FormField, UploadPermit
from alcove_operator.code_archives import UNPACKED_LIMIT, check_archive, config_map_archive
from alcove_operator.core.model import CodeFact
from alcove_operator.core.run_results import drop_cut_line
from alcove_operator.errors import CodeError, OperatorError
from alcove_operator.stored_objects import StoredObjects
from alcove_store import client as store_client
from alcove_store.errors import (
    StoreConflictError,
    StoreError,
    StoreNotFoundError,
)

D = TypeVar("D", bound=Document)
_CHUNK = 1 << 20
ACTIVITY_VERSIONS = 50
"""Of what runs now, that a store keeps at most: it is written whenever a run begins or ends."""
PROBE_BYTES = 1 << 20
"""As a prediction may have: a store with room for a byte may have none for that."""
_DOCUMENT_LIMIT = 16 << 20


@dataclass(frozen=True)
class BoardPlace:
    """One line of a leaderboard."""

    rank: int
    average_rank: float
    team: str


class BoardPlaces(NamedTuple):
    """All lines of a leaderboard."""

    generation: int
    by_uid: Mapping[str, BoardPlace]
    """By the Submissions' UIDs."""


@dataclass(frozen=True)
class OperatorStore:
    """The store under the operator's own credentials, the bucket of everything that counts but solutions, and that of
    uploads."""

    client: Minio
    bucket: str
    uploads: str = keys.UPLOADS_BUCKET
    _activity_writes: Counter[str] = field(default_factory=Counter)
    """By key."""

    @classmethod
    def connect(
        cls,
        config: store_client.StoreConfig,
        patience: float = 30.0,
        retries: int = 1,
        uploads: str = keys.UPLOADS_BUCKET,
    ) -> OperatorStore:
        """``patience``: seconds that an answer is waited for at each try; ``uploads``: that bucket."""
        client = store_client.connect(config, read_timeout=patience, retries=retries)
        return cls(client, config.bucket, uploads)

    def permit_upload(self, key: str, limit: int, expires_at: datetime, endpoint: str) -> UploadPermit:
        """A permit to put one object of at most ``limit`` bytes under ``key``. Nothing is sent anywhere.

        ``endpoint``: of the store, for whoever gets the permit; the signature does not depend on it.
        """
        expires_at = expires_at.replace(microsecond=0)
        policy = PostPolicy(self.uploads, expires_at)
        policy.add_equals_condition("key", key)
        policy.add_content_length_range_condition(1, limit)
        fields = {"key": key, **self.client.presigned_post_policy(policy)}
        return UploadPermit(
            url=store_client.bucket_url(endpoint, self.uploads),
            fields=tuple(FormField(name=name, value=value) for name, value in fields.items()),
            bytes_at_most=limit,
            expires_at=expires_at,
        )

    def write_probe(self, name: str) -> str | None:
        """Writes :data:`PROBE_BYTES` where runs write; returns their version. Raises StoreError."""
        key = keys.probe(name)
        with store_client.store_errors(f"writing {key}"):
            made = self.client.put_object(self.bucket, key, io.BytesIO(bytes(PROBE_BYTES)), PROBE_BYTES)
        version: str | None = made.version_id
        return version

    def delete_probe(self, name: str, version: str | None) -> None:
        """Takes that version of the probe away for good. Raises StoreError."""
        key = keys.probe(name)
        with store_client.store_errors(f"deleting {key}"):
            self.client.remove_object(self.bucket, key, version_id=version)

    def list_uploads(self, prefix: str) -> dict[str, datetime]:
        """Keys in the bucket of uploads, with the time when each came in."""
        with store_client.store_errors(f"listing {prefix}"):
            found = self.client.list_objects(self.uploads, prefix=prefix, recursive=True)
            return {str(entry.object_name): entry.last_modified for entry in found}

    def note_permit(self, key: str) -> None:
        """That a permit for ``key`` was given now: an operator that starts anew has to count it."""
        store_client.put_bytes(self.client, self.uploads, f"{keys.PERMITS}{key}", b"1")

    def list_permits(self) -> dict[str, datetime]:
        """Keys that permits were noted for, with the time of the last."""
        return {key.removeprefix(keys.PERMITS): at for key, at in self.list_uploads(keys.PERMITS).items()}

    def forget_permits(self, ended: Iterable[str]) -> None:
        """Drops the notes for these keys."""
        self.delete_uploads([f"{keys.PERMITS}{key}" for key in ended])

    def delete_uploads(self, gone: Sequence[str]) -> None:
        with store_client.store_errors("deleting uploads"):
            failed = list(self.client.remove_objects(self.uploads, [DeleteObject(key) for key in gone]))
        if failed:
            raise StoreError(
                f"The object store did not delete {failed[0].name}: {failed[0].code}.",
                consequence="It takes room until the next try.",
                remedy="Run the store's setup again: the operator may delete what teams upload.",
            )

    def take_config_map(
        self, name: str, data: Mapping[str, str], binary_data: Mapping[str, str], limit: int
    ) -> CodeFact:
        """Copies the code of a ConfigMap.

        Raises:
            CodeError: what :func:`check_archive` finds, or more than ``limit`` bytes.
            StoreError: the store failed.
        """
        archive = config_map_archive(data, binary_data)
        if len(archive) > limit:
            raise CodeError(
                "BundleTooLarge",
                f"The code in ConfigMap {name} has {len(archive)} bytes packed; {limit} are allowed.",
                remedy="Leave out what the code does not need, and submit again under another name.",
            )
        return self._keep(io.BytesIO(archive), hashlib.sha256(archive).hexdigest(), len(archive))

    def take_bundle(self, namespace: str, sha256: str, limit: int) -> CodeFact:
        """Copies an uploaded bundle; the digest is taken of the copy, so a later upload changes nothing.

        Raises:
            CodeError: absent (which may pass), more than ``limit`` bytes, another digest, or what :func:`check_archive`
                finds.
            StoreError: the store failed.
        """
        key = keys.team_bundle(namespace, sha256)
        digest = hashlib.sha256()
        size = 0
        with tempfile.TemporaryFile() as copy:
            try:
                for piece in store_client.stream(self.client, self.uploads, key, chunk=_CHUNK):
                    size += len(piece)
                    if size > limit:
                        raise CodeError(
                            "BundleTooLarge",
                            f"The bundle {sha256[:12]}… has more than the {limit} bytes that are allowed.",
                            remedy="Make it smaller (pretrained models count); submit it under another name.",
                        )
                    digest.update(piece)
                    copy.write(piece)
            except StoreNotFoundError as error:
                raise CodeError(
                    "CodeMissing",
                    f"There is no uploaded bundle {sha256[:12]}… of team {namespace}.",
                    remedy="Upload it first: `alcove submit` uploads and submits in one step.",
                    wait=True,
                ) from error
            except StoreError as error:
                if error.retriable:
                    raise
                # Such as one that was encrypted by a key of the team's own: it would never be read.
                raise CodeError(
                    "BundleUnreadable",
                    f"The uploaded bundle {sha256[:12]}… cannot be read. {error.cause}",
                    remedy="Submit it under another name, with `alcove submit`.",
                ) from error
            if digest.hexdigest() != sha256:
                raise CodeError(
                    "DigestMismatch",
                    f"The uploaded bundle has the digest {digest.hexdigest()[:12]}…, not {sha256[:12]}….",
                    remedy="Upload it again, and submit with the digest that `alcove submit` prints.",
                )
            copy.seek(0)
            return self._keep(cast(BinaryIO, copy), sha256, size)

    def take_admitted(self, sha256: str) -> CodeFact:
        """The code of a Submission that was admitted before.

        Raises:
            CodeError: it is no longer there.
            StoreError: the store failed.
        """
        if not self.exists(keys.code(sha256)):
            raise CodeError(
                "CodeMissing",
                f"The code {sha256[:12]}… that was admitted before is no longer in the store.",
                remedy="Restore the object's last version, then delete this Submission: it is made again.",
            )
        return CodeFact(accepted=True, sha256=sha256)

    def _keep(self, archive: BinaryIO, sha256: str, size: int) -> CodeFact:
        check_archive(archive, UNPACKED_LIMIT)
        archive.seek(0)
        # Though it may be there: retention may be about to delete the versions of more than a day ago.
        store_client.put_file(self.client, self.bucket, keys.code(sha256), archive, size)
        return CodeFact(accepted=True, sha256=sha256, bytes=size)

    def exists(self, key: str) -> bool:
        try:
            with store_client.store_errors(f"looking for {key}"):
                self.client.stat_object(self.bucket, key)
        except StoreNotFoundError:
            return False
        return True

    def write_verdict(self, verdict: Verdict) -> Verdict:
        """Writes the verdict unless there is one; returns the one that stands. A verdict never changes."""
        key = keys.verdict(verdict.submission_uid, verdict.alias)
        try:
            store_client.put_if_absent(self.client, self.bucket, key, verdict.canonical())
        except StoreConflictError:
            standing = self._read(key, Verdict)
            if standing is not None:
                return standing
            raise
        return verdict

    def list_repeated(self, verdict: Verdict) -> tuple[RepeatedAttempt, ...]:
        """What there is of the attempts before the one that the verdict names, of all where it names none."""
        parent = keys.run_prefix(verdict.submission_uid, verdict.alias)
        found = []
        for prefix in self._list_below(parent):
            attempt, _, pod_uid = prefix.removeprefix(parent).rstrip("/").partition("-")
            if attempt.isdecimal() and pod_uid and pod_uid != verdict.pod_uid:
                found.append(self._repeated(verdict, int(attempt), pod_uid))
        return tuple(sorted(found, key=lambda one: (one.attempt, one.pod_uid)))

    def _repeated(self, verdict: Verdict, attempt: int, pod_uid: str) -> RepeatedAttempt:
        prefix = keys.attempt_prefix(verdict.submission_uid, verdict.alias, attempt, pod_uid)
        last = max(self._list_below(f"{prefix}/rec/"), default=None)
        return RepeatedAttempt(
            attempt=attempt,
            pod_uid=pod_uid,
            head=None if last is None else self._digest(last),
            manifest_sha256=self._digest(keys.manifest(prefix)),
            log_sha256=self._digest(keys.log(prefix)),
        )

    def _digest(self, key: str) -> str | None:
        """SHA-256; None where there is no such object."""
        digest = hashlib.sha256()
        try:
            for piece in store_client.stream(self.client, self.bucket, key, chunk=_CHUNK):
                digest.update(piece)
        except StoreNotFoundError:
            return None
        return digest.hexdigest()

    def _list_below(self, prefix: str) -> list[str]:
        """Keys directly below ``prefix``; of what lies deeper, the common prefixes, which end with a slash."""
        with store_client.store_errors(f"listing {prefix}"):
            return [entry.object_name for entry in self.client.list_objects(self.bucket, prefix=prefix)]

    def verdict(self, submission_uid: str, alias: str) -> Verdict | None:
        """None where there is none."""
        return self._read(keys.verdict(submission_uid, alias), Verdict)

    def write_board_request(self, request: AggregateRequest) -> str:
        """The SHA-256 of what was written under :func:`keys.board_request`."""
        where = (request.competition_namespace, request.competition, request.phase)
        data = request.canonical()
        store_client.put_bytes(self.client, self.bucket, keys.board_request(*where, request.generation), data)
        return hashlib.sha256(data).hexdigest()

    def write_activity(self, namespace: str, competition: str, phase: str, activity: PhaseActivity) -> None:
        """Of what it replaces, a store that keeps versions keeps a few alone."""
        key = keys.board(namespace, competition, phase, "activity.json")
        store_client.put_bytes(self.client, self.bucket, key, activity.canonical())
        self._activity_writes[key] += 1
        if self._activity_writes[key] % ACTIVITY_VERSIONS == 1:
            # What could not be deleted now is tried again.
            with contextlib.suppress(StoreError):
                StoredObjects(self.client, self.bucket).delete_replaced(key)

    def write_counted(
        self, namespace: str, competition: str, phase: str, counted: CountedSubmissions
    ) -> None:
        key = keys.board(namespace, competition, phase, "counted.json")
        store_client.put_bytes(self.client, self.bucket, key, counted.canonical())

    def counted(self, namespace: str, competition: str, phase: str) -> CountedSubmissions | None:
        """None where nothing has counted yet."""
        return self._read(keys.board(namespace, competition, phase, "counted.json"), CountedSubmissions)

    def board_request(
        self, namespace: str, competition: str, phase: str, generation: int
    ) -> AggregateRequest | None:
        """What a board was made of; None where that is no longer there."""
        return self._read(keys.board_request(namespace, competition, phase, generation), AggregateRequest)

    def last_change(self, namespace: str, competition: str) -> tuple[int, CompetitionChange | None]:
        """The newest entry of the audit list, and its number; 0 and None where the list is empty."""
        prefix = keys.changes(namespace, competition)
        with store_client.store_errors(f"listing {prefix}"):
            found = [str(o.object_name) for o in self.client.list_objects(self.bucket, prefix=prefix)]
        if not found:
            return 0, None
        last = max(found)
        return int(last.removeprefix(prefix).removesuffix(".json")), self._read(last, CompetitionChange)

    def write_change(self, namespace: str, competition: str, number: int, change: CompetitionChange) -> None:
        """Adds to the audit list. Raises StoreConflictError where there is an entry of that number."""
        key = keys.change(namespace, competition, number)
        store_client.put_if_absent(self.client, self.bucket, key, change.canonical())

    def publish_report(self, namespace: str, submission_uid: str, shown_as: str = "") -> None:
        """Copies the report to where its team can read it. Raises StoreNotFoundError where there is none.

        ``shown_as``: UID of the Submission that shows it to the team, where that is another.
        """
        source, copy = keys.report(submission_uid), keys.team_report(namespace, shown_as or submission_uid)
        with store_client.store_errors(f"copying {source}"):
            self.client.copy_object(self.bucket, copy, CopySource(self.bucket, source))

    def notification_ledger(self, namespace: str, competition: str) -> NotificationLedger | None:
        """None where there is none yet."""
        return self._read(keys.notification_ledger(namespace, competition), NotificationLedger)

    def write_notification_ledger(self, namespace: str, competition: str, ledger: NotificationLedger) -> None:
        key = keys.notification_ledger(namespace, competition)
        store_client.put_bytes(self.client, self.bucket, key, ledger.canonical())

    def publish_log(self, namespace: str, submission_uid: str, run: str, prefix: str) -> None:
        """Copies all output of a run to where its team can read it. Raises StoreNotFoundError where there is none."""
        source, copy = keys.log(prefix), keys.team_log(namespace, submission_uid, run)
        with store_client.store_errors(f"copying {source}"):
            self.client.copy_object(self.bucket, copy, CopySource(self.bucket, source))

    def live_curve(self, submission_uid: str) -> LiveCurve | None:
        """None where nothing is scored yet."""
        return self._read(keys.live_curve(submission_uid), LiveCurve)

    def score_result(self, submission_uid: str, scoring_digest: str) -> ScoreResult | None:
        return self._read(keys.score_result(submission_uid, scoring_digest), ScoreResult)

    def digest_of_pages(self, submission_uid: str) -> str:
        """SHA-256 of the list of the score's pages; "" where there is none."""
        return self._digest(keys.score_pages(submission_uid)) or ""

    def places(self, namespace: str, competition: str, phase: str) -> BoardPlaces:
        """The whole table of a phase; empty where there is none."""
        key = keys.board(namespace, competition, phase, "table.json")
        try:
            table = store_client.get_json(self.client, self.bucket, key, limit=_DOCUMENT_LIMIT)
        except StoreNotFoundError:
            return BoardPlaces(0, {})
        found = {
            e["submission_uid"]: BoardPlace(e["rank"], e["average_rank"], e["team"]) for e in table["entries"]
        }
        return BoardPlaces(table["generation"], found)

    def log_tail(self, prefix: str, size: int = 700) -> str:
        """The last lines of a run's output, at most ``size`` bytes, as printable text; empty where there is none."""
        # One byte more tells whether it is cut; what is cut is the line that this byte is of.
        data = store_client.read_tail(self.client, self.bucket, keys.log(prefix), size + 1)
        text = data.decode(errors="replace")
        text = drop_cut_line(text) if len(data) > size else text
        return "".join(c for c in text if c in "\n\t" or c.isprintable()).strip()

    def _read(self, key: str, model: type[D]) -> D | None:
        try:
            data = store_client.get_bytes(self.client, self.bucket, key, limit=_DOCUMENT_LIMIT)
        except StoreNotFoundError:
            return None
        try:
            return model.model_validate_json(data)
        except ValidationError as error:
            raise OperatorError(
                f"{key} in the store is not a {model.__name__}.",
                consequence="It was not used.",
                remedy="Check that operator and scorer are of the same version.",
            ) from error
