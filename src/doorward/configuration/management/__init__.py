"""Management of the appliance: accounting, certificates, mail, backup, monitoring."""

from doorward.tree.nodes import Branch, Singleton, later

NODE = Branch(
    links={"accounting": "/api/configuration/management/accounting"},
    children={
        "root_password": later(Singleton, title="The password of the machine's root account.", default=None, scope="node"),
        "splunk_forwarder": later(Singleton, title="Forwarding of session data to Splunk.", default={"enabled": False}),
        "support_info": later(Singleton, title="Where users find support.", default={"support_link": None}),
        "universal_siem_forwarder": later(Singleton, title="Forwarding of session data to a SIEM.", default={"enabled": False}),
        "web_gateway_authentication": later(
            Singleton,
            title="Web page on which users authenticate to proxied connections.",
            default={"auto_assign": False, "banner": {"enabled": False}},
        ),
    },
)
