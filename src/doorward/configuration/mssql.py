"""Proxying of MSSQL sessions.

What is below it is shown, and not honoured yet.
"""

from doorward.tree.nodes import Branch, Collection, Singleton, later

NODE = Branch(
    privilege="/special/mssql",
    children={
        "authentication_policies": later(Collection, title="How users authenticate in MSSQL sessions."),
        "channel_policies": later(Collection, title="Which MSSQL channels are open to whom."),
        "connections": later(Collection, title="Which MSSQL connections are proxied, from where to where."),
        "options": later(
            Singleton,
            title="Global options of the MSSQL proxy.",
            default={"channel_database_cleanup": {"enabled": False}, "service": {"enabled": False}},
        ),
        "settings_policies": later(Collection, title="Protocol settings of MSSQL connections."),
    },
)
