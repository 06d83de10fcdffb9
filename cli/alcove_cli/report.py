"""``alcove report``: a team's own page, out of the store with the team's own credentials."""

from __future__ import annotations

from pathlib import Path

from alcove_api import keys
from alcove_cli.errors import CommandError, FailedError
from alcove_cli.exchange import TEAM_SECRET, StoreAccess
from alcove_cli.explain import find_condition_reason, read_status
from alcove_cli.pages import save_page
from alcove_kube.client import KubeClient, Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import SUBMISSIONS
from alcove_store.errors import StoreNotFoundError


def fetch_report(kube: KubeClient, team: str, name: str, endpoint: str | None, out: Path | None) -> Path:
    """Writes the page of one submission.

    Args:
        team: its namespace.
        endpoint: address of the store, in place of the one in the team's Secret.
        out: file; by default NAME.html in the working directory.

    Raises:
        CommandError: no such submission, or the file cannot be written.
        FailedError: there is no page yet, or the store cannot be reached.
    """
    try:
        submission = kube.get(SUBMISSIONS, team, name)
    except ApiError as error:
        if not error.not_found:
            raise
        raise CommandError(
            f"There is no Submission {name} in {team}. To see those that there are: kubectl get submissions -n {team}"
        ) from error
    access = StoreAccess.of_secret(kube, team, TEAM_SECRET, endpoint)
    key = keys.team_report(team, submission["metadata"]["uid"])
    try:
        with access.reach() as store:
            return save_page(store, access.bucket, key, out or Path(f"{name}.html"))
    except StoreNotFoundError as error:
        raise FailedError(f"There is no page of {team}/{name}. {explain_missing(submission)}") from error


def explain_missing(submission: Object) -> str:
    """Why a team finds no page of its submission, and what to do."""
    status = read_status(submission)
    if status.phase == "Rejected":
        return "It was rejected and never ran. To see why: alcove explain."
    if status.phase not in ("Done", "Failed"):
        return "It is made once all runs have ended and are scored."
    if find_condition_reason(status, "Scored") == "HeldBack":
        return "Scores of this phase, and the page with them, are shown from its reveal on: alcove phases."
    if find_condition_reason(status, "Scored") == "NothingToScore":
        return "No run started, so there was nothing to show. To see why: alcove explain."
    return "Ask the organizer, who can read the store: alcove pages."
