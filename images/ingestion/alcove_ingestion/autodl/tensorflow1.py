"""``import tensorflow`` means TensorFlow 1: names and behaviour of ``tf.compat.v1``, and some of ``tf.contrib``."""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from alcove_ingestion.autodl.torchvision_urls import add_model_urls
from alcove_ingestion.errors import IngestionSettingsError

MODULES = Path(__file__).with_name("modules")
"""The folder of the modules that the starting kit has beside its ingestion program."""

_KERAS = "keras.api._v1.keras"
_OLD_KERAS = "tensorflow.python.keras"
"""Public submissions import Keras by this name, too, where TensorFlow 2.15 has a rest of it for itself."""
_MOVED = (
    "activations", "applications", "backend", "callbacks", "constraints", "initializers", "layers", "losses", "metrics",
    "models", "optimizers", "preprocessing", "preprocessing.image", "preprocessing.sequence", "preprocessing.text",
    "regularizers", "utils",
)  # fmt: skip
_RENAMED = {
    "tensorflow.python.keras.layers.normalization": "layers",
    "keras.layers.normalization": "layers",
    "keras.backend.tensorflow_backend": "backend",
}


def is_installed() -> bool:
    """Whether the last TensorFlow with estimators and Keras 2 is there, which is what the image's lock file has."""
    return find_spec("tensorflow") is not None and find_spec("tensorflow_estimator") is not None


def imitate_tensorflow_1() -> None:
    """Changes the module ``tensorflow`` of this process, and makes the kit's modules importable after all others.

    Modules of torchvision get ``model_urls`` as they are imported.

    Raises:
        IngestionSettingsError: no TensorFlow is installed that can do it.
    """
    if not is_installed():
        raise IngestionSettingsError(
            "The framework is tensorflow1, but TensorFlow 2.15 with tensorflow-estimator is not installed here. "
            "Nothing was run. Use the image ingestion-tf1."
        )
    # Each use of an old name would be warned of.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", r"`tf\.layers", UserWarning)
    import tensorflow
    from tensorflow.compat import v1

    v1.disable_v2_behavior()
    # Into the one module, and not another in its place: parts of TensorFlow import it by its name.
    for name in dir(v1):
        if not name.startswith("_"):
            _set(tensorflow, name, getattr(v1, name))
    _set(tensorflow, "contrib", _make_contrib(v1))
    _move_keras()
    add_model_urls()
    sys.path.append(str(MODULES))


def _move_keras() -> None:
    moved = {f"{_OLD_KERAS}.{name}": name for name in _MOVED}
    for name, moved_to in (moved | _RENAMED).items():
        module = sys.modules[name] = importlib.import_module(f"{_KERAS}.{moved_to}")
        parent, _, child = name.rpartition(".")
        setattr(importlib.import_module(parent), child, module)


def _set(tensorflow: ModuleType, name: str, value: Any) -> None:
    setattr(tensorflow, name, value)
    if isinstance(
        value, ModuleType
    ):  # For `import tensorflow.logging` and `from tensorflow.layers import …`.
        sys.modules[f"tensorflow.{name}"] = value


class _Contrib(ModuleType):
    """``tf.contrib``, or a module of it: TensorFlow 2 has none of it, and this what submissions ask for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        names = sorted(name for name in vars(self) if not name.startswith("_"))
        raise AttributeError(
            f"module '{self.__name__}' has no attribute '{name}': of it this image has {', '.join(names)}"
        )


def _make_contrib(v1: Any) -> ModuleType:
    """The names that public submissions use, by what TensorFlow itself has in their place."""
    layers = _Contrib("tensorflow.contrib.layers")
    vars(layers).update(xavier_initializer=_make_xavier_initializer(v1))
    data = _Contrib("tensorflow.contrib.data")
    vars(data).update(AUTOTUNE=v1.data.experimental.AUTOTUNE)
    contrib = _Contrib("tensorflow.contrib")
    rnn = _Contrib("tensorflow.contrib.rnn")
    vars(rnn).update(BasicLSTMCell=v1.nn.rnn_cell.BasicLSTMCell)
    vars(contrib).update(layers=layers, data=data, rnn=rnn)
    for module in (layers, data, rnn):
        sys.modules[module.__name__] = module
    return contrib


def _make_xavier_initializer(v1: Any) -> Any:
    def xavier_initializer(uniform: bool = True, seed: int | None = None, dtype: Any = v1.float32) -> Any:
        """Glorot and Bengio 2010, equation 16: uniform, or a normal distribution of the same variance."""
        kind = v1.initializers.glorot_uniform if uniform else v1.initializers.glorot_normal
        return kind(seed=seed, dtype=dtype)

    return xavier_initializer
