"""The runs of a competition at home: which there are, in which order, and which are done already.

Each run has a folder, ``runs/CODE/DATASET/REPEAT``. ``result.json`` in it is written last and as a whole, so a run
without one is to be run (again), and so is one whose code, data or settings have changed since.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from alcove_api.documents import Document
from alcove_api.score_documents import ScoredRun
from alcove_cli.code_folder import read_folder
from alcove_cli.local_run import LocalDataset, LocalSettings, LocalTask
from alcove_toolkit.whole_files import write_whole

RESULT_FILE = "result.json"


class HomeResult(Document):
    """``result.json`` of a run."""

    version: Literal[1] = 1
    inputs_sha256: str
    """Of the code, the dataset and the settings that it was run with."""
    run: ScoredRun


@dataclass(frozen=True)
class Entrant:
    """A submission: its name on the board, its code, and the settings that it is run with."""

    name: str
    code: Path
    settings: LocalSettings


@dataclass(frozen=True)
class PlannedRun:
    entrant: Entrant
    task: LocalTask
    repeat: int
    inputs_sha256: str

    @property
    def label(self) -> str:
        again = f", repeat {self.repeat + 1}" if self.repeat else ""
        return f"{self.entrant.name} on {self.task.dataset.name}{again}"

    def read_result(self) -> HomeResult | None:
        """None where there is none, or none that is of these inputs."""
        try:
            found = HomeResult.model_validate_json((self.task.recorded / RESULT_FILE).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        return found if found.inputs_sha256 == self.inputs_sha256 else None

    def write_result(self, run: ScoredRun) -> None:
        """Raises OSError."""
        result = HomeResult(inputs_sha256=self.inputs_sha256, run=run)
        write_whole(self.task.recorded / RESULT_FILE, result.model_dump_json(indent=1))

    def clear(self) -> bool:
        """Removes what an earlier, unfinished or outdated run has left; whether that had ended."""
        had_ended = (self.task.recorded / RESULT_FILE).exists()
        shutil.rmtree(self.task.recorded, ignore_errors=True)
        return had_ended


def plan_runs(
    entrants: Sequence[Entrant], datasets: Sequence[LocalDataset], repeats: int, seed: int, out: Path
) -> list[PlannedRun]:
    """Every entrant on every dataset, ``repeats`` times, in an order shuffled by ``seed``.

    Raises:
        CommandError: a folder of code has no ``model.py``.
    """
    data = {dataset.name: _digest_dataset(dataset) for dataset in datasets}
    planned: list[PlannedRun] = []
    for entrant in entrants:
        code = _digest(read_folder(entrant.code).items())
        rules = entrant.settings.rules
        told = (entrant.settings.framework, rules.scheme, rules.metric.name, f"{rules.budget:g}")
        for dataset in datasets:
            inputs = _digest(enumerate(part.encode() for part in (code, data[dataset.name], *told)))
            for repeat in range(repeats):
                recorded = out / "runs" / entrant.name / dataset.name / str(repeat + 1)
                task = LocalTask(entrant.code, dataset, recorded, repeat)
                planned.append(PlannedRun(entrant, task, repeat, inputs))
    random.Random(seed).shuffle(planned)
    return planned


def _digest_dataset(dataset: LocalDataset) -> str:
    """Of its metadata, its solution, and the names and sizes of its files: enough to see that it was made again."""
    files = sorted(path for path in dataset.path.rglob("*") if path.is_file())
    names = "\n".join(f"{path.relative_to(dataset.path)} {path.stat().st_size}" for path in files)
    read = [path for path in files if path.suffix == ".textproto"]
    read += [dataset.solution] if dataset.solution is not None else []
    return _digest([("files", names.encode()), *((path.name, path.read_bytes()) for path in read)])


def _digest(parts: Iterable[tuple[object, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in parts:
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()
