"""``alcove manage``: an organizer's decisions about single teams, submissions and phases."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from alcove_cli import terminal
from alcove_cli.options import Competition, Kubeconfig

app = typer.Typer(
    help="Decide: leave out, put back, stop, give quota back, extend. Each decision is in `alcove audit`.",
    invoke_without_command=True,
)
app.callback()(terminal.show_help)
TeamArgument = Annotated[str, typer.Argument(metavar="TEAM", help="The team's namespace.")]
Reason = Annotated[str, typer.Option(help="Why, in one line. Teams see it.")]
OneSubmission = Annotated[str | None, typer.Option(help="Name of one of its submissions; by default all.")]
Phase = Annotated[str | None, typer.Option(help="Name of one phase; by default all.")]


@app.command()
def exclude(
    team: TeamArgument,
    reason: Reason,
    submission: OneSubmission = None,
    phase: Phase = None,
    competition: Competition = "hackathon/hackathon",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Leave a team, or one of its submissions, out of the boards. The board says why."""
    from alcove_api.decisions import Exclusion
    from alcove_cli import decide
    from alcove_kube.client import KubeClient

    kube = KubeClient.from_kubeconfig(kubeconfig)
    decide.find_namespace(kube, competition, team, submission)
    entry = decide.read_entry(Exclusion, team=team, submission=submission, phase=phase, reason=reason)
    decide.change_competition(kube, competition, lambda spec: decide.add_entry(spec, entry))
    typer.echo(
        f"Left out: {team}{f'/{submission}' if submission else ''}. Boards follow within a minute or two."
    )


@app.command()
def reinstate(
    team: TeamArgument,
    submission: OneSubmission = None,
    phase: Phase = None,
    competition: Competition = "hackathon/hackathon",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Put a team, or one of its submissions, back on the boards."""
    from alcove_cli import decide
    from alcove_kube.client import KubeClient

    kube = KubeClient.from_kubeconfig(kubeconfig)
    decide.change_competition(
        kube, competition, lambda spec: decide.remove_exclusion(spec, team, submission, phase)
    )
    typer.echo(
        f"Put back: {team}{f'/{submission}' if submission else ''}. Boards follow within a minute or two."
    )


@app.command()
def stop(
    team: TeamArgument,
    submission: Annotated[str, typer.Argument(metavar="SUBMISSION", help="Name of one of its submissions.")],
    reason: Reason,
    dataset: Annotated[
        str | None, typer.Option(help="Alias of the dataset of one run; by default all runs.")
    ] = None,
    competition: Competition = "hackathon/hackathon",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Stop the runs of a submission for good. What they had saved counts; the place in the quota stays used."""
    from alcove_api.decisions import Cancellation
    from alcove_cli import decide
    from alcove_kube.client import KubeClient

    kube = KubeClient.from_kubeconfig(kubeconfig)
    namespace = decide.find_namespace(kube, competition, team, submission)
    entry = decide.read_entry(
        Cancellation, team=team, submission=submission, dataset=dataset, reason=reason
    )  # fmt: skip
    decide.change_competition(kube, competition, lambda spec: decide.add_entry(spec, entry))
    typer.echo(f"Stopping {team}/{submission}. Follow it: alcove watch {submission} --team {namespace}")


@app.command("give-back")
def give_back(
    team: TeamArgument,
    count: Annotated[int, typer.Argument(min=1, max=1000, help="How many submissions.")],
    reason: Reason,
    day: Annotated[
        str | None,
        typer.Option(help="YYYY-MM-DD or `today` (UTC): may be made that day beyond the limit of a day."),
    ] = None,
    phase: Phase = None,
    competition: Competition = "hackathon/hackathon",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Let a team submit more than the limits say."""
    from alcove_api.decisions import ExtraSubmissions
    from alcove_cli import decide
    from alcove_kube.client import KubeClient

    kube = KubeClient.from_kubeconfig(kubeconfig)
    decide.check_team(kube, team)
    on = f"{datetime.now(UTC):%Y-%m-%d}" if day == "today" else day
    entry = decide.read_entry(ExtraSubmissions, team=team, count=count, day=on, phase=phase, reason=reason)
    decide.change_competition(kube, competition, lambda spec: decide.add_entry(spec, entry))
    when = f" on {on}, or later within the limit of a day" if on else " within the limit of a day"
    typer.echo(f"{team} may make {count} more{when}.")


@app.command()
def extend(
    phase: Annotated[str, typer.Argument(help="Name of a phase.")],
    until: Annotated[
        datetime,
        typer.Argument(help="When it is to close (UTC).", formats=["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M"]),
    ],
    competition: Competition = "hackathon/hackathon",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Let a phase take submissions for longer."""
    from alcove_api.phase_dates import format_time
    from alcove_cli import decide
    from alcove_kube.client import KubeClient

    kube, at = KubeClient.from_kubeconfig(kubeconfig), until.replace(tzinfo=UTC)
    decide.change_competition(
        kube, competition, lambda spec: decide.extend_phase(spec, phase, at, datetime.now(UTC))
    )
    typer.echo(f"The phase {phase} closes at {format_time(at)}.")


def audit(
    competition: Competition = "hackathon/hackathon",
    store: Annotated[
        str | None, typer.Option(help="Endpoint of the store, http://HOST:PORT; by default the Secret's.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every entry as JSON, specs included.")
    ] = False,
    kubeconfig: Kubeconfig = None,
) -> None:
    """List who changed what of a competition, and when."""
    import json

    from alcove_cli.audit_list import describe_entries, read_entries
    from alcove_kube.client import KubeClient

    entries = read_entries(KubeClient.from_kubeconfig(kubeconfig), competition, store)
    if as_json:
        typer.echo(json.dumps([entry.model_dump(mode="json") for entry in entries], indent=2))
        return
    for line in describe_entries(entries):
        typer.echo(line)


def overfitting(
    phase: Annotated[str, typer.Argument(help="A phase that has been revealed.")],
    competition: Competition = "hackathon/hackathon",
    report: Annotated[
        Path | None, typer.Option(help="Write a page with the picture there, such as overfitting.html.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: all submissions, at full precision.")
    ] = False,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Compare the scores that teams saw with those that count, by number of the submission.

    Of a phase with `from` it compares the other phase with this one, else rows that are shown with rows that rank.
    """
    from alcove_cli.overfitting import report_overfitting
    from alcove_kube.client import KubeClient

    kube = KubeClient.from_kubeconfig(kubeconfig)
    for line in report_overfitting(kube, competition, phase, report, as_json=as_json):
        typer.echo(line)
