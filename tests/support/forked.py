"""What stands on the PATH of a shell as ``doorward``: asks the zygote beside it to run the command on the same files.

A program of its own, without imports that take time; see ``zygote``. The command has no controlling terminal.
"""

import json
import os
import signal
import socket
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib takes as long as all the rest
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(arguments: list[str]) -> int:
    """Run a command; returns how it ended."""
    told, report = os.pipe()
    order = {"arguments": arguments, "environment": dict(os.environ), "directory": os.getcwd(), "terminal": False}  # noqa: PTH109
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as zygote:
        zygote.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        zygote.connect(f"{_HERE}/zygote")
        socket.send_fds(zygote, [json.dumps(order).encode()], [0, 1, 2, report])
        pid = int(zygote.recv(16))
    os.close(report)
    for number in _ENDS:
        signal.signal(number, lambda number, _frame: os.kill(pid, number))
    for mine in range(3):
        os.close(mine)
    return int(os.read(told, 16))


if __name__ == "__main__":
    code = run([f"{os.path.dirname(sys.executable)}/doorward", *sys.argv[1:]])  # noqa: PTH120
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
