"""``alcove run``: a submission on a laptop, with the cluster's own recorder, supervisor and runner.

No cluster and no store: the recorder writes its snapshots to a folder. What it shows is what a run would show, but
for the machine's speed and the isolation between containers, which a laptop cannot give.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from alcove_api.exit_statuses import SupervisorExit
from alcove_api.schemes import HACKATHON, SCHEMES
from alcove_cli.dataset import find_solution
from alcove_cli.errors import CommandError

SUBMISSION_UID = "local"
ALIAS = "local"


def run(
    folder: Annotated[Path, typer.Argument(help="Folder with model.py at its top.")],
    dataset: Annotated[Path, typer.Argument(help="Dataset folder, with train/ and test/ in it.")],
    budget: Annotated[int, typer.Option(min=1, help="Time budget in seconds.")] = 60,
    solution: Annotated[
        Path | None, typer.Option(help="Solution to score with; by default the one beside.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to keep what was recorded.")] = None,
    scheme: Annotated[str, typer.Option(help=" or ".join(SCHEMES) + ".")] = HACKATHON.name,
    framework: Annotated[str, typer.Option(help="Loaded before the go: tensorflow or numpy.")] = "tensorflow",
    report: Annotated[Path | None, typer.Option(help="HTML page of the run to write.")] = None,
) -> None:
    """Run a folder of code on a dataset as the cluster would, and score it; exit status 1 if the program failed."""
    from alcove_format.reader import open_dataset

    if not (folder / "model.py").is_file():
        raise CommandError(f"{folder} has no model.py at its top, so nothing can be run.")
    hidden = solution or find_solution(dataset)
    if report is not None and hidden is None:
        raise CommandError(
            f"There is no solution beside {dataset}, so no report can be made: name it with --solution."
        )
    data = open_dataset(dataset)
    shape = (data.test.metadata.n_examples, data.test.metadata.n_labels)
    root = Path(tempfile.mkdtemp(prefix="alcove-run-"))
    kept = out or root / "recorded"
    try:
        status = _execute(
            folder.resolve(), data.path.resolve(), root, kept.resolve(), budget, shape, framework
        )
        typer.echo(f"Ended: {_EXITS.get(status, f'supervisor exit {status}')}.")
        manifest = next(kept.rglob("manifest.json"), None)
        if manifest is None:
            raise CommandError("The recorder left no manifest, so there is nothing to score.")
        scored = _score(manifest, hidden, budget, scheme, report)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if status not in _GOOD_ENDS or not scored:
        raise typer.Exit(1)


_GOOD_ENDS = (SupervisorExit.FINISHED, SupervisorExit.BUDGET)
_EXITS: dict[int, str] = {
    SupervisorExit.FINISHED: "the program finished",
    SupervisorExit.PROGRAM_FAILED: "the program failed; its output above says why",
    SupervisorExit.SIGNALLED: "the program was killed by a signal",
    SupervisorExit.BUDGET: "the budget was used up",
    SupervisorExit.RECORDER_LOST: "the recorder was lost",
    SupervisorExit.NOT_STARTED: "the program could not be started",
}


def _execute(
    folder: Path, dataset: Path, root: Path, kept: Path, budget: int, shape: tuple[int, int], framework: str
) -> int:
    for name in ("run", "out", "spool"):
        (root / name).mkdir()
    kept.mkdir(parents=True, exist_ok=True)
    home = root / "home"
    home.mkdir()
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "USER": "participant",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "ALCOVE_DATA": str(dataset),
        "ALCOVE_OUT": str(root / "out"),
        "ALCOVE_CODE": str(folder),
        "ALCOVE_BUDGET": str(budget),
        "ALCOVE_PRELOAD": "numpy,tensorflow" if framework == "tensorflow" else "numpy",
    }
    command = [
        str(_supervisor()), "run", "--socket", str(root / "run" / "go.sock"), "--go", "runner", "--",
        sys.executable, "-I", "-m", "alcove_ingestion",
    ]  # fmt: skip
    with _recorder(root, kept, budget, shape):
        return subprocess.run(command, env=environment, check=False).returncode


@contextmanager
def _recorder(root: Path, kept: Path, budget: int, shape: tuple[int, int]) -> Iterator[None]:
    config = {
        "submission_uid": SUBMISSION_UID, "alias": ALIAS, "attempt": 1, "data_sha256": None, "code_sha256": None,
        "budget_ns": budget * 1_000_000_000, "n_test": shape[0], "n_labels": shape[1],
    }  # fmt: skip
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "ALCOVE_ROOT": str(root),
        "ALCOVE_RUN": json.dumps(config),
        "ALCOVE_POD_UID": "laptop",
        "ALCOVE_STORE_ENDPOINT": kept.as_uri(),
        "ALCOVE_TERMINATION_LOG": str(root / "recorder.json"),
    }
    process = subprocess.Popen([sys.executable, "-I", "-m", "alcove_recorder"], env=environment)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _supervisor() -> Path:
    """Beside this interpreter, where ``make install`` puts it, or on the PATH."""
    beside = Path(sys.executable).parent / "alcove-supervisor"
    found = beside if beside.exists() else shutil.which("alcove-supervisor")
    if not found:
        raise CommandError(
            "alcove-supervisor is not installed, so a run could not be timed. `make install` compiles it "
            "(it needs a C compiler: apt-get install gcc libc6-dev)."
        )
    return Path(found)


def _score(manifest: Path, solution: Path | None, budget: int, scheme: str, report: Path | None) -> bool:
    """Prints what was recorded and, where there is a solution, its score; whether nothing went wrong with that."""
    recorded = json.loads(manifest.read_text())
    for record in recorded["records"]:
        said = f"refused: {record['refused']}" if record["refused"] else f"{record['t_ns'] / 1e9:8.2f} s"
        typer.echo(f"  {record['name']:<28} {said}")
    if solution is None:
        typer.echo("No solution found beside the dataset, so nothing was scored: give --solution.")
        return True
    command = [sys.executable, "-I", "-m", "alcove_cli.main", "score", "--solution", str(solution),
               "--snapshots", str(manifest.parent), "--budget", str(budget), "--scheme", scheme]  # fmt: skip
    if report is not None:
        command += ["--report", str(report)]
    return subprocess.run(command, check=False).returncode == 0
