"""What to do about modules and names that participants miss: what there is instead of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from alcove_api.frameworks import Framework

_PACKAGES = (
    "numpy", "scipy", "scikit-learn", "pillow", "tensorflow", "tensorflow-cpu", "keras", "torch", "torchvision",
    "pandas", "lightgbm", "xgboost", "opencv-python-headless", "librosa",
)  # fmt: skip
"""Those that models ask for; whichever are installed are named."""
_TENSORFLOW_1 = re.compile(
    r"module 'tensorflow[\w.]*' has no attribute '\w+'|has no attribute 'make_(one_shot|initializable)_iterator'"
    r"|No module named 'tensorflow\.(contrib|logging|app|flags|gfile|estimator)"
)
_TENSORFLOW_1_NAMES = (
    "Session", "InteractiveSession", "ConfigProto", "contrib", "logging", "app", "flags", "gfile", "layers",
    "estimator", "placeholder", "variable_scope", "get_variable", "global_variables_initializer",
    "reset_default_graph", "set_random_seed", "to_float",
)  # fmt: skip

_FRAMEWORK_WITH: dict[str, Framework] = {
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
    "torch": "torch",
    "torchvision": "torch",
}
"""By the library that is missing."""


def advise(error: BaseException) -> Iterator[str]:
    """Sentences about a missing module or a name of TensorFlow 1, in ``error`` or what caused it; else none."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ImportError | AttributeError) and _is_of_tensorflow_1(str(cause)):
            yield (
                "This is a name of TensorFlow 1. Code of the AutoDL challenge runs with code.framework (--framework) "
                "tensorflow1, in the image ingestion-tf1; else use tf.compat.v1."
            )
            return
        if isinstance(cause, ModuleNotFoundError):
            if framework := _framework_with(cause.name or ""):
                yield (
                    "It is in the image of another framework. Ask for that with code.framework (--framework) "
                    f"{framework}: the library is then loaded before the clock starts. Model.framework may stay."
                )
                return
            yield (
                f"The module is neither beside model.py nor installed. {describe_installed()}. Put pure Python beside "
                "model.py; `alcove images` lists what each image holds."
            )
            return
        cause = cause.__cause__ or cause.__context__


def _framework_with(module: str) -> Framework | None:
    """That whose image has it; none where the library was imported, and a part of it is missing."""
    library = module.partition(".")[0]
    return _FRAMEWORK_WITH.get(library) if sys.modules.get(library) is None else None


def _is_of_tensorflow_1(message: str) -> bool:
    found = _TENSORFLOW_1.search(message)
    if found is None:
        return False
    name = re.search(r"module 'tensorflow[\w.]*' has no attribute '(\w+)'", message)
    return name is None or name[1] in _TENSORFLOW_1_NAMES


def describe_installed() -> str:
    """The Python and the packages of this image that models ask for, with their versions: a sentence without a stop."""
    found = [f"{name} {_version(name)}" for name in _PACKAGES if _version(name)]
    return f"Here is Python {sys.version.split()[0]} with {', '.join(found)}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
