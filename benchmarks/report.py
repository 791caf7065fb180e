"""The figures as tables to read and as JSON to keep, with the machine they come from."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich import box
from rich.console import Console
from rich.table import Table as Drawn

import doorward

_VERSIONS = {
    "caddy": ["caddy", "version"],
    "chrony": ["chronyd", "--version"],
    "etcd": ["etcd", "--version"],
    "wrk": ["wrk", "--version"],
}


@dataclass(frozen=True, slots=True)
class Table:
    """The figures of one scenario; all rows have the same members, of which the numbers keep their full precision."""

    name: str
    title: str
    rows: list[dict[str, Any]]


def surroundings(folder: Path, cores: tuple[int, int]) -> dict[str, str]:
    """Return what the figures depend on: machine, file system, versions."""
    return {
        "doorward": doorward.__version__,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "processor": f"{_processor()}, {os.cpu_count()} cores; servers on core {cores[0]}, load on core {cores[1]}",
        "memory": f"{psutil.virtual_memory().total / 1e9:.1f} GB",
        "file system": _file_system(folder),
        "system": f"{platform.freedesktop_os_release().get('PRETTY_NAME', '')}, Linux {platform.release()}",
        "load before": " ".join(f"{figure:.2f}" for figure in os.getloadavg()),
        "python": platform.python_version(),
        **{name: _version(command) for name, command in _VERSIONS.items()},
    }


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _file_system(folder: Path) -> str:
    mounts = [mount for mount in psutil.disk_partitions(all=True) if folder.is_relative_to(mount.mountpoint)]
    nearest = max(mounts, key=lambda mount: len(mount.mountpoint))
    return f"{nearest.fstype} on {nearest.device}"


def _version(command: list[str]) -> str:
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, "PATH": path}, timeout=20)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "unknown"


def show_surroundings(figures: dict[str, str]) -> None:
    """Print what the figures depend on."""
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value}")


def show(table: Table) -> None:
    """Print a table."""
    drawn = Drawn(box=box.SIMPLE_HEAD)
    for name, value in table.rows[0].items():
        drawn.add_column(name, justify="left" if isinstance(value, str) else "right")
    for row in table.rows:
        drawn.add_row(*(_text(name, value) for name, value in row.items()))
    # Wide enough for every table, whatever the terminal: a figure that is cut off is lost.
    console = Console(width=120, highlight=False)
    console.print(f"\n{table.title}", style="bold")
    console.print(drawn)


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) or value >= 1000:  # noqa: PLR2004 - a thousand and more needs no decimals
        return f"{value:,.0f}"
    return f"{value:.3f}" if name.endswith(("ms", "s")) and value < 1 else f"{value:.2f}"


def write(path: Path, figures: dict[str, str], tables: list[Table], seconds: float) -> None:
    """Write everything as JSON."""
    listed = [{"name": table.name, "title": table.title, "rows": table.rows} for table in tables]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"surroundings": figures, "seconds": round(seconds, 1), "tables": listed}, indent=2) + "\n")
