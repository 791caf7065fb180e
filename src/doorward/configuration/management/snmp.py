"""SNMP."""

from doorward.tree.nodes import Branch, Singleton, later

NODE = Branch(children={"trap": later(Singleton, title="Where SNMP traps go.", default={"enabled": False})})
