"""The pure core: what reached us, what we judge to be so, what we ask for.

Nothing here knows a clock, a socket or a table. Time arrives as ``at``; facts from outside the
stream arrive as ``Surroundings``.
"""
