"""``alcove`` and, as a plugin, ``kubectl alcove``: one Typer application, a module a group of commands.

Imports of the heavy parts happen inside the commands, so that ``alcove --help`` answers at once.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alcove_api.errors import AlcoveError
from alcove_cli import terminal
from alcove_cli.errors import exit_status
from alcove_cli.examples import add_examples
from alcove_cli.local import FrameworkOption
from alcove_cli.options import Competition, CompetitionArgument, Kubeconfig, Store, Team, parse_competition

if TYPE_CHECKING:
    from alcove_kube.client import KubeClient

app = typer.Typer(
    name="alcove",
    help="Any-time learning challenges on Kubernetes: try, submit, score.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    # Plain help: tables of three narrow columns are hard to read, and brackets would be taken for markup.
    rich_markup_mode=None,
)

board_app = typer.Typer(help="Boards in a browser.", invoke_without_command=True)
board_app.callback()(terminal.show_help)
app.add_typer(board_app, name="board")
team_app = typer.Typer(help="Teams: make what they need to take part.", invoke_without_command=True)
team_app.callback()(terminal.show_help)
app.add_typer(team_app, name="team")
UsageError: Any = typer.BadParameter.__base__
"""Of an option or a command that is not there, too; typer has no other public name for it."""
Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=terminal.show_version, help="Print the version.")
]


@app.callback()
def describe(ctx: typer.Context, version: Version = False) -> None:
    """Any-time learning challenges on Kubernetes: try, submit, score."""
    del version
    terminal.show_help(ctx)


@app.command()
def submit(
    folder: Annotated[Path, typer.Argument(help="Folder with model.py at its top.")],
    team: Team = None,
    competition: Competition = "hackathon/hackathon",
    phase: Annotated[str, typer.Option(help="Phase to submit to.")] = "practice",
    name: Annotated[
        str | None, typer.Option(help="Name of the Submission; by default the folder's with a number.")
    ] = None,
    framework: FrameworkOption = None,
    store: Annotated[str | None, typer.Option(help="Endpoint for large bundles, http://HOST:PORT.")] = None,
    watch: Annotated[bool, typer.Option(help="Follow it until it has ended.")] = False,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Hand in a folder of code."""
    from alcove_cli.submit import Target, submit_folder
    from alcove_cli.team import choose_team
    from alcove_kube.client import KubeClient

    team = choose_team(team, kubeconfig)
    kube = KubeClient.from_kubeconfig(kubeconfig)
    created = submit_folder(kube, folder, Target(competition, phase, team, framework), name, store)
    made = created["metadata"]["name"]
    typer.echo(f"Submitted {team}/{made}. Follow it: kubectl get submission {made} -n {team} --watch")
    if watch:
        _follow(kube, [(team, made)], 7 * 86400)


@app.command()
def watch(
    name: Annotated[str, typer.Argument(help="Name of a Submission.")],
    team: Team = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.")] = 86400.0,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Follow a submission until it has ended; exit status 1 if it failed or was rejected."""
    from alcove_cli.team import choose_team
    from alcove_kube.client import KubeClient

    _follow(KubeClient.from_kubeconfig(kubeconfig), [(choose_team(team, kubeconfig), name)], timeout)


@app.command()
def phases(
    competition: CompetitionArgument = "hackathon/hackathon",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say what the phases of a competition are: dates, budget, resources, limits, and who leads."""
    from datetime import UTC, datetime

    from alcove_cli.boards import read_boards
    from alcove_cli.phases import describe_phases
    from alcove_kube.client import KubeClient

    boards = read_boards(KubeClient.from_kubeconfig(kubeconfig), competition)
    name = parse_competition(competition)[1]
    terminal.echo_prose(describe_phases(boards, name, datetime.now(UTC)))


@app.command()
def images(
    everything: Annotated[
        bool, typer.Option("--all", help="Every package, those that others need, too.")
    ] = False,
) -> None:
    """Say what the images hold that run a model.py: Python and packages."""
    from alcove_cli.images import describe_images

    for line in describe_images(everything):
        typer.echo(line)


@app.command()
def explain(
    name: Annotated[str, typer.Argument(help="Name of a Submission.")],
    team: Team = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say what became of a submission and what to do about it."""
    from alcove_cli.explain import explain_submission
    from alcove_cli.team import choose_team
    from alcove_kube.client import KubeClient
    from alcove_kube.resources import SUBMISSIONS

    kube = KubeClient.from_kubeconfig(kubeconfig)
    terminal.echo_prose(explain_submission(kube.get(SUBMISSIONS, choose_team(team, kubeconfig), name)))


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="Name of a Submission.")],
    team: Team = None,
    out: Annotated[Path | None, typer.Option(help="File to write; by default NAME.html here.")] = None,
    link: Annotated[
        bool,
        typer.Option("--link", help="Print a link to it instead: whoever has the link can read the page."),
    ] = False,
    hours: Annotated[int, typer.Option(min=1, max=168, help="How long the link is good for.")] = 24,
    store: Store = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Fetch the page of a submission of your team: curves, where the time went, what was refused."""
    from alcove_cli.report import fetch_report, make_report_link
    from alcove_cli.team import choose_team
    from alcove_kube.client import KubeClient

    kube = KubeClient.from_kubeconfig(kubeconfig)
    if link:
        typer.echo(make_report_link(kube, choose_team(team, kubeconfig), name, hours))
        return
    typer.echo(str(fetch_report(kube, choose_team(team, kubeconfig), name, store, out)))


@board_app.command("open")
def open_board(
    phase: Annotated[str | None, typer.Argument(help="Name of a phase; by default the list of all.")] = None,
    competition: Competition = "hackathon/hackathon",
    only_print: Annotated[bool, typer.Option("--print", help="Print the address alone.")] = False,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Open the board of a phase in a browser, where it has a public address."""
    from alcove_cli.boards import find_page
    from alcove_kube.client import KubeClient

    url = find_page(KubeClient.from_kubeconfig(kubeconfig), competition, phase)
    typer.echo(url)
    if not only_print:
        typer.launch(url)


