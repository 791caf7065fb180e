"""Order, failure and restoration, with faults that only a fake can have on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doorward.host.engine import ApplyError, HostError, HostRefusedError
from doorward.host.files import FileEntry
from doorward.host.plan import Action, Change, Plan
from doorward.host.resources import Daemon, File, HostResource
from tests.support.fake_host import FakeHost
from tests.support.memory_files import MemoryFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCES = "/etc/chrony/sources.d/doorward.sources"


def wanted(*servers: str) -> list[HostResource]:
    return [
        Daemon("chronyd", (SOURCES,), servers, origin="ntp"),
        File(SOURCES, "\n".join(servers).encode(), origin="ntp", label="sources"),
    ]


class Recorder(MemoryFiles):
    """Files that remember the order of writes and can refuse one path or change what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self.refuse = ""

    def write(self, path: str, entry: FileEntry) -> None:
        if path == self.refuse:
            raise HostError("this path is refused")
        self.log.append(f"write {path} {entry.content.decode()}")
        super().write(path, entry)

    def remove(self, path: str) -> None:
        self.log.append(f"remove {path}")
        super().remove(path)


def recording() -> tuple[FakeHost, Recorder]:
    host = FakeHost()
    files = Recorder()
    kind = host._kinds[File]
    kind._files = host.files = files  # type: ignore[attr-defined]
    return host, files


def texts(plan: Plan) -> list[str]:
    return [action.action for action in plan.actions]


ONE, TWO = [File("/1", b"a"), File("/2", b"a"), File("/3", b"a")], [File("/1", b"b"), File("/2", b"b"), File("/3", b"b")]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([], [], []),
        ([], wanted("a"), ["write sources", "start chronyd"]),
        (wanted("a"), wanted("a", "b"), ["write sources", "reload chronyd"]),
        (wanted("a"), wanted(), ["write sources", "reload chronyd"]),
        (wanted("a"), wanted("a"), []),
        (wanted("a"), [], ["remove sources"]),
        (wanted("a"), [wanted("a")[0]], ["remove sources", "reload chronyd"]),
        (wanted("A."), [wanted("a.")[0], wanted("A.")[1]], []),
    ],
)
def test_plans(old: Sequence[HostResource], new: Sequence[HostResource], expected: list[str], soon: float) -> None:
    host = FakeHost()
    host.apply(host.plan([], old), deadline=soon)
    assert texts(host.plan(old, new)) == expected


def test_effects_and_warnings_of_a_daemon(soon: float) -> None:
    host = FakeHost()
    assert [action.effect for action in host.plan([], wanted("a")).actions] == ["none", "restart"]
    host.apply(host.plan([], wanted("a")), deadline=soon)
    assert [action.effect for action in host.plan(wanted("a"), wanted("b")).actions] == ["none", "reload"]
    host.daemon.absent = "chronyd is not installed on this machine"
    plan = host.plan(wanted("a"), wanted("b"))
    assert [(action.action, action.effect) for action in plan.actions] == [
        ("write sources", "none"),
        ("skip chronyd", "none"),
    ]
    assert [(warning.code, warning.origin) for warning in plan.warnings] == [("daemon_absent", "ntp")]
    host.apply(plan, deadline=soon)
    assert host.files.entries[SOURCES].content == b"b"


def test_a_daemon_that_forgot_an_entry_is_reloaded_though_its_file_is_right(soon: float) -> None:
    host = FakeHost()
    host.apply(host.plan([], wanted("a")), deadline=soon)
    host.daemon.names = frozenset()
    assert texts(host.plan([], wanted("a"), full=True)) == ["reload chronyd"]
    assert [warning.message for warning in host.drift(wanted("a"))] == ["chronyd does not use a"]
    host.daemon.alive = False
    assert texts(host.plan([], wanted("a"), full=True)) == ["start chronyd"]
    assert [warning.code for warning in host.drift(wanted("a"))] == ["daemon_down"]


def test_a_daemon_that_keeps_a_removed_entry_fails_the_change(soon: float) -> None:
    host = FakeHost()
    host.apply(host.plan([], wanted("a", "b")), deadline=soon)
    host.daemon.reload = lambda daemon, deadline: None  # type: ignore[method-assign]
    with pytest.raises(ApplyError) as caught:
        host.apply(host.plan(wanted("a", "b"), wanted("a")), deadline=soon - 29)
    assert caught.value.action == "reload chronyd"
    assert caught.value.reason.startswith("chronyd still lists b after")
    assert caught.value.restored
    assert host.files.entries[SOURCES].content == b"a\nb"


def test_a_failed_reload_is_answered_by_one_restart(soon: float) -> None:
    host = FakeHost()
    host.apply(host.plan([], wanted("a")), deadline=soon)

    def fail(daemon: Daemon, deadline: float) -> None:
        raise HostError("chronyd does not answer")

    restarts: list[Daemon] = []

    def restart(daemon: Daemon, deadline: float) -> None:
        restarts.append(daemon)
        host.daemon.names = frozenset(daemon.lists)

    host.daemon.reload = fail  # type: ignore[method-assign]
    host.daemon.restart = restart  # type: ignore[method-assign]
    host.apply(host.plan(wanted("a"), wanted("b")), deadline=soon)
    assert [daemon.lists for daemon in restarts] == [("b",)]
    host.daemon.restart = fail  # type: ignore[method-assign]
    with pytest.raises(ApplyError) as caught:
        host.apply(host.plan(wanted("b"), wanted("c")), deadline=soon)
    assert caught.value.action == "reload chronyd"
    # The daemon could not be told to re-read its old files either: nobody may claim it did.
    assert caught.value.restored is False


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_failure_at_any_action_puts_back_in_reverse_order(place: int, soon: float) -> None:
    host, files = recording()
    host.apply(host.plan([], ONE), deadline=soon)
    plan = host.plan(ONE, TWO)
    files.log.clear()
    host.fail_at = place
    with pytest.raises(ApplyError) as caught:
        host.apply(plan, deadline=soon)
    done = [f"/{number}" for number in range(1, place + 1)]
    assert files.log == [f"write {path} b" for path in done] + [f"write {path} a" for path in reversed(done)]
    assert (caught.value.action, caught.value.restored) == (f"write /{place + 1}", True)
    assert host.drift(ONE) == []


