"""From an archive to the running configuration, in four steps that each archive passes once.

Open (``opening``), check (``loading``, ``replacing``, ``checking``), apply (``applying``), settle (``settling``). ``service``
takes an order through them; ``records`` keeps how far it came.
"""
