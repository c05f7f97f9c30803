"""Tables of programs, a module for each family: which verbs and flags of them only read.

A table names what is harmless. What it does not name makes a command mutating, so a flag that a
program learns tomorrow is never mistaken for a reader.
"""
