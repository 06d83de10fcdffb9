"""Solutions and predictions of any small shape, ties and one-class labels included."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


@st.composite
def solved(draw: st.DrawFn, fewest_labels: int = 1) -> tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]:
    """A solution with a label of both classes and an example of both (of several labels), and a finite prediction."""
    shape = (draw(st.integers(2, 40)), draw(st.integers(fewest_labels, 6)))
    solution = draw(hnp.arrays(np.bool_, shape))
    solution[0, 0], solution[1, 0] = True, False
    if shape[1] > 1 and not (solution.any(axis=1) & ~solution.all(axis=1)).any():
        solution[0, 1] = False
    cells = st.sampled_from([0.0, -0.0, 0.25, 0.5, 0.75, 1.0]) | st.floats(-2, 2, width=32)
    return solution, draw(hnp.arrays(np.float32, shape, elements=cells))
