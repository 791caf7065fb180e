"""Plugins of the appliance.

What is below it is shown, and not honoured yet.
"""

from doorward.tree.nodes import Branch, Collection, later

NODE = Branch(
    privilege="/special/pol",
    children={
        "aa": later(Collection, title="Plugins that authenticate and authorise sessions."),
        "configuration_sync": later(Collection, title="Plugins that adapt the central configuration to a node."),
        "credentialstore": later(Collection, title="Plugins that fetch credentials."),
        "signingca": later(Collection, title="Plugins that sign certificates."),
    },
)
