"""Advice about names of TensorFlow 1, by the errors that the TensorFlow here really raises."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest

from alcove_ingestion.advice import advise
from alcove_ingestion.frameworks import hide_tensorflow

pytestmark = pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is not installed")


def advice_about(code: str) -> str:
    with pytest.raises(Exception) as caught:
        exec(f"import tensorflow as tf\n{code}", {})
    return " ".join(advise(caught.value))


@pytest.mark.parametrize(
    "code",
    [
        "tf.Session()",
        "tf.logging.set_verbosity(0)",
        "tf.contrib.layers",
        "tf.data.Dataset.range(3).make_one_shot_iterator()",
        "import tensorflow.contrib",
        "try:\n  tf.placeholder\nexcept Exception as error:\n  raise RuntimeError('no network') from error",
    ],
)
def test_a_name_of_tensorflow_1_is_recognised(code: str) -> None:
    assert advice_about(code).startswith(
        "This is a name of TensorFlow 1. Code of the AutoDL challenge runs with code.framework"
    )


@pytest.mark.parametrize("code", ["tf.Sesssion()", "tf.keras.layers.Densse", "tf.zeros(2).shap", "1 / 0"])
def test_other_errors_are_not_called_so(code: str) -> None:
    assert advice_about(code) == ""


def test_a_missing_module_is_answered_with_what_is_there() -> None:
    for code in ("import tensorflow.nothing_of_it", "raise ModuleNotFoundError('made by hand')"):
        assert "with numpy " in advice_about(code)


@pytest.mark.parametrize(
    "code", ["import tensorflow", "from tensorflow.keras import layers", "import tensorflow.compat.v1"]
)
def test_who_asked_for_numpy_hears_how_to_get_tensorflow(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is installed here, and hidden as the runner hides it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    hide_tensorflow()
    with pytest.raises(ModuleNotFoundError) as caught:
        exec(code, {})
    told = " ".join(advise(caught.value))
    assert "code.framework (--framework) tensorflow" in told
    assert "neither beside" not in told