@team_app.command("kubeconfig")
def team_kubeconfig(
    name: Annotated[str, typer.Argument(help="Name of the team in the release's values, or its namespace.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write; by default NAMESPACE.kubeconfig here.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=365, help="How long it is valid, at most.")] = 30,
    server: Annotated[
        str | None, typer.Option(help="Address of the API server for the team; by default yours.")
    ] = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Write the kubeconfig of a team: with it the team submits, and sees its own results and the boards."""
    from alcove_cli.team import make_team_kubeconfig
    from alcove_kube.client import KubeClient

    kube = KubeClient.from_kubeconfig(kubeconfig)
    path, namespace, expires_at = make_team_kubeconfig(kube, name, out, days, server)
    typer.echo(
        f"Wrote {path}, valid until {expires_at:%Y-%m-%d %H:%M} UTC. Whoever has it acts as {namespace}."
    )
    typer.echo(f"For the team: export KUBECONFIG={path.name}; kubectl get submissions")


@app.command()
def pages(
    out: Annotated[Path, typer.Argument(help="Folder to write to.")] = Path("pages"),
    namespace: Annotated[str, typer.Option(help="The competition's namespace.")] = "hackathon",
    store: Store = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Fetch the board of each phase and the report of each submission: pages that open without a network."""
    from alcove_cli.pages import fetch_pages
    from alcove_kube.client import KubeClient

    for path in fetch_pages(KubeClient.from_kubeconfig(kubeconfig), namespace, store, out):
        typer.echo(str(path))


def _follow(kube: KubeClient, wanted: list[tuple[str, str]], timeout: float) -> None:
    from rich.console import Console

    from alcove_cli.explain import explain_submission
    from alcove_cli.watch import follow_submissions, wait_for_rank

    ended = follow_submissions(kube, wanted, Console(), timeout)
    for submission in ended:
        terminal.echo_prose(f"\n{explain_submission(wait_for_rank(kube, submission))}")
    if any(s.get("status", {}).get("phase") != "Done" for s in ended):
        raise typer.Exit(1)


@cache
def mount() -> None:
    """Commands of the other parts, registered here, once, under the names that programs call them by."""
    from alcove_cli import compete, dataset, local, manage, organize, participate
    from alcove_cli.conformance.command import conformance

    app.command("run")(local.run)
    app.command("compete", cls=compete.ManyDatasets)(compete.compete)
    app.command("conformance")(conformance)
    app.add_typer(dataset.app, name="dataset")
    app.add_typer(manage.app, name="manage")
    app.command()(manage.audit)
    app.command()(manage.overfitting)
    for command in (
        participate.init, participate.status, participate.logs, participate.curves, participate.quota,
        participate.leaderboard, participate.upload, participate.cancel, participate.doctor,
        organize.preflight, organize.final, organize.rerun, organize.rescore, organize.verify, organize.export,
        organize.backup, organize.restore,
        organize.usage, organize.prune,
    ):  # fmt: skip
        app.command(command.__name__)(command)
    from alcove_scorer.cli import rank_command, score_command

    app.command("score")(score_command)
    app.command("rank")(rank_command)
    add_examples(app)


def main() -> None:
    terminal.fit_streams()
    output = sys.stdout
    try:
        mount()
        # An ended command's status; typer itself would draw a box around what is wrong with an option.
        status = app(standalone_mode=False, prog_name=terminal.program_name())
        sys.stdout.flush()  # Where this fails, it is still our error.
        sys.exit(status)
    except typer.Abort:
        sys.exit(1)
    except SystemExit:
        if sys.stdout is not output:  # What typer does once nobody reads on, as with `| head`.
            sys.exit(terminal.BROKEN_PIPE)
        raise
    except UsageError as error:
        sys.exit(terminal.report_usage_error(error))
    except AlcoveError as error:
        print(f"alcove: {error}", file=sys.stderr)
        sys.exit(exit_status(error))
    except OSError as error:
        sys.exit(terminal.report_system_error(error))
    except Exception as error:
        sys.exit(terminal.report_fault(error))


if __name__ == "__main__":
    main()
