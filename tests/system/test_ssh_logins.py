"""How clients get in and on: every method of the gateway, every way to log in at a target, with real programs on both sides."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import asyncssh
import paramiko
import pytest

from doorward.proxy import messages
from doorward.sessions.rules import GatewayMethods, Relayed
from tests.support.gateway import ALL_METHODS, FakeControl, Gateway, make_rules
from tests.support.server import until
from tests.system.ssh_support import PASSWORD, Site, ended, gateway, open_site, run
from tests.system.sshd_support import ACCOUNT, key_pair

HERE = f"{ACCOUNT}@127.0.0.1"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site(banner="be warned\n") as opened:
        yield opened


def controlled(site: Site, rules: Any = None, target: dict[str, Any] | None = None, **changes: Any) -> Gateway:
    """A gateway whose control is made of these."""
    return Gateway(lambda: FakeControl(target=site.target(**(target or {})), rules=rules or make_rules(), **changes))


def test_a_password_is_good_for_the_target(site: Site) -> None:
    with controlled(site) as relay:
        result = site.ssh_asking(relay.port, "echo in")
        assert result.stdout == b"in\n", result.stderr
        session = ended(relay)
    assert session.control.link[0:2] == ("127.0.0.1", site.sshd.port)
    assert session.control.link[3:5] == (ACCOUNT, "same_password")
    assert PASSWORD not in repr(session.observer.noted) + repr(session.control.asked)


def test_a_wrong_password_may_be_typed_again(site: Site) -> None:
    with controlled(site) as relay:
        client = paramiko.Transport(("127.0.0.1", relay.port))
        client.start_client()
        for wrong in ("one", "two"):
            with pytest.raises(paramiko.AuthenticationException):
                client.auth_password(ACCOUNT, wrong, fallback=False)
        client.auth_password(ACCOUNT, PASSWORD, fallback=False)
        channel = client.open_session()
        channel.exec_command("cat")
        channel.sendall(b"by paramiko")
        channel.shutdown_write()
        assert channel.makefile().read() == b"by paramiko"
        assert channel.recv_exit_status() == 0
        client.close()
        assert len([entry for entry in ended(relay).control.asked if entry[0] == "target"]) == 1


def test_guesses_come_to_an_end(site: Site) -> None:
    rules = make_rules(gateway_login=True, settings={"login_tries": 3})
    with controlled(site, rules, passwords={"alice": "right"}) as relay:
        client = paramiko.Transport(("127.0.0.1", relay.port))
        client.start_client()
        for _ in range(3):
            with pytest.raises(paramiko.SSHException):
                client.auth_password("alice", "wrong", fallback=False)
        until(lambda: not client.is_active())
        client.close()
        session = ended(relay)
    assert session.outcome.verdict == "AUTH_FAIL"
    assert session.outcome.reason == "Too many authentication failures"
    assert not session.observer.noted, "nobody came in, so nothing is recorded"


def test_the_gateway_knows_passwords_of_its_own(site: Site) -> None:
    rules = make_rules(gateway_login=True, methods=GatewayMethods(password=True))
    credential = messages.CredentialAnswer(session="", ask=0, password=PASSWORD)
    target = {"offers": (Relayed.CREDENTIAL_STORE,)}
    with controlled(site, rules, target, passwords={"alice": PASSWORD}, credential=credential) as relay:
        result = site.ssh_asking(relay.port, "id -un", user="alice")
        assert result.stdout == f"{ACCOUNT}\n".encode(), result.stderr
        session = ended(relay)
    assert session.control.asked[1:3] == [("none", "alice"), ("password", "alice")]


def test_two_methods_in_a_row(site: Site) -> None:
    rules = make_rules(gateway_login=True)
    with Gateway(partial(_both, site, rules)) as relay:
        environment = {**os.environ, "SSH_ASKPASS": str(site.ask), "SSH_ASKPASS_REQUIRE": "force"}
        options = [*site.options(relay.port)[:-4], "-o", f"Port={relay.port}"]
        options += ["-o", "PreferredAuthentications=publickey,password"]
        result = run(["ssh", *options, HERE, "echo both"], env=environment)
        assert result.stdout == b"both\n", result.stderr
        asked = [entry[0] for entry in ended(relay).control.asked]
    assert asked[1:5] == ["none", "key", "key", "password"]


def _both(site: Site, rules: Any) -> FakeControl:
    control = site.by_key(rules)
    control.partial = ("password",)
    control.passwords = {ACCOUNT: PASSWORD}
    return control


def test_questions_of_the_gateway(site: Site) -> None:
    prompts = [
        messages.Prompts(session="", ask=0, name="Gate", instruction="say", prompts=(("first", True), ("second", False))),
        messages.Prompts(session="", ask=0, prompts=(("third", True),)),
    ]
    rules = make_rules(gateway_login=True)
    with Gateway(partial(_asking, site, rules, prompts)) as relay:
        seen = []

        def answer(name: str, instruction: str, asked: list[tuple[str, bool]]) -> list[str]:
            seen.append((name, instruction, asked))
            return [f"to {prompt}" for prompt, _ in asked]

        with talking(relay, "alice") as client:
            client.auth_interactive("alice", answer)
            assert output(client, "echo asked") == b"asked\n"
        session = ended(relay)
    assert seen == [("Gate", "say", [("first", True), ("second", False)]), ("", "", [("third", True)])]
    assert session.control.answers == [("to first", "to second"), ("to third",)]


def _asking(site: Site, rules: Any, prompts: list[messages.Prompts]) -> FakeControl:
    control = site.by_key(rules)
    control.prompts = list(prompts)
    return control


@contextmanager
def talking(relay: Gateway, user: str) -> Iterator[paramiko.Transport]:
    """A client that has not logged in yet."""
    del user
    client = paramiko.Transport(("127.0.0.1", relay.port))
    client.start_client()
    try:
        yield client
    finally:
        client.close()


def output(client: paramiko.Transport, command: str) -> bytes:
    channel = client.open_session()
    channel.exec_command(command)
    return bytes(channel.makefile().read())


def test_a_client_with_a_key_is_asked_for_the_password_of_the_target(site: Site) -> None:
    rules = make_rules(gateway_login=True)
    with Gateway(lambda: site.by_key(rules, offers=(Relayed.PASSWORD_PROMPT,))) as relay:
        environment = {**os.environ, "SSH_ASKPASS": str(site.ask), "SSH_ASKPASS_REQUIRE": "force"}
        options = [*site.options(relay.port)[:-4], "-o", f"Port={relay.port}"]
        result = run(["ssh", *options, HERE, "echo asked"], env=environment)
        assert result.stdout == b"asked\n", result.stderr
        assert ended(relay).control.link[4] == "password_prompt"


def test_a_server_may_be_asked_for(site: Site) -> None:
    rules = make_rules(gateway_login=True)

    def make() -> FakeControl:
        control = site.by_key(rules)
        target = control.target
        find = control.find_target

        async def ask_first(user: str, method: str, text: str) -> messages.TargetAnswer:
            await find(user, method, text)
            return target if text == "target" else messages.TargetAnswer(session="", ask=0, question="Server: ")

        control.find_target = ask_first  # type: ignore[method-assign]
        return control

    with Gateway(make) as relay:
        with talking(relay, "alice") as client:
            key = paramiko.Ed25519Key.from_private_key_file(str(site.private))
            assert client.auth_publickey("alice", key) == ["keyboard-interactive"]
            client.auth_interactive("alice", lambda _name, _say, asked: ["target"] if asked == [("Server: ", True)] else [])
            assert output(client, "echo there") == b"there\n"
        texts = [entry[3] for entry in ended(relay).control.asked if entry[0] == "target"]
    assert texts == ["", "target"]


def test_the_agent_of_the_client_signs(site: Site) -> None:
    with controlled(site, user_keys=(site.public,)) as relay:
        socket = site.directory / "agent"
        with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL) as process:
            until(socket.exists)
            environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
            for kind in ("rsa", "ecdsa", "ed25519"):
                key_pair(site.directory, f"agent-{kind}", kind)
                subprocess.run(["ssh-add", "-q", str(site.directory / f"agent-{kind}")], env=environment, check=True)
            rsa = (site.directory / "agent-rsa.pub").read_text()
            site.sshd.authorize(rsa)
            try:
                result = run(["ssh", "-A", *site.options(relay.port), HERE, "echo signed"], env=environment)
            finally:
                site.sshd.authorize(site.public)
                process.terminate()
        assert result.stdout == b"signed\n", result.stderr
        assert ended(relay).control.link[4] == "agent"


def test_a_certificate_for_the_session_opens_the_target() -> None:
    with open_site(settings="TrustedUserCAKeys __DIRECTORY__/ca.pub\n") as site:
        authority = asyncssh.generate_private_key("ssh-ed25519")
        (site.directory / "ca.pub").write_bytes(authority.export_public_key())
        settings = site.sshd.settings.replace("__DIRECTORY__", str(site.directory))
        site.sshd.stop()
        site.sshd.settings = settings
        site.sshd.start()
        fresh = asyncssh.generate_private_key("ssh-ed25519")
        certificate = authority.generate_user_certificate(fresh, "svc", principals=[ACCOUNT])
        shown = certificate.export_certificate().decode().strip()
        site.sshd.authorize()

        def make() -> FakeControl:
            control = site.by_key(offers=(Relayed.CERTIFICATE,))
            control.credential = messages.CredentialAnswer(session="", ask=0, public_keys=(shown,))
            control.signer = lambda _text, algorithm, data: fresh.sign(data, algorithm.split("-cert-")[0].encode())
            return control

        with Gateway(make) as relay:
            assert site.ssh(relay.port, HERE, "echo certified").stdout == b"certified\n"


def test_certificates_of_users_and_keys_of_tokens_are_shown_to_control(site: Site) -> None:
    authority = site.directory / "user-ca"
    key_pair(site.directory, "user-ca")
    key_pair(site.directory, "user")
    public = (site.directory / "user.pub").read_text()
    subprocess.run(
        ["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", ACCOUNT, str(site.directory / "user.pub")], check=True
    )

    def make() -> FakeControl:
        control = site.by_key()
        control.user_keys = (public,)
        try_key = control.try_key

        async def only_certificates(user: str, algorithm: str, *rest: Any) -> messages.Decision:
            answer = await try_key(user, algorithm, *rest)
            return answer if "-cert-" in algorithm else messages.Decision(session="", ask=0, outcome="refused")

        control.try_key = only_certificates  # type: ignore[method-assign, assignment]
        return control

    with Gateway(make) as relay:
        options = ["-i", str(site.directory / "user"), *site.options(relay.port)]
        assert run(["ssh", *options, HERE, "echo certified"]).stdout == b"certified\n"
        shown = {entry[2] for entry in ended(relay).control.asked if entry[0] == "key"}
    assert "ssh-ed25519-cert-v01@openssh.com" in shown


def test_an_unknown_host_key_is_shown_to_control_and_refused(site: Site) -> None:
    with gateway(site, keys=()) as relay:
        result = site.ssh(relay.port, HERE, "true")
        session = ended(relay)
    assert result.returncode == 255
    assert ("host key", "127.0.0.1", site.sshd.port, site.sshd.host_key) in session.control.asked
    assert "its key is unknown" in session.outcome.reason
    assert "Accepted" not in (site.sshd.directory / "log").read_text().splitlines()[-1]


def test_of_several_addresses_control_knows_which_key_is_whose(site: Site) -> None:
    with gateway(site, addresses=("127.0.0.1", "127.0.0.2")) as relay:
        result = site.ssh(relay.port, HERE, "true")
        session = ended(relay)
    assert result.returncode == 255
    assert ("host key", "127.0.0.1", site.sshd.port, site.sshd.host_key) in session.control.asked
    assert "its key is unknown" in session.outcome.reason


def test_a_host_certificate_is_enough(site: Site) -> None:
    authority = site.directory / "host-ca"
    public = key_pair(site.directory, "host-ca")[1]
    host = site.sshd.directory / "host"
    subprocess.run(["ssh-keygen", "-q", "-s", str(authority), "-h", "-I", "h", "-n", "target", f"{host}.pub"], check=True)
    site.sshd.stop()
    site.sshd.settings += f"HostCertificate {host}-cert.pub\n"
    site.sshd.start()
    for name, authorities, works in (("target", (public,), True), ("another", (public,), False), ("target", (), False)):
        with gateway(site, keys=(), authorities=authorities, name=name) as relay:
            assert (site.ssh(relay.port, HERE, "echo ok").stdout == b"ok\n") is works, name


def test_what_the_target_and_the_gateway_say_before_a_login_is_shown(site: Site) -> None:
    rules = make_rules(gateway_login=True, settings={"greeting": "hello from the gate"})
    with gateway(site, rules=rules) as relay:
        options = ["-o", "LogLevel=INFO", *site.options(relay.port)]
        said = run(["ssh", *options, HERE, "true"]).stderr
    assert b"hello from the gate" in said
    assert b"be warned" in said


@pytest.mark.parametrize("port", [1])
def test_a_target_that_is_not_there_is_named(site: Site, port: int) -> None:
    with gateway(site, port=port) as relay:
        options = ["-o", "LogLevel=INFO", *site.options(relay.port)]
        said = run(["ssh", *options, HERE, "true"]).stderr
        session = ended(relay)
    assert b"Can't connect to target: connection refused" in said
    assert session.control.events == [("connection_failed", {"reason": "Can't connect to target: connection refused"})]
    assert session.outcome.verdict == "FAIL"


def test_every_method_that_is_off_is_refused(site: Site) -> None:
    rules = make_rules(gateway_login=True, methods=GatewayMethods(public_key=True))
    assert rules.methods != ALL_METHODS
    with gateway(site, rules=rules) as relay, talking(relay, "alice") as client:
        with pytest.raises(paramiko.BadAuthenticationType) as refused:
            client.auth_password("alice", PASSWORD, fallback=False)
        assert refused.value.allowed_types == ["publickey"]


def test_nothing_goes_to_a_target_before_the_trail_has_begun(site: Site) -> None:
    import asyncio

    with gateway(site) as relay:
        waiting: list[asyncio.Future[None]] = []
        make = relay._make_observer

        def held() -> Any:
            observer = make()
            observer.is_ready = relay.loop.create_future()
            waiting.append(observer.is_ready)
            return observer

        relay._make_observer = held
        log = site.sshd.directory / "log"
        before = log.read_text().count("Connection from")
        with subprocess.Popen(["ssh", *site.options(relay.port), HERE, "echo late"], stdout=subprocess.PIPE) as process:
            until(lambda: waiting and any(entry[0] == "target" for entry in relay.served[-1].control.asked))
            assert log.read_text().count("Connection from") == before
            relay.call(lambda: waiting[0].set_result(None))
            assert process.communicate()[0] == b"late\n"
