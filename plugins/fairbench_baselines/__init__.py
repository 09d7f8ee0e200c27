"""Methods that all others are compared with: constants, the plain network, manual adjustments and thresholds."""
