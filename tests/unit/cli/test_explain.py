"""What a participant is told about a submission, in sentences."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alcove_cli.explain import explain_submission, find_error
from alcove_ingestion.errors import InvalidPredictionError, ParticipantCodeError
from alcove_ingestion.participant import load_model_class
from alcove_ingestion.prediction import check_prediction
from tests.unit.cli.conftest import Typed
from tests.unit.kube.server import Answer, serving

CODE = {"configMap": {"name": "one"}}
IMAGE = {"image": {"reference": f"r/x@sha256:{'0' * 64}", "command": ["/x"]}}
OUTPUT = "It saved no prediction. Last output:\n"
STARTED, ENDED = "2026-01-01T00:00:00Z", "2026-01-01T00:00:20Z"


def submission(
    phase: str = "Done", *runs: dict[str, Any], code: dict[str, Any] = CODE, **status: Any
) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "red", "name": "one"},
        "spec": {"competition": {"namespace": "hack", "name": "hack"}, "phase": "practice", "code": code},
        "status": {"phase": phase, "runs": list(runs), **status},
    }


def run(cause: str, **fields: Any) -> dict[str, Any]:
    charged = "" if cause == "Finished" else "Participant"
    return {
        "dataset": "digits", "phase": "Done", "cause": cause, "chargedTo": charged, "attempt": 1,
        "startedAt": STARTED, "endedAt": ENDED, **fields,
    }  # fmt: skip


def condition(kind: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": STARTED,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("", "The first `train` or `test` never returned"),
        ("[alcove] model.py imported 0.1 s after the go", "`Model.__init__` never returned"),
        (
            "[alcove] model.py imported 0.1 s after the go\n[alcove] Model() returned 0.2 s after the go\nepoch 9",
            "The first `train` never returned: it was stopped at its budget, with no prediction saved.",
        ),
        ("[alcove] train() returned 19.00 s after the go", "The first `test` never returned"),
    ],
)
def test_who_never_returned_is_told_so(output: str, said: str) -> None:
    endless = run("NoPredictions", overshootMs=3.2, message=OUTPUT + output)
    text = explain_submission(submission("Failed", endless))
    assert said in text
    assert ".npy" not in text


def test_one_whose_files_were_all_refused_is_told_that() -> None:
    said = "All 3 files that it saved were refused, the first: 9 rows, not 10."
    text = explain_submission(submission("Failed", run("NoPredictions", overshootMs=3.2, message=said)))
    assert said in text
    assert "never returned" not in text


def test_an_image_is_told_where_to_write() -> None:
    text = explain_submission(submission("Failed", run("NoPredictions", overshootMs=3.2), code=IMAGE))
    assert "$ALCOVE_OUT" in text
    assert "train" not in text


def test_one_that_ended_by_itself_did_return() -> None:
    text = explain_submission(submission("Failed", run("NoPredictions", overshootMs=0, message="Nothing.")))
    assert "never returned" not in text
    assert "Nothing. (NoPredictions)" in text


SYNTAX = """[alcove]   File "/alcove/code/model.py", line 7
    def train(self, dataset
             ^
SyntaxError: '(' was never closed"""
TRACEBACK = """epoch 1
[alcove] Traceback (most recent call last):
  File "/alcove/code/model.py", line 12, in train
    helper.fit(dataset)
  File "/alcove/code/lib/helper.py", line 3, in fit
    return 1 / 0
           ~~^~~
ZeroDivisionError: division by zero"""


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (SYNTAX, ["model.py, line 7: SyntaxError: '(' was never closed", "  def train(self, dataset"]),
        (TRACEBACK, ["helper.py, line 3: ZeroDivisionError: division by zero", "  return 1 / 0"]),
        ("KeyError: 'x'", ["KeyError: 'x'"]),
        ("numpy.linalg.LinAlgError: Singular matrix", ["LinAlgError: Singular matrix"]),
        ("nothing of the kind", []),
        ("", []),
        ('  File "model.py", line 7', []),
    ],
)
def test_an_error_is_shown_with_its_own_line(output: str, found: list[str]) -> None:
    assert list(find_error(output)) == found


def test_a_crash_shows_message_error_and_output() -> None:
    message = f"It ended with status 1; what it had saved counts. Last output:\n{SYNTAX}"
    text = explain_submission(submission("Failed", run("ExitCode", message=message)))
    assert "It ended with status 1; what it had saved counts. (ExitCode)" in text
    assert "    model.py, line 7: SyntaxError: '(' was never closed\n      def train(self, dataset\n" in text
    assert "The end of its output:" in text


def test_the_memory_limit_is_passed_on() -> None:
    message = "It used more memory than its limit of 8Gi; what it had saved counts."
    assert message in explain_submission(submission("Done", run("OutOfMemory", message=message, alc=0.5)))


def test_a_good_end_is_short() -> None:
    text = explain_submission(
        submission("Done", run("Finished", alc=0.8123, snapshots=12), rank=2, place="2/14", counted=True)
    )
    assert text == (
        "red/one, phase practice of hack: Done.\n\n"
        "digits: ALC 0.8123, 12 predictions in 20 s.\n\n"
        "Your team's rank is 2 of 14, by this submission."
    )


QUEUED = "2025-12-31T23:59:30Z"


def test_it_says_when_it_queued_and_that_waiting_is_free() -> None:
    told = explain_submission(submission("Done", run("Finished", alc=0.5, queuedAt=QUEUED, attempt=2)))
    assert (
        "It queued at 2025-12-31 23:59:30 UTC. Its go was 30 s later: the queue, pulling and staging are not charged. "
        "It is attempt 2."
    ) in told
    free = explain_submission(
        submission("Done", run("Finished", alc=0.5, queuedAt=QUEUED, freeSeconds=12.34))
    )
    assert "are not charged, nor are the 12.3 s of import and constructor before it.\n" in free + "\n"
    steps = {
        "pulledAt": "2025-12-31T23:59:42Z",
        "stagedAt": "2025-12-31T23:59:45Z",
        "launchedAt": "2025-12-31T23:59:58Z",
    }
    long = explain_submission(submission("Done", run("Finished", alc=0.5, queuedAt=QUEUED, **steps)))
    assert (
        "It waited 12 s for a place and a node, 3 s for data and code, 13 s for the image, 2 s for the go."
        in long
    )
    waiting = run("", phase="Queued", queuedAt=QUEUED, startedAt=None, endedAt=None, attempt=0)
    assert "It queued at 2025-12-31 23:59:30 UTC and has not started." in explain_submission(
        submission("Queued", waiting)
    )


@pytest.mark.parametrize(
    ("cause", "charged"),
    [("ExitCode", True), ("NoPredictions", True), ("DeadlineReached", False), ("Finished", False)],
)
def test_who_pays_is_said(cause: str, charged: bool) -> None:
    told = explain_submission(submission("Failed", run(cause, message="Nothing.", alc=0.5, snapshots=1)))
    assert ("It is charged to you: the submission counts against your quota." in told) is charged


def test_the_usual_end_is_no_fault() -> None:
    ended = run(
        "DeadlineReached", alc=0.5, snapshots=1, overshootMs=2.0, message="It was ended at its budget."
    )
    assert "which is the usual end" in explain_submission(submission("Done", ended))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (submission("Rejected", conditions=[condition("Admitted", "PhaseClosed", "Closed.")]), "Why: Closed."),
        (submission("", conditions=[condition("Admitted", "CodeMissing", "No code.")]), "not admitted yet. No code."),
        (submission(""), "tell the organizer"),
        (submission("Running", run("", phase="Running", alc=None, snapshots=2)), "Running, 2 predictions so far."),
        (submission("Failed", run("NodeLost", chargedTo="Platform", message="Lost.")), "not your fault"),
        (
            submission("Failed", run("ExitCode"), conditions=[condition("Scored", "HeldBack", "Later.")]),
            "It has no score, so it gives your team no rank.",
        ),
        (submission("Done", run("Finished", alc=0.5)), "another submission of your team counts"),
    ],
)  # fmt: skip
def test_every_state_has_its_sentence(found: dict[str, Any], said: str) -> None:
    assert said in explain_submission(found)


def test_nothing_is_denied_that_is_only_shown_later() -> None:
    """The status of a blind phase has neither score nor number of predictions before the reveal."""
    blind = run(
        "DeadlineReached", message="Nothing is shown before the reveal.", startedAt=None, endedAt=None
    )
    found = submission("Done", blind, conditions=[condition("Scored", "HeldBack", "Later.")])
    text = explain_submission(found)
    assert "digits: it has a score." in text
    assert "Scores and ranks of this phase are shown from its reveal on." in text
    assert "no score" not in text
    assert "no predictions" not in text


def test_a_crash_before_the_reveal_is_not_said_to_have_never_started() -> None:
    """A blind phase hides when a run started and how much it saved: neither is denied."""
    hidden: dict[str, Any] = {
        "startedAt": None, "endedAt": None, "queuedAt": STARTED,
        "message": "Nothing is shown before the reveal.",
    }  # fmt: skip
    crashed = run("ExitCode", phase="Failed", **hidden)
    failed = submission("Failed", crashed, conditions=[condition("Scored", "HeldBack", "Later.")])
    text = explain_submission(failed)
    assert "digits: no score.\n" in text
    assert "It queued at 2026-01-01 00:00:00 UTC.\n" in text
    running = explain_submission(submission("Running", run("", phase="Running", **hidden)))
    assert "not started" not in text + running
    waiting = explain_submission(submission("Running", run("", phase="Staging", **hidden)))
    assert "It queued at 2026-01-01 00:00:00 UTC and has not started." in waiting


def test_the_command_tells_the_rank_of_how_many(tmp_path: Path, alcove: Typed) -> None:
    one = submission("Done", run("Finished", alc=0.8123, snapshots=12), rank=2, place="2/14", counted=True)
    with serving(Answer(body=one)) as server:
        done = alcove("explain", "one", "--team", "red", "--kubeconfig", server.kubeconfig(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "rank is 2 of 14" in done.stdout


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import os\ndef train(self:\n    pass\n", "model.py, line 2: SyntaxError: "),
        (
            "x = 1\ny = x.nothing\n",
            "model.py, line 2: AttributeError: 'int' object has no attribute 'nothing'",
        ),
        ("import nothing_of_the_kind\n", "model.py, line 1: ModuleNotFoundError: No module named"),
    ],
)
def test_what_the_runner_prints_of_an_error_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, found: str
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "model", raising=False)
    (tmp_path / "model.py").write_text(code)
    with pytest.raises(ParticipantCodeError) as raised:
        load_model_class(tmp_path)
    error, line = find_error(f"epoch 1\n[alcove] {raised.value}\n")
    assert error.startswith(found)
    assert line.strip() == code.splitlines()[int(error.split("line ")[1].split(":")[0]) - 1]


@pytest.mark.parametrize(
    ("digest", "reason", "there"), [("d", "Shown", True), ("d", "HeldBack", False), ("", "", False)]
)
def test_the_page_is_named_where_there_is_one(digest: str, reason: str, there: bool) -> None:
    conditions = [condition("Scored", reason, "")] if reason else []
    told = explain_submission(
        submission("Done", run("Finished", alc=0.5), conditions=conditions, scoringDigest=digest)
    )
    assert ("alcove report one --team red" in told) is there


@pytest.mark.parametrize(
    ("returned", "shape"), [(np.zeros((4, 3)), (4, 2)), ("words", (4, 2))], ids=["another shape", "no array"]
)
def test_what_the_runner_refused_is_said_with_what_it_expected(
    returned: object, shape: tuple[int, int]
) -> None:
    with pytest.raises(InvalidPredictionError) as refused:
        check_prediction(returned, shape)
    output = f"Last output:\n[alcove] prediction 0 saved 1.00 s after the go\n[alcove] {refused.value}\n"
    ended = run("ExitCode", message=f"The program ended with status 1. What it had saved counts.\n{output}")
    explained = explain_submission(submission("Failed", ended))
    before, _, _ = explained.partition("The end of its output:")
    assert str(refused.value) in before
    assert "(4, 2)" in before
