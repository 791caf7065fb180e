"""kill -9 between the acceptance of a proposal and its effect: old or new, and the proposal says which."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from doorward.cli.verify import findings
from tests.faults.checks import CONFIGURATION, PASSWORDS, USERS, Seen, accepted, check_host, look, write_servers
from tests.faults.plan import ACCEPTANCE
from tests.faults.victim import EVERY_STEP, Survey, Victim
from tests.support.server import PASSWORD, Client

GROUPS, ACLS = f"{CONFIGURATION}/aaa/local_database/groups", f"{CONFIGURATION}/aaa/acls"
APPROVAL = f"{CONFIGURATION}/management/change_approval"
ACCEPT = {"decision": "accept"}
OBJECTS = [f"/special/{name}" for name in ("auth", "basic", "changelog", "cluster", "pol", "ssh")]
SOME = 7
"""So many of the steps are tried, unless it is every one."""


@dataclass
class Office:
    """admin writes, eve accepts."""

    victim: Victim
    before: Seen = field(default_factory=dict)
    after: Seen = field(default_factory=dict)

    def prepare(self) -> None:
        """Make the people, and let changes of the time wait for them."""
        client = self.victim.client
        keys = []
        for name in ("eve", "bob"):
            password = accepted(client.post(PASSWORDS, {"plain": PASSWORD})).json()["key"]
            keys.append(accepted(client.post(USERS, {"name": name, "password": password})).json()["key"])
        accepted(client.post(GROUPS, {"name": "security", "members": keys}))
        lines = [*client.body(ACLS), {"group": "security", "objects": OBJECTS, "permission": "read"}]
        accepted(client.put(ACLS, lines))
        rules = [{"approvers": "security", "paths": [f"{CONFIGURATION}/datetime"], "required": 1}]
        accepted(client.put(APPROVAL, {"enabled": True, "emergency_group": None, "expires_hours": 72, "rules": rules}))
        accepted(client.commit())

    def proposed(self) -> str:
        """Let admin propose other time servers; where the proposal is."""
        client = self.victim.client
        self.before = look(client)
        self.victim.write(write_servers)
        self.after = look(client)
        answer = client.commit()
        assert answer.status_code == 202, answer.text
        return str(answer.headers["location"])

    def eve(self) -> Client:
        return self.victim.server.login("eve", PASSWORD)

    def check(self, href: str, *, answered: bool) -> None:
        """Old or new, host and history with it, and the proposal says which; what came to nothing can be accepted once more."""
        where, client = self.victim.where, self.victim.client
        seen = look(client)
        found = client.get(href)
        assert found.is_success, f"{where}: {found.text}"
        proposal = found.json()["body"]
        assert seen in (self.before, self.after), where
        check_host(client, self.victim.state, seen, where)
        assert findings(self.victim.state, "sandbox") == [], where
        if seen == self.after:
            newest: Any = accepted(client.get("/api/revisions?limit=1")).json()["items"][0]
            assert (proposal["state"], proposal["revision"]) == ("done", int(newest["key"])), where
            return
        assert not answered, where
        assert proposal["state"] in {"waiting", "failed"}, where
        assert (proposal["error"] is None) == (proposal["state"] == "waiting"), where
        accepted(self.eve().put(href, ACCEPT))
        assert look(client) == self.after, where

    def kill(self, step: int) -> bool:
        """Let eve accept, with death at a step of that; whether it died."""
        href, victim, answered = self.proposed(), self.victim, False
        eve = self.eve()
        with victim.trapped(step):
            with suppress(httpx2.TransportError):
                answered = eve.put(href, ACCEPT).is_success
            died = victim._died(eve if answered else None)
        self.check(href, answered=answered)
        return died


@pytest.fixture
def office(victim: Victim) -> Office:
    made = Office(victim)
    made.prepare()
    return made


def chosen(survey: Survey) -> list[int]:
    """Return the steps to die at: every one, or some of those where something else is left, the last ones among them."""
    if EVERY_STEP:
        return list(range(1, len(survey.names) + 1))
    found = survey.differing
    return sorted({found[round(index * (len(found) - 1) / (SOME - 1))] for index in range(SOME)})


def test_a_kill_in_an_acceptance_leaves_the_old_or_the_new_and_the_proposal_says_which(office: Office) -> None:
    href, eve = office.proposed(), office.eve()
    survey = office.victim.survey(lambda: accepted(eve.put(href, ACCEPT)))
    # The survey has read the database in the server, which lets go of SQLite's locks: nobody else may open it now.
    office.victim.server.kill()
    office.check(href, answered=True)
    assert len(survey.names) >= ACCEPTANCE, survey.names
    survived = [step for step in chosen(survey) if not office.kill(step)]
    # What threads do beside it may be some steps more in one run than in another.
    assert all(step > ACCEPTANCE for step in survived), f"survived {survived} of {survey.names}"
