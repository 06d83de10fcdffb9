"""Builders of the run's Job and Secret. Pure: dictionaries in, dictionaries out.

docs/contracts.md describes the run pod; docs/design.md, "Clock" and "Participant code", says why it is so.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from alcove_api.dataset import VolumeClaim
from alcove_api.documents import StoreCredentials
from alcove_operator.config import OperatorSettings
from alcove_operator.core import names
from alcove_operator.core.actions import CreateRun

Object = dict[str, Any]

PYTHON = "/opt/alcove/bin/python"
"""The interpreter in every image of ours."""
SUPERVISOR = "/opt/alcove/bin/alcove-supervisor"
"""In the images of recorder and ingestion."""
INSTALLED_SUPERVISOR = "/alcove/bin/alcove-supervisor"
"""Where an image that need not hold it finds it."""
WRITABLE = ("/alcove/out", "/tmp", "/dev/shm")
"""Where the participant may write, and nowhere else."""
DATA = "/alcove/data"
"""Where a dataset's input is, in the pods of runs and, where it lies on a volume, in that of its check."""
GO_TIMEOUT_SECONDS = 120
SEAL_TIMEOUT_SECONDS = 60
"""How long the supervisor waits for `sealed`: a store that is away for less than this loses nothing."""
GRACE_SECONDS = 20
"""From SIGTERM to SIGKILL. The supervisor kills at once what the participant started; this is to seal."""
_MI = 1 << 20
_SUFFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SUFFIXES |= {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}


def quantity_bytes(quantity: str) -> int:
    """Bytes of a Kubernetes quantity such as ``10Gi``."""
    number = quantity.rstrip("kKMGTim")
    suffix = quantity[len(number) :]
    return int(float(number) / 1000) if suffix == "m" else int(float(number) * _SUFFIXES[suffix])


def store_environment(settings: OperatorSettings, credentials: str) -> Object:
    """What every process with credentials is told of the store; ``credentials`` is the path of its file."""
    return {
        "ALCOVE_STORE_ENDPOINT": settings.store_endpoint,
        "ALCOVE_STORE_REGION": settings.store_region,
        "ALCOVE_STORE_BUCKET": settings.store_bucket,
        "ALCOVE_STORE_CREDENTIALS": credentials,
        "ALCOVE_STORE_STYLE": settings.store_style,
    }


def trust_store(pod: Object, settings: OperatorSettings) -> Object:
    """``pod``, in which all containers that are told of the store know its private authority, where it has one."""
    if not settings.store_ca_secret:
        return pod
    items = [{"key": "ca.crt", "path": "ca.crt"}]
    volume = {"name": "store-ca", "secret": {"secretName": settings.store_ca_secret, "items": items}}

    def trusting(container: Object) -> Object:
        if all(entry["name"] != "ALCOVE_STORE_ENDPOINT" for entry in container["env"]):
            return container
        return {
            **container,
            "env": [*container["env"], {"name": "ALCOVE_STORE_CA", "value": "/alcove/store-ca/ca.crt"}],
            "volumeMounts": [
                *container["volumeMounts"],
                _mount("store-ca", "/alcove/store-ca", read_only=True),
            ],
        }

    containers: Object = {
        field: [trusting(container) for container in pod[field]]
        for field in ("initContainers", "containers")
        if field in pod
    }
    return {**pod, **containers, "volumes": [*pod["volumes"], volume]}


def env(variables: Mapping[str, str]) -> list[Object]:
    return [{"name": name, "value": value} for name, value in variables.items()]


