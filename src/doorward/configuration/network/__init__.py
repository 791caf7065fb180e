"""The network of the node."""

from doorward.tree.nodes import Branch, ListSingleton, later

NODE = Branch(
    children={
        "ip_forwarding_rule_pairs": later(
            ListSingleton, title="Forwarding of packets between interfaces.", default=[], scope="node"
        ),
    },
)
