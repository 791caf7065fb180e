"""``make bench``, or ``python -m benchmarks [--quick] [--json FILE] [SCENARIO ...]``.

Servers run on one core, the load comes from another; everybody keeps data in a folder on the same disk: below TMPDIR if it is
set, else beside the checkout.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import report
from benchmarks.bench import QUICK, Bench, Effort
from benchmarks.process import cores, missing
from benchmarks.scenarios import SCENARIOS

_PROGRAMS = {"caddy": "caddy", "chronyd": "chrony", "etcd": "etcd-server", "taskset": "util-linux", "wrk": "wrk"}
_CHECKOUT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Measure what is asked for, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure Doorward side by side with Caddy and etcd.")
    parser.add_argument("--quick", action="store_true", help="a short run, to see that all works; its figures say little")
    parser.add_argument("--json", type=Path, default=_CHECKOUT / "build" / "benchmarks.json", metavar="FILE", help="where to")
    parser.add_argument("scenario", nargs="*", help=f"of {', '.join(SCENARIOS)}; all by default")
    wanted = parser.parse_args()
    names = wanted.scenario or list(SCENARIOS)
    if unknown := [name for name in names if name not in SCENARIOS]:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    if absent := missing(list(_PROGRAMS)):
        sys.exit(f"Not installed, but needed (Debian packages): {' '.join(_PROGRAMS[name] for name in absent)}")
    servers, own = cores()
    os.sched_setaffinity(0, {own})
    if servers == own:
        print("Only one core: servers and load share it, which the figures show.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the servers are stopped on the way out
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="doorward-bench-", dir=os.environ.get("TMPDIR") or _CHECKOUT.parent) as folder:
        figures = report.surroundings(Path(folder), (servers, own))
        report.show_surroundings(figures)
        bench = Bench(Path(folder), servers, QUICK if wanted.quick else Effort())
        tables = []
        for name in names:
            tables.append(SCENARIOS[name](bench))
            report.show(tables[-1])
    report.write(wanted.json, figures, tables, time.monotonic() - began)
    print(f"Written to {wanted.json} after {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
