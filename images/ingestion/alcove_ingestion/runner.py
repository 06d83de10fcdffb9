"""The loop of ``train`` and ``test``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alcove_api.frameworks import Framework
from alcove_format.reader import open_dataset
from alcove_ingestion.frameworks import framework_of, open_feed
from alcove_ingestion.go import Clock
from alcove_ingestion.metadata import ModelMetadata
from alcove_ingestion.participant import load_model_class, participant_code
from alcove_ingestion.prediction import check_prediction, find_not_finite, save


@dataclass(frozen=True)
class ConstructedModel:
    """The participant's ``Model``, and what its methods are given."""

    model: Any
    code: Path
    train: Any
    test: Any
    shape: tuple[int, int]
    """Test examples × labels."""


def construct(data: Path, code: Path, loaded: Framework, clock: Clock | None) -> ConstructedModel:
    """Imports ``model.py`` and makes its ``Model``.

    The code folder is the working directory, wherever this runs.

    Args:
        data: the dataset's folder.
        code: folder with ``model.py``.
        loaded: the framework that was loaded before the go; the model's unless its class names NumPy.
        clock: None before the go.

    Raises:
        IngestionError: the participant's code raised, or does not keep to the interface.
        alcove_format.errors.FormatError: the dataset is damaged.
    """
    folder = open_dataset(data)
    model_class = load_model_class(code)
    # `alcove explain` reads from these lines what never returned.
    print(f"[alcove] model.py imported {_when(clock)}")
    framework = framework_of(model_class, loaded)
    train, test = open_feed(folder.train, framework), open_feed(folder.test, framework)
    with participant_code(code):
        model: Any = model_class(ModelMetadata(folder.train, folder.test))
    print(f"[alcove] Model() returned {_when(clock)}")
    shape = (folder.test.metadata.n_examples, folder.test.metadata.n_labels)
    return ConstructedModel(model, code, train, test, shape)


def learn(constructed: ConstructedModel, out: Path, clock: Clock) -> int:
    """Trains and tests until the model is done or the budget is over; returns the number of predictions saved.

    Raises:
        IngestionError: the participant's code raised, or does not keep to the interface.
        alcove_format.errors.FormatError: the dataset is damaged.
    """
    model, saved = constructed.model, 0
    while not (getattr(model, "done_training", False) or _over(clock)):
        with participant_code(constructed.code):
            model.train(constructed.train, remaining_time_budget=clock.remaining())
            if not saved:
                print(f"[alcove] train() returned {_when(clock)}")
            returned = model.test(constructed.test, remaining_time_budget=clock.remaining())
        if returned is None:
            break
        prediction = check_prediction(returned, constructed.shape)
        save(prediction, out, saved)
        print(f"[alcove] prediction {saved} saved {_when(clock)}")
        if problem := find_not_finite(prediction):
            # Not the end: a network that diverged may recover, and what comes next counts.
            print(f"[alcove] prediction {saved}: {problem}")
        saved += 1
    return saved


def _when(clock: Clock | None) -> str:
    return "before the go" if clock is None else f"{clock.elapsed():.2f} s after the go"


def _over(clock: Clock) -> bool:
    remaining = clock.remaining()
    return remaining is not None and remaining <= 0
