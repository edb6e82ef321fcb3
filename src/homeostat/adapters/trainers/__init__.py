"""Who is asked for retraining: a webhook, or an MLflow registry that a pipeline watches."""
