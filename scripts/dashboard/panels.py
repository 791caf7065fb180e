"""What the dashboard shows: rows of panels, each of them a few queries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.dashboard.model import (
    WIDTH,
    Dashboard,
    DataSource,
    Defaults,
    FieldConfig,
    Options,
    Panel,
    Position,
    Step,
    Target,
    Templating,
    Thresholds,
    TimeRange,
    Unit,
    Variable,
)

DOCUMENT = Path(__file__).parents[2] / "monitoring" / "doorward.dashboard.json"
_CHOSEN = 'instance=~"$instance"'
_HEIGHT = 7
_GREEN, _ORANGE, _RED = "green", "orange", "red"


@dataclass(frozen=True, slots=True)
class Query:
    """A query in PromQL, in which ``@`` stands for the chosen nodes, and the legend of its series."""

    expr: str
    legend: str = "{{instance}}"


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel. ``bad``: from which value on it is red, ``warn``: orange; None: never. ``is_low_bad``: up to which.

    ``is_one_number``: what is now; others show what was as well.
    """

    title: str
    queries: tuple[Query, ...]
    unit: Unit = "short"
    warn: float | None = None
    bad: float | None = None
    is_low_bad: bool = False

    is_one_number: bool = False

    @property
    def width(self) -> int:
        """In columns."""
        return 4 if self.is_one_number else 8

    def thresholds(self) -> Thresholds:
        """Return the colours of the values, from the lowest on."""
        lowest, edges = _GREEN, [(self.warn, _ORANGE), (self.bad, _RED)]
        if self.is_low_bad:
            lowest, edges = _RED, [(self.bad, _ORANGE), (self.warn, _GREEN)]
        later = [Step(color=color, value=value) for value, color in edges if value is not None]
        return Thresholds(steps=(Step(color=lowest, value=None), *later))


def _number(
    title: str, expr: str, unit: Unit = "short", *, warn: float | None = None, bad: float | None = None, is_low_bad: bool = False
) -> Shown:
    return Shown(title, (Query(expr, title),), unit, warn=warn, bad=bad, is_low_bad=is_low_bad, is_one_number=True)


