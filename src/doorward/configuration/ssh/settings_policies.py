"""Protocol settings of SSH connections: ``/api/configuration/ssh/settings_policies``.

Algorithms towards clients and towards servers, each list in order of preference; what a session may do and how long it lasts.
Weak algorithms are taken only with ``allow_legacy``, and warned of. The built-in policy ``default`` has the algorithms of
current OpenSSH, post-quantum key exchange first, and can't be changed. A commit takes effect on new sessions; running ones keep
what they began with.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import InitErrorDetails

from doorward.configuration.ssh._algorithms import TOWARDS_CLIENTS, TOWARDS_SERVERS, WEAK, Algorithms
from doorward.tree.fields import Name, bad_format
from doorward.tree.models import Body, Interrelated, wrong
from doorward.tree.nodes import Collection
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/ssh/settings_policies"
DEFAULT = "-300"
"""The key of the built-in policy."""

_SIDES = ("client_side_algorithms", "server_side_algorithms")


def _lines(value: str) -> str:
    """Return a text of several lines in NFC."""
    value = unicodedata.normalize("NFC", value)
    if any(unicodedata.category(one) in {"Cc", "Cs"} and one not in "\t\n" for one in value):
        raise bad_format("Control characters other than tabs and line feeds are not allowed.")
    return value


class Keepalive(Body):
    """How it is noticed that the other side is gone."""

    interval: int = Field(
        60, ge=5, le=3600, description="Seconds of silence after which either side is asked for a sign of life."
    )
    count: int = Field(3, ge=1, le=100, description="Questions without an answer after which the session ends.")


class Rekey(Body):
    """When keys are exchanged anew, on either side."""

    bytes: int = Field(1 << 30, ge=1 << 20, le=1 << 32, description="After so many bytes.")
    seconds: int = Field(3600, ge=60, le=86_400, description="After so many seconds.")


class SettingsPolicy(Interrelated):
    """Protocol settings."""

    name: Name = Field(description="Name of the policy, unique.", examples=["default"])
    allow_legacy: bool = Field(default=False, description="Whether weak algorithms may be named.")
    client_side_algorithms: Algorithms = Field(
        default_factory=lambda: Algorithms.model_validate(TOWARDS_CLIENTS),
        description="Algorithms towards clients; left out: those of the policy default.",
    )
    server_side_algorithms: Algorithms = Field(
        default_factory=lambda: Algorithms.model_validate(TOWARDS_SERVERS),
        description="Algorithms towards servers; left out: those of the policy default.",
    )
    greeting: Annotated[str, StringConstraints(max_length=4096), AfterValidator(_lines)] = Field(
        "", description="What clients get to read before they log in; empty: nothing."
    )
    idle_timeout: Annotated[int, Field(ge=1, le=604_800)] | None = Field(
        None, description="Seconds without a byte from either side after which a session ends; null: none."
    )
    session_timeout: Annotated[int, Field(ge=1, le=31_536_000)] | None = Field(
        None, description="Seconds after which a session ends however busy it is; null: none."
    )
    keepalive: Keepalive = Field(Keepalive(), description="Signs of life.")
    preconnect_channel_check: bool = Field(
        default=False,
        description="Whether a client is turned away at once if no rule of the channel policy could let it open anything.",
    )
    rekey: Rekey = Field(Rekey(), description="Lifetime of keys.")
    strict_mode: bool = Field(default=True, description="Whether a violation of the protocol ends the session.")

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Want weak algorithms to be asked for."""
        if sent.get("allow_legacy", False) is not False:
            return
        for side, kind, index, name in _named(sent):
            if name in WEAK:
                yield wrong("contradiction", "Too weak; only with allow_legacy.", side, kind, index)


def _named(body: dict[str, Any]) -> Iterator[tuple[str, str, int, str]]:
    """Yield the algorithms of a body with their places: side, list, index."""
    for side in _SIDES:
        lists = body.get(side)
        for kind, names in lists.items() if isinstance(lists, dict) else ():
            for index, name in enumerate(names if isinstance(names, list) else ()):
                if isinstance(name, str):
                    yield side, kind, index, name


def weak_algorithms(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of algorithms that do not keep what they promise."""
    policy = snapshot.find(NODE, place.key)
    if policy is not None and policy.allow_legacy:
        for side, kind, index, name in _named(policy.model_dump(mode="json", include=set(_SIDES))):
            if name in WEAK:
                yield Problem("weak_algorithm", f"{name} is weak.", f"/{side}/{kind}/{index}")


_MEMBERS = tuple(SettingsPolicy.model_fields)

NODE: Collection[SettingsPolicy] = Collection(
    title="SSH settings policies",
    model=SettingsPolicy,
    default={
        DEFAULT: {
            "allow_legacy": False,
            "client_side_algorithms": TOWARDS_CLIENTS,
            "greeting": "",
            "idle_timeout": None,
            "keepalive": {"count": 3, "interval": 60},
            "name": "default",
            "preconnect_channel_check": False,
            "rekey": {"bytes": 1 << 30, "seconds": 3600},
            "server_side_algorithms": TOWARDS_SERVERS,
            "session_timeout": None,
            "strict_mode": True,
        }
    },
    fixed=_MEMBERS,
    unique="name",
    advice=(weak_algorithms,),
)
