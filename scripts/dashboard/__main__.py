"""Makes ``monitoring/doorward.dashboard.json``, which Grafana imports, again.

python -m scripts.dashboard
"""

from __future__ import annotations

from scripts.dashboard.model import encoded
from scripts.dashboard.panels import DOCUMENT, dashboard

if __name__ == "__main__":
    DOCUMENT.write_bytes(encoded(dashboard()))
