"""What runs inside SageMaker containers, as ordinary local processes.

``training`` keeps the training container contract (``/opt/ml``, ``SM_*``, exit codes, ``model.tar.gz``) and
``serving`` the inference contract (``/ping``, ``/invocations``, ``model_fn`` and its sisters). Everything here
needs the standard library only; machine-learning libraries and the web server are imported where they are used.
"""
