"""An example of each command, at the end of its help."""

from __future__ import annotations

import typer

EXAMPLES = {
    "submit": "alcove submit my-try --team hackathon-red --watch",
    "watch": "alcove watch my-try --team hackathon-red",
    "phases": "alcove phases hackathon/hackathon",
    "images": "alcove images --all",
    "explain": "alcove explain my-try --team hackathon-red",
    "report": "alcove report my-try --team hackathon-red --out my-try.html",
    "board open": "alcove board open practice --competition hackathon/hackathon",
    "pages": "alcove pages out/pages --namespace hackathon",
    "rescore": "alcove rescore hackathon --scheme autodl --dry-run",
    "final": "alcove final final --rehearse",
    "overfitting": "alcove overfitting final --report overfitting.html",
    "rerun": "alcove rerun final hackathon-red",
    "verify": "alcove verify practice --competition hackathon/hackathon",
    "export": "alcove export practice --out practice.tar.gz",
    "backup": "alcove backup moved --store http://127.0.0.1:9000 --competition hackathon/hackathon",
    "restore": "alcove restore moved --store http://127.0.0.1:9000",
    "usage": "alcove usage hackathon/hackathon --by submission",
    "prune": "alcove prune hackathon/hackathon --dry-run",
    "audit": "alcove audit --competition hackathon/hackathon",
    "manage exclude": "alcove manage exclude hackathon-red --submission my-try --reason cheating",
    "manage reinstate": "alcove manage reinstate hackathon-red --submission my-try",
    "manage stop": "alcove manage stop hackathon-red my-try --dataset digits --reason hangs",
    "manage give-back": "alcove manage give-back hackathon-red 2 --day today --reason node-lost",
    "manage extend": "alcove manage extend practice 2027-03-09T12:00:00Z",
    "preflight": "alcove preflight examples/hackathon.yaml",
    "conformance": "alcove conformance conformance/conformance --json",
    "run": "alcove run my-try out/digits out/waves --budget 20 --jobs 2 --report run.html",
    "compete": "alcove compete my-try examples/submissions/chance --datasets out/*.data --repeats 3",
    "init": "alcove init my-try --template sklearn",
    "status": "alcove status --team hackathon-red --phase practice",
    "logs": "alcove logs my-try --team hackathon-red --dataset digits",
    "curves": "alcove curves my-try --team hackathon-red",
    "quota": "alcove quota --team hackathon-red",
    "leaderboard": "alcove leaderboard practice --watch",
    "upload": "alcove upload my-try my-try.tar.gz --team hackathon-red",
    "cancel": "alcove cancel my-try --team hackathon-red",
    "doctor": "alcove doctor --team hackathon-red",
    "score": "alcove score --solution digits.solution --snapshots recorded --budget 20 --report report.html",
    "rank": "alcove rank scores.csv --method copeland --report ranks.html",
    "team kubeconfig": "alcove team kubeconfig red --days 7",
    "dataset convert": "alcove dataset convert people.csv out --kind tabular",
    "dataset push": "alcove dataset push out/digits.data our-digits --team hackathon-red",
    "dataset pull": "alcove dataset pull hackathon-blue/faces out --team hackathon-red",
    "dataset list": "alcove dataset list --team hackathon-red",
    "dataset recheck": "alcove dataset recheck digits --namespace hackathon",
    "dataset make": "alcove dataset make digits out",
    "dataset check": "alcove dataset check out/digits.data",
    "dataset info": "alcove dataset info out/digits.data",
    "dataset show": "alcove dataset show out/digits.data --out digits.html",
}
"""By command, with the names of its groups."""


def add_examples(app: typer.Typer, path: str = "") -> None:
    """Ends the help of each command of ``app`` and of its groups with its example. ``path``: of the group."""
    for command in app.registered_commands:
        name = command.name or (command.callback.__name__ if command.callback else "")
        if example := EXAMPLES.get(f"{path}{name}"):
            command.epilog = f"\b\nExample:\n  {example}"  # \b: not to be wrapped.
    for group in app.registered_groups:
        if group.typer_instance is not None:
            add_examples(group.typer_instance, f"{path}{group.name} ")
