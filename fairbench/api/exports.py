"""Networks as arrays, and networks made of arrays: what ``predictor`` exports and how it is made again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from fairbench.api.perceptron import ACTIVATIONS, Perceptron, _Linear
from fairbench.errors import CannotExport
from fairbench.plugins.exported import NETWORK, Exported

LINEAR = "linear"
_NAMES = {kind: name for name, kind in ACTIVATIONS.items()}


def exported_network(model: nn.Module) -> Exported:
    """Return the layers of a model by kind, and the weight (n_out, n_in) and bias (n_out,) of each linear one.

    Raises:
        CannotExport: it is no ``Sequential``, or holds another kind of layer.
    """
    kinds, arrays = [], {}
    for place, layer in enumerate(_layers(model)):
        if isinstance(layer, nn.Linear):
            kinds.append(LINEAR)
            for name, array in layer.state_dict().items():
                arrays[f"{place}.{name}"] = np.array(array.numpy())
        elif type(layer) in _NAMES:
            kinds.append(_NAMES[type(layer)])
        else:
            raise CannotExport(
                f"its network holds a {type(layer).__name__}; only {LINEAR}, {', '.join(ACTIVATIONS)} are"
            )
    return Exported(NETWORK, {"layers": kinds}, arrays)


def _layers(model: nn.Module) -> Iterator[nn.Module]:
    if not isinstance(model, nn.Sequential):
        yield model
        return
    for layer in model:
        yield from _layers(layer)


def network_of(exported: Exported) -> nn.Module:
    """Return the network again, in float64.

    Raises:
        CannotExport: layers and arrays do not fit together.
    """
    kinds, layers, width = exported.about.get("layers"), [], None
    if not isinstance(kinds, list) or not kinds:
        raise CannotExport("the model names no layers")
    expected = {f"{place}.{name}" for place, kind in enumerate(kinds) if kind == LINEAR for name in ("weight", "bias")}
    if expected != set(exported.arrays):
        raise CannotExport("the model's arrays are not those of its layers")
    for place, kind in enumerate(kinds):
        if kind in ACTIVATIONS:
            layers.append(ACTIVATIONS[kind]())
            continue
        if kind != LINEAR:
            raise CannotExport(f"the model has a layer {kind!r}; known are {LINEAR}, {', '.join(ACTIVATIONS)}")
        weight, bias = exported.arrays[f"{place}.weight"], exported.arrays[f"{place}.bias"]
        if weight.ndim != 2 or bias.shape != weight.shape[:1] or width not in (None, weight.shape[1]):
            raise CannotExport(
                f"the model's layer {place} has shapes {weight.shape} and {bias.shape}, which do not fit"
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise CannotExport(f"the model's layer {place} holds numbers that are not finite")
        layer = _Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.array(weight)))
            layer.bias.copy_(torch.from_numpy(np.array(bias)))
        layers.append(layer)
        width = weight.shape[0]
    if width != 1:
        raise CannotExport(f"the model ends with {width} outputs; it must end with one")
    return Perceptron(*layers)
