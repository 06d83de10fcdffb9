"""The runner, as the supervisor or a laptop starts it: another process with ``python -I``."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from alcove_format.metadata import Metadata
from alcove_format.writer import NewExample, write_dataset

TEST_EXAMPLES, LABELS = 4, 2
MODEL = """
import numpy as np
class Model:
    framework = "numpy"
    def __init__(self, metadata):
        self.metadata = metadata
        self.tests = 0
        self.done_training = False
    def train(self, dataset, remaining_time_budget=None):
        self.labels = np.stack([label for _, label in dataset])
    def test(self, dataset, remaining_time_budget=None):
        self.tests += 1
        self.done_training = self.tests == 3
        return np.full((self.metadata.test_size, self.metadata.get_output_size()), self.labels.mean())
"""


@dataclass(frozen=True)
class Ended:
    status: int
    stdout: str
    stderr: str
    out: Path

    @property
    def predictions(self) -> list[Path]:
        return sorted(self.out.iterdir())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    metadata = Metadata(n_examples=0, n_labels=LABELS, rows=1, cols=3, labels={"no": 0, "yes": 1})
    examples = [NewExample(np.full((1, 1, 3, 1), i), {i % 2: 1.0}) for i in range(6)]
    return write_dataset(tmp_path_factory.mktemp("data"), "d", metadata, examples, examples[:TEST_EXAMPLES])


@pytest.fixture
def environment(data: Path, tmp_path: Path) -> dict[str, str]:
    for name in ("code", "out"):
        (tmp_path / name).mkdir()
    folders = {"ALCOVE_DATA": data, "ALCOVE_CODE": tmp_path / "code", "ALCOVE_OUT": tmp_path / "out"}
    # Not TensorFlow: it is loaded in one test alone, since that takes seconds.
    return {"ALCOVE_FRAMEWORK": "numpy", "HOME": str(tmp_path)} | {k: str(v) for k, v in folders.items()}


Run = Callable[..., Ended]


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    def start(model: str = MODEL, **variables: str) -> Ended:
        if model:
            (tmp_path / "code" / "model.py").write_text(textwrap.dedent(model))
        command = [sys.executable, "-I", "-m", "alcove_ingestion"]
        done = subprocess.run(
            command, env=environment | variables, capture_output=True, text=True, timeout=180, check=False
        )
        return Ended(done.returncode, done.stdout, done.stderr, tmp_path / "out")

    return start


def changed(**replaced: str) -> str:
    """The model above with a method's body replaced."""
    lines = MODEL.splitlines()
    for name, body in replaced.items():
        start = next(i for i, line in enumerate(lines) if line.startswith(f"    def {name}("))
        end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("    def ")), len(lines))
        lines[start + 1 : end] = [f"        {line}" for line in body.split("\n")]
    return "\n".join(lines)


def test_each_prediction_is_a_float32_file_under_its_number(run: Run) -> None:
    ended = run()
    assert ended.status == 0, ended.stderr
    assert [p.name for p in ended.predictions] == [f"prediction_{i:06d}.npy" for i in range(3)]
    for path in ended.predictions:
        array = np.load(path)
        assert (array.shape, array.dtype) == ((TEST_EXAMPLES, LABELS), np.float32)
        assert (array == 0.5).all()


def test_none_from_test_ends_it(run: Run) -> None:
    ended = run(changed(test="return None"))
    assert (ended.status, ended.predictions) == (0, [])


def test_it_ends_at_the_budget_on_a_laptop(run: Run) -> None:
    endless = changed(test="assert remaining_time_budget < 0.3\nreturn np.zeros((4, 2))")
    ended = run(endless, ALCOVE_BUDGET="0.3")
    assert ended.status == 0, ended.stderr
    assert len(ended.predictions) >= 1


def test_without_a_budget_the_model_is_told_none(run: Run) -> None:
    ended = run(changed(test="assert remaining_time_budget is None\nreturn None"))
    assert ended.status == 0, ended.stderr


