"""X.509 certificates; none can be stored in this release."""

from doorward.tree.nodes import WriteOnce, later

NODE = later(WriteOnce, scope="owner")
