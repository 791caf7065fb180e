"""The cluster interface of a node, by an address instead of the place of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doorward.cli.failures import Usage

if TYPE_CHECKING:
    from doorward.client.blocking import Client

_INTERFACE = "/api/configuration/local_services/cluster"
_NICS = "/api/configuration/network/nics"


def open_cluster_interface(client: Client, address: str) -> None:
    """Open the cluster interface on an address of the node. Raises Usage where it has no such address."""
    for name in ("nic1", "nic2", "nic3"):
        interfaces = client.body(f"{_NICS}/{name}")["interfaces"]
        for interface in interfaces["@order"]:
            addresses = interfaces[interface]["addresses"]
            for key in addresses["@order"]:
                if addresses[key].partition("/")[0] == address:
                    place = f"{name}.interfaces.{interface}.addresses.{key}"
                    client.write("PUT", _INTERFACE, {"enabled": True, "listen_address": place})
                    return
    raise Usage(f"The node has no address {address}; `doorward get network/nics` shows those that it has.")
