"""Where the appliance's log records are sent."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"receivers": []})
