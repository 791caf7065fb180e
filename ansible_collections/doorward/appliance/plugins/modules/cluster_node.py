#!/usr/bin/python
"""The module ``doorward.appliance.cluster_node``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_node
short_description: Make a node Central Management, have it join, accept it
description:
  - Three steps make a cluster of two nodes, each at the node that it concerns. V(central) at one, V(joined) at the other,
    which answers a RV(request), and V(accepted) at the first one again, with that request.
  - A node that is what it shall be stays as it is. One that asked to join and was not accepted asks anew, since its request
    is shown only once.
version_added: 0.1.0
author: The Doorward authors
extends_documentation_fragment: doorward.appliance.node
options:
  state:
    description:
      - V(central), this node is Central Management. There is no way back.
      - V(joined), this node is in a cluster, or has asked to join that of O(central).
      - V(accepted), this Central Management has the node of O(request) in its cluster.
    type: str
    required: true
    choices: [central, joined, accepted]
  listen:
    description: Address of this node that its cluster interface is opened on; without it the interface stays as it is.
    type: str
  central:
    description: Cluster address of Central Management, for V(joined).
    type: str
  request:
    description: The RV(request) that V(joined) answered, for V(accepted).
    type: dict
  roles:
    description: Roles of the node that is accepted; without them they stay as they are.
    type: list
    elements: str
  wait_seconds:
    description: Seconds that a node is waited for until it is paired and follows, for V(accepted); V(0) does not wait.
    type: int
    default: 120
  message:
    description: Message of the commit.
    type: str
"""

EXAMPLES = r"""
- name: The first gate has the configuration
  doorward.appliance.cluster_node:
    url: https://gate1.example.com
    token: "{{ vault_token }}"
    state: central
    listen: 192.0.2.1

- name: The second one asks to join
  doorward.appliance.cluster_node:
    url: https://gate2.example.com
    token: "{{ vault_token }}"
    state: joined
    listen: 192.0.2.2
    central: 192.0.2.1
  register: asked
  no_log: true

- name: And is accepted
  doorward.appliance.cluster_node:
    url: https://gate1.example.com
    token: "{{ vault_token }}"
    state: accepted
    request: "{{ asked.request }}"
    roles: [managed-host, search-local]
"""

RETURN = r"""
request:
  description:
    - The C(node_id) and the C(address) of the node, and, where it has just asked to join, the C(psk) that it is accepted by.
    - Keep it from the log with C(no_log).
  returned: with O(state=joined)
  type: dict
revision:
  description: Number of the revision; C(null) where nothing was committed.
  returned: success
  type: int
"""

import time
from typing import TYPE_CHECKING, Any

from ansible_collections.doorward.appliance.plugins.module_utils.node import failures_told, logged_in, module_of

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from doorward.client import Client

_CLUSTER = "/api/cluster"
_IN_CLUSTER = "in cluster"
_AGAIN_SECONDS = 1.0

OPTIONS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "required": True, "choices": ["central", "joined", "accepted"]},
    "listen": {"type": "str"},
    "central": {"type": "str"},
    "request": {"type": "dict", "no_log": True},
    "roles": {"type": "list", "elements": "str"},
    "wait_seconds": {"type": "int", "default": 120},
    "message": {"type": "str"},
}


def main() -> None:
    """Run the module."""
    module = module_of(
        OPTIONS,
        supports_check_mode=True,
        required_if=[("state", "joined", ["central"]), ("state", "accepted", ["request"])],
    )
    steps = {"central": _central, "joined": _joined, "accepted": _accepted}
    with failures_told(module), logged_in(module) as client:
        client.open()
        result = steps[module.params["state"]](module, client)
        result |= {"changed": bool(client.changes()), "revision": None}
        if result["changed"] and not module.check_mode:
            done = client.commit(module.params["message"])
            result["revision"] = done.revision
            if done.proposal:
                result |= {"proposal": done.proposal, "waits_for": [*done.waits_for]}
                module.exit_json(**result)
        else:
            client.discard()
        if module.params["state"] == "accepted" and not module.check_mode:
            _wait(module, client, result)
    module.exit_json(**result)


def _central(module: AnsibleModule, client: Client) -> dict[str, Any]:
    """Promote the node, unless it is Central Management."""
    if "central-management" not in client.body("/api/info")["roles"]:
        _listen(module, client)
        client.write("POST", f"{_CLUSTER}/promote", {})
    return {}


def _joined(module: AnsibleModule, client: Client) -> dict[str, Any]:
    """Have the node ask to join, unless it is in a cluster."""
    info = client.get("/api/info")
    known = {"node_id": info.meta["node"], "address": module.params["listen"]}
    if client.get(f"{_CLUSTER}/join_request").content["status"] == _IN_CLUSTER:
        return {"request": known}
    _listen(module, client)
    asked = client.write("POST", f"{_CLUSTER}/join_request", {"central_management_address": module.params["central"]})
    return {"request": known if module.check_mode else asked.content["body"]}


def _accepted(module: AnsibleModule, client: Client) -> dict[str, Any]:
    """Let the node in that asked, and give it its roles."""
    asked, roles = module.params["request"], module.params["roles"]
    known = {item["key"]: item["body"] for item in client.get(f"{_CLUSTER}/nodes").content["items"]}
    node = asked.get("node_id")
    body = known.get(node, {})
    if asked.get("psk"):
        body = client.write("POST", f"{_CLUSTER}/nodes", asked).content["body"]
    elif not body and module.check_mode:
        module.exit_json(changed=True, revision=None)  # the node has not asked yet, which check mode does not do either
    elif not body:
        module.fail_json(msg=f"The node {node} is in a cluster, but not in that of this Central Management.")
    if roles is not None and sorted(body["roles"]) != sorted(roles):
        client.write("PUT", f"{_CLUSTER}/nodes/{node}", {"address": body["address"], "roles": roles})
    return {}


def _listen(module: AnsibleModule, client: Client) -> None:
    """Open the cluster interface, if an address is given."""
    from doorward.cli.cluster_interface import open_cluster_interface
    from doorward.cli.failures import Usage

    if module.params["listen"] is None:
        return
    try:
        open_cluster_interface(client, module.params["listen"])
    except Usage as error:
        module.fail_json(msg=str(error))


def _wait(module: AnsibleModule, client: Client, result: dict[str, Any]) -> None:
    """Wait until the node follows. Ends the module where it does not."""
    seconds = module.params["wait_seconds"]
    end = time.monotonic() + seconds
    place = f"{_CLUSTER}/status/{module.params['request']['node_id']}"
    while seconds:
        found = client.get(place).content
        # Issues may be warnings that hold nothing up: what it has is what counts.
        if found["status"] != "offline" and found["sync_status"] in {"n/a", "up-to-date"}:
            return
        if time.monotonic() >= end:
            said = f"status {found['status']}, configuration {found['sync_status']}"
            module.fail_json(**result, msg=f"The node was accepted, but does not follow after {seconds} s: {said}.")
        time.sleep(_AGAIN_SECONDS)


if __name__ == "__main__":
    main()
