"""Desired state of a machine: resource kinds, plan, apply, verify, revert, drift, and the drivers that carry it out.

A caller describes what the machine should be like as a sequence of resources (`resources.py`); a `Host` (`engine.py`)
plans the actions that lead there, carries them out, reads back, and puts everything back when a step fails.
`sandbox.py` and `system.py` build the two hosts. Everything here blocks and belongs in a worker thread.
"""
