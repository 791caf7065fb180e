"""From a connection policy to the plain rules of its sessions, which a worker gets as they are."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.hazmat.primitives.serialization import Encoding

from doorward.configuration import x509
from doorward.configuration.datetime import timezone
from doorward.configuration.policies import time_policies
from doorward.configuration.policies.audit_policies import AuditPolicy, Encryption, Recipients, Signing, Timestamping
from doorward.configuration.ssh import channel_policies
from doorward.configuration.ssh._algorithms import Algorithms as AlgorithmNames
from doorward.configuration.ssh._connections import SshConnection
from doorward.configuration.ssh.authentication_policies import has_login
from doorward.configuration.ssh.channel_policies import ChannelPolicy
from doorward.configuration.ssh.settings_policies import SettingsPolicy
from doorward.sessions.policies import ConnectionPolicy, connection_policy, followed
from doorward.sessions.rules import (
    AlgorithmLists,
    Audit,
    ChannelRule,
    ChannelType,
    ConnectionRules,
    End,
    Forward,
    GatewayMethods,
    Hours,
    Relayed,
    SessionSettings,
)
from doorward.tree.snapshot import Snapshot

LOGIN_SECONDS, LOGIN_TRIES, MAX_CHANNELS = 120, 6, 100
"""How long a login may take, how often it may be tried, and how many channels a connection may have (sessions contract, 12)."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ALWAYS = (((0, 24 * 60 - 1),),) * len(_DAYS)


def compile_rules(snapshot: Snapshot, key: str, revision: int = 0) -> ConnectionRules:
    """Return the plain rules of a connection policy, made once. ``revision`` is that of the configuration. Raises KeyError."""
    kept = ("ssh rules", key, revision)
    if kept not in snapshot.memo:
        snapshot.memo[kept] = _rules(snapshot, connection_policy(snapshot, key), revision)
    found: ConnectionRules = snapshot.memo[kept]
    return found


def _rules(snapshot: Snapshot, policy: ConnectionPolicy, revision: int) -> ConnectionRules:
    connection, authentication = policy.connection, policy.authentication
    client = authentication.client
    return ConnectionRules(
        policy=connection.name,
        policy_key=policy.key,
        channel_policy=policy.channels.name,
        revision=revision,
        channels=tuple(_channel_rules(snapshot, policy.channels)),
        settings=_settings(policy.settings),
        methods=GatewayMethods(
            password=client.password.enabled,
            keyboard_interactive=client.keyboard_interactive.enabled,
            public_key=client.public_key.enabled,
            certificate=client.certificate.enabled,
            require=tuple(tuple(row) for row in authentication.require),
        ),
        gateway_login=has_login(authentication),
        relayed=tuple(Relayed(way.selection) for way in authentication.relayed),
        audit=_audit(snapshot, policy.audit, _text(snapshot, connection)),
        inband=policy.restrictions is not None,
    )


def _channel_rules(snapshot: Snapshot, policy: ChannelPolicy) -> Iterator[ChannelRule]:
    zone = snapshot.read(timezone.NODE)
    for position, rule in enumerate(policy.rules):
        yield ChannelRule(
            channel=ChannelType(rule.channel),
            position=position,
            clients=tuple(rule.clients),
            servers=tuple(rule.servers),
            gateway_groups=tuple(rule.gateway_groups),
            remote_groups=tuple(rule.remote_groups),
            hours=_hours(followed(snapshot, rule.time_policy), zone),
            execs=tuple(rule.execs) if isinstance(rule, channel_policies.Exec) else (),
            subsystems=tuple(rule.subsystems) if isinstance(rule, channel_policies.Subsystem) else (),
            networks=tuple(one.value for one in rule.networks) if isinstance(rule, channel_policies.X11) else (),
            forwards=tuple(_forwards(rule)),
            audit=rule.actions.audit,
            keep_files=rule.actions.keep_files,
            four_eyes=rule.actions.four_eyes,
        )


def _forwards(rule: channel_policies.Rule) -> Iterator[Forward]:
    if isinstance(rule, channel_policies.LocalForwards):
        for local in rule.local_forwards:
            yield Forward(host=_end(local.host_address), port=local.host_port, originator=_end(local.originator_address))
    elif isinstance(rule, channel_policies.RemoteForwards):
        for remote in rule.remote_forwards:
            yield Forward(
                host=_end(remote.connected_address), port=remote.connected_port, originator=_end(remote.originator_address)
            )


def _end(end: channel_policies.End | None) -> End | None:
    return None if end is None else End(selection=end.selection, value=end.value)


def _hours(policy: time_policies.TimePolicy, zone: str) -> Hours | None:
    """Return when a rule holds, in a time zone; None: always."""
    minutes = time_policies.minutes
    days = tuple(tuple((minutes(begin), minutes(end)) for begin, end in getattr(policy, day)) for day in _DAYS)
    return None if days == _ALWAYS else Hours(days=days, zone=zone)


def _settings(policy: SettingsPolicy) -> SessionSettings:
    return SessionSettings(
        client=_algorithms(policy.client_side_algorithms),
        server=_algorithms(policy.server_side_algorithms),
        greeting=policy.greeting,
        idle_timeout=policy.idle_timeout,
        session_timeout=policy.session_timeout,
        keepalive_interval=policy.keepalive.interval,
        keepalive_count=policy.keepalive.count,
        rekey_bytes=policy.rekey.bytes,
        rekey_seconds=policy.rekey.seconds,
        strict_mode=policy.strict_mode,
        login_seconds=LOGIN_SECONDS,
        login_tries=LOGIN_TRIES,
        channels=MAX_CHANNELS,
    )


def _algorithms(names: AlgorithmNames) -> AlgorithmLists:
    return AlgorithmLists(
        kex=tuple(names.kex),
        host_key=tuple(names.host_key),
        cipher=tuple(names.cipher),
        mac=tuple(names.mac),
        compression=tuple(names.compression),
    )


def _text(snapshot: Snapshot, connection: SshConnection) -> str:
    if not connection.indexing.enabled:
        return "none"
    chosen = connection.indexing.policy
    return "screen" if chosen is None else followed(snapshot, chosen).text


def _audit(snapshot: Snapshot, policy: AuditPolicy, text: str) -> Audit:
    encryption = policy.encryption
    screen: tuple[str, ...] = ()
    keystrokes: tuple[str, ...] = ()
    if isinstance(encryption, Encryption):
        screen = tuple(_certificates(snapshot, encryption.certificates))
        keystrokes = tuple(_certificates(snapshot, encryption.keystroke_certificates or encryption.certificates))
    return Audit(
        policy=policy.name,
        screen_certificates=screen,
        keystroke_certificates=keystrokes,
        signed=isinstance(policy.signing, Signing),
        timestamped=isinstance(policy.timestamping, Timestamping),
        interval=policy.signing_and_timestamping_interval,
        go_on=policy.when_recording_fails == "go_on",
        live_view=policy.live_view or not screen,
        text=text,
    )


def _certificates(snapshot: Snapshot, references: Recipients) -> Iterator[str]:
    """Yield certificates in PEM, each without its chain."""
    for reference in references:
        certificate = x509.certificate_of(snapshot, reference.key)
        if certificate is None:
            raise LookupError(f"{reference.href} is gone; no commit leaves a reference to nothing.")
        yield certificate.public_bytes(Encoding.PEM).decode()
