"""Reports about the appliance and its sessions."""

from doorward.tree.nodes import Branch

NODE = Branch(privilege="/special/report")
