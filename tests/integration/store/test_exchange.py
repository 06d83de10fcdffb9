"""Push and pull of hidden datasets through real stores, by a publisher, and manifests that mean harm."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from minio import Minio
from typer.testing import CliRunner, Result

from alcove_api import keys
from alcove_api.documents import DatasetManifest, DatasetVersion, FileEntry
from alcove_api.errors import AlcoveError
from alcove_cli import dataset
from alcove_cli.errors import CommandError
from alcove_format.errors import FormatError, OutputExistsError
from alcove_format.metadata import Metadata
from alcove_format.writer import NewExample, write_dataset
from alcove_store import client as store_client
from alcove_store import transfer
from alcove_store.errors import DigestError, StoreDeniedError
from alcove_toolkit import exchange
from alcove_toolkit.errors import ExchangeError
from alcove_toolkit.exchange import DatasetCatalog, list_versions, pull_dataset
from alcove_toolkit.publish import publish
from tests.integration.store.conftest import SetUpStore

pytestmark = pytest.mark.integration
MAIN = keys.MAIN_BUCKET


def quiet(_: str) -> None:
    pass


def made(folder: Path, value: float = 0.0) -> Path:
    metadata = Metadata(n_examples=0, n_labels=2, rows=1, cols=3, labels={"no": 0, "yes": 1})
    examples = [NewExample(np.full((1, 1, 3, 1), i + value), {i % 2: 1.0}) for i in range(6)]
    return write_dataset(folder, "little", metadata, examples, examples[:4])


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_organizer_gets_back_what_was_pushed_but_for_the_solution(
    set_up_store: SetUpStore, tmp_path: Path
) -> None:
    data, publisher = made(tmp_path), set_up_store.client("publisher")
    digest, _, _ = publish(data, data.with_suffix(".solution"), publisher, name="first")
    found, version = pull_dataset(DatasetCatalog(publisher), "first", tmp_path / "out", say=quiet)
    assert (found, version) == (tmp_path / "out" / "first.data", digest)
    assert content(found) == content(data)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["first.data"]
    with pytest.raises(OutputExistsError):
        pull_dataset(DatasetCatalog(publisher), "first", tmp_path / "out", say=quiet)


def test_the_newest_version_of_a_name_is_the_one_pushed_last(
    set_up_store: SetUpStore, tmp_path: Path
) -> None:
    publisher = set_up_store.client("publisher")
    digests = []
    for value in (1.0, 2.0):
        data = made(tmp_path / str(value), value)
        digests.append(publish(data, data.with_suffix(".solution"), publisher, name="second")[0])
    assert [v.sha256 for v in list_versions(DatasetCatalog(publisher), "second")] == digests[::-1]
    found, version = pull_dataset(DatasetCatalog(publisher), "second", tmp_path / "new", say=quiet)
    assert (version, content(found)) == (digests[1], content(tmp_path / "2.0" / "little.data"))
    found, version = pull_dataset(
        DatasetCatalog(publisher), "second", tmp_path / "old", sha256=digests[0], say=quiet
    )
    assert (version, content(found)) == (digests[0], content(tmp_path / "1.0" / "little.data"))
    again = tmp_path / "1.0" / "little.data"
    publish(again, again.with_suffix(".solution"), publisher, name="second")
    assert list_versions(DatasetCatalog(publisher), "second")[0].sha256 == digests[0]


def test_a_team_neither_finds_nor_gets_a_hidden_dataset(set_up_store: SetUpStore, tmp_path: Path) -> None:
    data, team = made(tmp_path), set_up_store.client("team-a")
    digest, _, _ = publish(
        data, data.with_suffix(".solution"), set_up_store.client("publisher"), name="withheld"
    )
    attempts: list[Callable[[], object]] = [
        lambda: list_versions(DatasetCatalog(team), "withheld"),
        lambda: pull_dataset(DatasetCatalog(team), "withheld", tmp_path / "out", say=quiet),
        lambda: pull_dataset(DatasetCatalog(team), "withheld", tmp_path / "out", sha256=digest, say=quiet),
        lambda: publish(data, data.with_suffix(".solution"), team, name="forged"),
    ]
    for attempt in attempts:
        with pytest.raises(StoreDeniedError):
            attempt()
    assert not (tmp_path / "out").exists()


def test_a_download_that_broke_off_goes_on(
    set_up_store: SetUpStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, client = made(tmp_path, 7.0), set_up_store.client("publisher")
    manifest = publish(data, data.with_suffix(".solution"), client, name="broken")[2]
    monkeypatch.setattr(transfer, "PARALLEL", 1)  # The smallest comes last then.
    last = min(manifest.files, key=lambda e: e.bytes).path
    lost = keys.dataset_file(manifest.digest(), last)
    set_up_store.root.remove_object(MAIN, lost)
    source, out = DatasetCatalog(client), tmp_path / "out"
    with pytest.raises(AlcoveError):
        pull_dataset(source, "broken", out, say=quiet)
    assert not (out / "broken.data").exists()
    (partial,) = out.iterdir()
    assert content(partial).keys() == content(data).keys() - {last}
    # One of those that are there was damaged since.
    damaged = "train/sample-00000"
    (partial / damaged).write_bytes(b"?" * (data / damaged).stat().st_size)
    publish(data, data.with_suffix(".solution"), client, name="broken")
    fetched: list[str] = []

    def watched(client: Minio, bucket: str, key: str) -> Iterator[bytes]:
        fetched.append(key.split("/files/")[1])
        return store_client.stream(client, bucket, key)

    monkeypatch.setattr(exchange, "stream", watched)
    found, _ = pull_dataset(source, "broken", out, say=quiet)
    assert content(found) == content(data)
    assert sorted(fetched) == sorted([damaged, last])


def test_an_upload_that_broke_off_goes_on_and_is_not_seen_before(
    set_up_store: SetUpStore, tmp_path: Path
) -> None:
    data, client = made(tmp_path, 9.0), set_up_store.client("publisher")
    manifest = publish(data, data.with_suffix(".solution"), client, name="slow")[2]
    root = set_up_store.root
    file_key = keys.dataset_file(manifest.digest(), "train/sample-00000")
    before = root.stat_object(MAIN, file_key)
    for key in (
        keys.dataset_file(manifest.digest(), "test/sample-00000"),
        keys.dataset_manifest(manifest.digest()),
        keys.dataset_version("slow", manifest.digest()),
    ):
        root.remove_object(MAIN, key)
    with pytest.raises(ExchangeError, match="no dataset 'slow'"):
        pull_dataset(DatasetCatalog(client), "slow", tmp_path / "out", say=quiet)
    publish(data, data.with_suffix(".solution"), client, name="slow")
    assert root.stat_object(MAIN, file_key).version_id == before.version_id
    found, _ = pull_dataset(DatasetCatalog(client), "slow", tmp_path / "out", say=quiet)
    assert content(found) == content(data)


def test_a_file_that_changes_while_it_is_sent_is_noticed(
    set_up_store: SetUpStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alcove_toolkit import publish as publishing

    data, client = made(tmp_path, 11.0), set_up_store.client("publisher")
    real = publishing.describe

    def describe_then_change(folder: object) -> DatasetManifest:
        manifest = real(folder)  # type: ignore[arg-type]
        file = data / "train" / "sample-00000"
        file.write_bytes(file.read_bytes()[:-1] + b"?")
        return manifest

    monkeypatch.setattr(publishing, "describe", describe_then_change)
    with pytest.raises(FormatError, match="changed while it was sent"):
        publish(data, data.with_suffix(".solution"), client, name="moving")
    assert list_versions(DatasetCatalog(client), "moving") == []


class Attacker:
    """Whoever got at a publisher's credentials, and writes whatever they like."""

    def __init__(self, client: Minio) -> None:
        self._client = client

    def put(self, key: str, data: bytes) -> None:
        store_client.put_bytes(self._client, MAIN, key, data)

    def offer(self, name: str, entries: list[dict[str, object]], files: dict[str, bytes]) -> None:
        manifest = DatasetManifest(
            name="x", domain="tabular", n_train=1, n_test=1, n_labels=1, labels=("a",), files=()
        ).model_dump() | {"files": entries}
        self.offer_bytes(name, json.dumps(manifest).encode(), files)

    def offer_bytes(self, name: str, manifest: bytes, files: dict[str, bytes]) -> None:
        """Needs a name that no other test has: of two of one second, either may be the newest on SeaweedFS."""
        assert not list_versions(DatasetCatalog(self._client), name), f"another test has published {name}"
        digest = hashlib.sha256(manifest).hexdigest()
        self.put(keys.dataset_manifest(digest), manifest)
        for path, data in files.items():
            self.put(keys.dataset_file(digest, path), data)
        version = DatasetVersion(
            name=name, data_sha256=digest, domain="tabular", n_train=1, n_test=1, bytes=1
        )
        self.put(keys.dataset_version(name, digest), version.canonical())


