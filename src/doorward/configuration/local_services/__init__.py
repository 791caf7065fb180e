"""Services of the appliance and where they listen."""

from doorward.tree.nodes import Branch, Singleton, later

NODE = Branch(
    children={
        "analytics": later(Singleton, title="Analytics of recorded sessions.", default={"enabled": False}, scope="node"),
        "postgresql": later(Singleton, title="Access to the session database.", default={"enabled": False}, scope="node"),
        "snmp_agent": later(Singleton, title="The SNMP agent.", default={"enabled": False}, scope="node"),
        "ssh": later(Singleton, title="The SSH service for administrators.", default={"enabled": False}, scope="node"),
    },
)
