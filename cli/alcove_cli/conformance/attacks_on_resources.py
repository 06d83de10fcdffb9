"""Attacks on what is limited, and files that are no predictions."""

from __future__ import annotations

from alcove_cli.conformance.catalogue import Attack, Case
from alcove_cli.conformance.checks import (
    counted,
    ended,
    every,
    in_order,
    keeps_predictions,
    log_cut_at,
    measured,
    refused,
    said,
    sealed_by_recorder,
    silent,
    stamped_honestly,
    taken,
)

PROCESSES, CPUS = 200, 0.35
"""Limits of every run, as ``--values`` has them."""
_KEPT_OUTPUT = 1 << 20
"""Bytes of a run's output that the supervisor passes on, a few lines of its own aside."""

FORKS = Attack(
    "forks",
    (
        Case(
            "resources/fork-bomb",
            "limits",
            "processes that make processes until the budget",
            "ended at the budget",
            every(
                measured("resources/forks", 50, PROCESSES),
                ended("DeadlineReached", "Participant"),
                keeps_predictions(1),
                sealed_by_recorder,
            ),
            "the participant",
        ),
    ),
)
MEMORY = Attack(
    "memory",
    (
        Case(
            "resources/memory-bomb",
            "limits",
            "memory of three times the limit",
            "contained",
            every(ended("OutOfMemory", "Participant"), silent("resources/memory-bomb"), keeps_predictions(1)),
            "the participant",
        ),
    ),
)
DISK = Attack(
    "disk",
    (
        Case(
            "resources/full-disk",
            "limits",
            "files in /tmp of three times the disk limit",
            "contained",
            every(
                measured("resources/full-disk", 600, 1000),
                ended("DiskOverrun", "Participant"),
                keeps_predictions(1),
            ),
            "the participant",
        ),
    ),
    # The kubelet looks about once a minute.
    phase="disk",
)
FLOOD = Attack(
    "flood",
    (
        Case(
            "resources/output",
            "limits",
            "13 MB of output",
            "contained",
            every(said("resources/output", "13 MB"), log_cut_at(_KEPT_OUTPUT)),
        ),
        Case(
            "resources/inotify",
            "limits",
            "all inotify instances of its uid, half of them given back",
            "harmless",
            every(counted("resources/inotify"), taken("between.npy")),
        ),
        Case(
            "resources/descriptors",
            "limits",
            "as many open files as it gets",
            "contained",
            every(counted("resources/descriptors"), taken("between.npy")),
        ),
        Case(
            "resources/small-files",
            "limits",
            "up to 100,000 empty files",
            "contained",
            every(counted("resources/small-files"), stamped_honestly("between.npy")),
        ),
        Case(
            "resources/names",
            "limits",
            "names of 200 letters in the output folder, made and removed until the budget",
            "ended at the budget",
            every(
                ended("DeadlineReached", "Participant", other_causes=("RecorderFlooded",)),
                keeps_predictions(2),
                in_order,
            ),
            "the participant",
        ),
    ),
)
HOG = Attack(
    "hog",
    (
        Case(
            "resources/hog",
            "limits",
            "every processor and the disk, from six threads, until the budget",
            "ended at the budget",
            every(
                measured("resources/hog", 0.01, CPUS * 1.2),
                ended("DeadlineReached", "Participant"),
                keeps_predictions(1),
                sealed_by_recorder,
            ),
            "the participant",
        ),
    ),
    phase="long",
)
_LIES = (
    ("symlink.npy", "symbolic link", "a link to a file of the image"),
    ("magic-link.npy", "symbolic link", "a link into /proc"),
    ("fifo.npy", "not a regular file", "a pipe"),
    ("folder.npy", "not a regular file", "a folder"),
    ("socket.npy", "not a regular file", "a socket"),
    ("sparse.npy", "at most", "a sparse file of 200 MB"),
    ("pickle.npy", "does not start", "a pickle that runs a command"),
    ("huge-header.npy", "header", "a header of 2 GB"),
    ("lying-header.npy", "shape", "a header that says one row more"),
    ("truncated.npy", "header says", "an array cut short"),
    ("longer.npy", "header says", "an array with a byte more"),
    ("empty.npy", "does not start", "an empty file"),
    ("object.npy", "plain numbers", "an array of objects"),
    ("complex.npy", "data type", "an array of complex numbers"),
    ("void.npy", "data type", "an array of raw bytes"),
    ("zero-rows.npy", "shape", "an array without rows"),
    ("three-axes.npy", "shape", "an array of three axes"),
    ("one-line.predict", "Line 1", "a text of one endless line"),
    ("words.predict", "not a number", "a text of words"),
)
LIES = Attack(
    "lies",
    (
        *(
            Case(f"files/{name.partition('.')[0]}", "files", about, "refused", refused(name, reason))
            for name, reason, about in _LIES
        ),
        Case(
            "files/nan",
            "files",
            "an array of NaN: it is taken, for the scorer to refuse",
            "harmless",
            taken("nan.npy"),
        ),
        Case("files/fortran", "files", "an array in Fortran order", "harmless", taken("fortran.npy")),
        Case(
            "files/names",
            "files",
            "names with markup, control characters and bytes that are no text",
            "harmless",
            every(taken("��.npy"), taken("a�b�[31m.npy"), taken("<script>é☃.npy")),
        ),
        Case("files/terabyte", "limits", "a sparse file of 1 TB", "refused", said("files/terabyte", "EFBIG")),
        Case("files/device", "files", "a device file", "refused", said("files/device", "EPERM", "EACCES")),
        Case(
            "files/setuid",
            "supervisor",
            "a setuid program of its own: it is the run's uid all the same",
            "harmless",
            said("files/setuid", "done of the run's own uid", "EPERM"),
        ),
        Case(
            "files/scored",
            "files",
            "all of this in one run: what is valid is scored",
            "harmless",
            every(taken("good.npy"), keeps_predictions(1), ended("Finished", ""), sealed_by_recorder),
        ),
    ),
)
ATTACKS = (FORKS, MEMORY, DISK, FLOOD, HOG, LIES)
