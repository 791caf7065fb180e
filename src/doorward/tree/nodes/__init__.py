"""The declarations of which the configuration tree is made: one ``NODE`` in each module of ``doorward.configuration``.

A node knows its model, its default, its rules, what it asks of the host, and how its bodies are written; it does not know where
it hangs: that is the business of ``registry``, which reads it from the module's place among the folders.
"""

from doorward.tree.nodes.collections import Collection, arrangement, arranges, keys_of
from doorward.tree.nodes.node import (
    Branch,
    Claims,
    Initial,
    Maker,
    Node,
    OpenCandidate,
    Render,
    Rule,
    Scope,
    Warnings,
    later,
)
from doorward.tree.nodes.singletons import ListSingleton, Singleton, Supply
from doorward.tree.nodes.stores import Made, WriteOnce
from doorward.tree.nodes.valued import Valued

__all__ = [
    "Branch",
    "Claims",
    "Collection",
    "Initial",
    "ListSingleton",
    "Made",
    "Maker",
    "Node",
    "OpenCandidate",
    "Render",
    "Rule",
    "Scope",
    "Singleton",
    "Supply",
    "Valued",
    "Warnings",
    "WriteOnce",
    "arrangement",
    "arranges",
    "keys_of",
    "later",
]