def test_the_model_sees_the_dataset_through_the_starting_kits_interface(run: Run) -> None:
    ended = run(
        changed(
            __init__="""\
assert metadata.get_matrix_size(0) == (1, 3) and metadata.get_num_channels(0) == 1
assert metadata.get_sequence_size() == 1 and metadata.get_tensor_shape() == (1, 1, 3, 1)
assert metadata.get_output_size() == 2
assert (metadata.size(), metadata.test_size) == (6, 4)
assert metadata.get_dataset_name().endswith("/train")
assert metadata.metadata_.sample_count == 6 and metadata.metadata_.matrix_spec[0].col_count == 3
assert metadata.get_label_to_index_map() == {"no": 0, "yes": 1}
assert metadata.get_dataset_name().split("/")[-2].split(".")[0] == "d"
assert metadata.domain == "tabular" and metadata.array_shape == (1, 1, 3, 1)""",
            train="x = np.stack([x for x, _ in dataset]); assert x.shape == (6, 1, 1, 3, 1) and x.dtype == np.float32",
            test="assert not np.stack([y for _, y in dataset]).any() and len(list(dataset)) == 4",
        )
    )
    assert ended.status == 0, ended.stderr


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ("np.zeros((4, 3))", "shape (4, 3). Nothing was saved of it. Return an array of shape (4, 2)"),
        ("np.zeros(4)", "shape (4,)"),
        ("'abc'", "returned str which is not an array of numbers"),
        ("{'a': 1}", "returned dict which is not an array of numbers"),
    ],
)
def test_a_wrong_return_value_is_explained(run: Run, returned: str, says: str) -> None:
    ended = run(changed(test=f"self.tests += 1\nreturn np.zeros((4, 2)) if self.tests == 1 else {returned}"))
    assert ended.status == 1
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.predictions) == 1, "what was saved before is kept, and nothing half-written"


def test_numbers_that_are_not_finite_spoil_one_prediction_and_no_more(run: Run) -> None:
    spoiled = "np.array([[0, 1], [1, np.inf], [np.nan, 0], [0, 0]])"
    body = "self.tests += 1\nself.done_training = self.tests == 3\n"
    body += f"return {spoiled} if self.tests == 2 else np.ones((4, 2))"
    ended = run(changed(test=body))
    assert ended.status == 0, ended.stderr
    assert [bool(np.isfinite(np.load(path)).all()) for path in ended.predictions] == [True, False, True]
    assert (
        "prediction 1: 2 of its 4 rows have a number that is not finite (NaN or infinity), the first"
        in ended.stdout
    )
    assert ended.stdout.count("not finite") == 1


def test_a_traceback_has_lines_of_the_participant_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "code" / "helper.py").write_text("import json\ndef parse():\n    json.loads('{')\n")
    ended = run("import helper\n" + changed(train="helper.parse()"))
    assert ended.status == 1
    assert "model.py" in ended.stderr
    assert "helper.py" in ended.stderr
    assert "JSONDecodeError: Expecting property name" in ended.stderr
    assert "alcove_ingestion" not in ended.stderr
    assert "json/decoder.py" not in ended.stderr


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("class Model:\n    def train(self:\n", "SyntaxError"),
        ("import not_installed_anywhere", "ModuleNotFoundError: No module named 'not_installed_anywhere'"),
        ("class Modell: pass", "model.py has no class Model"),
        ("class Model:\n    def train(self): pass", "no method test"),
        (MODEL.replace('"numpy"', '"theano"'), "one of tensorflow, numpy, torch, tensorflow1"),
        (MODEL.replace('"numpy"', '"tensorflow1"'), "which choose the image ingestion-tf1"),
    ],
)
def test_code_that_cannot_be_started_is_explained(run: Run, model: str, says: str) -> None:
    ended = run(model)
    assert ended.status == 1
    assert says in ended.stderr
    assert "alcove_ingestion" not in ended.stderr
    assert "<frozen importlib" not in ended.stderr
    assert ended.predictions == []


def test_the_code_folder_is_the_working_directory(run: Run, tmp_path: Path) -> None:
    (tmp_path / "code" / "weights.txt").write_text("0.25")
    ended = run(
        changed(test="self.done_training = True\nreturn np.full((4, 2), float(open('weights.txt').read()))")
    )
    assert ended.status == 0, ended.stderr
    assert (np.load(ended.predictions[0]) == 0.25).all()


def test_a_missing_module_is_answered_with_what_is_there(run: Run) -> None:
    ended = run("import not_installed_anywhere")
    python = ".".join(map(str, sys.version_info[:3]))
    assert f"Here is Python {python} with numpy {np.__version__}, " in ended.stderr
    assert "alcove images" in ended.stderr
    assert "TensorFlow 1" not in ended.stderr


def test_a_model_that_names_no_framework_gets_what_was_loaded(run: Run) -> None:
    """TensorFlow would take seconds of the budget."""
    model = changed(train="import sys\nassert 'tensorflow' not in sys.modules\nself.labels = np.zeros(1)")
    ended = run(model.replace('framework = "numpy"', "pass"))
    assert ended.status == 0, ended.stderr
    assert len(ended.predictions) == 3
    assert "TensorFlow" not in ended.stdout + ended.stderr


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is not installed")
@pytest.mark.parametrize(
    ("model", "said"),
    [
        (MODEL.replace('"numpy"', '"tensorflow"'), "Ask for tensorflow with code.framework or --framework"),
        (
            "import tensorflow\n" + MODEL,
            "code.framework (--framework) tensorflow: the library is then loaded",
        ),
    ],
)
def test_with_numpy_there_is_no_tensorflow_wherever_it_runs(run: Run, model: str, said: str) -> None:
    """The image ingestion-numpy has none."""
    ended = run(model)
    assert (ended.status, ended.predictions) == (1, [])
    assert said in ended.stderr


