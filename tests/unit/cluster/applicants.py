"""A node that asks a Central Management to be paired."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from doorward.cluster.keys import NodeKey
from doorward.cluster.pairing import PairingAttempt, PairingRefusedError, PairRequest, new_psk
from doorward.configuration import passwords
from doorward.membership import nodes
from doorward.tree.places import Place
from tests.unit.cluster.pairs import PairedCentral


class Applicant:
    """A node that asks to be paired."""

    def __init__(self, directory: Path, central: PairedCentral) -> None:
        self.id, self.psk, self.central = uuid.uuid4(), new_psk(), central
        self.key = NodeKey.at(directory, str(self.id))

    def accepted(self, psk: str = "", address: str = "10.0.0.7") -> None:
        """The administrator of Central Management accepts it, with some secret."""
        rig = self.central.rig
        candidate = rig.candidate()
        place = Place(passwords.PATH, str(uuid.uuid4()))
        candidate.put(place, rig.tree.load(place, {"created": "2026-11-21T20:00:00Z"}))
        candidate.secrets[place.key] = psk or self.psk
        member = {"address": address, "psk": place.key, "roles": []}
        candidate.put(Place(nodes.PATH, str(self.id)), rig.tree.load(Place(nodes.PATH, str(self.id)), member))
        rig.commit(candidate)

    def request(self, version: str = "0.1.0", behind: float = 0.0) -> tuple[PairingAttempt, PairRequest]:
        attempt = PairingAttempt(self.psk, self.id, self.key, self.central.key.fingerprint)
        time = datetime.now(UTC) - timedelta(seconds=behind)
        return attempt, attempt.request(version=version, address="10.0.0.7", time=time)

    def pair(self) -> None:
        attempt, request = self.request()
        attempt.check(self.central.central.pair(request, "10.0.0.7"))

    def refused(self, version: str = "0.1.0") -> str:
        with pytest.raises(PairingRefusedError) as found:
            self.central.central.pair(self.request(version)[1], "10.0.0.7")
        return found.value.code

    def member(self) -> Any:
        document = self.central.rig.pipeline.running.snapshot.document(Place(nodes.PATH, str(self.id)))
        return document and document.value

    def issues(self) -> list[str]:
        (item,) = [item for item in self.central.central.items() if item["key"] == str(self.id)]
        return [issue["code"] for issue in item.get("issues", {}).get("warnings", [])]
