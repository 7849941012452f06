"""Builds as AWS CodeBuild runs them: a buildspec's phases in real shells, and what stands for ``docker`` and ``aws``.

A build is a folder: ``job.json`` says what to do, ``src`` is the source, ``build.log`` the output, ``phases.json``
how far it is, ``exit.json`` how it ended.
"""