def test_the_folder_of_the_autodl_starting_kit_is_found(run: Run, tmp_path: Path) -> None:
    inner = tmp_path / "code" / "AutoDL_sample_code_submission"
    inner.mkdir(parents=True)
    (inner / "helper.py").write_text("VALUE = 0.25\n")
    (inner / "model.py").write_text("import helper\n" + MODEL)
    (tmp_path / "code" / "README.md").touch()
    ended = run("")
    assert (ended.status, len(ended.predictions)) == (0, 3), ended.stderr


def test_a_framework_that_is_not_here_is_refused_before_the_go(run: Run) -> None:
    ended = run(ALCOVE_FRAMEWORK="tensorflow1")
    assert ended.status == 1
    assert "Use the image ingestion-tf1." in ended.stderr
    ended = run(ALCOVE_FRAMEWORK="theano")
    assert "set it to one of tensorflow, numpy, torch, tensorflow1" in ended.stderr


def test_a_missing_model_file_is_explained(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other" / "inner").mkdir(parents=True)
    ended = run(ALCOVE_CODE=str(tmp_path / "other"))
    assert ended.status == 1
    assert "no model.py at the top of the submitted code (found: inner)" in ended.stderr
    assert "not in a folder" in ended.stderr
    (tmp_path / "other" / "inner" / "model.py").write_text(MODEL)
    assert "There is one in its folder inner: submit that" in run(ALCOVE_CODE=str(tmp_path / "other")).stderr


def test_a_damaged_dataset_is_not_blamed_on_the_participant(run: Run, data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.data"
    for path in data.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(data)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    sample = copy / "train" / "sample-00000"
    sample.write_bytes(sample.read_bytes()[:-5])
    ended = run(ALCOVE_DATA=str(copy))
    assert ended.status == 1
    assert "not your fault" in ended.stderr
    assert "sample-00000, record 5" in ended.stderr


def test_exit_status_of_the_participant_is_passed_on(run: Run) -> None:
    assert run("import sys\nsys.exit(7)").status == 7


def started_with_go(environment: dict[str, str], descriptor: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "alcove_ingestion"],
        env=environment | {"ALCOVE_GO_FD": str(descriptor)},
        pass_fds=(descriptor,),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("budget_ns", "told"), [(30_000_000_000, "29."), (0, "None")])
def test_the_go_comes_before_anything_of_the_participants(
    environment: dict[str, str], tmp_path: Path, budget_ns: int, told: str
) -> None:
    marker = tmp_path / "imported"
    lines = [f"open({str(marker)!r}, 'w')", "import os; assert 'ALCOVE_GO_FD' not in os.environ"]
    body = "print('told', remaining_time_budget)\nreturn None"
    (tmp_path / "code" / "model.py").write_text("\n".join([*lines, changed(test=body)]))
    ours, theirs = socket.socketpair()
    with ours, started_with_go(environment, theirs.fileno()) as process:
        theirs.close()
        ours.settimeout(30)
        assert ours.recv(64) == b"go\n"
        assert not marker.exists()
        ours.sendall(f"started {time.monotonic_ns()} {budget_ns}\n".encode())
        assert ours.recv(64) == b"", "the runner closes it"
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert marker.exists()
    assert f"told {told}" in stdout


@pytest.mark.parametrize("answer", [b"", b"started soon\n"])
def test_without_a_go_nothing_is_run(environment: dict[str, str], tmp_path: Path, answer: bytes) -> None:
    (tmp_path / "code" / "model.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    ours, theirs = socket.socketpair()
    with ours, started_with_go(environment, theirs.fileno()) as process:
        theirs.close()
        ours.settimeout(30)
        assert ours.recv(64) == b"go\n"
        ours.sendall(answer)
        ours.shutdown(socket.SHUT_WR)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "supervisor" in stderr
    assert not (tmp_path / "imported").exists()


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_tensorflow_models_get_tf_data(run: Run) -> None:
    model = """
import tensorflow as tf
class Model:
    def __init__(self, metadata):
        pass
    def train(self, dataset, remaining_time_budget=None):
        (x, y), = dataset.batch(6).take(1)
        assert isinstance(dataset, tf.data.Dataset) and x.shape == (6, 1, 1, 3, 1) and y.shape == (6, 2)
    def test(self, dataset, remaining_time_budget=None):
        self.done_training = True
        return tf.concat([y for _, y in dataset.batch(3)], axis=0)
"""
    ended = run(model, ALCOVE_FRAMEWORK="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
    assert ended.status == 0, ended.stderr
    assert len(ended.predictions) == 1
