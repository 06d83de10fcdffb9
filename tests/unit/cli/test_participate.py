"""Commands of a team beside submitting, against a real HTTP server that answers as an API server does."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from alcove_cli.explain import read_status
from alcove_cli.init import rename_example
from alcove_cli.results import describe_curves, describe_quota
from tests.unit.cli.conftest import Typed
from tests.unit.docs.pages import REPOSITORY
from tests.unit.kube.server import Answer, refusal, serving

RULES = {"perDay": 10, "total": 100, "parallel": 2}
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def submission(name: str, phase: str = "Done", *runs: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "red", "name": name, "uid": f"uid-{name}"},
        "spec": {
            "competition": {"namespace": "hack", "name": "hack"},
            "phase": "practice",
            "code": {"configMap": {"name": name}},
        },
        "status": {"phase": phase, "runs": list(runs), **status},
    }


def board(phase: str = "practice", **fields: Any) -> dict[str, Any]:
    return {"spec": {"competition": "hack", "phase": phase, "rules": RULES}, "status": {"teams": 1, **fields}}


def listing(*items: dict[str, Any]) -> Answer:
    return Answer(body={"items": list(items), "metadata": {}})


RUNS = (
    {"dataset": "digits", "phase": "Done", "cause": "ExitCode", "message": "It failed. Last output:\nboom\n"},
    {"dataset": "news", "phase": "Running", "alc": 0.5, "curve": [{"t": 1.5, "score": 0.25}]},
)


def test_logs_are_the_end_of_what_each_run_printed(alcove: Typed, tmp_path: Path) -> None:
    with serving(Answer(body=submission("one", "Running", *RUNS))) as server:
        asked = ("--team", "red", "--kubeconfig", server.kubeconfig(tmp_path))
        done = alcove("logs", "one", *asked)
        assert done.stdout.splitlines() == [
            "==> digits (Done, ExitCode)", "boom", "==> news (Running)", "Output is shown once the run has ended.",
        ]  # fmt: skip
        assert (
            alcove("logs", "one", "--dataset", "news", *asked).stdout.splitlines()[0] == "==> news (Running)"
        )
        unknown = alcove("logs", "one", "--dataset", "faces", *asked)
    assert unknown.returncode == 2
    assert "The datasets of this submission: digits, news." in unknown.stderr


def test_curves_show_a_bar_a_point() -> None:
    status = read_status(submission("one", "Running", *RUNS))
    lines = list(describe_curves(status.runs, status))
    assert lines[0] == "digits: its score is not shown"
    assert lines[2] == "news: ALC 0.5"
    assert lines[3] == "       1.50 s    0.2500  ██████████"
    assert max(map(len, lines)) <= 80


def test_a_score_that_is_held_back_is_not_called_no_score() -> None:
    held = [
        {
            "type": "Scored",
            "status": "True",
            "reason": "HeldBack",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ]
    runs = ({"dataset": "digits", "phase": "Done"}, {"dataset": "news", "phase": "Failed", "cause": "ExitCode"},
            {"dataset": "faces", "phase": "Running"})  # fmt: skip
    for conditions, said in (
        (held, "what it scores is shown from the phase's reveal on"),
        ([], "its score is not shown"),
    ):
        status = read_status(submission("one", "Done", *runs, conditions=conditions))
        told = [line for line in describe_curves(status.runs, status) if not line.startswith(" ")]
        assert told[:2] == [f"digits: {said}", "news: no score (ExitCode)"]


FORBIDDEN = refusal(
    403, "Forbidden", 'leaderboards.alcove.dev is forbidden: User "system:serviceaccount:red:participant" cannot list '
    'resource "leaderboards" in API group "alcove.dev" in the namespace "hackathon"',
)  # fmt: skip


@pytest.mark.parametrize("command", ["phases", "quota", "leaderboard"])
def test_a_competition_that_a_team_may_not_see_is_said_in_a_sentence(
    alcove: Typed, tmp_path: Path, command: str
) -> None:
    answers = (listing(), FORBIDDEN) if command == "quota" else (FORBIDDEN,)
    team = ("--team", "red") if command == "quota" else ()
    with serving(*answers) as server:
        done = alcove(command, *team, "--kubeconfig", server.kubeconfig(tmp_path))
    assert done.returncode == 2
    assert done.stderr == (
        "alcove: You may not see any competition in the namespace hackathon. Give NAMESPACE/NAME of the one that your "
        "team takes part in.\n"
    )


@pytest.mark.parametrize("command", ["explain", "logs", "curves", "watch", "report"])
def test_a_submission_that_is_not_there_is_said_with_where_to_look(
    alcove: Typed, tmp_path: Path, command: str
) -> None:
    missing = refusal(404, "NotFound", 'submissions.alcove.dev "one" not found')
    with serving(missing) as server:
        done = alcove(command, "one", "--team", "red", "--kubeconfig", server.kubeconfig(tmp_path))
    assert done.returncode == 2
    assert "kubectl get submissions -n red" in done.stderr
    assert "refused" not in done.stderr


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (FORBIDDEN, "The account system:serviceaccount:red:participant may not list leaderboards in the namespace "
         "hackathon. Check the namespace, and whose kubeconfig it is."),
        (refusal(401, "Unauthorized", "Unauthorized"),
         "The API server does not know who asks it to read submissions/one in red. Its token has ended, or is of "
         "another cluster. Get a new kubeconfig; a team asks its organizer."),
    ],
)  # fmt: skip
def test_what_an_account_may_not_do_is_said_in_a_sentence(
    alcove: Typed, tmp_path: Path, answer: Answer, said: str
) -> None:
    with serving(answer) as server:
        done = alcove("explain", "one", "--team", "red", "--kubeconfig", server.kubeconfig(tmp_path))
    assert done.stderr == f"alcove: {said}\n"


@pytest.mark.parametrize(
    ("admitted", "said"),
    [
        (
            [],
            "No submission of yours was admitted yet. Limits: 10 a day (UTC), 100 in all, 2 runs at a time.",
        ),
        (
            [("2026-03-02T07:00:00Z", "2 of 10 today, 7 of 100 in all")],
            "Used: 2 of 10 today, 7 of 100 in all, as",
        ),
        (
            [("2026-03-01T07:00:00Z", "2 of 10 today, 7 of 100 in all")],
            "Used: 0 of 10 today, 7 of 100 in all, as",
        ),
        (
            [
                ("2026-03-02T07:00:00Z", "9 of 10 today, 9 of 100 in all"),
                ("2026-03-02T06:00:00Z", "8 of 10 today, 8 of 100 in all"),
            ],
            "Used: 9 of 10 today, 9 of 100 in all, as",
        ),
    ],
)
def test_the_quota_is_that_of_the_newest_admitted_submission(
    admitted: list[tuple[str, str]], said: str
) -> None:
    own = [submission(f"s{i}", admittedAt=at, quota=used) for i, (at, used) in enumerate(admitted)]
    other = submission("other", admittedAt="2026-03-02T07:59:00Z", quota="1 of 1 today, 1 of 1 in all")
    other["spec"]["competition"]["name"] = "another"
    waiting = submission("waiting", "")
    assert describe_quota([*own, other, waiting], [board()], "hack/hack", NOW).startswith(said)


def test_a_competition_without_limits_is_no_quota_of_zero(alcove: Typed, tmp_path: Path) -> None:
    of_another = {"spec": {"competition": "x", "phase": "practice", "rules": {}}}
    with serving(listing(), listing(of_another)) as server:
        done = alcove(
            "quota", "--team", "red", "--competition", "x/x", "--kubeconfig", server.kubeconfig(tmp_path)
        )
    assert done.returncode == 1
    assert "publishes no limits" in done.stderr


def test_the_leaderboard_is_the_published_table(alcove: Typed, tmp_path: Path) -> None:
    boards = listing(board("practice", table="RANK TEAM\n1 red"), board("final"))
    with serving(boards) as server:
        asked = ("--competition", "hack/hack", "--kubeconfig", server.kubeconfig(tmp_path))
        assert (
            alcove("leaderboard", *asked).stdout == "final:\nNo entries yet.\n\npractice:\nRANK TEAM\n1 red\n"
        )
        assert alcove("leaderboard", "final", *asked).stdout == "final:\nNo entries yet.\n"
        unknown = alcove("leaderboard", "semifinal", *asked)
    assert unknown.returncode == 2
    assert "hack/hack has no phase semifinal. Its phases: final, practice." in unknown.stderr


def test_the_watched_leaderboard_is_printed_when_it_changes(tmp_path: Path) -> None:
    tables = [listing(board(table=table)) for table in ("1 red", "1 red", "1 blue")]
    with serving(*tables) as server:
        command = [
            sys.executable, "-I", "-u", "-c",
            "import sys; from alcove_cli import participate; participate._LOOK_SECONDS = 0.01\n"
            "from alcove_cli.main import main; main()",
            "leaderboard", "--watch", "--competition", "hack/hack", "--kubeconfig", server.kubeconfig(tmp_path),
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = [line for _ in range(7) if (line := process.stdout.readline().strip())]
            process.terminate()
    assert [line for line in lines if line.startswith("1 ")] == ["1 red", "1 blue"]


def test_what_runs_is_cancelled_by_its_uid(alcove: Typed, tmp_path: Path) -> None:
    with serving(Answer(body=submission("one", "Running")), Answer()) as server:
        done = alcove("cancel", "one", "--yes", "--team", "red", "--kubeconfig", server.kubeconfig(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [asked.verb for asked in server.asked] == ["GET", "DELETE"]
    assert server.asked[1].body["preconditions"] == {"uid": "uid-one"}


@pytest.mark.parametrize("phase", ["Done", "Failed", "Rejected"])
def test_what_has_ended_is_not_deleted(alcove: Typed, tmp_path: Path, phase: str) -> None:
    with serving(Answer(body=submission("one", phase)), Answer()) as server:
        done = alcove("cancel", "one", "--yes", "--team", "red", "--kubeconfig", server.kubeconfig(tmp_path))
    assert done.returncode == 2
    assert "has ended" in done.stderr
    assert server.verbs == ["GET"]


def test_the_doctor_says_each_thing_that_is_wrong(alcove: Typed, tmp_path: Path) -> None:
    answers = (
        Answer(body={"gitVersion": "v1.34.4"}),
        refusal(403, "Forbidden"),
        listing(board()),
        refusal(404, "NotFound"),
    )
    with serving(*answers) as server:
        done = alcove(
            "doctor",
            "--team",
            "red",
            "--competition",
            "hack/hack",
            "--kubeconfig",
            server.kubeconfig(tmp_path),
        )
    assert done.returncode == 1
    heads = [line.split()[0] for line in done.stdout.splitlines() if line.startswith(("ok", "FAIL"))]
    assert heads == ["ok", "ok", "ok", "FAIL", "ok", "FAIL"]
    assert "the API server answers: v1.34.4" in done.stdout
    assert "Leaderboards of hack/hack can be read: practice" in done.stdout
    assert "2 of the checks failed." in done.stderr


@pytest.mark.parametrize("version", ["v1.28.9", ""])
def test_the_doctor_stops_at_a_server_that_is_too_old(alcove: Typed, tmp_path: Path, version: str) -> None:
    with serving(Answer(body={"gitVersion": version})) as server:
        done = alcove("doctor", "--team", "red", "--kubeconfig", server.kubeconfig(tmp_path))
    assert done.returncode == 1
    assert "Alcove needs 1.29 or later" in done.stdout
    assert len(server.asked) == 1


@pytest.mark.parametrize("template", ["numpy", "sklearn", "tensorflow"])
def test_init_makes_a_submission_under_the_folders_name(alcove: Typed, tmp_path: Path, template: str) -> None:
    folder = tmp_path / "my-try"
    done = alcove("init", folder, "--template", template)
    assert done.returncode == 0, done.stderr
    example = REPOSITORY / "examples" / "submissions" / template
    assert (folder / "model.py").read_bytes() == (example / "model.py").read_bytes()
    made = yaml.safe_load((folder / "submission.yaml").read_text())
    assert made["metadata"]["name"] == "my-try"
    assert made["spec"]["code"]["configMap"]["name"] == "my-try-code"
    assert made["spec"]["code"].get("framework", "tensorflow") == (
        "tensorflow" if template == "tensorflow" else "numpy"
    )
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert kustomization["configMapGenerator"][0]["name"] == "my-try-code"
    again = alcove("init", folder)
    assert again.returncode == 2
    assert "is there already" in again.stderr


def test_init_takes_names_of_submissions_and_templates_that_images_support(
    alcove: Typed, tmp_path: Path
) -> None:
    assert "cannot be the name of a Submission" in alcove("init", tmp_path / "My Try").stderr
    unknown = alcove("init", tmp_path / "x", "--template", "keras")
    assert unknown.returncode == 2
    assert "'keras' is not one of 'numpy', 'sklearn', 'tensorflow', 'torch', 'any'" in unknown.stderr
    assert list(tmp_path.iterdir()) == []


def test_only_names_are_renamed() -> None:
    text = "name: tensorflow  # x\nname: tensorflow-code\nframework: tensorflow\n# -k examples/submissions/tensorflow\n"
    assert rename_example(text, "tensorflow", "mine", "a/mine") == (
        "name: mine  # x\nname: mine-code\nframework: tensorflow\n# -k a/mine\n"
    )


def test_a_shell_can_complete_commands_and_options() -> None:
    program = Path(sys.executable).with_name("alcove")
    for words, wanted in (("alcove comp", "compete"), ("alcove run --fra", "--framework")):
        environment = {
            "_ALCOVE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")),
        }  # fmt: skip
        done = subprocess.run(
            [program], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert wanted in done.stdout.split()
