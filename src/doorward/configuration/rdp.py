"""Proxying of RDP sessions.

What is below it is shown, and not honoured yet.
"""

from doorward.tree.nodes import Branch, Collection, Singleton, later

NODE = Branch(
    privilege="/special/rdp",
    children={
        "channel_policies": later(Collection, title="Which RDP channels are open to whom."),
        "connections": later(Collection, title="Which RDP connections are proxied, from where to where."),
        "domain_membership": later(
            Singleton, title="Membership of the appliance in a Windows domain.", default={"enabled": False}
        ),
        "options": later(
            Singleton,
            title="Global options of the RDP proxy.",
            default={"channel_database_cleanup": {"enabled": False}, "service": {"enabled": False}},
        ),
        "settings_policies": later(Collection, title="Protocol settings of RDP connections."),
    },
)
