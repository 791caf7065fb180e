"""What names a node: a UUID of version 4 in lower case."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from doorward.tree.fields import matching
from doorward.tree.references import Reference, RefersTo

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

NodeId = Annotated[str, AfterValidator(matching(_UUID, "Must be a UUID.")), Field(json_schema_extra={"format": "uuid"})]
"""The UUID of a node or of a cluster."""

Psk = Annotated[Reference[Any], RefersTo("/api/configuration/passwords", form="sealed")]
"""The secret that two nodes pair with. It is destroyed by the pairing."""
