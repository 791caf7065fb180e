"""Which events send an alert."""

from doorward.tree.nodes import Branch

NODE = Branch()
