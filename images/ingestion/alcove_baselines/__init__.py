"""Learners for participants to start from. They import nothing else of Alcove: a copy of the folder works anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alcove_baselines.features import vectorize

if TYPE_CHECKING:
    from alcove_baselines.anytime import AnytimeClassifier
    from alcove_baselines.numbers import AnytimeRegressor

__all__ = ["AnytimeClassifier", "AnytimeRegressor", "vectorize"]


def __getattr__(name: str) -> Any:
    """Loads scikit-learn for those alone who use it: imports of participants' code are charged."""
    if name == "AnytimeClassifier":
        from alcove_baselines.anytime import AnytimeClassifier

        return AnytimeClassifier
    if name == "AnytimeRegressor":
        from alcove_baselines.numbers import AnytimeRegressor

        return AnytimeRegressor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
