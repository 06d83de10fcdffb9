"""What people read of a score: report, pictures, live curve, and the copy of the report that its team reads."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from alcove_api import keys
from alcove_api.score_documents import ScorePages, ScoreResult
from alcove_audit.findings import Check, describe
from alcove_audit.reading import EvidenceReader, ReadDocument
from alcove_operator.core import scoring
from alcove_operator.core.model import SubmissionView

_MEANING = (
    "What people read of this score was changed. Score the Submission again: the pages are made of its score."
)
_COPY = "The team reads another report than was made. Copy report.html of its score there again."


@dataclass
class PagesAudit:
    reader: EvidenceReader
    view: SubmissionView
    result: ReadDocument[ScoreResult] | None
    """The score that the status names."""
    shown_as: SubmissionView | None = None
    """Of a rerun whose result its team can see: the Submission that shows it."""
    deleted: bool = False
    """Whether the Submission is gone: then nothing tells whether its scores were ever shown."""

    def check(self, listed: set[str]) -> set[str]:
        """``listed``: keys of all that lies beside the score. Returns those that are pages of it."""
        uid, report, digest = self.view.uid, self.reader.report, self.view.status.scoring_digest
        index = keys.score_pages(uid)
        aliases = [run.dataset for run in self.view.status.runs]
        plain = {keys.report(uid), keys.live_curve(uid), *(keys.score_svg(uid, alias) for alias in aliases)}
        if not digest:
            self._check_copy(None)
            return plain
        runs = self.result.document.runs if self.result else ()
        if index not in listed and not any(run.verdict_sha256 for run in runs):
            # The score is of a scorer that kept no digests of its pages.
            report.leave_out(Check.PAGES, "their digests were not recorded", len(plain & listed))
            return plain
        found = self.reader.document(Check.PAGES, ScorePages, index, _MEANING)
        if found is None:
            return {index, *plain}
        self._check_index(index, found)
        for file in found.document.files:
            key = f"scores/{uid}/{file.path}"
            self.reader.digest(Check.PAGES, key, file.sha256, file.bytes, _MEANING, index)
        self._check_copy(found.document)
        return {index, *(f"scores/{uid}/{file.path}" for file in found.document.files)}

    def _check_index(self, index: str, found: ReadDocument[ScorePages]) -> None:
        """Against the status, which is outside the store."""
        report, status = self.reader.report, self.view.status
        wanted: dict[str, object] = {"submission_uid": self.view.uid, "scoring_digest": status.scoring_digest}
        if found.document.result_sha256 is not None and self.result is not None:
            wanted["result_sha256"] = self.result.document.digest()
        for name, value in wanted.items():
            report.compare(Check.PAGES, index, name, value, getattr(found.document, name), _MEANING)
        if status.pages_sha256:
            expected = describe("sha256 (status.pagesSha256)", status.pages_sha256)
            if found.sha256 == status.pages_sha256:
                report.hold(Check.PAGES)
            else:
                report.differ(Check.PAGES, index, expected, describe("sha256", found.sha256), _MEANING)
        else:
            report.leave_out(Check.PAGES, "no digest in the status")

    def _check_copy(self, pages: ScorePages | None) -> None:
        """The copy for the team: there once the scores may be seen, and not before."""
        key = keys.team_report(self.view.namespace, self.view.uid)
        if pages is None or scoring.is_held_back(self.view.status):
            found = self.reader.source.list_sizes(key)
            self.reader.nothing_else(set(found), set())
            return
        if self.deleted and not self.reader.source.list_sizes(key):
            self.reader.report.leave_out(Check.PAGES, "no copy for the team, of a Submission that is gone")
            return
        made = next((f for f in pages.files if f.path == "report.html"), None)
        # Nobody but the organizer reads what lies in the competition's namespace, so no copy is made there.
        of_team = self.view.spec is None or self.view.namespace != self.view.spec.competition.namespace
        copies = [key] if of_team else []
        if self.shown_as is not None:
            copies.append(keys.team_report(self.shown_as.namespace, self.shown_as.uid))
        if made is not None:
            index = keys.score_pages(self.view.uid)
            for copy in copies:
                self.reader.digest(Check.PAGES, copy, made.sha256, made.bytes, _COPY, index)


def check_reports(reader: EvidenceReader, team: str, known: Collection[str]) -> None:
    """That below a team's reports there is nothing but copies of reports and of output. ``known``: UIDs that are looked
    at anyway."""
    copy = re.compile(
        rf"{re.escape(keys.team_reports(team))}([0-9a-f-]{{1,64}})(?:\.html|/[a-z0-9.-]{{1,40}}\.log)"
    )
    listed = set(reader.source.list_sizes(keys.team_reports(team)))
    accounted = set()
    for key in listed:
        match = copy.fullmatch(key)
        # Of other phases, and of Submissions that are gone, there are their scores.
        if match and (match[1] in known or reader.source.list_sizes(f"scores/{match[1]}/")):
            accounted.add(key)
    reader.nothing_else(listed, accounted)