def entry(path: str, data: bytes = b"x", **changes: object) -> dict[str, object]:
    return (
        FileEntry(path=path, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()).model_dump() | changes
    )


META = "train/metadata.textproto"
HOSTILE: dict[str, list[dict[str, object]]] = {
    "up": [entry("train/../../../up")],
    "above": [entry("../sample-0")],
    "absolute": [entry("/etc/sample")],
    "dots": [entry("train/..")],
    "deep": [entry("train/sample/../../../x")],
    "other": [entry("train/run.sh")],
    "hidden": [entry("train/.bashrc")],
    "backslash": [entry("train/sample\\..\\x")],
    "stream": [entry("train/sample:x")],
    "escape": [entry("train/sample\x1b[2J")],
    "null": [entry("train/sample\x00")],
    "long": [entry("train/sample" + "é" * 150)],
    "top": [entry("sample-0")],
    "empty": [entry("")],
    "twice": [entry("train/sample-0"), entry("train/sample-0")],
    "huge": [entry("train/sample-0", bytes=1 << 62)],
    "sum": [entry(f"train/sample-{i}", bytes=60 << 30) for i in range(2)],
    "negative": [entry("train/sample-0", bytes=-5), entry("train/sample-1", bytes=5)],
    "number": [entry("train/sample-0", bytes=int("9" * 4000))],
    "many": [entry(f"train/sample-{i}") for i in range(exchange.MOST_FILES + 1)],
    "digest": [entry("train/sample-0", sha256="../../x")],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_manifest_that_means_harm_is_refused_before_anything_is_written(
    set_up_store: SetUpStore, tmp_path: Path, name: str
) -> None:
    Attacker(set_up_store.client("publisher")).offer(name, HOSTILE[name], {})
    out = tmp_path / "inner" / "out"
    with pytest.raises(ExchangeError) as caught:
        pull_dataset(DatasetCatalog(set_up_store.client("publisher")), name, out, say=quiet)
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()
    assert not (tmp_path / "inner").exists()


BROKEN = {
    "bomb": b"[" * 1_000_000,
    "text": b"not JSON",
    "large": b'{"name": "' + b"x" * (9 << 20) + b'"}',
    "extra": b'{"version": 1, "surprise": 2}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_manifest_that_is_none_is_refused(set_up_store: SetUpStore, tmp_path: Path, name: str) -> None:
    Attacker(set_up_store.client("publisher")).offer_bytes(name, BROKEN[name], {})
    with pytest.raises(AlcoveError):
        pull_dataset(DatasetCatalog(set_up_store.client("publisher")), name, tmp_path / "out", say=quiet)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stored", [b"y", b"x" * 100, b""])
def test_a_file_that_is_not_of_its_digest_never_gets_its_name(
    set_up_store: SetUpStore, tmp_path: Path, stored: bytes
) -> None:
    name = f"lies-{len(stored)}"
    Attacker(set_up_store.client("publisher")).offer(
        name, [entry("train/sample-0")], {"train/sample-0": stored}
    )
    with pytest.raises(DigestError, match="train/sample-0"):
        pull_dataset(DatasetCatalog(set_up_store.client("publisher")), name, tmp_path / "out", say=quiet)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_entries_of_the_index_that_mean_harm_are_passed_over_or_refused(
    set_up_store: SetUpStore, tmp_path: Path
) -> None:
    client = set_up_store.client("publisher")
    attacker = Attacker(client)
    digest = "a" * 64
    for key in (
        f"{keys.dataset_names()}n/x.json",
        f"{keys.dataset_names()}\x1b[2J/{digest}.json",
        "data/names/a",
    ):
        attacker.put(key, b"{}")
    listed = list_versions(DatasetCatalog(client))
    assert all(v.name.isascii() and v.name.isprintable() and len(v.sha256) == 64 for v in listed)
    attacker.put(keys.dataset_version("mixed", digest), b"{}")
    with pytest.raises(ExchangeError, match="cannot be read"):
        pull_dataset(DatasetCatalog(client), "mixed", tmp_path / "out", say=quiet)
    other = DatasetVersion(name="other", data_sha256=digest, domain="x", n_train=1, n_test=1, bytes=1)
    attacker.put(keys.dataset_version("mixed", digest), other.canonical())
    with pytest.raises(ExchangeError, match="another dataset"):
        pull_dataset(DatasetCatalog(client), "mixed", tmp_path / "out", say=quiet)


@pytest.mark.parametrize("name", ["", "../x", "A", "x/y", "-x", "x" * 64, "é", "x\n"])
def test_what_is_no_name_is_refused_without_asking_the_store(tmp_path: Path, name: str) -> None:
    nobody: Minio = None
    with pytest.raises(ExchangeError, match="is not a name"):
        pull_dataset(DatasetCatalog(nobody), name, tmp_path, say=quiet)
    with pytest.raises(ExchangeError, match="is not a digest"):
        pull_dataset(DatasetCatalog(nobody), "name", tmp_path, sha256=name or "0", say=quiet)


def test_a_digest_that_is_cut_names_one_version_or_is_refused(
    set_up_store: SetUpStore, tmp_path: Path
) -> None:
    client = set_up_store.client("publisher")
    for end in ("1", "2"):
        key = keys.dataset_version("twins", "ab" * 31 + "0" + end)
        store_client.put_bytes(client, MAIN, key, b"{}")
    catalog = DatasetCatalog(client)
    for begin, said in (
        ("ab" * 4, "2 versions of twins have a digest that begins with abababab"),
        ("cd" * 4, "There is no dataset 'twins@cdcdcdcd'"),
        ("abab", "is not a digest"),
        ("ab" * 31 + "0", "2 versions"),
    ):
        with pytest.raises(ExchangeError, match=said):
            pull_dataset(catalog, "twins", tmp_path, sha256=begin, say=quiet)


def test_a_disk_that_is_too_small_is_said_first(
    set_up_store: SetUpStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, data = set_up_store.client("publisher"), made(tmp_path)
    publish(data, data.with_suffix(".solution"), client, name="roomy")
    monkeypatch.setattr(exchange, "_SPARE_DISK", 1 << 60)
    with pytest.raises(ExchangeError, match="are free"):
        pull_dataset(DatasetCatalog(client), "roomy", tmp_path / "out", say=quiet)


def alcove(store_: SetUpStore, who: str, scratch: Path, *arguments: str) -> Result:
    """`alcove dataset …` with the credentials of ``who`` in a file, as a user without a cluster gives them."""
    credentials = scratch / f"{who}.json"
    credentials.write_bytes(store_.credentials[who].canonical())
    where = ["--store", store_.server.url, "--credentials", str(credentials)]
    return CliRunner().invoke(dataset.app, [*arguments, *where])


def test_the_commands_as_they_are_typed(set_up_store: SetUpStore, tmp_path: Path) -> None:
    data = made(tmp_path, 21.0)
    pushed = alcove(set_up_store, "publisher", tmp_path, "push", str(tmp_path), "typed")
    assert pushed.exit_code == 0, pushed.output
    spec = yaml.safe_load(pushed.stdout)["spec"]
    assert (spec["alias"], spec["domain"]) == ("typed", "tabular")
    listed = alcove(set_up_store, "publisher", tmp_path, "list", "--json").stdout
    assert spec["dataSha256"] in [row["sha256"] for row in json.loads(listed) if row["name"] == "typed"]
    digest = spec["dataSha256"]
    for number, begin in enumerate((digest, digest[:12])):
        back = tmp_path / f"back-{number}"
        pulled = alcove(set_up_store, "publisher", tmp_path, "pull", f"typed@{begin}", str(back))
        assert pulled.exit_code == 0, pulled.output
        assert content(back / "typed.data") == content(data)

    missing = alcove(set_up_store, "team-b", tmp_path, "pull", "typed", str(tmp_path), "--team", "team-b")
    assert isinstance(missing.exception, ExchangeError)


def test_a_team_pushes_no_hidden_dataset_by_another_way(set_up_store: SetUpStore, tmp_path: Path) -> None:
    data = made(tmp_path)
    pushed = alcove(set_up_store, "team-a", tmp_path, "push", str(data), "sneaky")
    assert isinstance(pushed.exception, StoreDeniedError)
    claimed = alcove(
        set_up_store, "team-a", tmp_path, "push", str(data), "x", "--team", "team-a", "--alias", "y"
    )
    assert isinstance(claimed.exception, CommandError)
    offered = alcove(set_up_store, "team-a", tmp_path, "push", str(data), "x", "--team", "team-a")
    assert isinstance(offered.exception, CommandError), "it needs permits, not credentials"
