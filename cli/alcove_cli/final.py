"""``alcove final`` and ``alcove rerun``: phases that take their submissions from another, for the organizer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from alcove_api.phase import Phase
from alcove_cli.competitions import find_phase, parse_competition_object
from alcove_cli.errors import CommandError, FailedError
from alcove_kube.client import KubeClient, Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS, SUBMISSIONS
from alcove_operator.core import parse_objects, reruns
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.core.status import ENDED
from alcove_scorer.text_tables import fold_table
from alcove_scorer.written_text import shorten_name

POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Final:
    """A phase with ``from``, as the organizer sees it."""

    kube: KubeClient
    competition: CompetitionView
    phase: Phase

    @classmethod
    def read(cls, kube: KubeClient, namespace: str, name: str, phase: str) -> Final:
        """Raises CommandError where there is no such phase, or teams submit to it themselves."""
        view = parse_competition_object(kube.get(COMPETITIONS, namespace, name))
        found = find_phase(view, phase)
        if found.from_ is None:
            said = f"Teams submit to the phase {phase} themselves"
            raise CommandError(f"{said}: this command is for a phase with `from`.")
        return cls(kube, view, found)

    @property
    def source(self) -> str:
        return self.phase.from_.phase if self.phase.from_ else ""

    def submissions(self) -> list[SubmissionView]:
        """All in the competition's namespace."""
        raw = self.kube.find_all(SUBMISSIONS, self.competition.namespace)
        return [parse_objects.submission_view(found) for found in raw]

    def reruns(self, team: str | None = None) -> list[SubmissionView]:
        return reruns.list_reruns(self.submissions(), self.phase.name, team)

    def open(self) -> None:
        """From now on the operator makes the reruns. Raises CommandError where it has opened already."""
        if reruns.is_open(self.phase, datetime.now(UTC)):
            raise CommandError(f"The phase {self.phase.name} is open since {self.phase.opens_at}.")
        place = next(i for i, p in enumerate(self.competition.spec.phases) if p.name == self.phase.name)
        at = f"/spec/phases/{place}"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        patch: list[Object] = [
            {"op": "test", "path": f"{at}/name", "value": self.phase.name},
            {"op": "add", "path": f"{at}/opensAt", "value": now},
        ]
        self.kube.patch(COMPETITIONS, self.competition.namespace, self.competition.name, patch)

    def rehearse(self, again: bool = False) -> list[str]:
        """Runs every baseline of the other phase in this one, though it is not open; names of what was made.

        One that ran here before and had a fault of the platform, or ran by other code, is run once more.

        Args:
            again: whether all are run once more. A dataset may have been repaired, which nothing of a run tells.

        Raises:
            CommandError: there is no baseline, or one that is to be run again is still under way.
        """
        baselines = [
            view
            for view in self.submissions()
            if view.baseline and view.original is None and view.spec and view.spec.phase == self.source
        ]
        ready = [view for view in baselines if view.status.admitted_at is not None]
        if not ready:
            raise CommandError(
                f"There is no admitted baseline in the phase {self.source}. Apply one in the namespace "
                f"{self.competition.namespace}: a Submission as a team's, for that phase."
            )
        reruns = self.reruns(self.competition.namespace)
        before = {view.name: [rerun for rerun in reruns if rerun.baseline == view.name] for view in ready}
        due = [v for v in ready if again or not before[v.name] or _is_due(before[v.name][-1], v)]
        for view in due:
            _check_ended(before[view.name])
        return [self._make(view, len(before[view.name]) + 1) for view in due]

    def run_again(self, team: str) -> str:
        """Name of the Submission that runs the team once more. Raises CommandError where no fault is the platform's."""
        before = self.reruns(team)
        if not before:
            known = sorted({rerun.team for rerun in self.reruns()})
            said = f"The phase {self.phase.name} has run nothing of {team}"
            raise CommandError(f"{said}. It has run: {', '.join(known) or 'nothing yet'}.")
        last = before[-1]
        _check_ended(before)
        if not _is_platforms(last):
            causes = ", ".join(f"{run.dataset} {run.cause}" for run in last.status.runs)
            raise CommandError(
                f"No run of {last.name} was lost by the platform's fault ({causes}), so another would be a second "
                "chance that no other team has."
            )
        return self._make(last, len(before) + 1)

    def _make(self, view: SubmissionView, number: int) -> str:
        """``view``: what is run again, or what ran it before."""
        rerun = reruns.build_rerun(self.phase.name, view, number)
        if rerun is None:
            raise FailedError(f"{view.name} has no code that was admitted, so it cannot be run again.")
        body: Object = {
            "apiVersion": SUBMISSIONS.api_version,
            "kind": "Submission",
            "metadata": {"name": rerun.name, "namespace": self.competition.namespace},
            "spec": rerun.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        try:
            self.kube.create(SUBMISSIONS, self.competition.namespace, body)
        except ApiError as error:
            if not error.conflict:
                raise
            raise FailedError(f"{rerun.name} is there already: another command was faster.") from error
        return rerun.name

    def wait(self, names: list[str], say: Callable[[str], None], timeout: float) -> None:
        """Until all have ended. Raises FailedError after ``timeout`` seconds."""
        end, told = time.monotonic() + timeout, ""
        while True:
            found = [view for view in self.reruns() if view.name in names]
            left = [view for view in found if view.status.phase not in ENDED]
            if found and not left:
                return
            said = f"{len(names) - len(left)} of {len(names)} have ended."
            if said != told:
                say(said)
                told = said
            if time.monotonic() > end:
                raise FailedError(f"{len(left)} have not ended after {timeout:g} s; they go on.")
            time.sleep(POLL_SECONDS)

    def describe(self) -> Iterator[str]:
        """Lines for people: when it opens and reveals, and how each rerun goes."""
        now, phase = datetime.now(UTC), self.phase
        if reruns.is_open(phase, now):
            yield f"{phase.name} is open since {phase.opens_at:%Y-%m-%d %H:%M:%S} UTC: it runs what counted then."
        elif phase.opens_at:
            yield f"{phase.name} opens at {phase.opens_at:%Y-%m-%d %H:%M:%S} UTC."
        else:
            yield f"{phase.name} has no opensAt. To open it: alcove final {phase.name} --open"
        found = self.reruns()
        if not found:
            yield "Nothing has been run in it yet."
            return
        rows = [["WHOSE", "SUBMISSION", "STATE", "SCORE", "CAUSE", "SCORES"]]
        rows += [
            [
                shorten_name(f"{view.baseline} (baseline)" if view.baseline else view.team, 24),
                shorten_name(view.name, 24),
                view.status.phase or "Waiting",
                view.status.score,
                view.status.cause,
                view.status.scores,
            ]
            for view in found
        ]
        for table in fold_table(rows, 2):
            yield from table


def _check_ended(reruns: list[SubmissionView]) -> None:
    """Raises CommandError where the last is still under way."""
    for last in reruns[-1:]:
        if last.status.phase not in ENDED:
            state = last.status.phase or "Waiting"
            raise CommandError(f"{last.name} is still under way ({state}): wait until it has ended.")


def _is_platforms(view: SubmissionView) -> bool:
    return any(run.charged_to == "Platform" and run.phase == "Failed" for run in view.status.runs)


def _is_due(before: SubmissionView, baseline: SubmissionView) -> bool:
    return _is_platforms(before) or before.status.code_sha256 not in ("", baseline.status.code_sha256)
