"""``alcove dataset``: make practice data, check a dataset, show what it holds. For the store: exchange.py."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from alcove_api.words import count_answers, count_of
from alcove_cli.convert import convert, unwind_on_signals
from alcove_cli.errors import CommandError
from alcove_cli.exchange import list_datasets, pull, push
from alcove_cli.recheck import recheck
from alcove_cli.terminal import show_help
from alcove_toolkit.whole_files import write_whole

app = typer.Typer(help="Datasets: make, convert, check, show, push and pull.", invoke_without_command=True)
app.callback()(show_help)
app.command("convert")(convert)
app.command("push")(push)
app.command("pull")(pull)
app.command("list")(list_datasets)
app.command("recheck")(recheck)

Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Solution = Annotated[
    Path | None, typer.Option(help="The hidden solution; by default NAME.solution beside NAME.data.")
]


@app.command("make")
def make(
    name: Annotated[str, typer.Argument(help="Name of a practice dataset.")] = "",
    out: Annotated[Path, typer.Argument(help="Folder to write NAME.data and NAME.solution to.")] = Path("."),
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    examples: Annotated[int | None, typer.Option(min=10, help="Train and test together.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="Name the practice datasets.")] = False,
    as_json: Json = False,
) -> None:
    """Make a practice dataset; nothing is downloaded."""
    from alcove_toolkit.practice import PRACTICE, REGRESSIONS, make_practice

    if listing:
        if as_json:
            fields = [
                {"name": p.name, "kind": p.kind, "task": p.task, "real": p.real, "labels": p.labels}
                for p in (*PRACTICE, *REGRESSIONS)
            ]
            typer.echo(json.dumps(fields, indent=2))
            return
        for p in (*PRACTICE, *REGRESSIONS):
            asked = "label" if p.task != "regression" else "number"
            what = f"{p.labels:>3} {asked}{'s' * (p.labels != 1)}"
            typer.echo(f"{p.name:<14} {p.kind:<8} {p.task:<10}  {what:<10}  {p.origin}")
            typer.echo(f"    {p.about}")
        return
    if not name:
        raise CommandError("Name a practice dataset. List them: alcove dataset make --list.")
    with unwind_on_signals():
        made = make_practice(name, out, seed=seed, examples=examples)
    typer.echo(f"Made {made} and {made.with_suffix('.solution')}.")


@app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(help="NAME.data, or a folder that holds it.")],
    solution: Solution = None,
    metric: Annotated[
        str | None, typer.Option(help="Of the two baselines' scores [balanced_accuracy; r2 of a regression].")
    ] = None,
    strict: Annotated[bool, typer.Option(help="Exit status 1 for warnings as well.")] = False,
    as_json: Json = False,
) -> None:
    """Check a dataset and its solution; exit status 1 if it must not be used, 3 if the check itself failed."""
    from alcove_cli import check as checking

    where = require_solution(folder, solution)
    raise typer.Exit(checking.check(folder, where, metric, strict=strict, as_json=as_json))


@app.command("info")
def info(folder: Path, as_json: Json = False) -> None:
    """Print what a dataset holds."""
    from alcove_format.reader import open_dataset
    from alcove_toolkit.example_views import format_shape
    from alcove_toolkit.publish import describe

    require_folder(folder)
    opened = open_dataset(folder)
    manifest = describe(opened)
    metadata = opened.train.metadata
    if as_json:
        more = {
            "format": metadata.format.value,
            "shape": metadata.shape,
            "split": metadata.split,
            "task": metadata.stated_task,
            "rate": metadata.rate,
            "digest": manifest.digest(),
        }
        typer.echo(json.dumps(manifest.model_dump(mode="json") | more, indent=2))
        return
    size = sum(entry.bytes for entry in manifest.files)
    typer.echo(
        f"{manifest.name}: {manifest.domain}, {manifest.n_train} training and {manifest.n_test} test examples"
    )
    asked = count_answers(manifest.n_labels, metadata.is_regression)
    typer.echo(f"{asked}: {', '.join(manifest.labels[:12])}{' …' if manifest.n_labels > 12 else ''}")
    rate = f", {metadata.rate:g} steps a second" if metadata.rate else ""
    typer.echo(
        f"time × rows × columns × channels: {format_shape(metadata.shape)}, {metadata.format.value.lower()}{rate}"
    )
    if metadata.split:
        typer.echo(f"Split {metadata.split}")
    typer.echo(f"{count_of(len(manifest.files), 'file')}, {size / 1e6:.1f} MB, digest {manifest.digest()}")


@app.command("show")
def show(
    folder: Path,
    out: Annotated[Path | None, typer.Option(help="HTML file to write; by default NAME.html here.")] = None,
    examples: Annotated[int, typer.Option(min=1, max=1000, help="Of train; of test a quarter.")] = 40,
    rate: Annotated[float, typer.Option(min=0, help="Samples of sound a second.")] = 0,
    solution: Solution = None,
) -> None:
    """Write a page of pictures, curves, sounds or rows of a dataset. It opens without a server.

    Labels of test examples are shown where the solution lies beside the dataset.
    """
    from alcove_format.reader import open_dataset
    from alcove_format.solution import read_solution, read_targets
    from alcove_toolkit.contact_sheet import render_contact_sheet

    require_folder(folder)
    opened = open_dataset(folder)
    domain = opened.train.metadata.domain
    if rate and domain != "speech":
        raise CommandError(f"--rate has no meaning for a dataset of domain {domain}. Leave it out.")
    beside = solution or find_solution(folder)
    read = read_targets if opened.train.metadata.is_regression else read_solution
    page = render_contact_sheet(opened, read(beside) if beside else None, examples, rate)
    out = out or Path(f"{opened.name}.html")
    try:
        write_whole(out, page)
    except OSError as error:
        raise CommandError(
            f"{out} cannot be written: {error.strerror}. Choose another file with --out."
        ) from None
    typer.echo(f"Wrote {out} ({len(page) / 1e6:.1f} MB). Open it in a browser.")


def find_solution(folder: Path) -> Path | None:
    """``NAME.solution`` beside ``NAME.data``, where ``folder`` is the latter or the one that holds both."""
    data = Path(
        os.path.abspath(next(iter(sorted(folder.glob("*.data"))), folder))
    )  # "." has no name of its own.
    beside = data.parent / f"{data.stem}.solution"
    return beside if beside.is_file() else None


def require_folder(folder: Path) -> None:
    """Raises CommandError where a dataset's folder is missing, or is a file."""
    if not folder.exists():
        raise CommandError(f"{folder}: there is no such folder. Name NAME.data, or a folder that holds it.")
    if not folder.is_dir():
        raise CommandError(f"{folder} is a file, not a dataset. Convert it first: alcove dataset convert.")


def require_solution(folder: Path, given: Path | None) -> Path:
    """The solution that was named, or the one beside ``folder``. Raises CommandError where there is none."""
    require_folder(folder)
    found = given or find_solution(folder)
    if found is None:
        raise CommandError(f"There is no solution beside {folder}. Name it with --solution.")
    if not found.is_file():
        raise CommandError(f"{found}: there is no such file. Name the solution with --solution.")
    return found
