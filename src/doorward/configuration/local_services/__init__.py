"""Services of the appliance and where they listen."""

from doorward.tree.nodes import Branch

NODE = Branch()
