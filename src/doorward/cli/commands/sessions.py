"""``doorward sessions``: recorded and running sessions, found, shown, watched, ended. What sessions sent is escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doorward.cli.commands import watching
from doorward.cli.commands.watching import AUDIT, LIVE, SessionArgument, key_of
from doorward.cli.failures import CommandError, Usage
from doorward.cli.help import group, register
from doorward.cli.options import ConnectionOptions, Output, command

if TYPE_CHECKING:
    from doorward.cli.render import OutputLine
    from doorward.client.blocking import Client
    from doorward.client.messages import ApiAnswer

_HITS_EACH = 5
_NODE = 8
"""Characters that are shown of the id of a node, where there are several."""

app = group("sessions", "Sessions: which there were and are, what was in them, and an end to those that run.")

Query = Annotated[
    list[str] | None,
    typer.Argument(metavar="QUERY", help="Lucene query, such as user.name:jane AND active:true; words are content."),
]
Words = Annotated[list[str], typer.Argument(metavar="WORDS", help="Lucene query over what was shown and typed.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="Sessions to show, the newest first.")]
Start = Annotated[str | None, typer.Option(metavar="TIME", help="Begun then or later: ISO 8601, or now-7d.", show_default=False)]
End = Annotated[str | None, typer.Option(metavar="TIME", help="Ended then or earlier.", show_default=False)]
Live = Annotated[bool, typer.Option("--live", help="Only those that run, as they are doing.")]


@command
def list_(  # noqa: PLR0913, PLR0917 - Typer's options
    connection: ConnectionOptions,
    output: Output,
    query: Query = None,
    limit: Limit = 50,
    start: Start = None,
    end: End = None,
    live: Live = False,  # noqa: FBT002 - Typer's option
) -> None:
    """List sessions, the newest first."""
    from doorward.cli import render
    from doorward.cli.session import connected

    with connected(connection) as session:
        if live:
            if query or start or end:
                raise Usage("--live shows all that run.")
            items = session.client.get(LIVE, {"limit": str(limit)}).content["items"]
            render.emit(_bodies(items), output.structured, _live_table(items))
            return
        asked = {"fields": "*", "limit": str(limit), "sort": "-start_time"}
        asked |= {name: value for name, value in (("q", " ".join(query or [])), ("start", start), ("end", end)) if value}
        answer = session.client.get(AUDIT, asked)
        items = answer.content["items"]
        render.emit(_bodies(items), output.structured, _table(items, answer.meta["match_count"]))
        _say_missing(answer)


def _say_missing(answer: ApiAnswer) -> None:
    """Tell, aside, of nodes whose sessions are missing."""
    from doorward.cli import render

    render.show(render.warnings(answer.meta.get("warnings", [])), err=True)


def _bodies(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"key": item["key"], **item["body"]} for item in items]


def _table(items: list[dict[str, Any]], matching: int) -> Iterator[OutputLine]:
    from doorward.cli.render import OutputLine, local_time, table

    if not items:
        yield OutputLine("No session.", "dim")
        return
    several = len({item["body"]["node_id"] for item in items}) > 1
    rows = [
        [
            item["key"],
            *([item["body"]["node_id"][:_NODE]] if several else []),
            local_time(item["body"]["start_time"]),
            "runs" if item["body"]["active"] else _span(item["body"].get("duration", 0)),
            item["body"]["user"].get("name", "-"),
            _end(item["body"].get("server", {})),
            item["body"]["recording"].get("connection_policy", "-"),
            item["body"]["verdict"],
        ]
        for item in items
    ]
    node = ["NODE"] if several else []
    yield from table(["SESSION", *node, "BEGAN", "TOOK", "USER", "SERVER", "POLICY", "VERDICT"], rows)
    if matching > len(items):
        yield OutputLine(f"{matching} match; these are the newest.", "dim")


def _live_table(items: list[dict[str, Any]]) -> Iterator[OutputLine]:
    from doorward.cli.render import OutputLine, local_time, table

    if not items:
        yield OutputLine("No session runs.", "dim")
        return
    rows = [
        [
            item["key"],
            local_time(item["body"]["start_time"]),
            item["body"].get("gateway_username") or item["body"].get("server_username", "-"),
            _end(item["body"].get("client", {})),
            _end(item["body"].get("server", {})),
            str(item["body"]["channels"]),
            f"{item['body']['bytes_down']}/{item['body']['bytes_up']}",
            ", ".join(
                [*(["locked"] if item["body"]["locked"] else []), *(f"watched by {name}" for name in item["body"]["watchers"])]
            ),
        ]
        for item in items
    ]
    yield from table(["SESSION", "BEGAN", "USER", "CLIENT", "SERVER", "CHANNELS", "DOWN/UP", "STATE"], rows)


def _end(one: dict[str, Any]) -> str:
    name = one.get("name") or one.get("ip")
    return f"{name}:{one.get('port', 22)}" if name else "-"


def _span(seconds: int) -> str:
    from doorward.cli.times import words

    return words(seconds)


@command
def show(connection: ConnectionOptions, output: Output, session: SessionArgument) -> None:
    """Show all that is known of a session."""
    from doorward.cli import render
    from doorward.cli.session import connected

    key = key_of(session)
    with connected(connection) as opened:
        client = opened.client
        body = client.body(f"{AUDIT}/{key}")
        told = {
            "session": {"key": key, **body},
            "channels": [item["body"] for item in client.get(f"{AUDIT}/{key}/channels").content["items"]],
            "events": client.get(f"{AUDIT}/{key}/events").content["items"],
            "alerts": client.get(f"{AUDIT}/{key}/alerts").content["items"],
            "trail_downloads": client.get(f"{AUDIT}/{key}/trail_downloads").content["items"],
        }
        render.emit(told, output.structured)


@command
def search(
    connection: ConnectionOptions, output: Output, words: Words, limit: Limit = 20, start: Start = None, end: End = None
) -> None:
    """Find words in what sessions showed, and the moments at which they did."""
    from doorward.cli import render
    from doorward.cli.session import connected

    text = " ".join(words)
    with connected(connection) as session:
        asked = {"content": text, "fields": "*", "limit": str(limit), "sort": "-start_time"}
        asked |= {name: value for name, value in (("start", start), ("end", end)) if value}
        found = session.client.get(AUDIT, asked)
        hits = [(item, _hits(session.client, item["key"], text)) for item in found.content["items"]]
        told = [{"key": item["key"], **item["body"], "hits": own} for item, own in hits]
        render.emit(told, output.structured, _hit_table(hits, found.meta["match_count"]))
        _say_missing(found)


def _hits(client: Client, key: str, text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"{AUDIT}/{key}/content", {"q": text, "limit": str(_HITS_EACH)}).content["items"]
    return found


def _hit_table(hits: list[tuple[dict[str, Any], list[dict[str, Any]]]], matching: int) -> Iterator[OutputLine]:
    from doorward.cli.render import OutputLine, local_time, table

    if not hits:
        yield OutputLine("Nowhere.", "dim")
        return
    rows = [
        [item["key"], local_time(hit["time"]), f"{hit['offset']:.1f}", hit["channel_id"], hit["type"], hit["content"]]
        for item, own in hits
        for hit in own
    ]
    yield from table(["SESSION", "AT", "SECOND", "CHANNEL", "KIND", "TEXT"], rows)
    if matching > len(hits):
        yield OutputLine(f"In {matching} sessions; these are the newest.", "dim")


@command
def terminate(
    connection: ConnectionOptions,
    session: SessionArgument,
    reason: Annotated[str, typer.Option("--reason", "-m", metavar="TEXT", help="The user is told, and it is recorded.")],
) -> None:
    """End a session that runs."""
    from doorward.cli.session import connected

    key = key_of(session)
    with connected(connection) as opened:
        opened.client.write("DELETE", f"{LIVE}/{key}", {"reason": reason})
    typer.echo(f"{key} is ended.")


@command
def lock(connection: ConnectionOptions, session: SessionArgument) -> None:
    """Hold what the user of a session types. The user is told; what the server sends goes on."""
    _lock(connection, session, locked=True)


@command
def unlock(connection: ConnectionOptions, session: SessionArgument) -> None:
    """Let a locked session go on."""
    _lock(connection, session, locked=False)


def _lock(connection: ConnectionOptions, session: str, *, locked: bool) -> None:
    from doorward.cli.session import connected

    key = key_of(session)
    with connected(connection) as opened:
        state = opened.client.write("PUT", f"{LIVE}/{key}", {"locked": locked}).content["body"]
    if state["locked"] is not locked:
        raise CommandError("The session did not take it.")
    typer.echo(f"{key} is {'locked' if locked else 'not locked any more'}.")


_COMMANDS: dict[str, Callable[..., None]] = {
    "list": list_, "show": show, "search": search, "replay": watching.replay, "download": watching.download,
    "follow": watching.follow, "terminate": terminate, "lock": lock, "unlock": unlock,
}  # fmt: skip
for _name, _function in _COMMANDS.items():
    register(app, _name, _function)
