"""``doorward backup``: back up now, and how the backups do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.commands import backup_drills, backup_targets
from doorward.cli.commands.backup_waiting import ended
from doorward.cli.failures import CommandError
from doorward.cli.help import group, register
from doorward.cli.options import ConnectionOptions, Output, command

if TYPE_CHECKING:
    from doorward.cli.render import OutputLine

_BACKUP = "/api/backup"

app = group("backup", "System backups: now, how fresh they are, what was run, whether they would come back, where they go.")

Wait = Annotated[bool, typer.Option(help="Wait for the end; --no-wait only queues the run.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Runs to show, the newest first.")]


@command
def now(connection: ConnectionOptions, output: Output, wait: Wait = True) -> None:  # noqa: FBT002 - Typer's option
    """Back up by the selected policy, and wait until the file on the target is proven."""
    from doorward.cli import render
    from doorward.cli.session import connected

    with connected(connection) as session:
        made = session.client.write("POST", f"{_BACKUP}/runs", {})
        href = str(made.meta["href"])
        if not wait:
            render.emit(made.content, output.structured, [render.OutputLine(f"The run {made.content['key']} is queued.")])
            return
        run = ended(session.client, href)
        render.emit(run, output.structured, _run(run))
    if run["result"] != "succeeded":
        raise CommandError(f"The backup {_outcome(run)}: {run['message'] or run['code']}")


@command
def status(connection: ConnectionOptions, output: Output) -> None:
    """Show how fresh the backups are. Exit code 1: one is overdue."""
    from doorward.cli import render
    from doorward.cli.session import connected

    with connected(connection) as session:
        found = session.client.body(f"{_BACKUP}/status")
        policy = found["policy"]
        name = session.remote.label(policy["meta"]["href"]).rpartition("/")[2] if policy else None
        render.emit(found, output.structured, _status(found, name))
    if found["overdue"]:
        raise CommandError("A backup is overdue.")


@command
def list_(connection: ConnectionOptions, output: Output, limit: Limit = 20) -> None:
    """List the runs, newest first."""
    from doorward.cli import render
    from doorward.cli.session import connected

    with connected(connection) as session:
        runs = [item["body"] for item in session.client.get(f"{_BACKUP}/runs?limit={limit}").content["items"]]
        rows = [
            [
                render.local_time(run["started"]) if run["started"] else "",
                run["reason"],
                _outcome(run),
                run["files"][0]["name"] if run["files"] else (run["message"] or ""),
            ]
            for run in runs
        ]
        shown = render.table(["STARTED", "REASON", "RESULT", "FILE"], rows) if rows else [render.OutputLine("No run yet.", "dim")]
        render.emit(runs, output.structured, shown)


_COMMANDS = {
    "now": now,
    "status": status,
    "list": list_,
    "drill": backup_drills.drill,
    "test": backup_targets.try_target,
    "host-keys": backup_targets.host_keys,
}
for _name, _function in _COMMANDS.items():
    register(app, _name, _function)


def _outcome(run: dict[str, Any]) -> str:
    if run["result"] is None:
        return str(run["status"])
    return f"{run['result']} ({run['code']})" if run["code"] else str(run["result"])


def _run(run: dict[str, Any]) -> Iterator[OutputLine]:
    from doorward.cli.render import OutputLine

    for file in run["files"]:
        yield OutputLine(f"{file['name']}: {file['size']} bytes, SHA-256 {file['sha256']}")
    if run["result"] == "succeeded":
        yield OutputLine(f"Revision {run['revision']['number']} is stored on {run['target']} and proven.", "bold green")
    for warning in run["warnings"]:
        yield OutputLine(f"Warning: {warning['message']}", "yellow")


def _status(found: dict[str, Any], policy: str | None) -> Iterator[OutputLine]:
    from doorward.cli.render import OutputLine, local_time

    if policy is None:
        yield OutputLine("No backup policy is selected.", "yellow")
        return
    success, failure, drill = found["last_success"], found["last_failure"], found["last_drill"]
    yield OutputLine(f"Policy:       {policy}")
    yield OutputLine(f"Last success: {local_time(success['at'])}, {success['file']}" if success else "Last success: never")
    if failure:
        yield OutputLine(f"Last failure: {local_time(failure['at'])}, {failure['code']}: {failure['message']}")
    if drill:
        yield OutputLine(f"Last drill:   {local_time(drill['at'])}, {drill['level']}")
    yield OutputLine(f"Next due:     {local_time(found['next_due'])}" if found["next_due"] else "Next due:     only by hand")
    if found["running"]:
        yield OutputLine(f"At work:      {found['running']}")
    yield OutputLine(f"Encryption:   {found['encryption']['fingerprint'] or 'off'}")
    for warning in found["warnings"]:
        yield OutputLine(f"Warning: {warning['message']}", "yellow")
