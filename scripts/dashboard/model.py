"""A dashboard in the form that Grafana imports: as much of its schema 39 (Grafana 10.4) as is used here.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA_VERSION = 39
WIDTH = 24
"""Columns of a dashboard."""

PanelKind = Literal["row", "stat", "timeseries"]
Unit = Literal["bytes", "cps", "dateTimeFromNow", "ms", "none", "percentunit", "reqps", "s", "short"]


class _Model(msgspec.Struct, frozen=True, rename="camel"):
    pass


class DataSource(_Model, frozen=True, kw_only=True):
    """Where figures come from: what the variable ``datasource`` stands for."""

    type: str = "prometheus"
    uid: str = "${datasource}"


class Position(_Model, frozen=True, kw_only=True):
    """Where a panel is, and its size."""

    x: int
    y: int
    w: int
    h: int


class Target(_Model, frozen=True, kw_only=True):
    """A query; ``legend_format`` has labels in double braces."""

    ref_id: str
    expr: str
    legend_format: str
    instant: bool = False


class Step(_Model, frozen=True, kw_only=True):
    """A colour from a value on; None: from the lowest on."""

    color: str
    value: float | None


class Thresholds(_Model, frozen=True, kw_only=True):
    """Colours of values."""

    steps: tuple[Step, ...]
    mode: str = "absolute"


class Defaults(_Model, frozen=True, kw_only=True):
    """How values are shown."""

    unit: Unit
    thresholds: Thresholds


class FieldConfig(_Model, frozen=True, kw_only=True):
    """How the values of a panel are shown."""

    defaults: Defaults
    overrides: tuple[str, ...] = ()


class Reduction(_Model, frozen=True, kw_only=True):
    """What is shown of a series."""

    calcs: tuple[str, ...] = ("lastNotNull",)


class Options(_Model, frozen=True, kw_only=True):
    """How a panel is drawn."""

    reduce_options: Reduction = Reduction()
    color_mode: str = "value"


class Panel(_Model, frozen=True, kw_only=True, omit_defaults=True):
    """A panel, or the heading of a row."""

    id: int
    type: PanelKind
    title: str
    grid_pos: Position
    datasource: DataSource | None = None
    targets: tuple[Target, ...] = ()
    field_config: FieldConfig | None = None
    options: Options | None = None


class Variable(_Model, frozen=True, kw_only=True, omit_defaults=True):
    """What can be chosen at the top."""

    name: str
    label: str
    type: Literal["datasource", "query"]
    query: str
    datasource: DataSource | None = None
    refresh: int = 0
    multi: bool = False
    include_all: bool = False


class Templating(_Model, frozen=True, kw_only=True):
    """Everything that can be chosen."""

    list: tuple[Variable, ...]


class TimeRange(_Model, frozen=True, kw_only=True):
    """The time that is shown at first."""

    from_: str = msgspec.field(name="from")
    to: str


class Dashboard(_Model, frozen=True, kw_only=True):
    """A dashboard. ``uid`` makes an import replace an older one."""

    uid: str
    title: str
    tags: tuple[str, ...]
    panels: tuple[Panel, ...]
    templating: Templating
    time: TimeRange
    refresh: str = "30s"
    schema_version: int = SCHEMA_VERSION
    timezone: str = "browser"
    editable: bool = True


def encoded(dashboard: Dashboard) -> bytes:
    """Return the file that Grafana imports."""
    return msgspec.json.format(msgspec.json.encode(dashboard), indent=2) + b"\n"
