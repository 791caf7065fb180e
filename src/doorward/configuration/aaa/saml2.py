"""Single sign-on with SAML 2."""

from doorward.tree.nodes import Singleton, later

NODE = later(Singleton, default={"enabled": False})
