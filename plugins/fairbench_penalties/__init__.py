"""In-processing methods: the plain network with a penalty, an adversary, group weights or multipliers in training."""
