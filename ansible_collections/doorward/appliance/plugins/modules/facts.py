#!/usr/bin/python
"""The module ``doorward.appliance.facts``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: facts
short_description: Gather facts about an appliance
description:
  - Tells what a node is, what runs on it, and what is wrong, as the fact C(doorward). What the account may not read is C(null).
version_added: 0.1.0
author: The Doorward authors
extends_documentation_fragment: doorward.appliance.node
options:
  paths:
    description:
      - Places of the configuration to read as well, by paths below C(/api/configuration), such as V(datetime/ntp_servers).
        Collections give lists of bodies.
    type: list
    elements: str
    default: []
seealso:
  - module: doorward.appliance.config
"""

EXAMPLES = r"""
- name: What is the node, and which time servers has it?
  doorward.appliance.facts:
    url: https://gate.example.com
    token: "{{ vault_token }}"
    ca: /etc/doorward/ca.pem
    paths: [datetime/ntp_servers]

- name: Nothing is wrong
  ansible.builtin.assert:
    that: not doorward.health.issues.errors
"""

RETURN = r"""
ansible_facts:
  description: The fact C(doorward).
  returned: success
  type: dict
  contains:
    doorward:
      description: What is known of the node.
      type: dict
      contains:
        node:
          description: Identity of the node in clusters.
          type: str
        info:
          description: C(/api/info), with names, version and roles.
          type: dict
        health:
          description: C(/api/health_status), with C(issues).
          type: dict
        revision:
          description: Newest revision, with number, author, time and message.
          type: dict
        backup:
          description: C(/api/backup/status), with the last success and whether one is overdue.
          type: dict
        cluster:
          description: C(/api/cluster/status), a node each; C(null) in no cluster.
          type: list
        configuration:
          description: What O(paths) asked for, by path.
          type: dict
"""

from typing import TYPE_CHECKING, Any

from ansible_collections.doorward.appliance.plugins.module_utils.node import failures_told, logged_in, module_of, readable

if TYPE_CHECKING:
    from doorward.client import Client


def main() -> None:
    """Run the module."""
    module = module_of({"paths": {"type": "list", "elements": "str", "default": []}}, supports_check_mode=True)
    with failures_told(module), logged_in(module) as client:
        found = _found(client, module.params["paths"])
    module.exit_json(changed=False, ansible_facts={"doorward": found})


def _found(client: Client, paths: list[str]) -> dict[str, Any]:
    info = client.get("/api/info")
    newest = readable(client, "/api/revisions?limit=1", "items")
    return {
        "node": info.meta.get("node"),
        "info": info.content["body"],
        "health": readable(client, "/api/health_status", "health_status"),
        "revision": {"number": int(newest[0]["key"]), **newest[0]["body"]} if newest else None,
        "backup": readable(client, "/api/backup/status"),
        "cluster": readable(client, "/api/cluster/status", "items"),
        "configuration": {path: _value(client, path) for path in paths},
    }


def _value(client: Client, path: str) -> Any:
    content = client.get(path).content
    return content["body"] if "body" in content else [item["body"] for item in content["items"]]


if __name__ == "__main__":
    main()
