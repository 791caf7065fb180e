"""What administrators do in a simulated cluster. What they are refused is not held against anybody."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from doorward.backup.content import membership
from doorward.backup.restore.replacing import put_membership
from doorward.membership import join_request, nodes
from doorward.tree.places import Place
from tests.schedules.base import Base
from tests.schedules.node import REFUSALS, FusedHost, Killed, Node
from tests.unit.transaction.rig import GOOD_PASSWORD, ROOT, SERVERS, TREE, USERS, WEB, ZONE, ip

OWN, NIC = "troubleshooting", "network/nics/nic1"
ZONES = ("Europe/Vienna", "Europe/Rome", "Asia/Tokyo", "Etc/UTC", "America/Lima", "Europe/Oslo")


class Administrators(Base):
    """Those of all nodes."""

    def commit(self, what: str, value: int) -> None:
        """Change the configuration on Central Management."""
        central = self.central
        work = {
            "zone": lambda: central.write(ZONE, ZONES[value % len(ZONES)]),
            "servers": lambda: central.write(SERVERS, [ip(f"10.0.0.{1 + number}") for number in range(value % 5)]),
            "timeout": lambda: central.write(WEB, central.value(WEB) | {"timeout": 10 + value}),
            "user": lambda: self._change_user(central, f"user{value % 3}"),
        }[what]
        self._carried_out(central, work)

    def _change_user(self, central: Node, name: str) -> None:
        """Make an account with a secret, or take it away."""
        candidate = central.candidate()
        found = [key for key, user in candidate.snapshot.objects(ROOT + USERS).items() if user.value["name"] == name]
        if found:
            TREE.node(ROOT + USERS).delete(candidate, found[0], TREE.node)
        else:
            key, *_ = TREE.node(ROOT + "passwords").add(candidate, {"plain": GOOD_PASSWORD}, strict=True)
            TREE.node(ROOT + USERS).add(candidate, {"name": name, "password": key}, strict=True)
        central.commit(candidate)

    def local(self, name: str, value: int) -> None:
        """Change what is a node's own."""
        self._carried_out(self[name], lambda: self[name].write(OWN, {"core_files": {"retention_days": 1 + value}}))

    def meddle(self, name: str, value: int) -> None:
        """Change on a node what Central Management sets; a managed host refuses it."""
        node = self[name]
        if not node.alive:
            return
        changes = node.value(ZONE) != ZONES[value % len(ZONES)]
        managed = node.cluster_role.managed
        done = self._carried_out(node, lambda: node.write(ZONE, ZONES[value % len(ZONES)]))
        assert not (done and managed and changes), f"{name} let somebody else write what Central Management sets"

    def refuse(self, name: str, *, refuses: bool) -> None:
        """Let the machine of a node refuse everything, or nothing any more."""
        self[name].host.fail_at = 0 if refuses else None

    def try_out(self, name: str, seconds: int) -> None:
        """Let the next commit of a node, whatever it is, be one that goes back unless it is confirmed."""
        self[name].trial = seconds

    def confirm(self, name: str) -> None:
        """Keep what is on trial on a node."""
        node, checker = self[name], self.checker
        if node.alive and name in checker.trials:
            self._disturbed()
            checker.confirms(name, done=False)

            def work() -> None:
                node.confirm()
                checker.confirms(name, done=True)

            self._carried_out(node, work)

    def ask(self, name: str) -> None:
        """Ask to join on a node."""
        node, address = self[name], self.central.listens_at or "10.0.0.1"

        def work() -> None:
            answer = node.ask("POST", join_request.PATH, {"central_management_address": address})
            self.asked[name] = answer["body"]

        self._carried_out(node, work)

    def accept(self, name: str) -> None:
        """Accept on Central Management what a node asked for."""
        if name in self.asked:
            self.to_be_told.discard(name)
            self._carried_out(self.central, lambda: self.central.ask("POST", nodes.PATH, self.asked[name]))

    def give(self, name: str, *, managed: bool, address: str | None = None) -> None:
        """Give a node its roles, perhaps with the address at which it is now."""
        document = self._member(name)
        if document is not None:
            body = {
                "address": address or document["address"],
                "roles": ["search-local", *(["managed-host"] if managed else [])],
            }
            self._carried_out(self.central, lambda: self.central.ask("PUT", f"{nodes.PATH}/{self[name].id}", body))

    def register(self, name: str) -> None:
        """Tell Central Management where a node is now."""
        document, address = self._member(name), self[name].listens_at
        if document is not None and address:
            self.give(name, managed="managed-host" in document["roles"], address=address)

    def remove(self, name: str) -> None:
        self._disturbed()
        node = self[name]
        if self._member(name) is not None:
            paired = node.cluster_role.state == "joined" and self.central.cluster.paired(node.id)
            done = self._carried_out(self.central, lambda: self.central.ask("DELETE", f"{nodes.PATH}/{node.id}"))
            if done and paired and "centre" not in self.checker.trials:
                self.to_be_told.add(name)

    def leave(self, name: str) -> None:
        self._carried_out(self[name], lambda: self[name].ask("DELETE", join_request.PATH))

    def move(self, name: str) -> None:
        """Give a node another address; Central Management says so first."""
        node = self[name]
        if not node.alive:
            return
        self._moves += 1
        address = f"10.0.1.{self._moves}"
        if node is self.central:
            body = {"address": address, "roles": ["central-management"]}
            self._carried_out(node, lambda: node.ask("PUT", f"{nodes.PATH}/{node.id}", body))
            self.advance(5.0)
        if node.alive:
            self._disturbed()
            self._carried_out(node, lambda: node.write(NIC, _moved(node.value(NIC), address)))

    def follow_anew(self, name: str) -> None:
        """Tell a node that missed it where Central Management is now."""
        body = {"central_management_address": self.central.listens_at}
        self._carried_out(self[name], lambda: self[name].ask("PUT", join_request.PATH, body))

    def _carried_out(self, node: Node, work: Callable[[], object]) -> bool:
        """Let an administrator do something; whether it was granted. An acknowledged commit may never be lost."""
        if not node.alive:
            return False
        done = False
        try:
            work()
            done = True
        except REFUSALS:
            pass
        except Killed as killed:
            self.die(killed.node)
        if done:
            running = node.pipeline.running
            self.checker.committed(node.name, running.number, running.hash)
        self._after()
        return done

    def back_up(self) -> None:
        """Keep what Central Management is now."""
        central = self.central
        if central.alive and central.name not in self.checker.trials:
            place = self.directory / "backup"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(central.directory, place, ignore=lambda *_: ["doorward.db", "doorward.db-wal", "doorward.db-shm"])
            with sqlite3.connect(place / "doorward.db") as kept:
                central.store._writer.backup(kept)
            kept.close()
            self.backed_up = place, central.pipeline.running.number

    def restore(self) -> None:
        """Lose the machine of Central Management, and make another one what the backup holds."""
        if self.backed_up is None:
            return
        place, number = self.backed_up
        central = self.central
        self.kill(central.name)
        shutil.rmtree(central.directory)
        shutil.copytree(place, central.directory)
        with sqlite3.connect(central.directory / "doorward.db") as kept:
            kept.execute("DELETE FROM records WHERE kind IN ('cluster_status', 'cluster_psk')")
        kept.close()
        central.host = FusedHost()
        central.fuse.steps = central.trial = None
        central.host.fuse = central.fuse
        self.checker.restored(central.name, number)
        central.open()
        self._epoch = max(self._epoch + 1.0, central.clock.time())  # who restores sees to it that the clock is not behind
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("doorward.backup.restore.replacing.time", SimpleNamespace(time=lambda: self._epoch))
            candidate = central.candidate()
            found = membership(central.store, candidate.snapshot)
            for key in list(candidate.snapshot.objects(nodes.PATH).order):
                candidate.remove(Place(nodes.PATH, key))
            put_membership(candidate, TREE, found)
        central.commit(candidate)
        central.close()
        self.reports.clear()
        self.to_be_told.clear()
        self.start(central.name)


def _moved(nic: dict[str, Any], address: str) -> dict[str, Any]:
    """The body of a NIC with its one address replaced."""
    (interface,) = nic["interfaces"]["@order"]
    text = nic["interfaces"][interface]
    (key,) = text["addresses"]["@order"]
    addresses = {**text["addresses"], key: f"{address}/32"}
    return {**nic, "interfaces": {**nic["interfaces"], interface: {**text, "addresses": addresses}}}
