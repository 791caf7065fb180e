"""Header names go out in their usual capitals: clients compare them byte by byte (amendment 11).

``check_shape`` looks at the names of every answer that a test of the contract gets; here every route is asked.
"""

from __future__ import annotations

from tests.contract.walk import everything
from tests.contract.wire import USUAL_NAMES, Caller, Reply


def test_every_route_for_everybody(admin: Caller, anybody: Caller) -> None:
    seen: set[str] = set()

    def asked(caller: Caller, method: str, path: str) -> Reply:
        answer = caller.call(method, path)
        seen.update(name for name, _ in answer.headers)
        return answer

    for path in everything(admin):
        for method in ("GET", "HEAD", "OPTIONS", "PATCH"):
            asked(admin, method, path)
        for method in ("GET", "POST", "PUT", "DELETE"):
            if (path, method) != ("/api/setup", "POST"):
                asked(anybody, method, path)
    assert {"Allow", "ETag", "Set-Cookie", "WWW-Authenticate", "X-Request-Id", "Content-Type"} <= seen
    assert seen <= USUAL_NAMES


def test_answers_at_once_and_by_the_long_way(admin: Caller) -> None:
    short = admin.get("/api/configuration/datetime/timezone")
    again = admin.get("/api/configuration/datetime/timezone")
    long = admin.get("/api/configuration/datetime/timezone?")
    names = [{name for name, _ in answer.headers} for answer in (short, again, long)]
    assert names[0] == names[1] == names[2] > {"ETag", "Set-Cookie"}


def test_answers_of_every_kind(admin: Caller, anybody: Caller) -> None:
    etag = admin.get("/api/configuration/datetime/timezone").header("ETag")
    admin.get("/api/configuration/datetime/timezone", headers={"If-None-Match": etag}).ok(304)
    admin.post("/api/transaction").ok()
    made = admin.post("/api/configuration/passwords", {"plain": "correct horse battery staple"}).ok(201)
    assert made.all("Location")
    admin.delete("/api/transaction").ok()
    assert anybody.send(b"nonsense\r\n\r\n").status == 400
    assert anybody.put("/api/transaction", content=b"", headers={"Expect": "x"}).status == 417
    assert anybody.call("PUT", "/api/transaction", headers={"Content-Length": str(1 << 21)}).status == 413
