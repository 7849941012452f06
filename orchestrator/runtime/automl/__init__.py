"""Our own small AutoML: a fixed list of candidates over scikit-learn and XGBoost, each a training job of its own.

It is not Autopilot: it answers to Autopilot's API, so that a pipeline can be rehearsed, with honest models of its own.
"""
