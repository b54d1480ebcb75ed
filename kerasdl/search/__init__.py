"""Hyperparameter search: Keras Tuner around the one trainer."""
