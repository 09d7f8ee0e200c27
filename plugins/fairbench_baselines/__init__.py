"""Methods that everything is compared with: constants, the plain network, manual adjustments and thresholds."""
