"""The configuration tree: a folder is a branch of ``/api/configuration``, a module an endpoint, in the order of the wire."""

from doorward.tree.nodes import Branch

NODE = Branch(privilege="/special/basic")
