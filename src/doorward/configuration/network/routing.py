"""Static routes; not managed in this release."""

from doorward.tree.nodes import ListSingleton, later

NODE = later(ListSingleton, default=[], scope="node")
