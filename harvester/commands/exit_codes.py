"""What the exit codes of every command mean."""

DONE = 0
FAILED = 1
MISUSED = 2
"""Wrong usage or configuration."""
SCHEMA_NOT_READY = 3
"""Migrations are pending, drifted or failed."""
CHECK_RED = 4
"""A sanity check is red."""
INTERRUPTED = 130
"""Ctrl-C."""
