"""The module ``algorithm`` of the AutoDL starting kit: what a ``Model`` may extend."""

from __future__ import annotations

from typing import Any


class Algorithm:
    """Keeps the metadata as ``metadata_``, and says with ``done_training`` whether it is finished."""

    def __init__(self, metadata: Any) -> None:
        self.done_training = False
        self.metadata_ = metadata

    def train(self, dataset: Any, remaining_time_budget: float | None = None) -> None:
        raise NotImplementedError("The class Model has no method train of its own.")

    def test(self, dataset: Any, remaining_time_budget: float | None = None) -> Any:
        raise NotImplementedError("The class Model has no method test of its own.")
