"""Proxying of HTTP sessions.

What is below it is shown, and not honoured yet.
"""

from doorward.tree.nodes import Branch, Collection, Singleton, later

NODE = Branch(
    privilege="/special/http",
    children={
        "authentication_policies": later(Collection, title="How users authenticate in HTTP sessions."),
        "channel_policies": later(Collection, title="Which HTTP channels are open to whom."),
        "connections": later(Collection, title="Which HTTP connections are proxied, from where to where."),
        "options": later(
            Singleton,
            title="Global options of the HTTP proxy.",
            default={"channel_database_cleanup": {"enabled": False}, "service": {"enabled": False}},
        ),
        "settings_policies": later(Collection, title="Protocol settings of HTTP connections."),
    },
)
