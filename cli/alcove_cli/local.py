"""``alcove run``: a submission on a laptop, with the cluster's own recorder, supervisor and runner.

What it shows is what runs on the cluster would show, but for the machine's speed and the isolation between
containers, which a laptop cannot give.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alcove_api.code_layout import MODEL_FILE, explain_missing_model, find_code
from alcove_api.frameworks import FRAMEWORKS, Framework
from alcove_api.schemes import HACKATHON, SchemeName, Task, find_metric_mismatch
from alcove_cli.convert import unwind_on_signals
from alcove_cli.dataset import find_solution
from alcove_cli.errors import CommandError
from alcove_cli.terminal import FAULT

if TYPE_CHECKING:
    from alcove_cli.local_run import LocalDataset, LocalEnd, LocalSettings, LocalTask
    from alcove_scorer.curves import CurveRules

FrameworkOption = Annotated[
    Framework | None,
    typer.Option(
        help="What model.py is written for, loaded before the go; by default what it says as Model.framework, or "
        "tensorflow. To run torch or tensorflow1 here, the packages of their image are installed, once."
    ),
]
SchemeOption = Annotated[SchemeName, typer.Option(help="By which rules it is scored.")]
MetricOption = Annotated[
    str | None, typer.Option(help="Name of a metric [the scheme's]; a regression needs r2 or mae.")
]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Runs side by side, which share the machine; by default one a core.")
]


def run(
    folder: Annotated[Path, typer.Argument(help="Folder with model.py at its top, or any with --command.")],
    datasets: Annotated[
        list[Path],
        typer.Argument(metavar="DATASET...", help="Dataset folders, with train/ and test/ in them."),
    ],
    budget: Annotated[int, typer.Option(min=1, help="Time budget in seconds.")] = 60,
    solution: Annotated[
        Path | None, typer.Option(help="Solution to score with; by default the one beside.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to keep what was recorded; of several datasets, a folder each.")
    ] = None,
    scheme: SchemeOption = HACKATHON.name,
    metric: MetricOption = None,
    framework: FrameworkOption = None,
    command: Annotated[
        str | None,
        typer.Option(help="Program of the folder to run in place of a model.py, with its arguments."),
    ] = None,
    free_constructor: Annotated[
        bool, typer.Option("--free-constructor", help="As a phase with compat.freeConstructor has it.")
    ] = False,
    jobs: Jobs = None,
    report: Annotated[Path | None, typer.Option(help="HTML page of all runs to write.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; what the code prints goes to standard error.")
    ] = False,
) -> None:
    """Run a folder of code on datasets as the cluster would, and score it.

    Exit status: 0 each run left a valid prediction and did not fail, 1 one did not, 2 wrong use, 3 a fault of Alcove.
    """
    from alcove_cli.local_run import FAULTS

    rules = choose_rules(budget, scheme, metric)
    settings = _choose_settings(folder, framework, command, rules, free_constructor)
    if solution is not None and len(datasets) > 1:
        raise CommandError(
            "--solution is of one dataset, but there are several. Put each beside its dataset."
        )
    with unwind_on_signals(), output_folder(out) as output:
        if report is not None and solution is None:
            require_solutions(datasets, "no report can be made")
        opened = open_datasets(datasets, rules.metric.name, solution)
        many = len(opened) > 1
        code = folder.resolve() if command else require_model(folder)
        tasks = [_plan_task(code, dataset, output / dataset.name if many else output) for dataset in opened]
        ends = _run_all(tasks, settings, jobs, report, as_json)
    if any(end.status in FAULTS for end in ends):
        raise typer.Exit(FAULT)
    if not all(end.is_good for end in ends):
        raise typer.Exit(1)


def choose_rules(budget: float, scheme: SchemeName, metric: str | None) -> CurveRules:
    """Raises CommandError where there is no such metric."""
    from alcove_scorer.curves import resolve_rules
    from alcove_scorer.errors import InputError

    try:
        return resolve_rules(budget, scheme, metric)
    except InputError as error:
        raise CommandError(f"{error}.") from None


def _choose_settings(
    folder: Path, framework: Framework | None, command: str | None, rules: CurveRules, free_constructor: bool
) -> LocalSettings:
    """Raises CommandError where the folder holds nothing that can be run."""
    from alcove_cli.local_run import LocalSettings
    from alcove_cli.own_program import find_program

    if command is None:
        chosen = framework or read_framework(require_model(folder))
        return LocalSettings(chosen, rules, free_constructor=free_constructor)
    for option, given in (("--framework", framework), ("--free-constructor", free_constructor)):
        if given:
            raise CommandError(
                f"{option} is for a model.py, and --command runs another program. Give one of them."
            )
    return LocalSettings("numpy", rules, find_program(folder, command))


def _run_all(
    tasks: Sequence[LocalTask],
    settings: LocalSettings,
    jobs: int | None,
    report: Path | None,
    as_json: bool,
) -> list[LocalEnd]:
    from rich.console import Console

    from alcove_cli.environments import prepare_environment
    from alcove_cli.local_pool import run_tasks
    from alcove_cli.local_score import describe_end, tabulate_ends, write_report
    from alcove_cli.local_view import LocalView
    from alcove_scorer.run_files import summarise_outcome

    rules = settings.rules
    if not settings.command:
        prepare_environment(settings.framework, lambda line: typer.echo(line, err=True))
    view = LocalView(Console(stderr=as_json, highlight=False), tasks, rules)
    with view.open():
        found = {end.task: end for end in run_tasks(tasks, lambda _: settings, jobs or count_cores(), view)}
    ends = [found[task] for task in tasks]
    if report is not None:
        write_report(ends, rules, report)
    if as_json:
        typer.echo(json.dumps({"runs": [describe_end(end, rules) for end in ends]}, indent=2))
        return ends
    if len(ends) > 1:
        typer.echo("\n" + "\n".join(tabulate_ends(ends)))
        return ends
    typer.echo(f"Ended: {ends[0].message}")
    if ends[0].outcome is not None:
        typer.echo("\n".join(summarise_outcome(ends[0].outcome, rules)))
    else:
        typer.echo("No solution found beside the dataset, so nothing was scored: give --solution.")
    return ends


@contextmanager
def output_folder(out: Path | None) -> Iterator[Path]:
    """``out``, or a folder that is removed at the end."""
    if out is not None:
        yield out
        return
    folder = Path(tempfile.mkdtemp(prefix="alcove-recorded-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_model(folder: Path) -> Path:
    """The full path of the folder with ``model.py``: this one, or the AutoDL starting kit's in it.

    Raises CommandError where there is no such folder, or neither has one, and says where one is.
    """
    if (find_code(folder) / MODEL_FILE).is_file():
        return find_code(folder).resolve()
    if not folder.is_dir():
        raise CommandError(f"There is no folder {folder}. Give the folder that holds model.py.")
    inner = sorted(folder.glob(f"*/{MODEL_FILE}")) if folder.is_dir() else ()
    hint = explain_missing_model(path.relative_to(folder).as_posix() for path in inner)
    raise CommandError(f"{folder} has no model.py at its top, so nothing can be run. {hint}")


def read_framework(code: Path) -> Framework:
    """What ``class Model`` names as its ``framework``, or a class of ``model.py`` that it extends; else ``tensorflow``.

    Reads the code without running it.
    """
    try:
        tree = ast.parse((code / MODEL_FILE).read_bytes())
    except (SyntaxError, ValueError):  # The run will say it.
        return "tensorflow"
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    baselines = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "alcove_baselines"
        for alias in node.names
    }
    waiting, seen = ["Model"], set[str]()
    while waiting:
        name = waiting.pop(0)
        if name in baselines:
            return "numpy"
        if name in classes and name not in seen:
            seen.add(name)
            if (named := _named_framework(classes[name])) is not None:
                return next((name for name in FRAMEWORKS if name == named), "tensorflow")
            waiting += [base.id for base in classes[name].bases if isinstance(base, ast.Name)]
    return "tensorflow"


def _named_framework(model: ast.ClassDef) -> object:
    """None where the class has none of its own; what is no plain text is not known."""
    for line in model.body:
        match line:
            case (
                ast.Assign(targets=[ast.Name("framework")], value=value)
                | ast.AnnAssign(target=ast.Name("framework"), value=value)
            ):
                return value.value if isinstance(value, ast.Constant) else ""
    return None


def open_datasets(paths: Sequence[Path], metric: str, solution: Path | None = None) -> list[LocalDataset]:
    """Each with the solution beside it, unless one is given.

    Raises:
        CommandError: two have one name, the metric cannot score the task of one, or no metric can score all.
        FormatError: one is no dataset.
    """
    from alcove_cli.local_run import LocalDataset
    from alcove_format.reader import open_dataset

    found: dict[str, LocalDataset] = {}
    opened = [open_dataset(path) for path in paths]
    _require_one_metric({data.name: data.test.metadata.stated_task for data in opened})
    for path, data in zip(paths, opened, strict=True):
        if data.name in found:
            raise CommandError(f"Two datasets are called {data.name}, so their runs could not be told apart.")
        if mismatch := find_metric_mismatch(metric, data.test.metadata.stated_task):
            raise CommandError(f"{data.name}: {mismatch.removesuffix('.')}, with --metric.")
        shape = (data.test.metadata.n_examples, data.test.metadata.n_labels)
        found[data.name] = LocalDataset(
            data.name, data.path.resolve(), shape, solution or find_solution(path)
        )
    return list(found.values())


def _require_one_metric(tasks: Mapping[str, Task | None]) -> None:
    """Raises CommandError where some datasets are of numbers and some of labels: no ``--metric`` would be right."""
    numbers = [name for name, task in tasks.items() if task == "regression"]
    labels = [name for name, task in tasks.items() if task not in ("regression", None)]
    if numbers and labels:
        raise CommandError(
            f"Of {', '.join(numbers)} numbers are predicted, of {', '.join(labels)} labels: no metric scores both. "
            "Give them to commands of their own."
        )


def _plan_task(code: Path, dataset: LocalDataset, folder: Path) -> LocalTask:
    """Raises CommandError where something was recorded in the folder before."""
    from alcove_cli.local_run import LocalTask

    if (folder / "runs").exists():
        raise CommandError(f"{folder} holds a run already, which is not overwritten. Name another --out.")
    return LocalTask(code, dataset, folder.resolve())


def require_solutions(datasets: Sequence[Path], consequence: str) -> None:
    """Raises CommandError where a dataset has no solution beside it."""
    for path in datasets:
        if find_solution(path) is None:
            raise CommandError(
                f"There is no solution beside {path}, so {consequence}: put NAME.solution beside NAME.data, or, of one "
                "dataset, name it with --solution."
            )


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
