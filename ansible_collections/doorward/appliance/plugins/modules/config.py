#!/usr/bin/python
"""The module ``doorward.appliance.config``."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config
short_description: Bring the configuration of an appliance to a described state
description:
  - Compares what is described with what runs, and makes one commit of all that differs. The commit answers when it is proven on
    the host; if the host can't take it, everything is put back.
  - What is not described stays as it is. A second run changes nothing.
  - In check mode the change is written into a transaction, planned, and discarded.
version_added: 0.1.0
author: The Doorward authors
extends_documentation_fragment: doorward.appliance.node
attributes:
  diff_mode:
    description: Shows each change with its values, and what a commit does to the host.
    support: full
options:
  configuration:
    description:
      - What is described, as C(doorward apply) takes it. The keys of the outermost mapping are paths below
        C(/api/configuration), such as V(datetime/ntp_servers); below them may come further names, or bodies.
      - Of a body only the members that shall have a certain value; lists are given whole. A collection maps the names of objects
        to their bodies without the name. References are given by name.
      - >-
        In place of a password, private key or certificate stands where it comes from, C({from_secret: NAME}) for one of
        O(secrets). C({from_env: VARIABLE}), C({from_file: PATH}), C({generate: ed25519}) and C({certificate: PEM}) work as well,
        where the module runs. What is there already stays, unless its C(change) is V(always).
    type: dict
  absent:
    description:
      - Objects that shall not exist, by paths with their names, such as V(aaa/local_database/users/jane). They are removed in
        this order, after everything else was written.
    type: list
    elements: str
  prune:
    description: Remove the objects of described collections that O(configuration) does not name.
    type: bool
    default: false
  secrets:
    description: Texts by names, for C(from_secret). They never appear in output and logs.
    type: dict
  message:
    description: Why, for the history.
    type: str
  confirm_seconds:
    description:
      - Commit on trial for so many seconds, and confirm over a new connection. Where none can be made, the change goes back by
        itself.
    type: int
  confirm_url:
    description: Address for that connection, where the change moves the node.
    type: str
seealso:
  - module: doorward.appliance.facts
"""

EXAMPLES = r"""
- name: Two time servers, and an account
  doorward.appliance.config:
    url: https://gate.example.com
    password: "{{ vault_admin_password }}"
    ca: /etc/doorward/ca.pem
    message: Set by Ansible
    confirm_seconds: 120
    secrets:
      jane: "{{ vault_password_of_jane }}"
    configuration:
      datetime/ntp_servers:
        - {selection: fqdn, value: time.example.com}
        - {selection: fqdn, value: time2.example.com}
      aaa/local_database/users:
        jane:
          password: {from_secret: jane}
    absent:
      - aaa/local_database/users/joe
"""

RETURN = r"""
changes:
  description: What differs, as C(/api/transaction/changes) lists it.
  returned: success
  type: list
  elements: dict
plan:
  description: What the commit does to the host, with its C(actions) and C(warnings); C(null) where nothing differs.
  returned: success
  type: dict
revision:
  description: Number of the new revision; C(null) in check mode, where nothing differs, or where somebody has to accept it first.
  returned: success
  type: int
proposal:
  description: Path of the proposal, where somebody has to accept the change first. It counts as changed.
  returned: when the commit waits for somebody
  type: str
waits_for:
  description: The groups whose members may accept it.
  returned: when the commit waits for somebody
  type: list
  elements: str
faults:
  description: All that is wrong, each with its C(path), its C(pointer) into the body, and a C(message).
  returned: failure
  type: list
  elements: dict
"""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.doorward.appliance.plugins.module_utils.node import fail_with, failures_told, logged_in, module_of

if TYPE_CHECKING:
    from doorward.cli.remote import Remote
    from doorward.client import Client

_PLAN = "/api/transaction/plan"
_AGAIN_SECONDS = 1.0

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "configuration": {"type": "dict"},
    "absent": {"type": "list", "elements": "str"},
    "prune": {"type": "bool", "default": False},
    "secrets": {"type": "dict", "no_log": True},
    "message": {"type": "str"},
    "confirm_seconds": {"type": "int"},
    "confirm_url": {"type": "str"},
}