def build_security_context() -> Object:
    """Container settings that Pod Security's `restricted` level asks for, and a read-only root."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def pod_security(user: int) -> Object:
    """For the pod: ``user`` as user, group and owner of its volumes."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def job_secret(
    job: str, job_uid: str, namespace: str, labels: Mapping[str, str], files: Mapping[str, StoreCredentials]
) -> Object:
    """Short-lived credentials of one Job, under its name; it owns them."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": job_uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": job,
            "namespace": namespace,
            "labels": dict(labels),
            "ownerReferences": [owner],
        },
        "data": {
            name: base64.b64encode(document.model_dump_json().encode()).decode()
            for name, document in files.items()
        },
    }


def run_job(
    action: CreateRun, settings: OperatorSettings, annotations: Mapping[str, str], data_bytes: int
) -> Object:
    """The Job of one attempt.

    Args:
        action: what the core asks for.
        settings: images, store, service accounts.
        annotations: for people who look at the Job; nothing reads them back.
        data_bytes: size of the dataset's input, to size its volume where it is staged.
    """
    metadata = {"labels": dict(action.labels), "annotations": dict(annotations)}
    # Of the Job alone: with the label on a pod, Kueue would admit that one too.
    queued = (
        {"labels": {**action.labels, names.LOCAL_QUEUE: action.local_queue}} if action.local_queue else {}
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": action.job, "namespace": settings.competition_namespace, **metadata, **queued},
        "spec": {
            **({"suspend": True} if action.local_queue else {}),
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    }
                ]
            },
            "template": {"metadata": metadata, "spec": _run_pod(action, settings, data_bytes)},
        },
    }


def _run_pod(action: CreateRun, settings: OperatorSettings, data_bytes: int) -> Object:
    pod: Object = {
        "restartPolicy": "Never",
        # Else the pod's name, which tells dataset, attempt and repeat.
        "hostname": "run",
        "serviceAccountName": settings.run_service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "shareProcessNamespace": False,
        # Of the pod, counted from when the node takes it: a Job's own would count the wait for a GPU as well.
        "activeDeadlineSeconds": action.active_deadline_seconds,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": pod_security(action.run_as),
        **({} if _holds_supervisor(action) else {"initContainers": [_install(settings)]}),
        # The recorder first, and not as a native sidecar: main would wait for the kubelet's next look at it.
        "containers": [_recorder(action, settings), _main(action, settings, data_bytes)],
        "volumes": _volumes(action, data_bytes),
    }
    return trust_store(pod | _placement(settings), settings)


def _placement(settings: OperatorSettings) -> Object:
    """Which nodes run pods may go to, and how their images are pulled there."""
    chosen = {
        "nodeSelector": dict(settings.run_node_selector),
        "tolerations": [dict(toleration) for toleration in settings.run_tolerations],
        "runtimeClassName": settings.runtime_class,
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
    }
    return {name: value for name, value in chosen.items() if value}


def _recorder(action: CreateRun, settings: OperatorSettings) -> Object:
    environment = store_environment(settings, "/alcove/store/recorder.json")
    environment |= {
        "ALCOVE_RUN": action.config.model_dump_json(),
        # Less than the grace period, so that its report is written before it is killed.
        "ALCOVE_STOP_SECONDS": str(GRACE_SECONDS - 5),
        "ALCOVE_DISK_BYTES": str(quantity_bytes(action.resources.disk)),
        "ALCOVE_STAGE_CREDENTIALS": "/alcove/store/stage.json",
        "ALCOVE_START_SECONDS": str(action.start_timeout_seconds),
    }
    pod_uid = {"name": "ALCOVE_POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}
    return {
        "name": "recorder",
        "image": settings.image_recorder,
        "imagePullPolicy": settings.image_pull_policy,
        "restartPolicy": "Always",
        "env": [*env(environment), pod_uid],
        "securityContext": build_security_context(),
        # Throttling would show as late stamps, so its limit lies far above what it uses.
        "resources": {
            "requests": {"cpu": "50m", "memory": "128Mi", "ephemeral-storage": "128Mi"},
            "limits": {"cpu": "1", "memory": "512Mi", "ephemeral-storage": str(_spool_bytes(action))},
        },
        "volumeMounts": [
            _mount("run", "/alcove/run"),
            *([] if action.volume_claim else [_mount("data", DATA)]),
            _mount("code", "/alcove/code"),
            _mount("out", "/alcove/out", read_only=True),
            # To see how much the program keeps there.
            _mount("tmp", "/alcove/tmp", read_only=True),
            _mount("spool", "/alcove/spool"),
            _mount("store", "/alcove/store", read_only=True),
            _mount("recorder-tmp", "/tmp"),
        ],
    }


def _holds_supervisor(action: CreateRun) -> bool:
    """Whether main's image is one of this release. A competition can name one that is older, or not ours."""
    return action.image is None and action.ingestion is None


def _install(settings: OperatorSettings) -> Object:
    """Puts the supervisor where an image that need not hold it can start it."""
    return {
        "name": "install",
        "image": settings.image_recorder,
        "imagePullPolicy": settings.image_pull_policy,
        "command": [SUPERVISOR, "install", "/alcove/bin"],
        "env": [],
        "securityContext": build_security_context(),
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "1", "memory": "32Mi"}},
        "volumeMounts": [_mount("bin", "/alcove/bin")],
    }


def _main(action: CreateRun, settings: OperatorSettings, data_bytes: int) -> Object:
    asked = action.resources
    own_image = action.image is not None
    amounts = {"cpu": asked.cpu, "memory": asked.memory}
    if asked.gpus:
        amounts[asked.gpu_resource] = str(asked.gpus)
    disk = quantity_bytes(asked.disk)
    staged = action.config.code_bytes_limit + 128 * _MI
    staged += 0 if action.volume_claim else _data_bytes(data_bytes)
    return {
        "name": "main",
        "image": action.image or action.ingestion or settings.find_ingestion_image(action.framework),
        "imagePullPolicy": settings.image_pull_policy,
        "command": _command(action),
        # The runner goes to the code by itself, here as on a laptop.
        **({"workingDir": "/tmp"} if own_image else {}),
        "env": env(_participant_environment(action)),
        "securityContext": build_security_context(),
        "resources": {
            # What is staged is added to the limit, or the participant would pay for the size of the data.
            "requests": {**amounts, "ephemeral-storage": str(disk)},
            "limits": {**amounts, "ephemeral-storage": str(disk + staged)},
        },
        "volumeMounts": [
            *([] if _holds_supervisor(action) else [_mount("bin", "/alcove/bin", read_only=True)]),
            *(_mount(name, f"/alcove/{name}", read_only=True) for name in ("run", "code")),
            claim_mount(action.volume_claim) if action.volume_claim else _mount("data", DATA, read_only=True),
            *(_mount(name, folder) for name, folder in zip(("out", "tmp", "shm"), WRITABLE, strict=True)),
        ],
    }


