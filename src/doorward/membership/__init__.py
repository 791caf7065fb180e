"""Who belongs to the cluster: documents of the same snapshots and transactions as the configuration, below ``/api/cluster``.

They are no part of the tree of ``/api/configuration``: their answers have shapes of their own (cluster contract, sections 2 to
5). What they say is read with ``cluster_role``.
"""

from doorward.tree.nodes import Branch

NODE = Branch(privilege="/special/cluster", scope="node")
ROOT = "/api/cluster"
"""Where the documents hang."""
