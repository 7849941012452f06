"""Building and installing the orchestrator itself: the zip of its function, its stacks, its generated tables."""
