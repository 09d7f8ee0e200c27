"""The last fits of this process: lineages that differ only in their classifiers share the other fits.

Loops of one data set and repeat have the same annotators and the same first generator. Without reparation of generators
they have all generators in common, whatever the method: those are trained on each other's samples, with seeds that name
neither method nor scenario. Only the time it takes changes, which is charged to the cell that came first.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable
from functools import wraps
from typing import Any, Callable, TypeVar, cast

import numpy as np

Fit = TypeVar("Fit", bound=Callable[..., Any])
LIMIT = 128 * 2**20  # bytes of all fits together

_fits: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()


def remembered(size: Callable[[Any], int]) -> Callable[[Fit], Fit]:
    """Return a decorator for ``fit(self, ...)`` of a frozen dataclass, whose result nobody modifies.

    The same hyper-parameters, values of arrays and other arguments give the object that was returned before, as long as
    it is among the most recent ones, which take up to ``LIMIT`` bytes together.

    Args:
        size: of what ``fit`` returns, in bytes.
    """

    def decorate(fit: Fit) -> Fit:
        @wraps(fit)
        def recalled(*arguments: Any, **named: Any) -> Any:
            values = [fit.__qualname__, *arguments, *sorted(named.items())]
            key = tuple(_key(value) for value in values)
            if key not in _fits:
                fitted = fit(*arguments, **named)
                _fits[key] = fitted, size(fitted)
            _fits.move_to_end(key)
            found = _fits[key][0]
            while sum(taken for _, taken in _fits.values()) > LIMIT:
                _fits.popitem(last=False)
            return found

        return cast(Fit, recalled)

    return decorate


def _key(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, hashlib.sha256(np.ascontiguousarray(value).data).digest()
    return cast(Hashable, value)
