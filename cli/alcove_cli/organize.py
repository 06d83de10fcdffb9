"""What organizers do with a competition: look over it, hold a final, score again, check, archive."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from alcove_api.words import count_of, format_bytes
from alcove_cli import terminal
from alcove_cli.errors import CommandError
from alcove_cli.options import Competition, CompetitionArgument, Kubeconfig, Store, parse_competition


def rescore(
    competition: CompetitionArgument,
    scheme: Annotated[
        str | None, typer.Option(help="hackathon or autodl, with its own metric, t0 and curve.")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Name of a metric.")] = None,
    t0: Annotated[float | None, typer.Option(help="Scale of the time axis, seconds.")] = None,
    curve: Annotated[str | None, typer.Option(help="step or trapezoid.")] = None,
    phase: Annotated[
        str | None, typer.Option(help="Settings of this phase alone, from now on its own.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show how ranks would move, and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before changing anything.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the movements as JSON.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most until all is shown.")] = 3600.0,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Score a competition, or one phase, again by other settings, from what was recorded; nothing is run again.

    Prints how every rank would move before anything is changed. Without settings: by those that it has, where a
    solution or the scorer is another. The old scores stay in the store.

    Exit status: 0 done, 1 failed, 2 wrong use, 3 something did not answer.
    """
    from alcove_cli.rescore import RescoreOptions, rescore_competition
    from alcove_cli.rescore_plan import ScoringChanges
    from alcove_kube.client import KubeClient
    from alcove_operator.api import Api

    changes = ScoringChanges(scheme, metric, t0, curve)
    options = RescoreOptions(changes, phase, dry_run, yes, as_json, timeout)
    rescore_competition(Api(KubeClient.from_kubeconfig(kubeconfig)), competition, options)


def final(
    phase: Annotated[str, typer.Argument(help="A phase that takes its submissions from another.")],
    competition: Competition = "hackathon/hackathon",
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Run the baselines alone in it, before it opens, and wait.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="With --rehearse: run those too that have run, as on a repaired dataset."
        ),
    ] = False,
    open_now: Annotated[
        bool, typer.Option("--open", help="Open it now: every team's counted submission is run.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most for a rehearsal.")] = 86400.0,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show how a blind final goes, open it, or rehearse it. For the organizer: teams see nothing of it."""
    from alcove_cli.final import Final
    from alcove_kube.client import KubeClient

    if again and not rehearse:
        raise CommandError("--again is for a rehearsal: add --rehearse. To run one team again: alcove rerun.")
    found = Final.read(KubeClient.from_kubeconfig(kubeconfig), *parse_competition(competition), phase)
    if rehearse:
        made = found.rehearse(again)
        none = "Every baseline has run already, by the same code. If a dataset is another since: add --again."
        typer.echo(f"Made: {', '.join(made)}." if made else none)
        found.wait([view.name for view in found.reruns(found.competition.namespace)], typer.echo, timeout)
    if open_now:
        found.open()
        typer.echo(f"{phase} is open. The operator makes a Submission for each team.")
    else:
        for line in found.describe():
            typer.echo(line)


def rerun(
    phase: Annotated[str, typer.Argument(help="A phase that takes its submissions from another.")],
    team: Annotated[str, typer.Argument(help="Namespace of the team.")],
    competition: Competition = "hackathon/hackathon",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Run one team once more in a blind final, after a fault of the platform. Its newest score counts."""
    from alcove_cli.final import Final
    from alcove_kube.client import KubeClient

    found = Final.read(KubeClient.from_kubeconfig(kubeconfig), *parse_competition(competition), phase)
    typer.echo(f"{found.run_again(team)} was made. See how it goes: alcove final {phase}")


