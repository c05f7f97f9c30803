"""What the compiler makes of the shared documents, one short summary a document, to be reviewed.

A summary holds level names, roles, channels, line numbers and counts, and none of a document's
sentences. ``python -m tests.runbook.goldens`` shows what has changed; ``--write`` accepts it.
"""
