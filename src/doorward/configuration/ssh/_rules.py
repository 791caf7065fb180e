"""What has to fit together around a connection policy, across the tree. No endpoint.

Every rule takes the place of a policy, or that of the collection for all of them: much of what a policy refers to can change
without it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TypeVar

from doorward.configuration._claims import Rank
from doorward.configuration.aaa.acls import GROUPS
from doorward.configuration.local_services import admin_web, cluster, user_web
from doorward.configuration.policies.audit_policies import Encryption
from doorward.configuration.ssh import _connections as model
from doorward.configuration.ssh import host_keys, options
from doorward.configuration.ssh._algorithms import KEY_OF
from doorward.configuration.ssh._connections import CONNECTIONS, PATH, SshConnection
from doorward.configuration.ssh._coverage import Taken, all_within, networks, span
from doorward.configuration.ssh._own import own_addresses, own_in
from doorward.configuration.ssh.authentication_policies import LdapBackend, has_login, stored_ways
from doorward.host.claims import Claim
from doorward.host.resources import AccessRule, ShownHostKey
from doorward.tree.fields import same_network
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

_T = TypeVar("_T")

SERVICE = "ssh"
"""The name of the service behind the listeners."""

_APPLIANCE_KEYS = {"ed25519", "ecdsa-p256", "rsa"}


def _at(snapshot: Snapshot, place: Place) -> Iterator[tuple[str, str, SshConnection]]:
    """Yield key, path and body of the policy at a place, or of all of them."""
    if place.key:
        one = snapshot.find(CONNECTIONS, place.key)
        if one is not None:
            yield place.key, place.href, one
        return
    for key, one in snapshot.each(CONNECTIONS):
        yield key, f"{PATH}/{key}", one


def _kept(snapshot: Snapshot, name: str, make: Callable[[Snapshot], _T]) -> _T:
    """Return what follows from a whole configuration, made once: a commit of many policies asks for it at each of them."""
    kept = ("ssh", name)
    if kept not in snapshot.memo:
        snapshot.memo[kept] = make(snapshot)
    found: _T = snapshot.memo[kept]
    return found


# Where policies listen


def claims(snapshot: Snapshot) -> Iterator[Claim]:
    """Yield the addresses and ports of all active policies, which share them; none while SSH is off.

    Which policy takes a connection is looked up when it comes, so that no change of policies needs a listener to be opened anew;
    other host keys have it proven anew.
    """
    if not options.is_enabled(snapshot):
        return
    for key, one in snapshot.each(CONNECTIONS):
        own = dict.fromkeys(map(str, own_in(snapshot, one.network.targets))) if one.active else ()
        keys = tuple(_shown(snapshot, one)) if own else ()
        for index, port in enumerate(one.network.ports):
            for address in own:
                yield Claim(
                    address=address, port=port, rule=AccessRule(SERVICE), path=f"{PATH}/{key}", pointer=f"/network/ports/{index}",
                    rank=Rank.SESSIONS, shared=SERVICE, host_keys=keys,
                )  # fmt: skip


def _shown(snapshot: Snapshot, one: model.SshConnection) -> Iterator[ShownHostKey]:
    shown = one.client_side_hostkeys
    for reference in shown.keys if isinstance(shown, model.OwnKeys) else snapshot.read(host_keys.NODE).keys:
        found = snapshot.follow(reference)
        if found is not None:
            yield ShownHostKey(" ".join(found.public_key.split()[:2]), reference.key)


def no_own_address(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of a policy that this node can't serve, or can't leave by the address that it should."""
    own = {str(address) for address in own_addresses(snapshot)}
    for _, path, one in _at(snapshot, place):
        if one.active and not any(own_in(snapshot, one.network.targets)):
            yield Problem("no_own_address", "This node has no address there; it does not listen.", "/network/targets", path)
        source = one.source_address
        if one.active and isinstance(source, model.FixedSource) and source.address not in own:
            yield Problem(
                "no_own_address", "This node has no such address; it reaches no server.", "/source_address/address", path
            )


