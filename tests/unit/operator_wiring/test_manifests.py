"""The run's Job: what the contracts and Pod Security's `restricted` level ask for, whatever is asked of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_api.board_documents import AggregateRequest, BoardSubmission
from alcove_api.competition import Images
from alcove_api.dataset import VolumeClaim
from alcove_api.documents import CheckRequest, StoreCredentials
from alcove_api.phase import Resources
from alcove_api.run_documents import RunConfig
from alcove_api.score_documents import Feedback, ScoreDataset, ScoreRequest, Scoring
from alcove_operator import config
from alcove_operator.core.actions import CreateRun
from alcove_operator.errors import SettingsError
from alcove_operator.manifests import job_secret, quantity_bytes, run_job
from alcove_operator.scorer_jobs import aggregate_job, check_job, compare_job, rescore_job, score_job
from alcove_scorer.jobs import REQUEST_BYTES

REPOSITORY = Path(__file__).parents[3]

ENVIRONMENT = {
    "ALCOVE_NAMESPACES": "hack, hack-red",
    "ALCOVE_COMPETITION_NAMESPACE": "hack",
    "ALCOVE_IMAGE_INGESTION": "alcove/ingestion:1",
    "ALCOVE_IMAGE_RECORDER": "alcove/recorder:1",
    "ALCOVE_IMAGE_SCORER": "alcove/scorer:1",
    "ALCOVE_STORE_ENDPOINT": "http://minio:9000",
    "ALCOVE_STORE_CREDENTIALS": "/alcove/store/credentials.json",
}
SETTINGS = config.from_environment(ENVIRONMENT)
UID = "0123abcd-0000-0000-0000-000000000000"
LABELS = {"alcove.dev/submission-uid": UID, "alcove.dev/role": "run"}
CLAIM = VolumeClaim(claim_name="clips", path="sets/clips.data")


def action(**changes: Any) -> CreateRun:
    told = RunConfig(
        submission_uid=UID,
        alias="digits",
        attempt=1,
        data_sha256=None if changes.get("volume_claim") else "a" * 64,
        code_sha256="b" * 64,
        budget_ns=20 * 10**9,
        disclosed=changes.pop("disclosed", True),
        free_constructor_ns=changes.pop("free_constructor_ns", 0),
        n_test=100,
        n_labels=10,
    )
    fields: dict[str, Any] = {
        "job": "r-0123abcd-digits-1",
        "submission_uid": UID,
        "alias": "digits",
        "attempt": 1,
        "dataset": "digits",
        "labels": LABELS,
        "config": told,
        "run_as": 1_234_567,
        "image": None,
        "ingestion": None,
        "command": (),
        "framework": "numpy",
        "resources": Resources(gpus=0, cpu="1", memory="1Gi", disk="1Gi"),
        "allow_network": False,
        "start_timeout_seconds": 900,
        "active_deadline_seconds": 1040,
    }
    return CreateRun(**{**fields, **changes})


def job(**changes: Any) -> dict[str, Any]:
    return run_job(action(**changes), SETTINGS, {"note": "x"}, 10_000_000)


def containers(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    spec = made["spec"]["template"]["spec"]
    return {c["name"]: c for c in [*spec.get("initContainers", []), *spec["containers"]]}


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {e["name"]: e.get("value", "<field>") for e in container["env"]}


def mounts(container: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    return {m["mountPath"]: (m["name"], m.get("readOnly", False)) for m in container["volumeMounts"]}


def requests() -> dict[str, dict[str, Any]]:
    score = ScoreRequest(
        submission_uid=UID,
        namespace="hack-red",
        submission="first",
        competition="one",
        phase="practice",
        budget_seconds=20,
        scoring=Scoring(),
        feedback={"mode": "live"},
        datasets=(),
    )
    check = CheckRequest(dataset="digits", data_sha256="a" * 64, solution_sha256="b" * 64)
    return {
        "score": score_job("s-x", LABELS, score, SETTINGS),
        "aggregate": aggregate_job("a-x", LABELS, ("comp", "cup", "practice"), 7, SETTINGS),
        "check": check_job("c-x", LABELS, check, SETTINGS),
        "check of a volume": check_job("c-x", LABELS, check, SETTINGS, CLAIM),
        "rescore": rescore_job("rescore-x-1", LABELS, score, SETTINGS),
        "compare": compare_job("rescore-x", LABELS, SETTINGS),
    }


ALL = {
    "run": job(),
    "own image": job(image="x@sha256:" + "0" * 64, command=("run", "me")),
    "gpu": job(resources=Resources(gpus=2)),
    "run on a volume": job(volume_claim=CLAIM),
    **requests(),
}


@pytest.mark.parametrize("made", ALL.values(), ids=ALL)
def test_pods_are_restricted_with_a_read_only_root(made: dict[str, Any]) -> None:
    spec = made["spec"]["template"]["spec"]
    security = spec["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & spec.keys()
    assert spec["enableServiceLinks"] is False
    assert spec["restartPolicy"] == "Never"
    kinds = {kind for v in spec["volumes"] for kind in v if kind != "name"}
    # The one ConfigMap is the request of a comparison, which an organizer's command makes.
    configured = {"configMap"} if made is ALL["compare"] else set()
    assert kinds <= {"emptyDir", "secret", "persistentVolumeClaim"} | configured
    assert all(
        v["persistentVolumeClaim"]["readOnly"] for v in spec["volumes"] if "persistentVolumeClaim" in v
    )
    assert all("sizeLimit" in v["emptyDir"] for v in spec["volumes"] if "emptyDir" in v)
    for container in containers(made).values():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert container["imagePullPolicy"] == "IfNotPresent"
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()


@pytest.mark.parametrize("made", ALL.values(), ids=ALL)
def test_only_the_aggregate_job_has_a_token(made: dict[str, Any]) -> None:
    spec = made["spec"]["template"]["spec"]
    expected = made is ALL["aggregate"]
    assert spec["automountServiceAccountToken"] is expected
    assert (spec["serviceAccountName"] == "alcove-aggregate") is expected


@pytest.mark.parametrize("made", ALL.values(), ids=ALL)
def test_pods_carry_the_labels_of_their_job(made: dict[str, Any]) -> None:
    assert made["spec"]["template"]["metadata"]["labels"] == made["metadata"]["labels"] == LABELS


def test_the_run_has_the_contracts_containers_and_mounts() -> None:
    made = job()
    spec = made["spec"]["template"]["spec"]
    # No init container: main would wait for the kubelet's next look at it.
    assert ("initContainers" in spec, [c["name"] for c in spec["containers"]]) == (
        False,
        ["recorder", "main"],
    )
    found = {name: mounts(c) for name, c in containers(made).items()}
    assert found["main"] == {
        "/alcove/run": ("run", True),
        "/alcove/data": ("data", True),
        "/alcove/code": ("code", True),
        "/alcove/out": ("out", False),
        "/tmp": ("tmp", False),
        "/dev/shm": ("shm", False),
    }
    assert found["recorder"]["/alcove/out"] == ("out", True)
    assert found["recorder"]["/alcove/tmp"] == ("tmp", True)
    assert found["recorder"]["/alcove/run"] == ("run", False)
    assert found["recorder"]["/alcove/data"] == ("data", False)
    assert found["recorder"]["/alcove/code"] == ("code", False)
    assert found["recorder"]["/alcove/store"] == ("store", True)
    volumes = {v["name"]: v for v in spec["volumes"]}
    assert volumes["shm"]["emptyDir"]["medium"] == "Memory"
    files = ("recorder.json", "stage.json")
    assert volumes["store"]["secret"]["items"] == [{"key": name, "path": name} for name in files]
    told = environment(containers(made)["recorder"])
    assert told["ALCOVE_STORE_CREDENTIALS"] == "/alcove/store/recorder.json"
    assert told["ALCOVE_STAGE_CREDENTIALS"] == "/alcove/store/stage.json"
    assert told["ALCOVE_START_SECONDS"] == "900"
    command = containers(made)["main"]["command"]
    assert command[command.index("--start-timeout") + 1] == "900"
    assert RunConfig.model_validate_json(told["ALCOVE_RUN"]) == action().config


@pytest.mark.parametrize(
    "foreign", [{"image": f"x/y@sha256:{'0' * 64}", "command": ("run",)}, {"ingestion": "x/own:3"}]
)
def test_an_image_that_need_not_hold_the_supervisor_is_given_it(foreign: dict[str, Any]) -> None:
    made = job(**foreign)
    (install,) = made["spec"]["template"]["spec"]["initContainers"]
    assert install["image"] == containers(made)["recorder"]["image"]
    assert mounts(install) == {install["command"][-1]: ("bin", False)}
    main = containers(made)["main"]
    assert main["command"][0] == f"{install['command'][-1]}/alcove-supervisor"
    assert mounts(main)["/alcove/bin"] == ("bin", True)
    # In ours it is where the Dockerfile has put it.
    ours = containers(job())["main"]["command"][0]
    for image in ("recorder", "ingestion"):
        assert f" {ours}\n" in (REPOSITORY / "images" / image / "Dockerfile").read_text()
    assert install["command"][0] == ours


def test_what_a_program_asks_for_is_all_that_it_gets_and_what_the_recorder_holds_it_to() -> None:
    found = containers(job())
    amounts = found["main"]["resources"]
    for resource in ("cpu", "memory"):
        assert amounts["requests"][resource] == amounts["limits"][resource]
    assert environment(found["recorder"])["ALCOVE_DISK_BYTES"] == amounts["requests"]["ephemeral-storage"]


@pytest.mark.parametrize("path", ["sets/clips.data", ""])
def test_a_datasets_volume_is_mounted_read_only_and_nothing_is_staged(path: str) -> None:
    claim = VolumeClaim(claim_name="clips", path=path)
    made = job(volume_claim=claim)
    found = containers(made)
    data = [m for m in found["main"]["volumeMounts"] if m["mountPath"] == "/alcove/data"]
    assert data == [
        {"name": "data", "mountPath": "/alcove/data", "readOnly": True} | ({"subPath": path} if path else {})
    ]
    assert "/alcove/data" not in mounts(found["recorder"])
    # What is on a volume fills no node's disk.
    limits = (c["main"]["resources"]["limits"]["ephemeral-storage"] for c in (found, containers(job())))
    assert int(next(limits)) < int(next(limits))
    assert "/alcove/data" not in mounts(containers(ALL["check"])["check"])
    check = CheckRequest(dataset="x", data_sha256="a" * 64, solution_sha256="b" * 64, on_volume=True)
    job_of_check = check_job("c-x", LABELS, check, SETTINGS, claim)
    seen = containers(job_of_check)["check"]["volumeMounts"]
    assert [m for m in seen if m["mountPath"] == "/alcove/data"] == data
    # A terabyte is read from a disk in a few hours.
    assert job_of_check["spec"]["activeDeadlineSeconds"] >= 10 * 3600


def test_the_participants_container_holds_no_credential_and_no_address() -> None:
    main = containers(job())["main"]
    assert not [m for m in main["volumeMounts"] if "store" in m["name"]]
    assert environment(main) == {
        "ALCOVE_DATA": "/alcove/data",
        "ALCOVE_OUT": "/alcove/out",
        "ALCOVE_CODE": "/alcove/code",
        "ALCOVE_BUDGET": "20",
        "ALCOVE_FRAMEWORK": "numpy",
        "ALCOVE_SEED": "0",
        "HOME": "/tmp",
        "USER": "participant",
        "NVIDIA_VISIBLE_DEVICES": "void",
    }


def test_the_program_may_write_where_a_volume_of_its_own_is_mounted_and_nowhere_else() -> None:
    main = containers(job())["main"]
    options = main["command"][: main["command"].index("--")]
    allowed = {options[i + 1] for i, word in enumerate(options) if word == "--writable"}
    assert allowed == {path for path, (_, read_only) in mounts(main).items() if not read_only}
    assert options[options.index("--max-file-size") + 1] == main["resources"]["requests"]["ephemeral-storage"]


def test_an_undisclosed_budget_is_nowhere_in_the_participants_container() -> None:
    main = containers(job(disclosed=False))["main"]
    assert "ALCOVE_BUDGET" not in environment(main)
    assert "20" not in main["command"]


def test_the_clock_starts_when_the_runner_asks_or_with_a_foreign_command() -> None:
    ours = containers(job())["main"]["command"]
    assert ours[: ours.index("--")][2:6] == ["--socket", "/alcove/run/go.sock", "--go", "runner"]
    assert ours[ours.index("--") + 1 :] == ["/opt/alcove/bin/python", "-I", "-m", "alcove_ingestion"]
    theirs = containers(ALL["own image"])["main"]
    assert theirs["command"][4:6] == ["--go", "start"]
    assert theirs["command"][theirs["command"].index("--") + 1 :] == ["run", "me"]
    assert theirs["image"].startswith("x@sha256:")


def test_a_constructor_is_free_where_the_phase_says_so_and_nowhere_else() -> None:
    charged = containers(job())["main"]
    assert "--free-constructor" not in charged["command"]
    assert "ALCOVE_FREE_CONSTRUCTOR" not in environment(charged)
    free = containers(job(free_constructor_ns=1200 * 10**9))["main"]
    assert free["command"][free["command"].index("--free-constructor") + 1] == "1200"
    assert environment(free)["ALCOVE_FREE_CONSTRUCTOR"] == "1200"


def test_the_network_is_closed_unless_the_competition_opens_it() -> None:
    assert "--allow-network" not in containers(job())["main"]["command"]
    assert "--allow-network" in containers(job(allow_network=True))["main"]["command"]


def test_gpus_are_asked_for_and_otherwise_hidden() -> None:
    main = containers(ALL["gpu"])["main"]
    assert main["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert main["resources"]["requests"]["nvidia.com/gpu"] == "2"
    assert "NVIDIA_VISIBLE_DEVICES" not in environment(main)
    assert "nvidia.com/gpu" not in containers(job())["main"]["resources"]["limits"]


def test_runs_go_where_the_chart_says() -> None:
    gpu = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    told = {
        **ENVIRONMENT,
        "ALCOVE_RUN_NODE_SELECTOR": '{"pool": "gpu"}',
        "ALCOVE_RUN_TOLERATIONS": json.dumps([gpu]),
    }
    placed = run_job(action(), config.from_environment(told), {}, 1)["spec"]["template"]["spec"]
    assert placed["nodeSelector"] == {"pool": "gpu"}
    assert placed["tolerations"] == [gpu]
    assert "nodeSelector" not in job()["spec"]["template"]["spec"]
    with pytest.raises(SettingsError, match="ALCOVE_RUN_TOLERATIONS"):
        config.from_environment({**ENVIRONMENT, "ALCOVE_RUN_TOLERATIONS": "nvidia"})


def test_one_pod_a_job_and_a_deadline_that_does_not_count_the_queue() -> None:
    spec = job()["spec"]
    assert (spec["backoffLimit"], spec["completions"], spec["parallelism"]) == (0, 1, 1)
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["podFailurePolicy"]["rules"][0]["action"] == "FailJob"
    assert "activeDeadlineSeconds" not in spec
    assert "ttlSecondsAfterFinished" not in spec
    assert spec["template"]["spec"]["activeDeadlineSeconds"] == 1040


@given(data=st.integers(0, 10**12), disk=st.sampled_from(["100Mi", "10Gi", "1Ti"]))
def test_the_participant_never_pays_for_the_size_of_what_is_staged(data: int, disk: str) -> None:
    made = run_job(action(resources=Resources(gpus=0, disk=disk)), SETTINGS, {}, data)
    limits = containers(made)["main"]["resources"]["limits"]
    volumes = {v["name"]: v["emptyDir"]["sizeLimit"] for v in made["spec"]["template"]["spec"]["volumes"][:5]}
    assert int(volumes["data"]) >= data
    staged = int(volumes["data"]) + int(volumes["code"]) + int(volumes["run"])
    assert int(limits["ephemeral-storage"]) >= quantity_bytes(disk) + staged


@pytest.mark.parametrize(
    ("text", "value"), [("10", 10), ("1k", 1000), ("2Ki", 2048), ("1.5Gi", 3 << 29), ("3T", 3 * 10**12)]
)
def test_quantities(text: str, value: int) -> None:
    assert quantity_bytes(text) == value


def test_the_secret_is_the_jobs() -> None:
    given_out = StoreCredentials(access_key="a", secret_key="b")
    made = job_secret("r-x", "job-uid", "hack", LABELS, {"stage.json": given_out, "recorder.json": given_out})
    owner = made["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Job", "r-x", "job-uid")
    assert made["data"].keys() == {"stage.json", "recorder.json"}


def test_a_missing_setting_is_named_with_all_others() -> None:
    with pytest.raises(SettingsError) as caught:
        config.from_environment({"ALCOVE_NAMESPACES": "a", "ALCOVE_STORE_ENDPOINT": "minio:9000"})
    for name in ("ALCOVE_COMPETITION_NAMESPACE", "ALCOVE_IMAGE_SCORER", "ALCOVE_STORE_ENDPOINT"):
        assert name in str(caught.value)


def test_the_settings_hold_the_competitions_namespace_among_the_watched() -> None:
    assert SETTINGS.watched == ("hack", "hack-red")


def test_requests_fit_an_environment_variable() -> None:
    """Linux takes 128 KiB a string, name and end included; of the largest competition that the API allows."""
    score = ScoreRequest(
        submission_uid=UID,
        namespace="n" * 63,
        submission="s" * 253,
        competition="c" * 253,
        phase="p" * 32,
        budget_seconds=604800,
        scoring=Scoring(metric="m" * 63),
        feedback=Feedback(),
        datasets=tuple(
            ScoreDataset(
                alias=f"{n:a>32}", name=f"{n:d>63}", solution_sha256="a" * 64, n_test=10**9, n_labels=10**6
            )
            for n in range(64)
        ),
        code_sha256="b" * 64,
    )
    board = AggregateRequest(
        competition_namespace="n" * 63,
        competition="c" * 253,
        phase="p" * 32,
        leaderboard="p" * 32,
        datasets=tuple(f"{n:a>32}" for n in range(64)),
        budget_seconds=604800,
        entries=tuple(
            BoardSubmission(
                team=f"{n:t>63}",
                submission="s" * 253,
                submission_uid=UID,
                created_at=datetime(2026, 1, 1, tzinfo=UTC),
                scoring_digest="d" * 16,
            )
            for n in range(2000)
        ),
    )
    assert len(board.canonical()) < REQUEST_BYTES // 2
    for made in (
        score_job("s-x", LABELS, score, SETTINGS),
        aggregate_job("a-x", LABELS, ("n" * 63, "c" * 253, "p" * 32), 7, SETTINGS),
    ):
        strings = [
            f"{e['name']}={e.get('value', '')}"
            for e in made["spec"]["template"]["spec"]["containers"][0]["env"]
        ]
        assert max(len(text.encode()) + 1 for text in strings) <= 128 << 10


@pytest.mark.parametrize(
    ("own", "competitions", "framework", "runs"),
    [
        (None, None, "numpy", "img/numpy"),
        (None, None, "tensorflow", "img/ingestion"),
        (None, None, "torch", "img/torch"),
        (None, None, "tensorflow1", "img/tf1"),
        (None, "reg/other@sha256:1", "numpy", "reg/other@sha256:1"),
        ("reg/team@sha256:2", "reg/other@sha256:1", "torch", "reg/team@sha256:2"),
    ],
)
def test_the_image_is_the_teams_else_the_competitions_else_the_operators(
    own: str | None, competitions: str | None, framework: str, runs: str
) -> None:
    command = ("/run",) if own else ()
    settings = SETTINGS.model_copy(
        update={
            "image_ingestion": "img/ingestion",
            "image_ingestion_numpy": "img/numpy",
            "image_ingestion_torch": "img/torch",
            "image_ingestion_tf1": "img/tf1",
        }
    )
    told = action(image=own, ingestion=competitions, command=command, framework=framework)
    made = run_job(told, settings, {"note": "x"}, 10_000_000)
    assert containers(made)["main"]["image"] == runs


def test_numpy_runs_in_the_larger_image_where_that_alone_is_named() -> None:
    settings = SETTINGS.model_copy(update={"image_ingestion": "img/ingestion"})
    made = run_job(action(framework="numpy"), settings, {"note": "x"}, 10_000_000)
    assert containers(made)["main"]["image"] == "img/ingestion"
    both = Images(ingestion="own/tensorflow")
    assert (both.find_ingestion("numpy"), both.find_ingestion("torch")) == ("own/tensorflow", None)
    assert (
        Images(ingestion="own/tensorflow", ingestion_numpy="own/numpy").find_ingestion("numpy") == "own/numpy"
    )


def test_kueue_admits_the_job_and_not_its_pod() -> None:
    job = run_job(action(local_queue="gpus"), SETTINGS, {}, 1)
    assert job["metadata"]["labels"] == {**LABELS, "kueue.x-k8s.io/queue-name": "gpus"}
    assert job["spec"]["suspend"] is True
    assert job["spec"]["template"]["metadata"]["labels"] == LABELS
    usual = run_job(action(), SETTINGS, {}, 1)
    assert usual["metadata"]["labels"] == LABELS
    assert "suspend" not in usual["spec"]
