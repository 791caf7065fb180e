"""Network interface 3: its addresses, untagged and in VLANs.

Committing it sets addresses and VLANs on the device, writes them down in files of systemd-networkd and reads them back from
the kernel. In a sandbox nothing is set: an address counts as set when a socket can be bound to it.
"""

from doorward.configuration.network.nics._nic import nic

NODE = nic(2)
