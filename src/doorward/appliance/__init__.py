"""The composition root: the only place where the parts are put together, started and stopped in order.

``node`` puts them together on a ``state_directory``; ``running`` makes a process of it.
"""

from doorward.appliance.node import Appliance
from doorward.appliance.options import Options, StartError
from doorward.appliance.running import run

__all__ = ["Appliance", "Options", "StartError", "run"]
