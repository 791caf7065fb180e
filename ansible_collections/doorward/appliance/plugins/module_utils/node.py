"""How modules reach a node, and how they tell what went wrong. Doorward itself is imported where modules run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib

if TYPE_CHECKING:
    from doorward.client import Client, ClientError, ReportedProblem

NODE_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "url": {"type": "str", "required": True, "fallback": (env_fallback, ["DOORWARD_URL"])},
    "user": {"type": "str", "default": "admin"},
    "password": {"type": "str", "no_log": True, "fallback": (env_fallback, ["DOORWARD_PASSWORD"])},
    "token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["DOORWARD_TOKEN"])},
    "ca": {"type": "path"},
    "pin": {"type": "str"},
    "server_name": {"type": "str"},
    "timeout": {"type": "float", "default": 60.0},
}
"""The options that all modules have, as the documentation fragment ``node`` describes them."""


def module_of(options: Mapping[str, Mapping[str, Any]], **more: Any) -> AnsibleModule:
    """Return a module with the options of all modules and its own; ends it where Doorward is not installed."""
    module = AnsibleModule({**NODE_OPTIONS, **options}, mutually_exclusive=[("ca", "pin")], **more)
    if find_spec("doorward") is None:
        module.fail_json(msg=missing_required_lib("doorward"))
    return module


@contextmanager
def logged_in(module: AnsibleModule, url: str | None = None) -> Iterator[Client]:
    """Talk to the node for the time of a block, at another address if one is given. Raises ClientError."""
    from doorward.client import Client

    given = module.params
    token, password = given["token"], given["password"]
    if not (token or password):
        module.fail_json(msg="one of the following is required: password, token")
    with Client(url or given["url"], _trust(module), given["server_name"], given["timeout"]) as client:
        if password:
            client.login(given["user"], password)
        elif token.isascii() and token.isprintable() and token.startswith("dw_"):
            client.bear(token)
        else:
            module.fail_json(msg="token: one begins with dw_.")
        yield client


@contextmanager
def failures_told(module: AnsibleModule, **known: Any) -> Iterator[None]:
    """End the module with every fault and its place where a block raises what a client raises. ``known``: more results."""
    from doorward.client import ClientError

    try:
        yield
    except ClientError as error:
        module.fail_json(**known, **_told(error))


def fail_with(module: AnsibleModule, problems: list[ReportedProblem]) -> NoReturn:
    """End the module with problems by their places."""
    from doorward.cli.failures import problem_line

    lines = [problem_line(problem.path, problem.pointer, problem.message) for problem in problems]
    module.fail_json(msg="\n".join(lines), faults=[_fault(problem) for problem in problems])
    raise SystemExit(1)  # for those who read types: the line above has ended the module


def readable(client: Client, path: str, member: str = "body") -> Any:
    """Return a member of an answer; None where the account may not read it, or there is nothing."""
    from doorward.client import ApiRefusedError

    try:
        return client.get(path).content[member]
    except ApiRefusedError as refused:
        if refused.status not in {403, 404}:
            raise
        return None


def _trust(module: AnsibleModule) -> Any:
    from doorward.client import UnsendableError, pinned, verified

    ca, pin = module.params["ca"], module.params["pin"]
    try:
        return pinned(pin) if pin else verified(Path(ca) if ca else None)
    except UnsendableError as error:
        return module.fail_json(msg=f"pin {error}")
    except OSError as error:  # ssl.SSLError is one
        return module.fail_json(msg=f"ca: {ca} can't be used: {error.strerror or error}")


def _told(error: ClientError) -> dict[str, Any]:
    """Return what a module answers for an exception of the client."""
    from doorward.cli.failures import failure_of
    from doorward.client import ApiRefusedError, UnknownOutcomeError

    found: dict[str, Any] = {"msg": "\n".join(failure_of(error).lines)}
    if isinstance(error, ApiRefusedError):
        found["error"] = {"type": error.type, "details": dict(error.details)}
        found["faults"] = [_fault(problem) for problem in error.problems]
    elif isinstance(error, UnknownOutcomeError):
        found["key"] = error.key
    return found


def _fault(problem: ReportedProblem) -> dict[str, str]:
    return {"path": problem.path, "pointer": problem.pointer, "message": problem.message}
