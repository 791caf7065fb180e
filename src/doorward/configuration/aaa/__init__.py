"""Who may log in, how, and what for."""

from doorward.tree.nodes import Branch, Collection, Singleton, later

NODE = Branch(
    privilege="/special/auth",
    children={
        "ldap_servers": later(Collection, title="Directory servers for logins."),
        "login_methods": later(
            Collection,
            title="Ways of logging in beyond local accounts; the one that is built in.",
            default={"-5000": {"enabled": True, "method": {"selection": "local_user_database"}, "name": "local"}},
        ),
        "saml2": later(Singleton, title="Single sign-on with SAML 2.", default={"enabled": False}),
    },
)
