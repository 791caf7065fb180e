"""Who else may manage a network device of the machine: NetworkManager and ifupdown say so in files below /run."""

from __future__ import annotations

import re
from pathlib import Path


def owner(device: str, index: int, run: Path = Path("/run")) -> str | None:
    """The name of the program that manages the device with this name and number; None for nobody or systemd-networkd."""
    if _network_manager(run / "NetworkManager/devices" / str(index)):
        return "NetworkManager"
    if device in _ifupdown(run / "network"):
        return "ifupdown"
    return None


def _network_manager(path: Path) -> bool:
    """Whether NetworkManager keeps state of the device and does not call it unmanaged."""
    managed = re.search(r"(?m)^managed=(\w+)", _read(path))
    return managed is not None and managed[1] not in {"0", "false", "no"}


def _ifupdown(directory: Path) -> set[str]:
    """The devices that ifupdown has brought up: lines such as "eth0=eth0"."""
    states = [_read(path) for path in directory.glob("ifstate*")] if directory.is_dir() else []
    return {line.partition("=")[0] for state in states for line in state.splitlines() if "=" in line}


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
