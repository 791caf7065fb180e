"""Policies that connections, backups and audit refer to."""

from doorward.tree.nodes import Branch, Collection, later

NODE = Branch(
    privilege="/special/pol",
    children={
        "aa_plugin_instances": later(Collection, title="Configured plugins for authentication and authorisation."),
        "analytics": later(Collection, title="What is analysed in which sessions."),
        "content_policies": later(Collection, title="What happens when a pattern turns up in a session."),
        "signing_cas": later(Collection, title="Certificate authorities that sign on the fly."),
        "trusted_ca_lists": later(Collection, title="Certificate authorities that are trusted."),
        "userlists": later(Collection, title="Lists of users that plugins ask."),
    },
)
