"""What is known of a run once it is over, from outside it: the Submission's status and what the store holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from alcove_api.run_documents import Manifest, Record
from alcove_api.score_documents import ScoreResult
from alcove_kube.client import Object


@dataclass(frozen=True)
class Written:
    """What a program said right before a file of its came to hold these bytes."""

    name: str
    sha256: str
    at: float
    """Seconds since the go."""


@dataclass(frozen=True)
class Evidence:
    """One Submission of an attack."""

    name: str
    """Of the Submission."""
    status: Object
    manifest: Manifest | None = None
    log: str = ""
    """All that the recorder kept of its output."""
    result: ScoreResult | None = None
    readable: Mapping[str, str] = field(default_factory=dict)
    """Of an attack in a blind phase: all that its team could read, by where it was read."""
    canary: str = ""
    """What a program can only know from hidden features."""

    @property
    def run(self) -> Object:
        """Status of its only run; {} while there is none."""
        runs = self.status.get("runs") or [{}]
        found: Object = runs[0]
        return found

    @property
    def records(self) -> tuple[Record, ...]:
        return () if self.manifest is None else self.manifest.records

    @property
    def accepted(self) -> tuple[Record, ...]:
        return tuple(record for record in self.records if record.refused is None)

    def said(self, case: str) -> str | None:
        """What the program reported of a case; None where it did not get to that."""
        found = re.search(rf"^ATTACK {re.escape(case)} (.*)$", self.log, re.M)
        return None if found is None else found[1].strip()

    def written(self, name: str) -> list[Written]:
        """In order of time."""
        lines = re.findall(rf"^WROTE {re.escape(name)} (\w{{64}}) ([\d.]+)$", self.log, re.M)
        return [Written(name, sha256, float(at)) for sha256, at in lines]
