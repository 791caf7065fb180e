"""``doorward get``: reads; what it prints, ``set`` and ``apply`` take back."""

from __future__ import annotations

from doorward.cli.commands.arguments import OptionalPath
from doorward.cli.options import ConnectionOptions, Format, Output, command


@command
def get(connection: ConnectionOptions, output: Output, path: OptionalPath = "") -> None:
    """Print a setting, the objects of a collection, or everything below a branch, as YAML.

    A branch is printed in the form that `doorward apply` takes, with a variable of the environment in place of each secret;
    without PATH, all that this release honours. JSON is what the API answers, references as keys.
    """
    from doorward.cli.addresses import locate
    from doorward.cli.reading import plain, readable
    from doorward.cli.render import emit
    from doorward.cli.session import connected

    with connected(connection) as session:
        address = locate(session.tree, session.remote, path)
        value = plain(session, address) if output.format is Format.json else readable(session, address)
    emit(value, output.format or Format.yaml)
