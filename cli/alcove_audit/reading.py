"""Reads one object of the evidence and says what is wrong with it: missing, other bytes, or no such document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import ValidationError

from alcove_api.documents import Document
from alcove_audit.findings import MISSING, AuditReport, Check
from alcove_audit.source import DigestedPieces, EvidenceSource
from alcove_scorer.errors import first_fault
from alcove_store.errors import StoreNotFoundError

DOCUMENT_BYTES = 64 << 20
"""Of a document, at most."""
D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class ReadDocument(Generic[D]):
    document: D
    sha256: str
    """Of its bytes."""


def as_written(document: Document) -> bytes:
    """The bytes that a document was read from, if they were the canonical form.

    Fields that they did not have, because they are older than those fields, are left out again.
    """
    fields = document.model_dump(mode="json", exclude_unset=True)
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass
class EvidenceReader:
    """The source and the report of one audit. What many runs share is looked at once."""

    source: EvidenceSource
    report: AuditReport
    _digests_checked: set[str] = field(default_factory=set)

    def pieces(self, key: str) -> Iterator[bytes]:
        """Raises StoreNotFoundError."""
        for piece in self.source.read(key):
            self.report.progress(len(piece))
            yield piece

    def fetch(self, key: str) -> bytes | None:
        """None where there is none. Of what is larger than a document can be, the beginning, which is none either."""
        data = bytearray()
        try:
            for piece in self.pieces(key):
                data += piece
                if len(data) > DOCUMENT_BYTES:
                    break
        except StoreNotFoundError:
            return None
        return bytes(data)

    def document(
        self,
        check: Check,
        kind: type[D],
        key: str,
        meaning: str,
        sha256: str | None = None,
    ) -> ReadDocument[D] | None:
        """None, and a finding, where it is missing or no such document. ``sha256``: of its bytes, if known."""
        data = self.fetch(key)
        if data is None:
            self.report.differ(check, key, f"a {kind.__name__}", MISSING, meaning)
            return None
        found = hashlib.sha256(data).hexdigest()
        try:
            document = kind.model_validate_json(data)
        except ValidationError as error:
            field_name, fault = first_fault(error)
            said = f"field {field_name!r}: {fault}" if field_name else fault
            self.report.differ(check, key, f"a {kind.__name__}", said, meaning)
            return None
        if sha256 is not None and found != sha256:
            self.report.differ(check, key, f"sha256 {sha256}", f"sha256 {found}", meaning)
        elif as_written(document) != data:
            self.report.differ(
                check, key, "the canonical form, which digests are taken of", "another one", meaning
            )
        else:
            self.report.hold(check)
        return ReadDocument(document, found)

    def digest(
        self, check: Check, key: str, sha256: str, size: int | None, meaning: str, listed_in: str = ""
    ) -> bool:
        """Whether the object has this digest and, where it is known, this size; looked at once for all who ask.

        ``listed_in``: the object that says so, where it may be the one that was changed.
        """
        by = f" (by {listed_in})" if listed_in else ""
        if key in self._digests_checked:
            return True
        self._digests_checked.add(key)
        pieces = DigestedPieces(self.pieces(key), limit=size if size is not None else 1 << 62)
        try:
            for _ in pieces:
                pass
        except StoreNotFoundError:
            self.report.differ(check, key, f"sha256 {sha256}{by}", MISSING, meaning)
            return False
        if size is not None and pieces.size != size:
            found = f"more than {size} bytes" if pieces.size > size else f"{pieces.size} bytes"
            self.report.differ(check, key, f"{size} bytes{by}", found, meaning)
            return False
        if pieces.sha256 != sha256:
            self.report.differ(check, key, f"sha256 {sha256}{by}", f"sha256 {pieces.sha256}", meaning)
            return False
        self.report.hold(check)
        return True

    def nothing_else(self, listed: set[str], known: set[str]) -> None:
        """A finding for each object that nothing accounts for."""
        for key in sorted(listed - known):
            self.report.differ(
                Check.EXTRA,
                key,
                "no such object",
                "one that was added",
                "Neither a run, nor a score, nor a board has it: somebody put it there.",
            )
        self.report.hold(Check.EXTRA, len(listed & known))
