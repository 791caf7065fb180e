#!/usr/bin/python
"""The module ``doorward.appliance.backup``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Back up an appliance now
description:
  - Runs the selected backup policy, and waits until the file on the target is proven. Every run of the module makes a backup.
  - In check mode nothing is run.
version_added: 0.1.0
author: The Doorward authors
extends_documentation_fragment: doorward.appliance.node
options:
  wait_seconds:
    description: Seconds that the end of the run is waited for; V(0) only queues it.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: A backup before the upgrade
  doorward.appliance.backup:
    url: https://gate.example.com
    token: "{{ vault_token }}"
    ca: /etc/doorward/ca.pem
  register: backed_up
"""

RETURN = r"""
run:
  description: The run as C(/api/backup/runs) shows it, with its C(files), C(result) and C(code).
  returned: when a run was begun
  type: dict
"""

import time
from typing import TYPE_CHECKING, Any

from ansible_collections.doorward.appliance.plugins.module_utils.node import failures_told, logged_in, module_of

if TYPE_CHECKING:
    from doorward.client import Client

_RUNS = "/api/backup/runs"


def main() -> None:
    """Run the module."""
    module = module_of({"wait_seconds": {"type": "int", "default": 600}}, supports_check_mode=True)
    seconds = module.params["wait_seconds"]
    with failures_told(module), logged_in(module) as client:
        if module.check_mode:
            client.get(_RUNS, {"limit": "1"})
            module.exit_json(changed=True)
        run = _run(client, seconds)
    if run["ended"] and run["result"] != "succeeded":
        module.fail_json(msg=f"The backup {run['result']}: {run['message'] or run['code']}", run=run)
    if seconds and not run["ended"]:
        module.fail_json(msg=f"The backup has not ended after {seconds} s; it goes on.", run=run)
    module.exit_json(changed=True, run=run)


def _run(client: Client, seconds: int) -> dict[str, Any]:
    """Begin a run; return it as it is at its end, or when the time is over."""
    href = str(client.write("POST", _RUNS, {}).meta["href"])
    end = time.monotonic() + seconds
    while True:
        run: dict[str, Any] = client.body(href)
        if run["ended"] or time.monotonic() >= end:
            return run
        time.sleep(0.5)


if __name__ == "__main__":
    main()
