"""``alcove compete``: a whole competition on this machine, without Kubernetes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from alcove_api.frameworks import Framework
from alcove_api.schemes import HACKATHON, SchemeName
from alcove_api.words import count_of
from alcove_cli.convert import unwind_on_signals
from alcove_cli.errors import CommandError, FaultError
from alcove_cli.local import (
    FrameworkOption,
    MetricOption,
    SchemeOption,
    choose_rules,
    open_datasets,
    read_framework,
    require_model,
    require_solutions,
)

if TYPE_CHECKING:
    from alcove_api.score_documents import ScoredRun
    from alcove_cli.compete_plan import Entrant, PlannedRun
    from alcove_scorer.board import Board
    from alcove_scorer.curves import CurveRules


class ManyDatasets(TyperCommand):
    """Lets ``--datasets`` be followed by several folders, as a shell's pattern gives them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread_option(args, "--datasets"))


def spread_option(args: Sequence[str], option: str) -> list[str]:
    """Writes the option before each of the values that follow it, up to the next option."""
    spread: list[str] = []
    within = fresh = False
    for arg in args:
        if arg.startswith("-"):
            within = fresh = arg == option
            spread.append(arg)
        else:
            spread += [option, arg] if within and not fresh else [arg]
            fresh = False
    return spread


def compete(
    codes: Annotated[
        list[Path], typer.Argument(metavar="CODE...", help="Folders with model.py at their top.")
    ],
    datasets: Annotated[
        list[Path],
        typer.Option(metavar="DATASET...", help="Dataset folders, each with its solution beside it."),
    ],
    budget: Annotated[int, typer.Option(min=1, help="Time budget of each run in seconds.")] = 60,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each submission on each dataset.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of the runs.")] = 0,
    jobs: Annotated[
        int,
        typer.Option(min=1, help="Runs side by side; more than one share the machine, and slow each other."),
    ] = 1,
    scheme: SchemeOption = HACKATHON.name,
    metric: MetricOption = None,
    framework: FrameworkOption = None,
    out: Annotated[Path, typer.Option(help="Folder of runs and leaderboard.")] = Path("competition"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the leaderboard as JSON.")] = False,
) -> None:
    """Run every submission on every dataset on this machine, rank them, and write the leaderboard's page.

    What is done stays done: the same command goes on where it was stopped, and runs again what has changed.
    Exit status: 0 there is a leaderboard, whatever became of the submissions; 2 wrong use; 3 a fault of Alcove.
    """
    from alcove_cli.compete_board import tabulate_board, write_board
    from alcove_cli.compete_plan import plan_runs

    require_solutions(datasets, "nothing could be ranked")
    rules = choose_rules(budget, scheme, metric)
    entrants = _name_entrants(codes, rules, framework)
    with unwind_on_signals():
        opened = open_datasets(datasets, rules.metric.name)
        planned = plan_runs(entrants, opened, repeats, seed, out.resolve())
        _run_missing(planned, rules, jobs, as_json)
    board = _rank(entrants, planned, [dataset.name for dataset in opened], scheme, rules)
    page = write_board(board, out)
    if as_json:
        typer.echo((out / "leaderboard.json").read_text())
        return
    typer.echo("\n" + "\n".join(tabulate_board(board, shutil.get_terminal_size((100, 20)).columns)))
    typer.echo(f"\nLearning curves and pictures: {page}\nWhat each run printed: {out}/runs")


def _name_entrants(codes: Sequence[Path], rules: CurveRules, framework: Framework | None) -> list[Entrant]:
    from alcove_cli.compete_plan import Entrant
    from alcove_cli.local_run import LocalSettings

    entrants: list[Entrant] = []
    for path in codes:
        code = require_model(path)
        if any(entrant.name == code.name for entrant in entrants):
            raise CommandError(f"Two submissions are called {code.name}. Rename one of the folders.")
        entrants.append(Entrant(code.name, code, LocalSettings(framework or read_framework(code), rules)))
    return entrants


def _run_missing(planned: Sequence[PlannedRun], rules: CurveRules, jobs: int, as_json: bool) -> None:
    from rich.console import Console

    from alcove_cli.environments import prepare_environment
    from alcove_cli.local_pool import run_tasks
    from alcove_cli.local_run import FAULTS
    from alcove_cli.local_score import scored_run
    from alcove_cli.local_view import LocalView

    missing = [run for run in planned if run.read_result() is None]
    console = Console(stderr=as_json, highlight=False)
    for framework in sorted({run.entrant.settings.framework for run in missing}):
        prepare_environment(framework, lambda line: typer.echo(line, err=True))
    if len(missing) < len(planned):
        console.print(f"{len(planned) - len(missing)} of {len(planned)} runs are done already.")
    for run in missing:
        if run.clear():
            console.print(f"{run.label} is run again: its code, dataset or settings have changed.")
    by_task = {run.task: run for run in missing}
    view = LocalView(console, list(by_task), rules, lambda task: by_task[task].label)
    with view.open():
        for end in run_tasks(list(by_task), lambda task: by_task[task].entrant.settings, jobs, view):
            if end.status in FAULTS:
                raise FaultError(
                    f"{by_task[end.task].label} could not be run: {end.message}",
                    consequence="There is no leaderboard.",
                    remedy="Run the same command again: what is done stays done.",
                )
            by_task[end.task].write_result(scored_run(end))


def _rank(
    entrants: Sequence[Entrant], planned: Sequence[PlannedRun], datasets: Sequence[str], scheme: SchemeName,
    rules: CurveRules,
) -> Board:  # fmt: skip
    from alcove_cli.compete_board import rank_entrants
    from alcove_scorer.repeats import average_repeats

    found: dict[tuple[str, str], list[ScoredRun]] = {}
    for run in planned:
        result = run.read_result()
        if result is not None:
            found.setdefault((run.entrant.name, run.task.dataset.name), []).append(result.run)
    runs = {
        entrant.name: [average_repeats(found[entrant.name, name]) for name in datasets]
        for entrant in entrants
    }
    title = f"{count_of(len(entrants), 'submission')}, {count_of(len(datasets), 'dataset')}"
    return rank_entrants(runs, datasets, scheme, rules, title)
