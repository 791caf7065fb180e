"""The OpenPGP key that backups and exports are encrypted to."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"encryption": {"enabled": False}}, also_at="/api/management/exported_configuration_encryption")
