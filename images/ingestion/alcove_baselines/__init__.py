"""Learners for participants to start from. They import nothing else of Alcove: a copy of the folder works anywhere."""

from alcove_baselines.anytime import AnytimeClassifier

__all__ = ["AnytimeClassifier"]
