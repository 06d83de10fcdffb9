"""The loop of ``train`` and ``test``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alcove_api.frameworks import Framework
from alcove_format.reader import open_dataset
from alcove_ingestion.frameworks import framework_of, open_feed
from alcove_ingestion.go import Clock
from alcove_ingestion.metadata import ModelMetadata
from alcove_ingestion.participant import load_model_class, participant_code
from alcove_ingestion.prediction import check_prediction, find_not_finite, save


def run(data: Path, code: Path, out: Path, clock: Clock, loaded: Framework) -> int:
    """Runs the model until it is done or the budget is over; returns the number of predictions saved.

    The code folder is the working directory, wherever this runs.

    Args:
        loaded: the framework that was loaded before the go; the model's unless its class names another.

    Raises:
        IngestionError: the participant's code raised, or does not keep to the interface.
        alcove_format.errors.FormatError: the dataset is damaged.
    """
    folder = open_dataset(data)
    model_class = load_model_class(code)
    # `alcove explain` reads from these lines what never returned.
    print(f"[alcove] model.py imported {clock.elapsed():.2f} s after the go")
    framework = framework_of(model_class, loaded)
    if framework not in (loaded, "numpy"):
        print(
            f"[alcove] Model.framework is {framework!r}, but it was not asked for (code.framework, --framework): "
            "it is loaded now, within the budget"
        )
    train, test = open_feed(folder.train, framework), open_feed(folder.test, framework)
    shape = (folder.test.metadata.n_examples, folder.test.metadata.n_labels)
    with participant_code(code):
        model: Any = model_class(ModelMetadata(folder.train, folder.test))
    print(f"[alcove] Model() returned {clock.elapsed():.2f} s after the go")
    saved = 0
    while not (getattr(model, "done_training", False) or _over(clock)):
        with participant_code(code):
            model.train(train, remaining_time_budget=clock.remaining())
            if not saved:
                print(f"[alcove] train() returned {clock.elapsed():.2f} s after the go")
            returned = model.test(test, remaining_time_budget=clock.remaining())
        if returned is None:
            break
        prediction = check_prediction(returned, shape)
        save(prediction, out, saved)
        print(f"[alcove] prediction {saved} saved {clock.elapsed():.2f} s after the go")
        if problem := find_not_finite(prediction):
            # Not the end: a network that diverged may recover, and what comes next counts.
            print(f"[alcove] prediction {saved}: {problem}")
        saved += 1
    return saved


def _over(clock: Clock) -> bool:
    remaining = clock.remaining()
    return remaining is not None and remaining <= 0
