"""What the dashboards are made of: queries, variables, and panels of Grafana's built-in types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
    xychart,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import (
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.xychart import SeriesMapping, XYShowMode

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
RELEASE = 'namespace="$namespace"'
PHASE = f'{RELEASE},competition="$competition",phase="$phase"'
GRAFANA = "11.6.0"
"""What the library of builders is made for; nothing here needs a later one."""
WIDTH = 24
"""Columns of Grafana's grid."""
Panel = Builder[models.Panel]

P = TypeVar(
    "P", stat.Panel, table.Panel, timeseries.Panel, statetimeline.Panel, xychart.Panel, bargauge.Panel
)


def query(expr: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """Over the dashboard's range of time; ``legend`` names labels as ``{{team}}``."""
    return prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref).range()


def instant(expr: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """Its last value alone."""
    return prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref).instant()


def legend_of(label: str) -> str:
    return f"{{{{{label}}}}}"


def largest(metric: str, where: str = RELEASE) -> str:
    """Of all series; of what only one operator tells, the one."""
    return f"max({metric}{{{where}}})"


def largest_by(label: str, metric: str, where: str = RELEASE) -> prometheus.Dataquery:
    """A line for each value of ``label``."""
    return query(f"max by ({label}) ({metric}{{{where}}})", legend_of(label))


def in_an_hour(label: str, metric: str) -> prometheus.Dataquery:
    """By how much a counter grew, by ``label``."""
    return query(f"sum by ({label}) (increase({metric}{{{RELEASE}}}[1h]))", legend_of(label))


def in_a_second(label: str, metric: str, prefix: str = "", ref: str = "A") -> prometheus.Dataquery:
    """How fast a counter grows, by ``label``; ``prefix``: before each value in the legend."""
    rate = f"sum by ({label}) (rate({metric}{{{RELEASE}}}[$__rate_interval]))"
    return query(rate, prefix + legend_of(label), ref)


def quantiles(*metrics: tuple[str, str]) -> list[prometheus.Dataquery]:
    """Median and 99th percentile of each histogram (metric and what it is of), over all phases."""
    queries = []
    for metric, name in metrics:
        buckets = f"sum by (le) (rate({metric}_bucket{{{RELEASE}}}[$__rate_interval]))"
        for share, label in ((0.5, "p50"), (0.99, "p99")):
            ref = f"{name}{label}".replace(" ", "")
            queries.append(query(f"histogram_quantile({share}, {buckets})", f"{name}, {label}", ref))
    return queries


def rows(expr: str, ref: str = "A") -> prometheus.Dataquery:
    """Its last values as a table: a column for each label."""
    return instant(expr, ref=ref).format(PromQueryFormat.TABLE)


def _placed(
    panel: P, title: str, about: str, size: tuple[int, int], queries: Sequence[Builder[Dataquery]]
) -> P:
    panel.title(title).description(about).datasource(SOURCE).span(size[0]).height(size[1])
    for one in queries:
        panel.with_target(one)
    return panel


def number(
    title: str, about: str, expr: str, *, legend: str = "", unit: str = "short", width: int = 4
) -> stat.Panel:
    return _placed(stat.Panel(), title, about, (width, 4), [instant(expr, legend)]).unit(unit)


def lines(
    title: str, about: str, *queries: prometheus.Dataquery, unit: str = "short", width: int = 12
) -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).show_legend(True)
    return _placed(timeseries.Panel(), title, about, (width, 8), queries).unit(unit).legend(legend)


def bars(title: str, about: str, expr: str, label: str, *, unit: str = "short") -> bargauge.Panel:
    """A bar for each value of ``label``."""
    made = _placed(
        bargauge.Panel(), title, about, (12, 8), [instant(f"max by ({label}) ({expr})", legend_of(label))]
    )
    return made.unit(unit).orientation(VizOrientation.HORIZONTAL).min(0)


def timeline(
    title: str, about: str, *queries: prometheus.Dataquery, width: int = WIDTH
) -> statetimeline.Panel:
    made = _placed(statetimeline.Panel(), title, about, (width, 10), queries)
    return made.show_value(VisibilityMode.AUTO).min(0)


def transformed(kind: str, options: Mapping[str, object]) -> DataTransformerConfig:
    return DataTransformerConfig(id_val=kind, options=dict(options))