def shadowed(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of a policy that never takes a connection, since earlier ones take whatever it could."""
    for key in _kept(snapshot, "shadowed", _shadowed):
        if place.key in {"", key}:
            yield Problem("shadowed", "Never takes a connection: the policies before it take all.", "/network", f"{PATH}/{key}")


def _shadowed(snapshot: Snapshot) -> list[str]:
    """Return the keys of the policies that never take a connection."""
    found, earlier = [], Taken()
    for key, one in snapshot.each(CONNECTIONS):
        if not one.active:
            continue
        clients, targets = ([*map(span, networks(texts))] for texts in (one.network.clients, one.network.targets))
        if all(earlier.has_all(port, target, clients) for port in one.network.ports for target in targets):
            found.append(key)
        earlier.add(one.network.ports, targets, clients)
    return found


# Where connections go


def _services(snapshot: Snapshot) -> set[tuple[str, int]]:
    """Return the addresses and ports of all services of this node."""
    wanted = (admin_web.claims, user_web.claims, cluster.claims, claims)
    return {(claim.address, claim.port) for claim in chain.from_iterable(asked(snapshot) for asked in wanted)}


def loops(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Refuse a fixed server that is a service of this very node."""
    services = _kept(snapshot, "services", _services)
    for _, path, one in _at(snapshot, place):
        server = one.server_address
        where = (server.address.value, server.port) if isinstance(server, model.Fixed) else None
        if where in services:
            yield Problem("contradiction", "This is the appliance itself.", "/server_address/address", path)


def unproven_servers(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Refuse to send stored secrets to servers that have not proven who they are."""
    for _, path, one in _at(snapshot, place):
        policy = snapshot.follow(one.policies.authentication_policy)
        check = one.server_side_hostkeys.plain_hostkey.check
        ways = stored_ways(policy) if policy is not None else []
        if policy is not None and ways and check != "trusted_only":
            names = ", ".join(policy.relayed[index].selection for index in ways)
            message = f"Must be trusted_only: {names} of the authentication policy go to proven servers only."
            yield Problem("contradiction", message, "/server_side_hostkeys/plain_hostkey/check", path)


def unchecked_servers(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of servers that may be anybody."""
    for _, path, one in _at(snapshot, place):
        if one.active and one.server_side_hostkeys.plain_hostkey.check == "disabled":
            message = "Nobody notices when another machine answers for a server."
            yield Problem("host_key_unchecked", message, "/server_side_hostkeys/plain_hostkey/check", path)


def more_authorities(before: Snapshot, after: Snapshot) -> Iterator[Problem]:
    """Leave it to those who may do everything to have more authorities say who is a server that stored secrets go to."""
    known: dict[str, set[str]] = {}
    for _, one in before.each(CONNECTIONS):
        for secret in _stored_secrets(before, one):
            known.setdefault(secret, set()).update(one.server_side_hostkeys.authorities)
    for key, one in after.each(CONNECTIONS):
        secrets = [href for href in _stored_secrets(after, one) if before.who_refers_to(href)]
        for index, authority in enumerate(one.server_side_hostkeys.authorities):
            if any(authority not in known.get(secret, ()) for secret in secrets):
                message = "Only who may do everything has another authority prove servers that stored secrets go to."
                yield Problem("privilege_required", message, f"/server_side_hostkeys/authorities/{index}", f"{PATH}/{key}")


def _stored_secrets(snapshot: Snapshot, one: SshConnection) -> set[str]:
    """Return the hrefs of the secrets that sessions of a policy may bring to servers."""
    policy = snapshot.follow(one.policies.authentication_policy)
    ways = {way.selection for way in policy.relayed} if policy is not None else set()
    chosen = [one.policies.authentication_policy] if ways & {"private_key", "certificate"} else []
    places = [reference.place for reference in chosen]
    if "credential_store" in ways and one.policies.credential_store is not None:
        places.append(one.policies.credential_store.place)
    documents = (snapshot.document(place) for place in places)
    return {found.href for document in documents if document for found in document.references if found.form == "sealed"}


# What policies need of each other


def needed(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Want what the authentication policy builds on."""
    for _, path, one in _at(snapshot, place):
        policy = snapshot.follow(one.policies.authentication_policy)
        if policy is None:
            continue
        if isinstance(policy.backend, LdapBackend) and one.policies.ldap_server is None:
            yield Problem("required_with", "The authentication policy asks a directory.", "/policies/ldap_server", path)
        if one.policies.credential_store is None and any(way.selection == "credential_store" for way in policy.relayed):
            message = "The authentication policy takes credentials from a store."
            yield Problem("required_with", message, "/policies/credential_store", path)


def unfit_host_keys(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Refuse host keys of one type twice, and settings that take none of the host keys there are."""
    for _, path, one in _at(snapshot, place):
        shown = one.client_side_hostkeys
        types: list[str] = []
        for index, reference in enumerate(shown.keys if isinstance(shown, model.OwnKeys) else ()):
            key = snapshot.follow(reference)
            kind = "" if key is None else "rsa" if key.type.startswith("rsa-") else key.type
            if kind and kind in types:
                message = f"There is another key of the type {kind}."
                yield Problem("duplicate", message, f"/client_side_hostkeys/keys/{index}", path)
            types.append(kind)
        settings = snapshot.follow(one.policies.settings)
        if settings is not None:
            taken = {KEY_OF[name] for name in settings.client_side_algorithms.host_key}
            if not taken & ({*types} if isinstance(shown, model.OwnKeys) else _APPLIANCE_KEYS):
                message = "Clients are offered none of the types that the host keys have."
                yield Problem("contradiction", message, "/policies/settings", path)


def unknown_groups(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Refuse authorizers that are no local group."""
    groups = snapshot.objects(GROUPS)
    for _, path, one in _at(snapshot, place):
        for index, rule in enumerate(one.access_control):
            if not groups.with_names(rule.authorizer):
                message = f"There is no group {rule.authorizer}."
                yield Problem("unknown_reference", message, f"/access_control/{index}/authorizer", path)


def kept_too_long(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Refuse to keep sessions for longer than all sessions are kept."""
    cleanup = snapshot.read(options.NODE).channel_database_cleanup
    for _, path, one in _at(snapshot, place):
        own = one.channel_database_cleanup
        if isinstance(cleanup, options.SessionCleanup) and isinstance(own, options.SessionCleanup) and own.days > cleanup.days:
            message = f"All sessions are deleted after {cleanup.days} days."
            yield Problem("contradiction", message, "/channel_database_cleanup/days", path)


def never_matching(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of rules about groups that nobody can be in."""
    for _, path, one in _at(snapshot, place):
        authentication = snapshot.follow(one.policies.authentication_policy)
        channels = snapshot.follow(one.policies.channel_policy)
        mapping = snapshot.follow(one.policies.usermapping_policy) if one.policies.usermapping_policy else None
        if not one.active or authentication is None or channels is None:
            continue
        if not has_login(authentication):
            why = "nobody logs in at the gateway"
            if any(rule.gateway_groups for rule in channels.rules):
                yield _never("Rules with gateway_groups", why, "channel_policy", path)
            if mapping is not None and any(rule.gateway_groups or rule.gateway_users for rule in mapping.rules):
                yield _never("Rules with groups or users", why, "usermapping_policy", path)
        if one.policies.ldap_server is None and any(rule.remote_groups for rule in channels.rules):
            yield _never("Rules with remote_groups", "there is no ldap_server", "channel_policy", path)


def _never(what: str, why: str, member: str, path: str) -> Problem:
    return Problem("never_matches", f"{what} never match: {why}.", f"/policies/{member}", path)


def trails_in_clear(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of recordings that whoever gets hold of a copy can read."""
    for _, path, one in _at(snapshot, place):
        policy = snapshot.follow(one.policies.audit_policy)
        if one.active and policy is not None and not isinstance(policy.encryption, Encryption):
            message = "Recordings are not encrypted: every copy of their files can be read."
            yield Problem("trail_in_clear", message, "/policies/audit_policy", path)


def own_networks(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of lines by address that hold addresses of this node: these are no servers unless a line has them alone."""
    own = [ipaddress.ip_network(address) for address in own_addresses(snapshot)]
    for _, path, one in _at(snapshot, place):
        server = one.server_address
        lines = server.domains if isinstance(server, model.Inband) else []
        alone = {same_network(line.domain.value) for line in lines if isinstance(line.domain, model.TargetNetwork)}
        for index, line in enumerate(lines if one.active else ()):
            if not isinstance(line.domain, model.TargetNetwork):
                continue
            within = networks([line.domain.value])
            if left := [str(n.network_address) for n in own if all_within([n], within) and str(n) not in alone]:
                message = f"Not {', '.join(left)}: addresses of this node have to be listed one by one."
                yield Problem("own_address", message, f"/server_address/domains/{index}/domain", path)
