"""Proxying of ICA sessions.

What is below it is shown, and not honoured yet.
"""

from doorward.tree.nodes import Branch, Collection, Singleton, later

NODE = Branch(
    privilege="/special/ica",
    children={
        "channel_policies": later(Collection, title="Which ICA channels are open to whom."),
        "connections": later(Collection, title="Which ICA connections are proxied, from where to where."),
        "options": later(
            Singleton,
            title="Global options of the ICA proxy.",
            default={"channel_database_cleanup": {"enabled": False}, "service": {"enabled": False}},
        ),
        "settings_policies": later(Collection, title="Protocol settings of ICA connections."),
    },
)
