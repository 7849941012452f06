"""The stacks of the launch templates as a CDK app. Only ``orchestrator.infra.synth`` imports them; they need Node.

Level-one constructs throughout: what stands here is what stands in the template, and logical ids are the constructs'
own names. One file for each concern.
"""
