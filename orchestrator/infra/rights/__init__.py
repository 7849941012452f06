"""Who may do what: every statement of every role and resource policy of the launch templates, each with its reason.

Plain data, without CDK: the stacks turn it into policies, tests and documents read it. One file for each holder.
"""
