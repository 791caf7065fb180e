from __future__ import annotations

import base64
import fcntl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from doorward.configuration.management import certificates
from doorward.proxy import messages
from doorward.proxy.control.stamping import StampError, local_stamp, remote_stamp
from doorward.recording.journal import SEGMENTS
from doorward.recording.seals import Seal, is_signed
from tests.support.pki import Authority
from tests.unit.proxy.control.site import Site, configured, ended, eventually, play

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.transaction.rig import Rig

CLAIM = b'{"at":"2026-11-30T10:00:00Z","chain":"00","frame":1}'
DEFAULT = "78101850949e47437dd91d"


def authority(rig: Rig) -> tuple[str, str, str]:
    """The certificate and private key of the node's own time stamping authority, and who signed it."""
    snapshot = rig.pipeline.running.snapshot
    own = snapshot.read(certificates.NODE)
    assert own.tsa is not None
    found = snapshot.follow(own.tsa)
    assert found is not None
    return found.certificate, rig.secrets.text(own.tsa.key) or "", certificates.trusted(snapshot)


def is_right(token: bytes, claim: bytes, trusted: str, directory: Path) -> bool:
    """Whether openssl takes a token for a claim."""
    for name, content in (("token", token), ("claim", claim), ("ca.pem", trusted.encode())):
        (directory / name).write_bytes(content)
    done = subprocess.run(
        ["openssl", "ts", "-verify", "-data", "claim", "-in", "token", "-token_in", "-CAfile", "ca.pem"],
        cwd=directory, capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


def test_a_stamp_of_the_node_s_own_is_taken_by_openssl(rig: Rig, tmp_path: Path) -> None:
    certificate, key, trusted = authority(rig)
    token = local_stamp(CLAIM, certificate, key)
    assert is_right(token, CLAIM, trusted, tmp_path)
    assert not is_right(token, CLAIM + b" ", trusted, tmp_path)


class Answering(BaseHTTPRequestHandler):
    """Answers with what ``make`` makes of a query."""

    make: Any = None

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, answer = type(self).make(body)
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        return


def replied(rig: Rig, directory: Path, query: bytes) -> bytes:
    certificate, key, _ = authority(rig)
    for name, content in (("q", query), ("c.pem", certificate.encode()), ("k.pem", key.encode()), ("serial", b"01\n")):
        (directory / name).write_bytes(content)
    (directory / "conf").write_text("[h]\nserial=serial\ndefault_policy=1.2.3.4\ndigests=sha256\nsigner_digest=sha256\n")
    command = ["openssl", "ts", "-reply", "-config", "conf", "-section", "h", "-queryfile", "q", "-signer", "c.pem"]
    command += ["-inkey", "k.pem", "-out", "r"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return (directory / "r").read_bytes()


@pytest.mark.parametrize("case", ["right", "another question", "status", "moved", "too much", "garbage"])
def test_a_stamp_of_another_is_for_the_question_that_was_asked(rig: Rig, tmp_path: Path, case: str) -> None:
    old: list[bytes] = []

    def make(query: bytes) -> tuple[int, bytes]:
        match case:
            case "another question":
                old.append(old[0] if old else replied(rig, tmp_path, query))
                return 200, old[0]
            case "status":
                return 500, b""
            case "moved":
                return 307, b""
            case "too much":
                return 200, b"\x30" * (1 << 20)
            case "garbage":
                return 200, b"garbage"
            case _:
                return 200, replied(rig, tmp_path, query)

    Answering.make = staticmethod(make)
    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    try:
        if case == "right":
            token = remote_stamp(CLAIM, url, None)
            assert is_right(token, CLAIM, authority(rig)[2], tmp_path)
        elif case == "another question":
            remote_stamp(CLAIM, url, None)
            with pytest.raises(StampError, match="another question"):
                remote_stamp(CLAIM, url, None)
        else:
            with pytest.raises(StampError):
                remote_stamp(CLAIM, url, None)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audited(rig: Rig, **policy: Any) -> str:
    """Have the default audit policy sign, and more; return the certificate that it signs with."""
    made = Authority().identity("signer")
    candidate = rig.candidate()
    key = rig.post(candidate, "x509", {"certificate": made.certificate, "private_key": made.private_key})
    body = {"name": "default", "signing": {"enabled": True, "x509_identity": key}, **policy}
    rig.put(candidate, "policies/audit_policies", body, DEFAULT)
    rig.commit(candidate)
    return made.certificate


def test_the_head_of_a_trail_is_signed_and_stamped_as_the_policy_says(rig: Rig, tmp_path: Path) -> None:
    certificate = audited(rig, timestamping={"enabled": True, "server": {"selection": "local"}})
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key = await site.connected(worker)
        worker.say(messages.WantSeal(session=key, frame=7, chain=b"\x01" * 32))
        note = (await worker.receive(messages.Sealed)).note
        [(seal, stamp)] = [(Seal(note["frame"], note["chain"], note["at"], base64.b64decode(note["signature"])), note["stamp"])]
        assert is_signed(seal, certificate)
        assert is_right(base64.b64decode(stamp), seal.claim, authority(rig)[2], tmp_path)
        # Nothing is signed again, or out of its order: what was sealed stays the last word on it.
        for frame, chain in ((7, b"\x02" * 32), (3, b"\x02" * 32), (8, b"\x02" * 31)):
            worker.say(messages.WantSeal(session=key, frame=frame, chain=chain))
        worker.say(messages.WantSeal(session=key, frame=9, chain=b"\x03" * 32))
        assert (await worker.receive(messages.Sealed)).note["frame"] == 9

    play(rig, scenario)


def test_a_session_that_ended_meanwhile_gets_its_last_seal(rig: Rig) -> None:
    certificate = audited(rig)
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key = await site.connected(worker)
        worker.say(ended(key))
        await eventually(lambda: not len(site.control.sessions))
        worker.say(messages.WantSeal(session=key, frame=7, chain=b"\x01" * 32, last=True))
        note = (await worker.receive(messages.Sealed)).note
        assert is_signed(Seal(note["frame"], note["chain"], note["at"], base64.b64decode(note["signature"])), certificate)

    play(rig, scenario)


def test_a_trail_has_one_last_seal_and_no_other_worker_gets_it(rig: Rig) -> None:
    """Else whoever holds a worker could write the trails of others anew, and have that signed."""
    audited(rig)
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key, running = await site.connected(worker), await site.connected(worker)
        worker.say(ended(key))
        await eventually(lambda: len(site.control.sessions) == 1)
        worker.say(messages.WantSeal(session=key, frame=7, chain=b"\x01" * 32))  # not the last one
        worker.say(messages.WantSeal(session=key, frame=7, chain=b"\x01" * 32, last=True))
        assert (await worker.receive(messages.Sealed)).note["chain"] == "01" * 32
        # A worker that was interrupted asks for the same again; another end is not signed, nor after a restart of control.
        for forgotten in (False, True):
            if forgotten:
                site.control.dispatch.adoption._last.clear()
            for frame, chain in ((7, b"\x02" * 32), (8, b"\x02" * 32), (7, b"\x01" * 32)):
                worker.say(messages.WantSeal(session=key, frame=frame, chain=chain, last=True))
            assert (await worker.receive(messages.Sealed)).note["chain"] == "01" * 32
        assert not [message for message in worker.told if isinstance(message, messages.Sealed)]
        # One that lives is the only one that gets it; of a session that runs, too.
        with (site.places.trails / f"w1.{SEGMENTS[0]}").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            worker.pipe.close()
            await eventually(lambda: site.control.workers.find("w1") is None)
            for number, other in enumerate((key, running)):
                evil = await site.worker(f"evil{number}")
                evil.say(messages.WantSeal(session=other, frame=9, chain=b"\x03" * 32, last=True))
                assert await evil.is_dropped()
                assert evil.name in site.control.workers.banned

    play(rig, scenario)


def test_a_policy_that_only_stamps_signs_nothing(rig: Rig, tmp_path: Path) -> None:
    stamping = {"name": "default", "timestamping": {"enabled": True, "server": {"selection": "local"}}}
    candidate = rig.candidate()
    rig.put(candidate, "policies/audit_policies", stamping, DEFAULT)
    rig.commit(candidate)
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key = await site.connected(worker)
        worker.say(messages.WantSeal(session=key, frame=7, chain=b"\x01" * 32))
        note = (await worker.receive(messages.Sealed)).note
        assert note["kind"] == "stamp"
        assert "signature" not in note
        assert is_right(
            base64.b64decode(note["stamp"]), Seal(7, note["chain"], note["at"], b"").claim, authority(rig)[2], tmp_path
        )

    play(rig, scenario)
