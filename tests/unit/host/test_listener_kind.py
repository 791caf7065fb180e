"""Kind `Listener` by way of the engine: what is planned, in which order it is done, and how it is put back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from doorward.host.errors import ApplyError, HostError
from doorward.host.resources import AccessRule, File, Listener, ServerCertificate
from tests.support.fake_host import FakeHost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doorward.host.resources import HostResource

ORIGIN = "/api/configuration/local_services/admin_web"


def listener(port: int, *services: str, certificate: str = "one") -> Listener:
    rules = tuple(AccessRule(service) for service in services or ("admin_web",))
    return Listener("127.0.0.1", port, rules, ServerCertificate(certificate, "key", certificate), origin=ORIGIN)


class Recorder(FakeHost):
    """Notes what is asked of its listeners; cannot open the port 9999."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        for name in ("open", "dismiss", "close", "prove"):
            self._note(name)

    def _note(self, name: str) -> None:
        original = getattr(self.listeners, name)

        def noted(of: Listener | str, *rest: float) -> None:
            self.asked.append(f"{name} {of if isinstance(of, str) else of.name}".replace("127.0.0.1:", ""))
            if name == "open" and isinstance(of, Listener) and of.port == 9999:
                raise HostError("listening on 127.0.0.1:9999 failed: Address already in use")
            original(of, *rest)

        setattr(self.listeners, name, noted)

    def go(self, old: Sequence[HostResource], new: Sequence[HostResource]) -> list[str]:
        """Carry it out; what was asked of the listeners."""
        self.asked.clear()
        self.apply(self.plan(old, new), deadline=time.monotonic() + 5)
        return list(self.asked)


@pytest.fixture
def host() -> Recorder:
    made = Recorder()
    made.go([], [listener(1)])
    return made


def actions(host: FakeHost, old: Sequence[HostResource], new: Sequence[HostResource]) -> list[tuple[str, str]]:
    return [(action.action, action.effect) for action in host.plan(old, new).actions]


def test_new_ones_are_reached_before_old_ones_are_dismissed(host: Recorder) -> None:
    assert actions(host, [listener(1)], [listener(2)]) == [
        ("open admin_web at 127.0.0.1:2", "listener"), ("close admin_web at 127.0.0.1:1", "listener")
    ]  # fmt: skip
    assert host.go([listener(1)], [listener(2)]) == ["open 2", "prove 2", "dismiss 1", "prove 2"]


def test_they_come_before_files(host: Recorder) -> None:
    plan = host.plan([listener(1)], [File("/etc/some", b""), listener(2)])
    assert [action.action.split()[0] for action in plan.actions] == ["open", "close", "write"]


def test_one_changes_in_its_place(host: Recorder) -> None:
    after = listener(1, "admin_web", "user_web", certificate="two")
    assert actions(host, [listener(1)], [after]) == [("change admin_web and user_web at 127.0.0.1:1", "listener")]
    assert host.go([listener(1)], [after]) == ["open 1", "prove 1", "prove 1"]
    assert host.listeners.at("127.0.0.1:1") == after


def test_what_is_as_wanted_is_left_alone(host: Recorder) -> None:
    assert host.plan([], [listener(1)], full=True).actions == ()
    assert host.plan([listener(5)], []).actions == ()


def test_what_was_done_is_taken_back_when_one_fails(host: Recorder) -> None:
    changed = listener(1, certificate="two")
    with pytest.raises(ApplyError) as caught:
        host.go([listener(1)], [changed, listener(2), listener(9999)])
    assert caught.value.restored
    assert caught.value.action == "open admin_web at 127.0.0.1:9999"
    assert caught.value.reason == "listening on 127.0.0.1:9999 failed: Address already in use"
    assert host.asked[-4:] == ["close 9999", "close 2", "open 1", "prove 1"]
    assert host.listeners.open_ones == {"127.0.0.1:1": listener(1)}


def test_one_that_cannot_be_reached_is_taken_back(host: Recorder) -> None:
    host.listeners.dead.add("127.0.0.1:2")
    with pytest.raises(ApplyError) as caught:
        host.go([listener(1)], [listener(2)])
    assert caught.value.restored
    assert "dismiss 1" not in host.asked
    assert host.listeners.open_ones == {"127.0.0.1:1": listener(1)}


def test_a_dismissed_one_is_called_back_when_something_later_fails(host: Recorder) -> None:
    host.fail_at = 2
    with pytest.raises(ApplyError) as caught:
        host.go([listener(1)], [listener(2), File("/etc/some", b"")])
    assert caught.value.restored
    assert host.asked == ["open 2", "prove 2", "dismiss 1", "open 1", "close 2", "prove 1"]
    assert host.listeners.open_ones == {"127.0.0.1:1": listener(1)}


def test_drift_is_what_is_not_open_or_cannot_be_reached(host: Recorder) -> None:
    assert host.drift([listener(1)]) == []
    [other] = host.drift([listener(1, certificate="two")])
    [gone] = host.drift([listener(2)])
    host.listeners.dead.add("127.0.0.1:1")
    [dead] = host.drift([listener(1)])
    assert {one.code for one in (other, gone, dead)} == {"configuration_drift"}
    assert {one.origin for one in (other, gone, dead)} == {ORIGIN}
    assert gone.message == "nothing listens on 127.0.0.1:2 as configured"


def test_at_a_start_one_that_cannot_be_opened_is_drift_and_the_rest_goes_on(host: Recorder) -> None:
    wanted: list[HostResource] = [listener(1), listener(9999), File("/etc/some", b"")]
    host.apply(host.plan(wanted, wanted, full=True), deadline=time.monotonic() + 5)
    assert host.files.read("/etc/some") is not None
    assert [one.message for one in host.drift(wanted)] == ["nothing listens on 127.0.0.1:9999 as configured"]


def test_names_are_those_of_a_url() -> None:
    assert Listener("::1", 443, ()).name == "[::1]:443"
    assert Listener("192.0.2.1", 443, ()).identity == ("listener", "192.0.2.1:443")