def verify(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TEAM/SUBMISSION|PHASE|ARCHIVE",
            help="A Submission, a phase, or a .tar.gz that `alcove export` wrote.",
        ),
    ],
    competition: Competition = "hackathon/hackathon",
    inputs: Annotated[
        bool, typer.Option("--inputs/--no-inputs", help="Read the files of the datasets too.")
    ] = True,
    limit: Annotated[int, typer.Option(min=1, help="GiB that an archive may have unpacked.")] = 100,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the checks and what differs as JSON.")
    ] = False,
    store: Store = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Check that scores and ranks are those of what was recorded, and name whatever was changed, added or removed.

    Exit status: 0 all that was checked holds, 1 something differs, 2 wrong use, 3 it could not be found out.
    """
    import json

    from alcove_cli import verify as commands
    from alcove_kube.client import KubeClient

    if target.endswith(commands.ARCHIVE_SUFFIXES):
        report = commands.verify_archive(Path(target), limit << 30)
    else:
        kube = KubeClient.from_kubeconfig(kubeconfig)
        report = commands.verify_cluster(kube, target, competition, store, inputs=inputs)
    typer.echo(json.dumps(commands.as_document(report), indent=2) if as_json else commands.as_text(report))
    if report.findings:
        raise typer.Exit(1)


def export(
    phase: Annotated[str, typer.Argument(help="Name of a phase.")],
    competition: Competition = "hackathon/hackathon",
    out: Annotated[Path | None, typer.Option(help="File to write; by default PHASE.tar.gz here.")] = None,
    solutions: Annotated[
        bool,
        typer.Option("--solutions", help="With the hidden solutions, so that scores can be computed again."),
    ] = False,
    inputs: Annotated[
        bool, typer.Option("--inputs/--no-inputs", help="With the files of the datasets.")
    ] = True,
    store: Store = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Write all that scores and ranks of a phase were made of into one archive, for `alcove verify ARCHIVE`.

    It holds predictions, code and output of all teams, and results that may not be revealed yet: keep it to yourself.
    """
    from alcove_cli.verify import export_phase
    from alcove_kube.client import KubeClient

    path = out or Path(f"{phase}.tar.gz")
    kube = KubeClient.from_kubeconfig(kubeconfig)
    count, size = export_phase(kube, phase, competition, store, path, solutions=solutions, inputs=inputs)
    typer.echo(f"Wrote {path}: {count_of(count, 'object')}, {format_bytes(size)}. Next: alcove verify {path}")
    if not solutions:
        typer.echo(
            "It has no solutions: verifying it computes ranks from scores, and no score from predictions."
        )


RootCredentials = Annotated[
    Path | None,
    typer.Option(help="Of the store's root user, as JSON; by default the Secret alcove-store-root."),
]
StoreAddress = Annotated[str, typer.Option(help="Endpoint of the store, http://HOST:PORT.")]
WithOthers = Annotated[
    bool, typer.Option("--with-others", help="Although the store has other competitions too: theirs as well.")
]


def _say(text: str) -> None:
    typer.echo(text, err=True)


