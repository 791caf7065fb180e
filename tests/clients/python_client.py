"""The client of openapi-python-client: logs in, stages, commits, reads back. Run beside the generated package ``client``."""

from __future__ import annotations

import os
import ssl
from importlib import import_module
from typing import Any

WEB = "configuration_management.{}_configuration_management_webinterface"


def operation(name: str) -> Any:
    """The module of an operation."""
    return import_module(f"client.api.{name}")


def model(name: str) -> Any:
    """A generated class."""
    return getattr(import_module("client.models"), name)


def main() -> None:
    """Use the API as a script would."""
    verify = ssl.create_default_context(cafile=os.environ["DOORWARD_CA"])
    url, basic = os.environ["DOORWARD_URL"], {"Authorization": os.environ["DOORWARD_BASIC"]}
    anonymous = import_module("client").Client(base_url=url, verify_ssl=verify, headers=basic)
    login = operation("authentication.get_authentication").sync_detailed(client=anonymous)
    assert login.status_code == 200, login
    cookie = login.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
    client = import_module("client").Client(base_url=url, verify_ssl=verify, cookies={"session_id": cookie})

    body = model("ManagementWebinterface")(timeout=33)
    staged = operation(WEB.format("put")).sync(client=client, body=body)
    assert staged.body.timeout == 33, staged
    order = model("CommitOrder")(status="commit", commit_message="openapi-python-client")
    committed = operation("transaction.put_transaction").sync(client=client, body=order)
    assert committed.body.status == "closed", committed
    assert committed.meta.revision > 1
    read = operation(WEB.format("get")).sync(client=client)
    assert (read.body.timeout, read.key) == (33, "webinterface"), read
    refused = operation(WEB.format("put")).sync(client=client, body=model("ManagementWebinterface")(timeout=0))
    assert refused.error.details.errors[0].pointer == "/timeout", refused


if __name__ == "__main__":
    main()
