"""Who may log in, how, and what for."""

from doorward.tree.nodes import Branch

NODE = Branch(privilege="/special/auth")
