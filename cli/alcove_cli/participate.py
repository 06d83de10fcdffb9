"""Commands of a team beside submitting: to start, to look at what there is, and to stop a submission."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alcove_api.phase import explain_missing_phase
from alcove_cli.errors import CommandError, FailedError
from alcove_cli.init import Template, describe_next_steps, make_submission
from alcove_cli.options import Competition, Kubeconfig, Store, Team
from alcove_cli.terminal import echo_prose

if TYPE_CHECKING:
    from alcove_kube.client import Object

Submission = Annotated[str, typer.Argument(help="Name of a Submission.")]
Dataset = Annotated[str | None, typer.Option(help="Of one dataset alone, by its alias.")]
_LOOK_SECONDS = 5.0


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to make; its name is that of the Submission.")],
    template: Annotated[Template, typer.Option(help="What the code learns with.")] = "numpy",
) -> None:
    """Make a folder with a submission that works, to start from."""
    for path in make_submission(folder, template):
        typer.echo(str(path))
    for line in describe_next_steps(folder, template):
        typer.echo(line)


def status(
    name: Annotated[
        str | None, typer.Argument(help="Name of a Submission; by default all of the team.")
    ] = None,
    phase: Annotated[str | None, typer.Option(help="Of one phase of the competition alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Submissions to list at most, the newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print the objects as JSON.")] = False,
    team: Team = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print where the team's submissions are, or one submission with its runs."""
    from alcove_cli.status import describe_status, tabulate_submissions
    from alcove_cli.team import choose_team
    from alcove_kube.client import KubeClient
    from alcove_kube.resources import SUBMISSIONS

    kube, namespace = KubeClient.from_kubeconfig(kubeconfig), choose_team(team, kubeconfig)
    found = [kube.get(SUBMISSIONS, namespace, name)] if name else kube.find_all(SUBMISSIONS, namespace)
    found = [submission for submission in found if phase in (None, submission["spec"]["phase"])]
    now, width = datetime.now(UTC), shutil.get_terminal_size((100, 20)).columns
    if as_json:
        typer.echo(json.dumps(found[0] if name and found else found, indent=2))
    elif not found:
        of = f" in the phase {phase}" if phase else ""
        typer.echo(f"{namespace} has no submission{of}. To hand one in: alcove submit FOLDER")
    elif name:
        typer.echo("\n".join(describe_status(found[0], now, width)))
    else:
        typer.echo("\n".join(tabulate_submissions(found, now, limit, width)))


def upload(
    name: Submission,
    source: Annotated[Path, typer.Argument(help="The folder that was submitted, or its .tar.gz.")],
    team: Team = None,
    store: Store = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Upload the bundle that a submission waits for: after `kubectl apply`, or where an upload broke off."""
    from alcove_cli.team import choose_team
    from alcove_cli.upload import upload_folder
    from alcove_kube.client import KubeClient

    kube = KubeClient.from_kubeconfig(kubeconfig)
    sent = upload_folder(kube, choose_team(team, kubeconfig), name, source, store)
    echo_prose(
        f"{name} has its bundle." if sent else f"{name} waits for no upload. See: alcove explain {name}"
    )


def logs(
    name: Submission,
    dataset: Dataset = None,
    full: Annotated[bool, typer.Option("--full", help="All of it, where the phase allows that.")] = False,
    team: Team = None,
    store: Store = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print the end of what each run of a submission printed, or all of it, where the phase shows it."""
    from alcove_cli.results import choose_runs, describe_logs

    submission = _read_submission(name, team, kubeconfig)
    runs = choose_runs(submission, dataset)
    if full:
        from alcove_cli.full_logs import read_full_logs
        from alcove_kube.client import KubeClient

        kube = KubeClient.from_kubeconfig(kubeconfig)
        for line in read_full_logs(kube, submission, runs, store):
            typer.echo(line)
        return
    for line in describe_logs(runs):
        typer.echo(line)


def curves(
    name: Submission, dataset: Dataset = None, team: Team = None, kubeconfig: Kubeconfig = None
) -> None:
    """Print the learning curve of each run of a submission, as far as the phase shows it."""
    from alcove_cli.explain import read_status
    from alcove_cli.results import choose_runs, describe_curves

    submission = _read_submission(name, team, kubeconfig)
    for line in describe_curves(choose_runs(submission, dataset), read_status(submission)):
        typer.echo(line)


def _read_submission(name: str, team: str | None, kubeconfig: str | None) -> Object:
    from alcove_cli.team import choose_team
    from alcove_kube.client import KubeClient
    from alcove_kube.resources import SUBMISSIONS

    return KubeClient.from_kubeconfig(kubeconfig).get(SUBMISSIONS, choose_team(team, kubeconfig), name)


def quota(
    competition: Competition = "hackathon/hackathon", team: Team = None, kubeconfig: Kubeconfig = None
) -> None:
    """Say how many submissions the team has used, today and in all."""
    from alcove_cli.boards import read_boards
    from alcove_cli.results import describe_quota
    from alcove_cli.team import choose_team
    from alcove_kube.client import KubeClient
    from alcove_kube.resources import SUBMISSIONS

    kube = KubeClient.from_kubeconfig(kubeconfig)
    submissions = kube.find_all(SUBMISSIONS, choose_team(team, kubeconfig))
    boards = read_boards(kube, competition)
    echo_prose(describe_quota(submissions, boards, competition, datetime.now(UTC)))


def leaderboard(
    phase: Annotated[str | None, typer.Argument(help="Name of a phase; by default all.")] = None,
    competition: Competition = "hackathon/hackathon",
    watch: Annotated[bool, typer.Option("--watch", help="Print it again whenever it changes.")] = False,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print the ranks of a phase, or of all phases."""
    from alcove_cli.boards import read_boards
    from alcove_cli.results import describe_boards
    from alcove_kube.client import KubeClient

    kube = KubeClient.from_kubeconfig(kubeconfig)
    shown = ""
    while True:
        boards = read_boards(kube, competition)
        text = describe_boards(boards, phase)
        if not text:
            known = sorted(board["spec"]["phase"] for board in boards)
            raise CommandError(explain_missing_phase(competition, phase or "", known))
        if text != shown:
            typer.echo(f"{datetime.now(UTC):%H:%M:%S} UTC\n{text}\n" if watch else text)
            shown = text
        if not watch:
            return
        time.sleep(_LOOK_SECONDS)


def cancel(
    name: Submission,
    team: Team = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Stop a submission that has not ended, and delete it. Its place in the quota stays used."""
    from alcove_cli.results import cancel_submission
    from alcove_cli.team import choose_team
    from alcove_kube.client import KubeClient

    kube, namespace = KubeClient.from_kubeconfig(kubeconfig), choose_team(team, kubeconfig)
    if not yes:
        typer.confirm(
            f"Stop {namespace}/{name} and delete it? Its place in the quota stays used.", abort=True
        )
    cancel_submission(kube, namespace, name)
    typer.echo(f"Stopped {namespace}/{name}.")


def doctor(
    competition: Competition = "hackathon/hackathon",
    team: Team = None,
    store: Store = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Check what a team needs: the tools here, the kubeconfig, rights, and the store. Exit status 1 if one fails."""
    from alcove_cli.doctor import Surroundings, examine

    failed = 0
    for found in examine(Surroundings(kubeconfig, team, competition, store)):
        typer.echo(f"{'ok  ' if found.is_good else 'FAIL'} {found.text}")
        failed += not found.is_good
    if failed:
        raise FailedError(f"{failed} of the checks failed.")
