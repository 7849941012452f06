"""The front door: HTTP, who calls, whether it is allowed, and which service answers."""
