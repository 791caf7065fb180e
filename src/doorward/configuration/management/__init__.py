"""Management of the appliance: accounting, certificates, mail, backup, monitoring."""

from doorward.tree.nodes import Branch

NODE = Branch(links={"accounting": "/api/configuration/management/accounting"})