def test_what_was_not_there_is_removed_again(soon: float) -> None:
    host, files = recording()
    host.fail_verify = True
    with pytest.raises(ApplyError) as caught:
        host.apply(host.plan([], ONE), deadline=soon)
    assert files.log[-3:] == ["remove /3", "remove /2", "remove /1"]
    assert (caught.value.action, caught.value.restored) == ("write /1", True)
    assert files.entries == {}


def test_daemons_re_read_after_their_files_are_back(soon: float) -> None:
    host = FakeHost()
    host.apply(host.plan([], wanted("a")), deadline=soon)
    seen: list[bytes] = []
    before = host.daemon.reload

    def reload(daemon: Daemon, deadline: float) -> None:
        seen.append(host.files.entries[SOURCES].content)
        before(daemon, deadline)

    host.daemon.reload = reload  # type: ignore[method-assign]
    host.fail_verify = True
    with pytest.raises(ApplyError) as caught:
        host.apply(host.plan(wanted("a"), wanted("b")), deadline=soon)
    assert seen == [b"b", b"a"]
    assert caught.value.restored
    assert host.daemon.names == {"a"}


def test_a_revert_that_fails_half_way_goes_on_and_is_told(soon: float) -> None:
    host, files = recording()
    host.apply(host.plan([], ONE), deadline=soon)
    plan = host.plan(ONE, TWO)
    host.fail_at = 2

    def refuse_from_here(stage: str) -> None:
        assert stage == "applying"

    original = files.write

    def write(path: str, entry: FileEntry) -> None:
        original(path, entry)
        if path == "/2":
            files.refuse = "/2"

    files.write = write  # type: ignore[method-assign]
    with pytest.raises(ApplyError) as caught:
        host.apply(plan, deadline=soon, progress=refuse_from_here)
    assert caught.value.restored is False
    assert files.entries["/1"].content == b"a", "the rest is put back all the same"
    assert files.entries["/2"].content == b"b"


def test_a_revert_is_believed_only_when_read_back(soon: float) -> None:
    host, files = recording()
    host.apply(host.plan([], ONE), deadline=soon)
    plan = host.plan(ONE, TWO)
    original = files.write
    files.write = lambda path, entry: None if entry.content == b"a" else original(path, entry)  # type: ignore[method-assign]
    host.fail_verify = True
    with pytest.raises(ApplyError) as caught:
        host.apply(plan, deadline=soon)
    assert caught.value.restored is False


def test_a_fault_of_ours_is_not_shown_but_put_back(soon: float) -> None:
    host, files = recording()
    files.refuse = ""
    host.apply(host.plan([], ONE), deadline=soon)
    plan = host.plan(ONE, TWO)

    def burst(stage: str) -> None:
        if stage == "verifying":
            raise ZeroDivisionError("secret internals")

    with pytest.raises(ApplyError) as caught:
        host.apply(plan, deadline=soon, progress=burst)
    assert "secret" not in caught.value.reason
    assert caught.value.restored
    assert host.drift(ONE) == []


def test_a_changed_resource_without_an_action_is_verified_too(soon: float) -> None:
    host = FakeHost()
    host.files.write("/a", FileEntry(b"a"))
    plan = host.plan([], [File("/a", b"a")])
    assert plan.actions == ()
    host.files.write("/a", FileEntry(b"b"))
    with pytest.raises(ApplyError) as caught:
        host.apply(plan, deadline=soon)
    assert caught.value.action == "verify file /a"


def test_plans_for_display_and_empty_changes(soon: float) -> None:
    FakeHost().apply(Plan((Action("note", "none", ""),)), deadline=soon)
    with pytest.raises(ValueError, match="a change needs"):
        _ = Change(None, None).subject


def test_the_fake_records_and_fails_on_request(soon: float) -> None:
    host = FakeHost()
    host.start()
    plan = host.plan([], ONE)
    host.fail_verify = host.fail_revert = True
    with pytest.raises(ApplyError) as caught:
        host.apply(plan, deadline=soon)
    assert caught.value.restored is False
    assert "could not be restored" in str(caught.value)
    host.drift(ONE)
    host.stop()
    assert host.calls == [
        ("start",),
        ("plan", 3),
        ("apply", ("write /1", "write /2", "write /3")),
        ("drift",),
        ("stop",),
    ]
    assert host.sync().stepped_seconds == 0
    host.clock.refusal = HostRefusedError("no_reachable_source", "No time source answered.")
    with pytest.raises(HostRefusedError, match="No time source"):
        host.sync()


def test_unknown_kinds_and_daemons_are_named() -> None:
    host = FakeHost()
    with pytest.raises(HostError, match="a daemon named sshd"):
        host.plan([], [Daemon("sshd")])
    del host._kinds[File]
    with pytest.raises(HostError, match="kind file"):
        host.plan([], ONE)
