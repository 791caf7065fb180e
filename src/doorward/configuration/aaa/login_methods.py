"""Ways of logging in beyond local accounts; the one that is built in."""

from doorward.tree.nodes import Collection, later

NODE = later(Collection, default={"-5000": {"enabled": True, "method": {"selection": "local_user_database"}, "name": "local"}})
