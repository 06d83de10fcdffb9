"""`alcove verify` of an archive, as a third party types it; cluster and store are in the integration and e2e tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alcove_cli.errors import CommandError, exit_status
from alcove_cli.evidence import finish_or_say
from alcove_store.errors import StoreDeniedError, StoreError, StoreUnavailableError
from tests.unit.audit.test_archive import EXPORTED, HOSTILE, export, repack
from tests.unit.audit.world import play
from tests.unit.cli.conftest import Done, Typed


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "practice.tar.gz"
    path.write_bytes(data)
    return path


def errors(done: Done) -> list[str]:
    """Lines on standard error but those of progress, which a slow machine shows."""
    return [line for line in done.stderr.splitlines() if not line.startswith("  … ")]


def change_log(files: dict[str, bytes]) -> None:
    (name, *_) = sorted(name for name in files if name.endswith("log.txt"))
    files[name] = b"other\n"


def test_a_whole_archive_is_said_to_be_as_recorded(alcove: Typed, tmp_path: Path) -> None:
    done = alcove("verify", saved(tmp_path, EXPORTED))
    assert (done.returncode, errors(done)) == (0, [])
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["CHECK", "CHECKED", "DIFFER", "NOT", "CHECKED"]
    assert lines[-1] == "All that was checked is as it was recorded."
    assert max(map(len, lines)) <= 100


def test_what_differs_is_named_and_the_exit_status_is_1(alcove: Typed, tmp_path: Path) -> None:
    done = alcove("verify", saved(tmp_path, repack(EXPORTED, change_log)))
    assert done.returncode == 1
    said = done.stdout[done.stdout.index("log.txt") :]
    for word in ("expected: sha256", "found:    sha256", "The output was changed after the run."):
        assert word in said
    assert said.splitlines()[-1] == "2 things differ, in 2 places.", "in the archive, and in the phase"


def test_a_key_that_a_terminal_would_obey_is_shown_plainly(alcove: Typed, tmp_path: Path) -> None:
    def add(files: dict[str, bytes]) -> None:
        files["store/scores/\x1b[2J"] = b"x"

    done = alcove("verify", saved(tmp_path, repack(EXPORTED, add)))
    assert done.returncode == 1
    assert "store/scores/" in done.stdout
    assert "\x1b" not in done.stdout


def test_json_has_all_that_the_text_has(alcove: Typed, tmp_path: Path) -> None:
    path = saved(tmp_path, repack(EXPORTED, change_log))
    document = json.loads(alcove("verify", path, "--json").stdout)
    assert document["ok"] is False
    assert {finding["check"] for finding in document["findings"]} == {"archive", "output"}
    assert all(
        finding.keys() == {"check", "key", "expected", "found", "meaning"} for finding in document["findings"]
    )
    assert {check["check"]: check["differ"] for check in document["checks"]}["score"] == 0


def test_without_solutions_it_says_that_no_score_was_computed(alcove: Typed, tmp_path: Path) -> None:
    done = alcove("verify", saved(tmp_path, export(play(), solutions=False)))
    assert done.returncode == 0
    assert "Not checked, datasets: this archive has no solutions" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("scores were not computed again: no solution is here.")


@pytest.mark.parametrize("what", ["out", "bomb", "none"])
def test_a_hostile_archive_is_one_line_and_exit_status_2(what: str, alcove: Typed, tmp_path: Path) -> None:
    done = alcove("verify", saved(tmp_path, HOSTILE[what]))
    assert (done.returncode, done.stdout) == (2, "")
    assert len(errors(done)) == 1


@pytest.mark.parametrize("target", ["none.tar.gz", "a/b/c", "Red/x", "../x"])
def test_what_cannot_be_meant_is_one_line_and_exit_status_2(
    target: str, alcove: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    monkeypatch.chdir(tmp_path)
    done = alcove("verify", target, *(() if target.endswith("gz") else ("--kubeconfig", kubeconfig)))
    assert (done.returncode, done.stdout) == (2, "")
    assert len(errors(done)) == 1


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("The store did not answer."), StoreDeniedError("The key is too old.")]
)
def test_what_could_not_be_found_out_is_neither_yes_nor_no(error: StoreError) -> None:
    with pytest.raises(CommandError) as ended, finish_or_say():
        raise error
    assert exit_status(ended.value) == 3
    assert error.cause in str(ended.value)


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: x
clusters: [{name: x, cluster: {server: "http://127.0.0.1:9"}}]
contexts: [{name: x, context: {cluster: x, user: x}}]
users: [{name: x, user: {}}]
"""
