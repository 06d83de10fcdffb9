"""The errors of the dataset format."""

from __future__ import annotations

from alcove_api.errors import AlcoveError


class FormatError(AlcoveError):
    """A dataset on disk that does not follow the format. ``where`` names file and position."""

    def __init__(
        self, where: str, problem: str, *, remedy: str = "Make the file again, or fetch it again."
    ) -> None:
        super().__init__(
            f"{where}: {problem.rstrip('.')}.", consequence="The dataset cannot be used.", remedy=remedy
        )
        self.where = where
        self.problem = problem


LABEL_CELLS, TARGET_CELLS = "0 or 1 a label", "number for each that is to be predicted"
"""What stands in a row of a solution."""


class SolutionError(AlcoveError):
    """A solution that is not a table of 0 and 1 or, of a regression, of numbers. ``where`` names file and row."""

    def __init__(self, where: str, problem: str, cells: str = LABEL_CELLS) -> None:
        super().__init__(
            f"{where}: {problem.rstrip('.')}.",
            consequence="Nothing can be scored with it.",
            remedy=f"It must have one row a test example, and in it one {cells}, with spaces between.",
        )
        self.where = where
        self.problem = problem


class OutputExistsError(AlcoveError):
    """There is something under the final name already; nothing is overwritten."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} is there already.",
            consequence="Nothing was written.",
            remedy="Remove it, or choose another name.",
        )
