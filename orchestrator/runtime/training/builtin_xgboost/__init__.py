"""SageMaker's built-in XGBoost algorithm on the ``xgboost`` (or ``xgboost-cpu``) wheel.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html and the public
sagemaker-xgboost-container: which hyperparameters exist, what they may be, what is printed, what is saved.
"""
