"""How much of a session can be searched for: ``/api/configuration/policies/indexing``.

The text for the index is taken while a session runs. A connection that refers to no policy has the text of the screen indexed.
Nothing on the host changes.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from doorward.tree.fields import Name
from doorward.tree.models import Body
from doorward.tree.nodes import Collection

PATH = "/api/configuration/policies/indexing"

Text = Literal["none", "metadata", "commands", "screen"]


class IndexingPolicy(Body):
    """An indexing policy."""

    name: Name = Field(description="Name of the policy, unique.", examples=["commands-only"])
    text: Text = Field(
        "screen",
        description="What is indexed: nothing; names of files and ends of forwards; commands too; all that was shown too.",
    )


NODE: Collection[IndexingPolicy] = Collection(title="Indexing policies", model=IndexingPolicy, unique="name")