ROWS: tuple[tuple[str, tuple[Shown, ...]], ...] = (
    ("At a glance", (
        _number("Nodes up", 'sum(up{job="doorward",@})', unit="none"),
        _number("Errors", 'sum(doorward_health_issues{level="error",@})', bad=1),
        _number("Warnings", 'sum(doorward_health_issues{level="warning",@})', warn=1),
        _number("Sessions", "sum(doorward_sessions{@})"),
        _number("Last backup", "min(doorward_backup_last_success_timestamp_seconds{@}) * 1000", unit="dateTimeFromNow"),
        _number("Disk left", "min(doorward_disk_free_bytes{@} / doorward_disk_size_bytes{@})", unit="percentunit",
              warn=0.2, bad=0.05, is_low_bad=True),
    )),
    ("Sessions", (
        Shown("Running sessions", (
            Query("doorward_sessions{@}", "{{instance}} {{protocol}}"),
            Query("doorward_sessions_before_login{@}", "{{instance}} before login"),
        )),
        Shown("Bytes of running sessions", (Query("doorward_session_bytes{@}", "{{instance}} {{direction}}"),), unit="bytes"),
        Shown("Open channels", (Query("doorward_session_channels{@}"),)),
        Shown("Events", (Query("rate(doorward_session_events_total{@}[5m])", "{{instance}} {{event}}"),), unit="cps"),
        Shown("Refused connections", (
            Query("rate(doorward_sessions_refused_total{@}[5m])", "{{instance}} {{reason}}"),
        ), unit="cps"),
        Shown("No session can begin", (Query("doorward_session_catalogue_failing{@}"),), bad=1),
        Shown("Sessions of workers", (Query("doorward_worker_sessions{@}", "{{instance}} {{worker}}"),)),
        Shown("Memory of workers", (Query("doorward_worker_memory_bytes{@}", "{{instance}} {{worker}}"),), unit="bytes"),
        Shown("Recording is behind", (
            Query("doorward_worker_recorder_lag_seconds{@}", "{{instance}} {{worker}}"),
        ), unit="s", bad=5),
    )),
    ("Configuration", (
        Shown("Commits", (Query("rate(doorward_commits_total{@}[5m])"),), unit="cps"),
        Shown("Running revision", (Query("doorward_running_revision{@}"),), unit="none"),
        Shown("Places that differ", (
            Query("doorward_host_warnings{@}"),
            Query("doorward_drift_repairs_given_up{@}", "{{instance}} repairs given up"),
        ), warn=1),
        Shown("On trial", (
            Query("doorward_commit_awaits_confirmation{@}", "{{instance}} awaits confirmation"),
            Query("doorward_commit_revert_failed{@}", "{{instance}} can't be taken back"),
            Query("doorward_host_state_unknown{@}", "{{instance}} host unknown"),
        )),
        Shown("Age of the last backup", (
            Query("time() - (doorward_backup_last_success_timestamp_seconds{@} > 0)"),
            Query("time() - (doorward_backup_last_drill_timestamp_seconds{@} > 0)", "{{instance}} drill"),
        ), unit="s"),
        Shown("Backups that failed or are overdue", (
            Query("doorward_backup_overdue{@}", "{{instance}} overdue"),
            Query("doorward_backup_last_failure_timestamp_seconds{@} > bool doorward_backup_last_success_timestamp_seconds{@}",
                  "{{instance}} failed"),
        ), bad=1),
    )),
    ("Cluster", (
        Shown("Nodes by how they do", (Query("doorward_cluster_nodes{@}", "{{instance}} {{status}}"),)),
        Shown("Nodes by configuration", (Query("doorward_cluster_sync_nodes{@}", "{{instance}} {{sync_status}}"),)),
        Shown("As a member", (
            Query("doorward_cluster_node_errors{@}", "{{instance}} errors"),
            Query("doorward_cluster_central_lost_seconds{@}", "{{instance}} seconds without Central Management"),
        )),
    )),
    ("Machine", (
        Shown("Answers", (
            Query("sum by (instance, status) (rate(doorward_http_answers_total{@}[5m]))", "{{instance}} {{status}}"),
        ), unit="reqps"),
        Shown("Logins", (Query("doorward_login_sessions{@}"),)),
        Shown("Memory of the server", (Query('process_resident_memory_bytes{job="doorward",@}'),), unit="bytes"),
        Shown("Free disk", (Query("doorward_disk_free_bytes{@}"),), unit="bytes"),
        Shown("Certificates end in", (
            Query("doorward_certificate_end_timestamp_seconds{@} - time()", "{{instance}} {{certificate}}"),
        ), unit="s"),
        Shown("Releases", (Query("count by (version) (doorward_build_info{@})", "{{version}}"),), unit="none"),
    )),
)  # fmt: skip


def dashboard() -> Dashboard:
    """Return the dashboard."""
    source = DataSource()
    variables = (
        Variable(name="datasource", label="Data source", type="datasource", query="prometheus"),
        Variable(
            name="instance",
            label="Node",
            type="query",
            query='label_values(up{job="doorward"}, instance)',
            datasource=source,
            refresh=2,  # whenever the time that is shown changes
            multi=True,
            include_all=True,
        ),
    )
    return Dashboard(
        uid="doorward",
        title="Doorward",
        tags=("doorward",),
        panels=tuple(_panels(source)),
        templating=Templating(list=variables),
        time=TimeRange(from_="now-6h", to="now"),
    )


def _panels(source: DataSource) -> Iterator[Panel]:
    number, top = 1, 0
    for heading, row in ROWS:
        yield Panel(id=number, type="row", title=heading, grid_pos=Position(x=0, y=top, w=WIDTH, h=1))
        number, top, left = number + 1, top + 1, 0
        for shown in row:
            if left + shown.width > WIDTH:
                left, top = 0, top + _HEIGHT
            yield _panel(shown, number, Position(x=left, y=top, w=shown.width, h=_HEIGHT), source)
            number, left = number + 1, left + shown.width
        top += _HEIGHT


def _panel(shown: Shown, number: int, at: Position, source: DataSource) -> Panel:
    return Panel(
        id=number,
        type="stat" if shown.is_one_number else "timeseries",
        title=shown.title,
        grid_pos=at,
        datasource=source,
        targets=tuple(
            Target(
                ref_id=chr(ord("A") + index),
                expr=query.expr.replace("@", _CHOSEN),
                legend_format=query.legend,
                instant=shown.is_one_number,
            )
            for index, query in enumerate(shown.queries)
        ),
        field_config=FieldConfig(defaults=Defaults(unit=shown.unit, thresholds=shown.thresholds())),
        options=Options() if shown.is_one_number else None,
    )
