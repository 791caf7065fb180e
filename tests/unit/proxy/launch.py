"""Starts a supervisor whose workers run sessions that a test drives by lines: ``launch.py DIR [COUNT]``."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from doorward.proxy.ssh.taps.recorder import Room  # noqa: E402
from doorward.proxy.supervisor.background import configure_log  # noqa: E402
from doorward.proxy.supervisor.supervisor import Supervisor  # noqa: E402
from doorward.proxy.worker.places import Places  # noqa: E402
from doorward.proxy.worker.process import WorkerSettings  # noqa: E402
from tests.unit.proxy.fakes import LineProtocols  # noqa: E402

if __name__ == "__main__":
    os.umask(0o077)
    configure_log()
    places = Places.of(Path(sys.argv[1]))
    places.prepare()
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    Supervisor(WorkerSettings(places, LineProtocols, room=Room(1 << 20, 1 << 16)), count).run()
