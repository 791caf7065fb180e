"""A node as backups see it: real tree, store, pipeline and keys; the host is in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doorward.backup.content import tree_json
from doorward.backup.node import NodeView
from doorward.backup.signing import NodeSigningKeys
from doorward.host.machine import Machine
from doorward.transaction.startup import node_id
from tests.support import openpgp
from tests.unit.configuration.material import certificate, key, pem, text
from tests.unit.configuration.policies.samples import BACKUP_NFS, BACKUP_SMB
from tests.unit.configuration.ssh.samples import SHORT
from tests.unit.transaction.rig import GOOD_PASSWORD, SERVERS, TREE, USERS, ZONE, Rig, ip

if TYPE_CHECKING:
    from pathlib import Path

ENCRYPTION = "management/exported_configuration_encryption"
SHARE_PASSWORD = "wfz8-only-the-share-knows"


class Site:
    """One node in a directory."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self.directory = directory
        self.rig = Rig(directory).started()
        self.spool = directory / "spool"
        self.spool.mkdir()
        self.node = self.view()

    def view(self) -> NodeView:
        store = self.rig.store
        return NodeView(self.rig.pipeline, self.directory, node_id(store), Machine(), NodeSigningKeys(self.directory, store))

    def tree(self) -> bytes:
        """The running configuration, without numbers of revisions."""
        return tree_json(TREE, self.rig.pipeline.running.snapshot)

    def filled(self) -> Site:
        """Commit something of every kind: values, objects, an order, accounts, passwords in both forms, keys, certificates."""
        rig = self.rig
        rig.committed((ZONE, "Europe/Budapest"), (SERVERS, [ip("192.0.2.1"), ip("192.0.2.2")]), message="Zürich, first")
        candidate = rig.candidate()
        password = rig.post(candidate, "passwords", {"plain": GOOD_PASSWORD})
        user = rig.post(candidate, USERS, {"name": "jane", "password": password})
        rig.post(candidate, USERS, {"name": "gone", "password": None})
        rig.post(candidate, "aaa/local_database/groups", {"members": [user], "name": "operators"})
        share = rig.post(candidate, "passwords", {"plain": SHARE_PASSWORD})
        policy = {**BACKUP_SMB, "target": {**BACKUP_SMB["target"]}}
        policy["target"]["authentication"] = {**policy["target"]["authentication"], "password": share}
        rig.post(candidate, "policies/backup_policies", policy)
        used = rig.post(candidate, "policies/backup_policies", {**BACKUP_NFS, "name": "nfs"})
        rig.put(candidate, "management/system_backup", {"backup_policy": used})
        own = text(certificate("x", key("rsa-2048")))
        identity = rig.post(candidate, "x509", {"certificate": own, "private_key": pem(key("rsa-2048"))})
        receiver = {
            "address": ip("192.0.2.9"),
            "port": 6514,
            "transport": {"selection": "tls", "client_authentication": {"enabled": True, "x509_identity": identity}},
        }
        rig.put(candidate, "management/syslog", {"receivers": [receiver]})
        proxied = [rig.post(candidate, "ssh/connections", {**SHORT, "name": name}) for name in ("databases", "web")]
        rig.put(candidate, "ssh/connections", {"@order": proxied[::-1]})
        rig.commit(candidate)
        candidate = rig.candidate()
        rig.post(candidate, "passwords", {"plain": "nobody came to own this"})
        gone = next(k for k, d in candidate.snapshot.objects(f"/api/configuration/{USERS}").items() if d.value["name"] == "gone")
        rig.delete(candidate, USERS, gone)
        rig.commit(candidate)
        return self

    def encrypted(self, name: str = "good") -> Site:
        """Switch encryption on."""
        self.rig.committed((ENCRYPTION, encrypting(name)))
        return self


def encrypting(name: str = "good") -> dict[str, Any]:
    return {"encryption": {"enabled": True, "gpg_public_key": {"public_key": openpgp.public_key(name)}}}