def matrix(
    title: str, about: str, expr: str, *, row: str, column: str, order: str = "", width: int = WIDTH
) -> table.Panel:
    """A table with a line for each value of the label ``row`` and a column for each of the label ``column``.

    ``order``: the column that the lines are sorted by, which is not shown; by default they are sorted by ``row``. Its
    largest value comes first: for Grafana an empty cell is less than any number above 0, and belongs at the end.
    """
    heading = f"{row}\\{column}"
    made = _placed(table.Panel(), title, about, (width, 10), [rows(expr)])
    steps = (
        (
            "groupingToMatrix",
            {"rowField": row, "columnField": column, "valueField": "Value", "emptyValue": "null"},
        ),
        ("sortBy", {"fields": {}, "sort": [{"field": order or heading, "desc": bool(order)}]}),
        (
            "organize",
            {"excludeByName": {order: True} if order else {}, "renameByName": {heading: row.capitalize()}},
        ),
    )
    for kind, options in steps:
        made.with_transformation(transformed(kind, options))
    return made.decimals(3)


def table_of(
    title: str,
    about: str,
    metric: str,
    labels: Sequence[str],
    value: str,
    *,
    where: str = RELEASE,
    width: int = 12,
) -> table.Panel:
    """A table with a column for each of ``labels`` and one for the value."""
    expr = f"max by ({', '.join(labels)}) ({metric}{{{where}}})"
    order = {name: place for place, name in enumerate([*labels, "Value"])}
    made = _placed(table.Panel(), title, about, (width, 8), [rows(expr)])
    return made.with_transformation(
        transformed(
            "organize",
            {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": {"Value": value}},
        )
    )


SECONDS, SCORE = "Seconds since the go", "Score"


def curves(title: str, about: str, where: str, *, by: str = "team", width: int = 12) -> xychart.Panel:
    """Score against the time since the go, on a logarithmic axis; a line for each value of the label ``by``.

    ``where``: matchers of PromQL.
    """
    seconds = rows(f"max by ({by}, point) (alcove_curve_seconds{{{where}}})", "A")
    scores = rows(f"max by ({by}, point) (alcove_curve_score{{{where}}})", "B")
    made = _placed(xychart.Panel(), title, about, (width, 10), [seconds, scores])
    columns = {"Value #A": 0, "Value #B": 1, by: 2}
    steps: tuple[tuple[str, dict[str, object]], ...] = (
        ("merge", {}),
        (
            "organize",
            {
                "excludeByName": {"Time": True, "point": True},
                "indexByName": columns,
                "renameByName": {"Value #A": SECONDS, "Value #B": SCORE},
            },
        ),
        ("sortBy", {"fields": {}, "sort": [{"field": SECONDS}]}),
        ("partitionByValues", {"fields": [by], "keepFields": False, "naming": {"asLabels": True}}),
    )
    for kind, options in steps:
        made.with_transformation(transformed(kind, options))
    logarithmic = {"type": ScaleDistribution.LOG.value, "log": 10}
    named = f"${{__field.labels.{by}}}"
    return (
        made.show(XYShowMode.POINTS_AND_LINES)
        # Each table's first column of numbers is x, the other y.
        .mapping(SeriesMapping.AUTO)
        .series([xychart.XYSeriesConfig()])
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .show_legend(True)
            .placement(LegendPlacement.BOTTOM)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.SINGLE))
        .override_by_name(SECONDS, [DynamicConfigValue(id_val="custom.scaleDistribution", value=logarithmic)])
        .override_by_name(SCORE, [DynamicConfigValue(id_val="displayName", value=named)])
    )


def source_variable() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def label_variable(name: str, label: str, metric: str, *, every: bool = False) -> dashboard.QueryVariable:
    """Values of the label ``name`` of ``metric``, which may have matchers. ``every``: all are chosen at first."""
    made = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(f"label_values({metric}, {name})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )
    return made.multi(True).include_all(True) if every else made


def empty_dashboard(uid: str, title: str, about: str) -> dashboard.Dashboard:
    return (
        dashboard.Dashboard(f"Alcove / {title}")
        .uid(uid)
        .description(about)
        .tags(["alcove"])
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("browser")
        .with_variable(source_variable())
        .with_variable(label_variable("namespace", "Release", "alcove_phase_open"))
    )


def phase_dashboard(uid: str, title: str, about: str) -> dashboard.Dashboard:
    """With the variables of one phase of one competition."""
    competition = f"alcove_phase_open{{{RELEASE}}}"
    phase = f'alcove_phase_open{{{RELEASE},competition="$competition"}}'
    return (
        empty_dashboard(uid, title, about)
        .with_variable(label_variable("competition", "Competition", competition))
        .with_variable(label_variable("phase", "Phase", phase))
    )


def with_panels(made: dashboard.Dashboard, *panels: Panel) -> dashboard.Dashboard:
    for panel in panels:
        made.with_panel(panel)
    return made
