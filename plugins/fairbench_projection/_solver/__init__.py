"""The nearest scores that satisfy affine fairness constraints, exactly and in a few passes over the rows.

    minimise |y - score|^2  subject to  lower <= y_i <= upper  and  |c_k . y - d_k| <= epsilon_k

- ``cells``: exact totals of clipped, shifted scores; ``root``: one contrast, one multiplier
- ``parity``: the range of the group means of any number of groups; ``contrasts``, ``joint``, ``general``: anything else
- ``pair``: one contrast of two groups, the usual case, compiled; ``backward``: derivatives
- ``scale``: what is far off, set aside; ``penalty``: the same with a price on the constraint instead
- ``attach``: a solver's outputs as a part of torch's graph

Everything but ``pair`` and ``attach`` is NumPy on 64-bit numbers. ``fairbench.api.projection`` is what users call.
"""
