"""Writes the OpenAPI document of a fresh appliance to a file: what the types of the console are made from.

python -m scripts.api_document FILE
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from doorward.api.openapi import OpenApi
from doorward.appliance.node import Appliance
from doorward.appliance.options import Options


def write(file: Path) -> None:
    """Write the document."""
    with tempfile.TemporaryDirectory() as folder:
        appliance = Appliance(Options(Path(folder), port=0, admin_password="never used by anybody"))  # noqa: S106 - no secret
        try:
            described = appliance.app.root.children["api"].children["openapi.json"]
            assert isinstance(described, OpenApi)  # noqa: S101 - it hangs there
            file.write_text(json.dumps(described.document), encoding="utf-8")
        finally:
            appliance.close()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
