"""What Alcove promises and the attacks try to break. docs/design.md has the reasons."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    id: str
    text: str
    broken: str
    """What it means where it is not held."""
    untested: str = ""
    """Why no attack here is on it."""


PROMISES = (
    Promise(
        "stamp",
        "A prediction counts from when the recorder holds it, and what is scored is that copy",
        "A team can have a prediction counted earlier than it was made, so learning curves are worth nothing.",
    ),
    Promise(
        "handshake",
        "Go, budget and end are between supervisor and recorder alone",
        "A program can move its own clock, or end its run on record before it ends.",
    ),
    Promise(
        "budget",
        "At the budget every process of a run is ended, and nothing first seen later is taken",
        "A team can learn for longer than the others.",
    ),
    Promise(
        "files",
        "Only predictions of the right shape in regular files are taken; everything else is refused with a reason",
        "A program can have the recorder read what it must not, or the scorer read what can harm it.",
    ),
    Promise(
        "network",
        "A program has no network",
        "A program can send hidden data out, or fetch a model that was trained elsewhere.",
    ),
    Promise(
        "pods",
        "The pod of a run as a whole reaches the store and DNS alone, by NetworkPolicy",
        "The seccomp filter alone keeps programs from the network.",
        "a program has no socket to try it with; `helm test` tries it from a pod of its own",
    ),
    Promise(
        "cage",
        "A program reaches no file, credential or process that is not its run's",
        "A program can read solutions, credentials or other teams' work.",
    ),
    Promise(
        "supervisor",
        "A program cannot end, stop, trace or slow its supervisor, nor gain rights",
        "A program can outlive its budget, or leave its cage.",
    ),
    Promise(
        "secrecy",
        "What a program reads of a hidden dataset is readable for nobody but the organizer in a blind phase",
        "A team can see hidden data, and write a model for it by hand.",
    ),
    Promise(
        "teams",
        "A team can do what it must, in its own namespace and prefix alone",
        "A team can read or change what is another team's or the organizer's.",
    ),
    Promise(
        "objects",
        "What a team stores as objects is bounded and cannot be changed once it is handed in",
        "A team can use up the operator or the API server, or change a Submission after the fact.",
    ),
    Promise(
        "bundles",
        "Of a bundle only plain files within bounds are unpacked, and only into its own folder",
        "A team can write outside its folder, or use up the operator or the node by an upload.",
    ),
    Promise(
        "images",
        "Nothing that an image says of itself changes how its run is confined or ended",
        "A team can leave its cage by the settings of its image.",
    ),
    Promise(
        "payer",
        "What a program brings about is its team's fault, and it is not run again",
        "A team can have a bad run repeated, and see more feedback than others.",
    ),
    Promise(
        "limits",
        "Processes, memory, disk, output and files of a run are bounded, and what was saved before counts",
        "A program can harm the node, the recorder or its neighbours.",
    ),
    Promise(
        "neighbours",
        "Another team's run at the same time keeps its scores and its times",
        "A team can spoil the results of others.",
    ),
)
BY_ID = {promise.id: promise for promise in PROMISES}
