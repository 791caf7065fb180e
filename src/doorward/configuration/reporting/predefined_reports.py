"""Reports that come with the appliance."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection)