def backup(
    folder: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    store: StoreAddress,
    competition: Competition = "hackathon/hackathon",
    with_others: WithOthers = False,
    credentials: RootCredentials = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Copy a competition into a folder: its objects with their status, and all that the store holds.

    The operator must be stopped meanwhile; runs go on. The folder holds solutions, code, and scores that may not be
    revealed yet: keep it to yourself.
    """
    from alcove_cli.backup import WholeStore, write_backup
    from alcove_kube.client import KubeClient

    kube, (namespace, name) = KubeClient.from_kubeconfig(kubeconfig), parse_competition(competition)
    access = WholeStore.connect(kube, namespace, store, credentials)
    made = write_backup(kube, namespace, name, access, folder, _say, with_others=with_others)
    size = sum(entry.bytes for entry in made.store)
    typer.echo(f"Wrote {folder}: {count_of(len(made.store), 'object')} of the store, {format_bytes(size)}.")


def restore(
    folder: Annotated[Path, typer.Argument(help="What `alcove backup` wrote.")],
    store: StoreAddress,
    with_others: WithOthers = False,
    credentials: RootCredentials = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Make a competition again from a backup, in a cluster where the chart is installed for it and its teams.

    What was done stays done, what was queued goes on, and what was running is run again at the platform's cost. The
    operator must be stopped meanwhile. If the command is interrupted, run it again.
    """
    from alcove_cli.backup import WholeStore
    from alcove_cli.restore import Backup
    from alcove_cli.restore import restore as restore_backup
    from alcove_kube.client import KubeClient

    kube, backup_read = KubeClient.from_kubeconfig(kubeconfig), Backup.read(folder)
    namespace = backup_read.listed.competition_namespace
    access = WholeStore.connect(kube, namespace, store, credentials)
    restore_backup(kube, backup_read, access, _say, with_others=with_others)
    start = f"kubectl scale deployment alcove-operator --replicas=1 -n {namespace}"
    typer.echo(f"Restored {namespace}/{backup_read.listed.competition}. Start the operator: {start}")


class UseBy(StrEnum):
    TEAM = "team"
    SUBMISSION = "submission"
    PREFIX = "prefix"


def usage(
    competition: CompetitionArgument = "hackathon/hackathon",
    by: Annotated[UseBy, typer.Option(help="What the rows are.")] = UseBy.TEAM,
    as_json: Annotated[bool, typer.Option("--json", help="Print all three as JSON.")] = False,
    store: Store = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say what takes room in the store, and whose it is: every version of every object. For the organizer."""
    import json

    from alcove_cli import stored as commands
    from alcove_kube.client import KubeClient

    kube = KubeClient.from_kubeconfig(kubeconfig)
    found = commands.StoredCompetition.read(kube, parse_competition(competition), store)
    if as_json:
        typer.echo(json.dumps(commands.use_document(found), indent=2))
        return
    for line in commands.describe_use(found, by.value):
        typer.echo(line)


def prune(
    competition: CompetitionArgument = "hackathon/hackathon",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before anything is deleted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
    store: Store = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Have the operator delete now what the competition's retention no longer keeps. It does so by itself every hour.

    Shows first what goes, and why the rest is kept. What is deleted is gone for good, old versions too.
    """
    import json

    from alcove_cli import stored as commands
    from alcove_kube.client import KubeClient

    kube, ref = KubeClient.from_kubeconfig(kubeconfig), parse_competition(competition)
    found = commands.StoredCompetition.read(kube, ref, store)
    plan = found.plan()
    rows = commands.list_prunable(found, plan)
    if as_json:
        typer.echo(json.dumps(commands.plan_document(found, plan, rows), indent=2))
    else:
        terminal.echo_prose("\n".join(commands.describe_plan(found, plan, rows)))
    if dry_run or not rows:
        return
    if not yes and not typer.confirm("Delete it for good?", err=True):
        typer.echo("Nothing was deleted.", err=True)
        raise typer.Exit(1)
    typer.echo(commands.ask_operator(kube, ref, lambda line: typer.echo(line, err=True)), err=as_json)


def preflight(
    file: Annotated[
        Path | None, typer.Argument(help="YAML file: a Competition, or the chart's values.")
    ] = None,
    competition: Annotated[
        str | None, typer.Option(help="NAMESPACE/NAME of a Competition in the cluster, in place of a file.")
    ] = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say what a competition in the cluster lacks before its phases open, how much its feedback gives away about the
    hidden labels, and what to change. Exit status 1: something is missing."""
    from alcove_cli.preflight import describe_cluster, describe_file

    if (file is None) == (competition is None):
        raise typer.BadParameter("Give either a file or --competition NAMESPACE/NAME.")
    lines, complete = (describe_file(file), True) if file else describe_cluster(kubeconfig, competition or "")
    terminal.echo_prose("\n".join(lines))
    if not complete:
        raise typer.Exit(1)
