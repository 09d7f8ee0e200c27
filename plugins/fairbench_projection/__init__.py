"""Methods and a scenario around the projection of scores onto fairness constraints."""
