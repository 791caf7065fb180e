"""The system host: the machine itself, changed by a helper that is root."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from doorward.host.helper.places import helper_socket
from doorward.host.helper.remote import HelperClient, remote
from doorward.host.managed import Managed

if TYPE_CHECKING:
    from doorward.host.engine import Host


def system(state: Path) -> Host:
    """The machine itself, by way of its helper; `state` remembers what of it was taken over.

    Nothing is asked until `start`.
    """
    return remote("system", Path("/"), HelperClient(helper_socket()), Managed(state))
