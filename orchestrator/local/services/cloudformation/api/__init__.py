"""CloudFormation's API operations."""
