"""Proxying of Telnet sessions.

What is below it is shown, and not honoured yet.
"""

from doorward.tree.nodes import Branch, Collection, Singleton, later

NODE = Branch(
    privilege="/special/telnet",
    children={
        "authentication_policies": later(Collection, title="How users authenticate in Telnet sessions."),
        "channel_policies": later(Collection, title="Which Telnet channels are open to whom."),
        "connections": later(Collection, title="Which Telnet connections are proxied, from where to where."),
        "options": later(
            Singleton,
            title="Global options of the Telnet proxy.",
            default={"channel_database_cleanup": {"enabled": False}, "service": {"enabled": False}},
        ),
        "pattern_sets": later(Collection, title="Patterns that find user names in Telnet and TN3270 sessions."),
        "settings_policies": later(Collection, title="Protocol settings of Telnet connections."),
    },
)