def main() -> None:
    """Run the module."""
    module = module_of(
        OPTIONS,
        supports_check_mode=True,
        required_one_of=[("configuration", "absent")],
        required_by={"confirm_url": ("confirm_seconds",)},
    )
    with failures_told(module):
        with logged_in(module) as client:
            result = _staged(module, client)
            if result["changed"] and not module.check_mode:
                done = client.commit(module.params["message"], module.params["confirm_seconds"])
                result["revision"] = done.revision
                if done.proposal:
                    result |= {"proposal": done.proposal, "waits_for": [*done.waits_for]}
        if result["revision"] is not None and module.params["confirm_seconds"] is not None:
            _confirm(module, result)
    module.exit_json(**result)


def _staged(module: AnsibleModule, client: Client) -> dict[str, Any]:
    """Write what is described into a transaction; return what the module answers. Ends the module where anything is wrong."""
    import doorward.configuration
    from ansible_collections.doorward.appliance.plugins.module_utils.describing import (
        OptionsError,
        nested,
        removals,
        with_secrets,
    )
    from doorward.cli.applying import write_described
    from doorward.cli.remote import Remote
    from doorward.client import ApiRefusedError, ReportedProblem
    from doorward.tree.registry import discover

    given = module.params
    tree = discover(doorward.configuration)
    remote = Remote(client, tree)
    client.open()
    try:
        described = nested(tree, with_secrets(given["configuration"] or {}, given["secrets"] or {}))
        gone = removals(tree, remote, given["absent"] or (), described)
    except OptionsError as error:
        fail_with(module, error.problems)
    wrong = write_described(client, tree, remote, described, prune=given["prune"])
    problems, refused = [*wrong.problems], [*wrong.refused]
    for path in gone:
        try:
            client.write("DELETE", path, about=remote.label(path))
        except ApiRefusedError as error:
            refused.append(error)
    for one in refused:
        problems += one.problems or (ReportedProblem(one.message, one.about),)
    if problems:
        fail_with(module, problems)
    changes = client.changes()
    plan = client.body(_PLAN) if changes else None
    if plan is not None:
        problems = [ReportedProblem(one["message"], remote.label(one["path"]), one["pointer"]) for one in plan["problems"]]
        problems += [ReportedProblem("Somebody else changed it just now.", remote.label(path)) for path in plan["conflicts"]]
        if problems:
            fail_with(module, problems)
        for one in plan["warnings"]:
            module.warn(f"{one['path']} {one['pointer']}: {one['message']}")
    result: dict[str, Any] = {"changed": bool(changes), "changes": changes, "plan": plan, "revision": None}
    if module._diff:  # noqa: SLF001 - where Ansible keeps it
        remote.forget()
        result["diff"] = list(_differences(changes, plan, remote))
    return result


def _differences(changes: list[dict[str, Any]], plan: Mapping[str, Any] | None, remote: Remote) -> Iterator[dict[str, str]]:
    """Yield what diff mode shows: values before and after, then what a commit does to the host."""
    from doorward.cli import render
    from doorward.cli.yamltext import dump
    from doorward.tree.changes import MISSING

    for change in changes:
        label = remote.label(change["path"])
        found = (change.get(f"{age}_order", change.get(f"{age}_value", MISSING)) for age in ("old", "new"))
        before, after = ("" if value is MISSING else dump(render.readable(value, remote, {})) for value in found)
        yield {"before_header": label, "after_header": label, "before": before, "after": after}
    if plan is not None:
        yield {"prepared": "\n".join(line.text for line in render.plan({**plan, "warnings": []})) + "\n"}


def _confirm(module: AnsibleModule, result: dict[str, Any]) -> None:
    """Confirm what runs on trial over a new connection; tries until its time is over. Ends the module where it can't."""
    from doorward.client import ClientError, UnreachableError, UntrustedError

    end = time.monotonic() + module.params["confirm_seconds"]
    while True:
        try:
            with logged_in(module, module.params["confirm_url"]) as client:
                client.confirm()
        except ClientError as error:
            if isinstance(error, UnreachableError) and not isinstance(error, UntrustedError) and time.monotonic() < end:
                time.sleep(_AGAIN_SECONDS)
                continue
            module.fail_json(
                **{**result, "msg": f"The commit ran on trial, could not be confirmed, and goes back by itself: {error}"}
            )
        return


if __name__ == "__main__":
    main()
