"""Fairness feedback loops: models that are trained, generation after generation, on the outputs of earlier ones.

Wyllie, Shumailov and Papernot (2024), Fairness feedback loops: training on synthetic data amplifies bias, FAccT.
"""
