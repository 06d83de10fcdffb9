"""Series: arrays of all, or a file each."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from alcove_format.reader import open_dataset
from alcove_toolkit.convert.run import Converted
from alcove_toolkit.errors import SourceError
from tests.unit.toolkit.conversions import contents, converted, write

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 12, 2)).astype(np.float32)
Y = np.arange(30) % 3


def read(made: Converted) -> dict[int, tuple[npt.NDArray[np.float32], str]]:
    """Series and label of each example of train, by which of X its first step is."""
    found = {}
    for features, label in open_dataset(made.path).train:
        item = int(np.argmin(np.abs(X[:, 0, 0] - features[0, 0, 0, 0])))
        found[item] = (features[:, 0, 0, :], made.metadata.label_names[int(label.argmax())])
    return found


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_of_x_and_y(tmp_path: Path, save: object) -> None:
    assert callable(save)
    save(tmp_path / "s.npz", X=X, y=Y)
    made = converted(tmp_path / "s.npz", "series")
    assert made.metadata.shape == (12, 1, 1, 2)
    assert made.metadata.domain == "series"
    assert made.n_train == 20
    for item, (series, label) in read(made).items():
        assert np.array_equal(series, X[item])
        assert label == str(Y[item])


def test_lengths_groups_and_rows_of_labels(tmp_path: Path) -> None:
    lengths, y = np.arange(30) % 12 + 1, RNG.random((30, 4)).round(1)
    np.savez(tmp_path / "s.npz", x=X[:, :, 0], labels=y, lengths=lengths, groups=np.arange(30) // 5)
    made = converted(tmp_path / "s.npz", "series", how="group")
    assert made.metadata.sequence_size == -1
    assert made.metadata.n_labels == 4
    found = read(made)
    assert len({item // 5 for item in found}) * 5 == len(found)
    assert all(len(series) == lengths[item] for item, (series, _) in found.items())


def test_labels_apart(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", np.array(["low", "mid", "high"])[Y])
    (tmp_path / "y.csv").write_text("label\n" + "".join(f"{['low', 'mid', 'high'][k]}\n" for k in Y))
    by_array = converted(tmp_path / "x.npy", "series", labels=str(tmp_path / "y.npy"))
    by_table = converted(tmp_path / "x.npy", "series", labels=str(tmp_path / "y.csv"))
    assert by_array.metadata.label_names == ("high", "low", "mid")
    assert contents(by_array.path) == contents(by_table.path)
    np.save(tmp_path / "y.npy", np.array([b"low", b"mid", b"high"])[Y])
    by_bytes = converted(tmp_path / "x.npy", "series", labels=str(tmp_path / "y.npy"))
    assert contents(by_bytes.path) == contents(by_table.path)


@pytest.mark.parametrize("ending", ["npy", "csv"])
def test_a_file_a_series(tmp_path: Path, ending: str) -> None:
    for i in range(12):
        path = tmp_path / f"data/{'ab'[i % 2]}/{i}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        series = X[i, : 3 + i % 4]
        if ending == "npy":
            np.save(path, series)
        else:
            path.write_text("east,north\n" + "".join(f"{a!r},{b!r}\n" for a, b in series.tolist()))
    made = converted(tmp_path / "data", "series")
    names = ("channel 1", "channel 2") if ending == "npy" else ("east", "north")
    assert set(made.metadata.features) == set(names)
    assert made.metadata.sequence_size == -1
    for item, (series, label) in read(made).items():
        assert np.array_equal(series, X[item, : 3 + item % 4])
        assert label == "ab"[item % 2]


def test_scaling_is_trains_and_test_changes_nothing_else(tmp_path: Path) -> None:
    split = np.where(np.arange(30) < 24, "train", "test")
    found = []
    for name, factor in (("one", 1), ("other", 1000)):
        x = np.where((split == "test")[:, None, None], X * factor, X) * 5 + 3
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "s.npz", X=x, y=Y, split=split)
        made = converted(tmp_path / name / "s.npz", "series", scale=True)
        found.append({k: v for k, v in contents(made.path).items() if not k.startswith("test/sample")})
        train = np.concatenate([features for features, _ in open_dataset(made.path).train])
        assert train.mean((0, 1, 2)) == pytest.approx([0, 0], abs=1e-5)
        assert train.std((0, 1, 2)) == pytest.approx([1, 1])
    assert found[0] == found[1]


def test_bad_arrays_are_named(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    missing = X.copy()
    missing[3, 5, 1] = np.nan
    good = {"X": X, "y": Y}
    for arrays, problem in (
        ({"y": Y}, r"no array is named X.* There are: y\."),
        ({"X": X}, "no array is named y"),
        (good | {"y": Y[:9]}, "has 30 series, but label has 9 entries"),
        (good | {"X": X[:, 0, 0]}, r"has shape \(30,\)"),
        (good | {"X": X.astype(str)}, "has shape .* of <U32"),
        (good | {"X": missing}, r"s\.npz, X\[3\], step 5: channel 'channel 2' is missing or not finite"),
        (good | {"lengths": np.full(30, 13)}, "has lengths that X has not"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(SourceError, match=problem):
            converted(path, "series")
    np.savez(path, X=X, y=np.array(["a", None] * 15, object))
    with pytest.raises(SourceError, match="holds Python objects"):
        converted(path, "series")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(SourceError, match=r"s\.npz: cannot be read as an array"):
        converted(path, "series")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00no header")
    with pytest.raises(SourceError, match="cannot be read as an array"):
        converted(path, "series")
    assert [p.name for p in tmp_path.iterdir()] == ["s.npz"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "5.csv: is empty"),
        ("x,y\n", "5.csv: has a header, but no rows"),
        ("x,y\n1,2\n3\n", "5.csv, row 3: has 1 cells, but the first row 2"),
        ("x,y\n1,2\n3,\n", "5.csv, row 3: the cell in column 2 is empty"),
        ("x,y\n1,2\n3,inf\n", "5.csv, step 1: channel 'y' is missing or not finite"),
        ("x,y,z\n1,2,3\n", "has . channels, but the first series of train"),
        ("y,x\n1,2\n", "row 1: has the channels ., ., but the first series of train ., ."),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: str, problem: str) -> None:
    for i in range(8):
        path = tmp_path / f"data/{'ab'[i % 2]}/{i}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x,y\n1,2\n2,3\n" if i != 5 else content)
    with pytest.raises(SourceError, match=problem):
        converted(tmp_path / "data", "series")


def csv_files(folder: Path, text: str) -> Path:
    for i in range(8):
        write(folder / f"{'ab'[i % 2]}/{i}.csv", text)
    return folder


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ('"0,5","7"\n"1,25","8"\n', [[0.5, 7], [1.25, 8]]),
        ("0.5,\u22127\n\u22121.25,8", [[0.5, -7], [-1.25, 8]]),
        ("x;y\n1,5;2\n", [[1.5, 2]]),
    ],
)
def test_numbers_of_other_countries(tmp_path: Path, text: str, steps: list[list[float]]) -> None:
    made = converted(csv_files(tmp_path / "s", text), "series")
    assert next(iter(open_dataset(made.path).train))[0][:, 0, 0, :].tolist() == steps


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('x,y\n"1,234",0.5\n', "both points and commas in its numbers"),
        ("x;y\n1,234;0.5\n", "both points and commas in its numbers"),
        ("1,05\n2,70\n", "may be decimal commas.*--delimiter ';'"),
        ("x,x,y\n1,2,3\n", "row 1: there are two channels 'x'"),
        ("x,,y\n1,2,3\n", "row 1: channel 2 has no name"),
        ("x,Label\n1,0\n", "row 1: there is a channel 'Label', from which a model would read the label"),
        ("t,x\n2020-01-01 00:00:01,5\n", "row 2: .* is not a number.*Remove a column of dates"),
    ],
)
def test_what_a_series_may_mean_is_not_guessed(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SourceError, match=problem):
        converted(csv_files(tmp_path / "s", text), "series")


def test_two_channels_between_commas_can_be_asked_for(tmp_path: Path) -> None:
    made = converted(csv_files(tmp_path / "s", "1,05\n2,70\n"), "series", delimiter=",")
    assert made.metadata.channels == 2


def test_a_clock_is_no_channel_in_silence(tmp_path: Path) -> None:
    text = "".join(f"{i / 10},{i * 7 % 5}\n" for i in range(12))
    made = converted(csv_files(tmp_path / "s", f"time,x\n{text}"), "series")
    assert made.notes == (
        "Channel 'time' rises with every step, as a clock does: if it is one, leave it out.",
    )


def test_arrays_that_are_read_and_those_that_are_not_are_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", X=X, data=X[:, :5], y=Y, target=Y)
    made = converted(tmp_path / "s.npz", "series")
    assert dict(made.facts)["arrays"] == "series of X.npy, labels of y.npy"
    assert "Arrays that were not read: data, target." in made.notes
