"""``alcove dataset``: make practice data, check a dataset, say what is in it, push it to a competition's store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from alcove_cli.errors import CommandError

app = typer.Typer(help="Datasets: make, check, describe and publish.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Solution = Annotated[
    Path | None, typer.Option(help="The hidden solution; by default NAME.solution beside NAME.data.")
]


@app.command("make")
def make(
    name: Annotated[str, typer.Argument(help="Name of a practice dataset.")] = "",
    out: Annotated[Path, typer.Argument(help="Folder to write NAME.data and NAME.solution to.")] = Path("."),
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    examples: Annotated[int | None, typer.Option(min=10, help="Train and test together.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="Name the practice datasets.")] = False,
    as_json: Json = False,
) -> None:
    """Make a practice dataset; nothing is downloaded."""
    from alcove_datasets.practice import PRACTICE, make_practice

    if listing:
        if as_json:
            fields = [{"name": p.name, "kind": p.kind, "real": p.real, "labels": p.labels} for p in PRACTICE]
            typer.echo(json.dumps(fields, indent=2))
            return
        for p in PRACTICE:
            typer.echo(f"{p.name:<14} {p.kind:<8} {p.labels:>3} labels  {p.about}; {p.origin}")
        return
    if not name:
        raise CommandError("Which dataset? `alcove dataset make --list` names them.")
    out.mkdir(parents=True, exist_ok=True)
    made = make_practice(name, out, seed=seed, examples=examples)
    typer.echo(f"Made {made} and {made.with_suffix('.solution')}.")


@app.command("check")
def check(folder: Path, solution: Solution = None, as_json: Json = False) -> None:
    """Check a dataset and its solution; exit status 1 for one that must not be used."""
    from alcove_datasets.check import check_dataset
    from alcove_scorer.metrics import metric

    found = check_dataset(folder, _solution(folder, solution), metric("balanced_accuracy").score)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        typer.echo(
            f"{found.domain or 'dataset'}: {found.n_train} training and {found.n_test} test examples, "
            f"{found.n_labels} labels, {found.bytes / 1e6:.1f} MB."
        )
        for problem in found.problems:
            typer.echo(f"- {problem}")
        typer.echo("It can be used." if found.ok else "It must not be used.")
    raise typer.Exit(0 if found.ok else 1)


@app.command("info")
def info(folder: Path, as_json: Json = False) -> None:
    """Say what a dataset holds."""
    from alcove_datasets.publish import describe
    from alcove_datasets.reader import open_folder

    manifest = describe(open_folder(folder))
    if as_json:
        typer.echo(manifest.model_dump_json(indent=2))
        return
    size = sum(entry.bytes for entry in manifest.files)
    typer.echo(
        f"{manifest.name}: {manifest.domain}, {manifest.n_train} training and {manifest.n_test} test examples"
    )
    typer.echo(
        f"{manifest.n_labels} labels: {', '.join(manifest.labels[:12])}{' …' if manifest.n_labels > 12 else ''}"
    )
    typer.echo(f"{len(manifest.files)} files, {size / 1e6:.1f} MB, digest {manifest.digest()}")


@app.command("push")
def push(
    folder: Path,
    name: Annotated[str, typer.Argument(help="Name of the Dataset to make.")],
    store: Annotated[str, typer.Option(help="Endpoint of the store: http://HOST:PORT.")],
    credentials: Annotated[
        Path, typer.Option(help="StoreCredentials JSON of the publisher (Secret alcove-store-publisher).")
    ],
    solution: Solution = None,
    alias: Annotated[str | None, typer.Option(help="What participants see; by default the name.")] = None,
    volume_claim: Annotated[
        str | None,
        typer.Option(
            metavar="CLAIM[:FOLDER]",
            help="The files lie on this volume claim, where runs read them: only solution and digests are uploaded.",
        ),
    ] = None,
    region: Annotated[str, typer.Option(help="Region of the store.")] = "us-east-1",
) -> None:
    """Publish a dataset, and print the Dataset to `kubectl apply -f -`."""
    from alcove_datasets.publish import dataset_yaml, publish
    from alcove_datasets.store import FileProvider, client

    connected = client(store, region, FileProvider(credentials))
    hidden_rows = _solution(folder, solution)
    data, hidden, manifest = publish(folder, hidden_rows, connected, on_volume=volume_claim is not None)
    done = f"{len(manifest.files)} files of {manifest.name}"
    typer.echo(
        f"Published {done}." if volume_claim is None else f"Published the digests of {done}.", err=True
    )
    typer.echo(dataset_yaml(name, data, hidden, manifest.domain, alias, volume_claim), nl=False)


def find_solution(folder: Path) -> Path | None:
    """``NAME.solution`` beside ``NAME.data``, where ``folder`` is the latter or the one that holds both."""
    data = next(iter(sorted(folder.glob("*.data"))), folder)
    beside = data.with_suffix(".solution")
    return beside if beside.is_file() else None


def _solution(folder: Path, given: Path | None) -> Path:
    found = given or find_solution(folder)
    if found is None:
        raise CommandError(f"There is no solution beside {folder}: name it with --solution.")
    return found
