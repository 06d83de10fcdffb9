"""``alcove score`` and ``alcove rank``, for the command line to mount. NumPy is loaded only when one of them
runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from alcove_api.errors import AlcoveError
from alcove_api.schemes import HACKATHON, SCHEMES
from alcove_scorer.errors import InputError
from alcove_toolkit.whole_files import write_whole

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Method = Annotated[
    str,
    typer.Option(
        help="average, copeland, mean-minus-std, relative, kemeny, success-rate, relative-difference, or "
        "performance-profile (of seconds)."
    ),
]
Predictions = Annotated[
    Path | None,
    typer.Option(
        help="For examples: folder of PARTICIPANT/DATASET/ as score reads it (repeats: DATASET.2/, DATASET.3/), "
        "and DATASET.solution."
    ),
]
PredictionsBudget = Annotated[
    float | None, typer.Option(help="The time budget of the runs in --predictions, seconds.")
]
PredictionsScheme = Annotated[
    str, typer.Option(help="What scores the runs in --predictions: " + " or ".join(SCHEMES) + ".")
]
PredictionsMetric = Annotated[
    str | None,
    typer.Option(
        help="The metric of these runs [the scheme's]. nauc holds a whole prediction in memory, and metrics of "
        "plug-ins a copy as well."
    ),
]
PredictionsT0 = Annotated[
    float | None, typer.Option(help="Scale of the time axis of these runs, seconds [the scheme's].")
]
Intervals = Annotated[int, typer.Option(help="Resamples of runs or examples; 0 for no intervals.")]
Source = Annotated[str, typer.Option(help="What else could have been: datasets, runs, examples or all.")]
LowerIsBetter = Annotated[
    bool, typer.Option("--lower-is-better", help="Scores are errors or times [higher is better].")
]
Reference = Annotated[
    str | None,
    typer.Option(help="A row that counts for performance-profile's fastest times and is not ranked."),
]
LeaveOut = Annotated[
    list[str] | None, typer.Option(help="A column that is no dataset; may be given several times.")
]
Rope = Annotated[float, typer.Option(help="Differences of scores up to this mean nothing in practice.")]
RankReport = Annotated[
    Path | None, typer.Option(help="Write a page with table and pictures there, such as leaderboard.html.")
]


def score_command(
    solution: Annotated[
        Path, typer.Option(help="The solution: .npy, or rows of 0/1 (of numbers) separated by spaces.")
    ],
    snapshots: Annotated[
        Path, typer.Option(help="Folder of predictions with times.csv (file,seconds) or manifest.json.")
    ],
    budget: Annotated[float, typer.Option(help="The time budget, seconds.")],
    scheme: Annotated[str, typer.Option(help=" or ".join(SCHEMES) + ".")] = HACKATHON.name,
    t0: Annotated[float | None, typer.Option(help="Scale of the time axis, seconds [the scheme's].")] = None,
    metric: Annotated[str | None, typer.Option(help="Name of a metric [the scheme's].")] = None,
    target: Annotated[float | None, typer.Option(help="A score: say when the run first reached it.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with the learning curve there, such as report.html.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score the snapshots of one run against a solution; exit status 1 if none is valid, so that there is no score."""
    from alcove_scorer import run_files
    from alcove_scorer.curves import resolve_rules

    try:
        run_files.check_target(target)
        settings = resolve_rules(budget, scheme, metric, t0)
        names, outcome = run_files.score_files(solution, snapshots, settings)
        if report is not None:
            from alcove_scorer.report import outcome_html

            _write_page(report, outcome_html(snapshots.resolve().name, solution.stem, outcome, settings))
    except AlcoveError as error:
        raise _refusal("score", error) from None
    document = run_files.as_document(names, outcome, settings, target)
    typer.echo(json.dumps(document) if as_json else run_files.as_text(names, outcome, settings, target))
    if outcome.alc is None:
        raise typer.Exit(1)


def rank_command(
    file: Annotated[Path, typer.Argument(help="CSV: the participant, then a column of scores a dataset.")],
    method: Method = "average",
    penalty: Annotated[float, typer.Option(help="Standard deviations taken off by mean-minus-std.")] = 1.0,
    baseline: Annotated[str | None, typer.Option(help="The participant that relative compares with.")] = None,
    alpha: Annotated[float, typer.Option(help="Level of the critical difference.")] = 0.05,
    intervals: Intervals = 1000,
    uncertainty: Source = "datasets",
    predictions: Predictions = None,
    budget: PredictionsBudget = None,
    scheme: PredictionsScheme = HACKATHON.name,
    metric: PredictionsMetric = None,
    t0: PredictionsT0 = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    lower_is_better: LowerIsBetter = False,
    tau_max: Annotated[float, typer.Option(help="Largest factor of performance-profile.")] = 4.0,
    reference: Reference = None,
    leave_out: LeaveOut = None,
    rope: Rope = 0.01,
    report: RankReport = None,
    as_json: AsJson = False,
) -> None:
    """Rank participants over datasets. Those of equal value share a rank."""
    from alcove_scorer import rank_files, rank_output
    from alcove_scorer.curves import resolve_rules

    try:
        if (predictions is None) != (budget is None):
            raise InputError("--predictions and --budget: expected both, or neither")
        options = rank_files.RankOptions(
            rank_files.parse_method(method), penalty, baseline, alpha, intervals, seed, lower_is_better,
            tau_max, reference, rank_files.parse_source(uncertainty), predictions,
            None if budget is None else resolve_rules(budget, scheme, metric, t0), tuple(leave_out or ()), rope,
        )  # fmt: skip
        table = rank_files.read_table(file, options)
        ranked = rank_files.rank_table(table, options)
        if report is not None:
            from alcove_scorer.rank_page import rank_html

            _write_page(report, rank_html(file.name, table, ranked, options))
    except AlcoveError as error:
        raise _refusal("rank", error) from None
    document = rank_output.as_document(table, ranked, options)
    typer.echo(json.dumps(document) if as_json else rank_output.as_text(document))


def _write_page(file: Path, page: str) -> None:
    try:
        write_whole(file, page)
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise InputError(
            f"{file}: cannot be written ({reason}); expected a file in a folder of yours"
        ) from None


def _refusal(command: str, error: AlcoveError) -> typer.Exit:
    typer.echo(f"alcove {command}: {error}", err=True)
    return typer.Exit(2)
