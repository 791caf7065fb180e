"""What real clients need of the cookie: numbers 25 to 31 of the list."""

from __future__ import annotations

import re
from datetime import timedelta
from email.utils import parsedate_to_datetime

from tests.contract.wire import LOGIN, NTP, WHOLE, Caller, Reply, basic
from tests.support.server import PASSWORD, Server, until

COOKIE = re.compile(
    r"^session_id=[0-9a-f]{40}; expires=[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT; "
    r"HttpOnly; Max-Age=\d+; Path=/; Secure$"
)


def attributes(answer: Reply) -> dict[str, str]:
    pairs = [part.partition("=") for part in answer.header("Set-Cookie").split("; ")]
    return {name: value for name, _, value in pairs}


def test_25_one_cookie_in_the_spelling_that_clients_read(anybody: Caller) -> None:
    assert COOKIE.match(anybody.login().ok().header("Set-Cookie"))


def test_26_max_age_expiry_and_remaining_seconds_agree(anybody: Caller) -> None:
    for answer in (anybody.login().ok(), anybody.get(NTP).ok(), anybody.get("/api/transaction").ok()):
        cookie = attributes(answer)
        left = answer.meta["remaining_seconds"]
        assert int(cookie["Max-Age"]) == left
        assert left in WHOLE
        expected = parsedate_to_datetime(answer.header("Date")) + timedelta(seconds=left)
        assert parsedate_to_datetime(cookie["expires"]) == expected


def test_27_session_id_is_in_no_other_name_or_value(anybody: Caller) -> None:
    for answer in (anybody.login().ok(), anybody.get(NTP), anybody.get("/api/user/info"), anybody.get("/api/nothing")):
        others = [f"{name}: {value}" for name, value in answer.headers if name.lower() != "set-cookie"]
        assert not [header for header in others if "session_id" in header or anybody.cookie in header]
        assert answer.header("Set-Cookie").count("session_id") == 1
        assert anybody.cookie not in answer.body.decode()


def test_28_the_cookie_alone_is_enough_in_any_place(admin: Caller) -> None:
    own = f"session_id={admin.cookie}"
    for header in (
        own,
        f"a=b; {own}",
        f"{own}; a=b",
        f"x=session_id; {own}; other_session_id=1",
        f"{own}; {own}",
        f"{own};",
        f"a;{own}",
    ):
        assert admin.get("/api/user/info", headers={"Cookie": header}).ok().json["body"]["name"] == "admin"


def test_29_live_cookie_counts_and_not_the_credentials_beside_it(server: Server, admin: Caller) -> None:
    cookie = admin.cookie
    for password in [PASSWORD, *["wrong"] * 12]:
        answer = admin.get(NTP, headers={"Authorization": basic("admin", password)}).ok()
        assert answer.header("Set-Cookie").startswith(f"session_id={cookie};")
    admin.put(NTP, [], headers={"Authorization": basic("admin", "wrong")}).ok()
    admin.get("/api/nothing", headers={"Authorization": "Bearer nonsense"}).is_error(404, "NotFound")
    admin.login().ok()


def test_30_dead_cookie_with_credentials_changes_nothing_and_is_no_failed_login(admin: Caller) -> None:
    dead = {"Cookie": f"session_id={'0' * 40}", "Authorization": basic("admin", PASSWORD)}
    for _ in range(12):
        answer = admin.put(NTP, [], headers=dead).is_error(401, "Unauthenticated")
        assert answer.header("WWW-Authenticate") == 'Basic realm="Doorward"'
        assert not answer.all("Set-Cookie")
    assert admin.body(NTP) == [{"selection": "fqdn", "value": "pool.ntp.org"}]
    admin.login().ok()


def test_31_every_answer_carries_the_cookie_on(admin: Caller) -> None:
    cookie, first = admin.cookie, attributes(admin.get(NTP).ok())

    def later() -> dict[str, str] | None:
        now = attributes(admin.get(NTP).ok())
        return now if now["expires"] != first["expires"] else None

    moved = until(later)
    assert parsedate_to_datetime(moved["expires"]) > parsedate_to_datetime(first["expires"])
    for answer in (admin.post("/api/transaction"), admin.put(NTP, [1]), admin.delete("/api/transaction"), admin.get("/api/x")):
        assert attributes(answer)["session_id"] == cookie
        assert attributes(answer)["Max-Age"] == "600"
    assert attributes(admin.get(LOGIN))["session_id"] == cookie
