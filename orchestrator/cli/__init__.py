"""The ``mlops`` command. One file for each verb in ``verbs/``; a new file there is a new verb."""