def _command(action: CreateRun) -> list[str]:
    """The supervisor, and what it starts."""
    own_image, free_ns = action.image is not None, action.config.free_constructor_ns
    started = list(action.command) if own_image else [PYTHON, "-I", "-m", "alcove_ingestion"]
    return [
        SUPERVISOR if _holds_supervisor(action) else INSTALLED_SUPERVISOR,
        "run",
        *("--socket", "/alcove/run/go.sock"),
        *("--go", "start" if own_image else "runner"),
        *("--go-timeout", str(GO_TIMEOUT_SECONDS)),
        *(["--free-constructor", f"{free_ns / 1e9:g}"] if free_ns else []),
        # A recorder whose image is not pulled yet is waited for as long as a run may take to start.
        *("--start-timeout", str(action.start_timeout_seconds)),
        *("--seal-timeout", str(SEAL_TIMEOUT_SECONDS)),
        *("--max-processes", str(action.resources.processes)),
        *("--max-file-size", str(quantity_bytes(action.resources.disk))),
        *(word for folder in WRITABLE for word in ("--writable", folder)),
        *(["--allow-network"] if action.allow_network else []),
        "--",
        *started,
    ]


def _participant_environment(action: CreateRun) -> dict[str, str]:
    variables = {
        "ALCOVE_DATA": DATA,
        "ALCOVE_OUT": "/alcove/out",
        "ALCOVE_CODE": "/alcove/code",
        "ALCOVE_SEED": str(action.seed),
        "HOME": "/tmp",
        "USER": "participant",
    }
    if action.image is None:
        variables["ALCOVE_FRAMEWORK"] = action.framework
    if action.config.free_constructor_ns:
        variables["ALCOVE_FREE_CONSTRUCTOR"] = f"{action.config.free_constructor_ns / 1e9:g}"
    if action.config.disclosed:
        variables["ALCOVE_BUDGET"] = f"{action.config.budget_ns / 1e9:g}"
    if action.resources.gpus == 0:
        # An image may ask for all GPUs in its own environment, and some runtimes obey.
        variables["NVIDIA_VISIBLE_DEVICES"] = "void"
    return variables


def _volumes(action: CreateRun, data_bytes: int) -> list[Object]:
    asked = action.resources
    shared_memory = {"medium": "Memory", "sizeLimit": asked.shared_memory}
    return [
        *([] if _holds_supervisor(action) else [_empty("bin", 16 * _MI)]),
        _empty("run", 16 * _MI),
        claim_volume(action.volume_claim) if action.volume_claim else _empty("data", _data_bytes(data_bytes)),
        _empty("code", action.config.code_bytes_limit + 16 * _MI),
        {"name": "out", "emptyDir": {"sizeLimit": asked.disk}},
        {"name": "tmp", "emptyDir": {"sizeLimit": asked.disk}},
        {"name": "shm", "emptyDir": shared_memory},
        _empty("spool", _spool_bytes(action)),
        _empty("recorder-tmp", 64 * _MI),
        _secret_files("store", action.job, ("recorder.json", "stage.json")),
    ]


def claim_volume(claim: VolumeClaim) -> Object:
    """A dataset's volume. Read-only here too: the kubelet then never changes the owner of what is on it."""
    return {"name": "data", "persistentVolumeClaim": {"claimName": claim.claim_name, "readOnly": True}}


def claim_mount(claim: VolumeClaim) -> Object:
    mount = _mount("data", DATA, read_only=True)
    return mount | ({"subPath": claim.path} if claim.path else {})


def _data_bytes(data_bytes: int) -> int:
    return int(data_bytes * 1.1) + 64 * _MI


def _spool_bytes(action: CreateRun) -> int:
    # Above the recorder's own limit, which is to refuse a file before the kubelet evicts the pod.
    return action.config.max_bytes + 256 * _MI


def _empty(name: str, size: int) -> Object:
    return {"name": name, "emptyDir": {"sizeLimit": str(size)}}


def _secret_files(name: str, secret: str, keys: Sequence[str]) -> Object:
    items = [{"key": key, "path": key} for key in keys]
    return {"name": name, "secret": {"secretName": secret, "items": items, "defaultMode": 0o440}}


def _mount(volume: str, path: str, read_only: bool = False) -> Object:
    return {"name": volume, "mountPath": path} | ({"readOnly": True} if read_only else {})
