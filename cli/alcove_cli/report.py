"""``alcove report``: a team's own page, out of the store with the team's own credentials."""

from __future__ import annotations

from pathlib import Path

from alcove_api import keys
from alcove_api.origin import identify
from alcove_cli.boards import find_board_url, read_boards
from alcove_cli.errors import CommandError, FailedError
from alcove_cli.exchange import TEAM_SECRET, StoreAccess
from alcove_cli.explain import find_condition_reason, read_status
from alcove_cli.pages import save_page
from alcove_kube.client import KubeClient, Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import SUBMISSIONS
from alcove_store.errors import StoreNotFoundError

_WITHOUT_PAGE = ("HeldBack", "NothingToScore")
"""Reasons of the condition Scored with which there is no page, though all runs have ended."""


def make_report_link(kube: KubeClient, team: str, name: str, hours: int) -> str:
    """The address of one submission's page at the web server of boards, signed by the team's own credentials.

    Nothing is sent to the store: whoever has the link has the team's right to this page, for ``hours``.

    Raises:
        CommandError: no such submission.
        FailedError: there is no page yet, or the server has no public address.
    """
    submission = read_submission(kube, team, name)
    status = read_status(submission)
    if status.phase not in ("Done", "Failed") or find_condition_reason(status, "Scored") in _WITHOUT_PAGE:
        raise FailedError(f"There is no page of {team}/{name}. {explain_missing(submission)}")
    reference = submission["spec"]["competition"]
    boards = read_boards(kube, f"{reference['namespace']}/{reference['name']}")
    url = find_board_url(boards)
    if not url:
        raise FailedError(
            "The web server of boards has no public address, so no link can be made.",
            remedy="Ask the organizer to set board.publicUrl, or fetch the page: alcove report without --link.",
        )
    access = StoreAccess.of_secret(kube, team, TEAM_SECRET, None)
    return f"{url}{access.sign_report(team, identify(submission), hours)}"


def fetch_report(kube: KubeClient, team: str, name: str, endpoint: str | None, out: Path | None) -> Path:
    """Writes the page of one submission.

    Args:
        team: its namespace.
        endpoint: address of the store, in place of the one in the team's Secret.
        out: file; by default NAME.html in the working directory.

    Raises:
        CommandError: no such submission, or the file cannot be written.
        FailedError: there is no page yet.
        FaultError: the store cannot be reached.
    """
    submission = read_submission(kube, team, name)
    access = StoreAccess.of_secret(kube, team, TEAM_SECRET, endpoint)
    key = keys.team_report(team, identify(submission))
    try:
        with access.reach() as store:
            return save_page(store, access.bucket, key, out or Path(f"{name}.html"))
    except StoreNotFoundError as error:
        raise FailedError(f"There is no page of {team}/{name}. {explain_missing(submission)}") from error


def read_submission(kube: KubeClient, team: str, name: str) -> Object:
    """Raises CommandError where there is none of that name."""
    try:
        return kube.get(SUBMISSIONS, team, name)
    except ApiError as error:
        if not error.not_found:
            raise
        raise CommandError(
            f"There is no Submission {name} in {team}. To see those that there are: kubectl get submissions -n {team}"
        ) from error


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
