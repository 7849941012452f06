"""The verbs. Each module has ``SUMMARY`` (one line), ``register(parser)`` and ``run(arguments, console) -> int``.

Nothing heavy is imported at the top of a verb: ``mlops --help`` imports all of them.
"""
