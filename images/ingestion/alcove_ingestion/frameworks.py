"""Loading a framework before the go, and what ``train`` and ``test`` get in it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from alcove_api.frameworks import FRAMEWORKS, IMAGES, Framework
from alcove_format.reader import Part
from alcove_ingestion.autodl.tensorflow1 import imitate_tensorflow_1, is_installed
from alcove_ingestion.errors import IngestionSettingsError, ModelError

_LIBRARY: dict[Framework, str] = {"tensorflow": "tensorflow", "torch": "torch"}


def load_framework(environment: Mapping[str, str]) -> Framework:
    """Loads what ``ALCOVE_FRAMEWORK`` names; without it, TensorFlow where that is installed. Returns what is loaded.

    Raises:
        IngestionSettingsError: it names no framework, or one that is not installed.
    """
    wanted = environment.get("ALCOVE_FRAMEWORK") or ("tensorflow" if _is_there("tensorflow") else "numpy")
    if wanted not in FRAMEWORKS:
        raise IngestionSettingsError(
            f"ALCOVE_FRAMEWORK is {wanted!r}: set it to one of {', '.join(FRAMEWORKS)}."
        )
    framework: Framework = wanted
    with _silenced(sys.stderr.fileno()):
        if framework == "tensorflow1":
            imitate_tensorflow_1()
            from alcove_ingestion.autodl import dataset  # noqa: F401  # Else within the budget.
        elif not _is_there(framework):
            raise IngestionSettingsError(
                f"The framework {framework} is not installed here. Nothing was run. Use the image "
                f"{IMAGES[framework][0]}."
            )
        elif framework == "numpy":
            hide_tensorflow()
        elif framework in _LIBRARY:
            library = importlib.import_module(_LIBRARY[framework])
            if framework == "torch":
                # The first optimizer imports much more of PyTorch, which takes seconds.
                library.optim.SGD([library.zeros(1, requires_grad=True)], lr=0.0)
    return framework


def hide_tensorflow() -> None:
    """The image ingestion-numpy does not have it. What runs at home, or in a larger image, is to run there, too.

    Not by a None in ``sys.modules``: to libraries that look there, as several do, that says that it is loaded.
    """
    sys.meta_path[sys.meta_path.index(PathFinder)] = _WithoutTensorFlow


class _WithoutTensorFlow(PathFinder):
    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] == "tensorflow":
            return None
        return super().find_spec(fullname, path, target)


def _is_there(framework: Framework) -> bool:
    if framework == "tensorflow1":
        return is_installed()
    return framework not in _LIBRARY or find_spec(_LIBRARY[framework]) is not None


@contextmanager
def _silenced(descriptor: int) -> Iterator[None]:
    """Drops what native code writes there: TensorFlow greets on stderr, whatever its log level is."""
    duplicate, null_device = os.dup(descriptor), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null_device, descriptor)
        yield
    finally:
        os.dup2(duplicate, descriptor)
        os.close(duplicate)
        os.close(null_device)


def framework_of(model_class: Any, loaded: Framework) -> Framework:
    """What its datasets are to be: its attribute ``framework`` or, where it has none, what was ``loaded``.

    Raises:
        ModelError: it names something else, or what was not loaded before the clock.
    """
    wanted = getattr(model_class, "framework", loaded)
    if wanted not in FRAMEWORKS:
        raise ModelError(
            f"Model.framework is {wanted!r}. Nothing was run. Set it to one of {', '.join(FRAMEWORKS)}."
        )
    framework: Framework = wanted
    if framework not in (loaded, "numpy"):
        raise ModelError(
            f"Model.framework is {framework!r}, but {loaded} was asked for, and loaded before the clock. "
            f"Nothing was run. Ask for {framework} with code.framework or --framework, which choose the image "
            f"{IMAGES[framework][0]}, or set framework = 'numpy' in the class."
        )
    return framework


def open_feed(part: Part, framework: Framework) -> Any:
    """What ``train`` and ``test`` get: (features, label) of each example, in the same order each time."""
    if framework == "tensorflow":
        return part.tf()
    if framework == "torch":
        return part.torch()
    if framework == "tensorflow1":
        from alcove_ingestion.autodl.dataset import make_graph_dataset

        return make_graph_dataset(part)
    return part
