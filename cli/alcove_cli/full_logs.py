"""``alcove logs --full``: all output of a team's own runs, out of the store with the team's own credentials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alcove_api import keys
from alcove_api.origin import identify
from alcove_api.submission import RunStatus, explain_pruned
from alcove_cli.errors import FailedError
from alcove_cli.exchange import TEAM_SECRET, StoreAccess
from alcove_cli.explain import find_condition_reason, read_status
from alcove_kube.client import KubeClient, Object
from alcove_store.client import get_bytes
from alcove_store.errors import StoreNotFoundError


def read_full_logs(
    kube: KubeClient, submission: Object, runs: Sequence[RunStatus], endpoint: str | None
) -> Iterator[str]:
    """A heading for each run, then what it printed; ``endpoint``: of the store, in place of the Secret's.

    Raises:
        FailedError: no output of any of the runs is there, or the store cannot be reached.
    """
    team, name = submission["metadata"]["namespace"], submission["metadata"]["name"]
    access = StoreAccess.of_secret(kube, team, TEAM_SECRET, endpoint)
    found = 0
    with access.reach() as store:
        for run in runs:
            key = keys.team_log(team, identify(submission), run.dataset)
            try:
                text = get_bytes(store, access.bucket, key).decode(errors="replace")
            except StoreNotFoundError:
                continue
            found += 1
            yield f"==> {run.dataset} ({run.phase}{f', {run.cause}' if run.cause else ''})"
            # What a program prints must not write to the terminal: only text, line ends and tabs pass.
            yield "".join(c for c in text if c in "\n\t" or c.isprintable()).rstrip()
    if not found:
        raise FailedError(f"There is no full output of {team}/{name}. {explain_missing(submission)}")


def explain_missing(submission: Object) -> str:
    status = read_status(submission)
    if status.phase not in ("Done", "Failed", "Rejected"):
        return "It can be fetched once all runs have ended and are scored."
    if pruned := explain_pruned(status, "logs"):
        return f"It was {pruned}."
    if find_condition_reason(status, "Scored") == "HeldBack":
        return "Output of this phase can be fetched from its reveal on: alcove phases."
    return "The phase shows the end of it at most (alcove logs), or it printed nothing."
