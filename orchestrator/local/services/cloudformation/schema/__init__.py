"""What the registry says about resource types: a small table made from the provider schemas, and its checks."""
