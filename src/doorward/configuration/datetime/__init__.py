"""Date and time: which servers the clock follows, and the time zone."""

from doorward.tree.nodes import Branch

NODE = Branch()
