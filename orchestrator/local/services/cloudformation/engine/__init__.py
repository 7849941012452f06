"""How stacks come about, change and go: persisted operations, one resource task at a time for each resource."""
