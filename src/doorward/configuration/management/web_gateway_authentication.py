"""Web page on which users authenticate to proxied connections."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"auto_assign": False, "banner": {"enabled": False}})
