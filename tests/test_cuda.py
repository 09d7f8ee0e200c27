"""What a CUDA device gives: the CPU's numbers, also for methods that train on it in worker processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairbench import run
from fairbench.api.gaps import parity_gap, squared_gap
from fairbench.api.torch import mlp
from fairbench.system.generators import generators_kept, seed_generators
from fairbench.system.isolation import process_state_kept

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

PLUGIN = """
from dataclasses import dataclass
import numpy as np
import torch
from fairbench.api import Predictions, hookimpl
from fairbench.api.torch import mlp

{at_import}

@dataclass(frozen=True)
class OnDevice:
    name = "on_device"

    def fit(self, train, validation, seed):
        X, y = (torch.tensor(np.asarray(part, dtype=np.float32), device="cuda") for part in (train.X, train.y))
        model = mlp(X.shape[1], (16,), seed=seed % 2**32).cuda()
        for _ in range(30):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(X)[:, 0], y)
            model.zero_grad()
            loss.backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter -= 0.5 * parameter.grad
        noise = torch.rand(1, device="cuda").item()

        def predict(inputs):
            score = torch.sigmoid(model(torch.tensor(inputs.X, device="cuda"))[:, 0]).detach().cpu().numpy()
            return Predictions((score > 0.4 + 0.2 * noise).astype(int), score)

        return predict

@hookimpl
def fairbench_methods():
    return [OnDevice]
"""


@pytest.mark.parametrize("gap", [parity_gap, squared_gap])
def test_gaps_and_their_gradients_agree_with_the_cpu(gap):
    random = np.random.default_rng(3)
    score, group = torch.tensor(random.random(5000)), torch.tensor(random.integers(0, 3, 5000))
    both = []
    for device in ("cpu", "cuda"):
        leaf = score.to(device).detach().requires_grad_()
        value = gap(leaf, group.to(device))
        value.backward()
        both.append((value.detach().cpu(), leaf.grad.cpu()))
    for here, there in zip(*both):
        assert torch.allclose(here, there, rtol=1e-9, atol=1e-12)


def test_the_devices_generators_are_seeded_and_put_back():
    torch.rand(1, device="cuda")
    state = torch.cuda.get_rng_state()
    with generators_kept():
        drawn = []
        for _ in range(2):
            seed_generators(7)
            drawn.append(torch.rand(4, device="cuda"))
    assert torch.equal(*drawn)
    assert torch.equal(torch.cuda.get_rng_state(), state)


def test_a_default_device_that_a_cell_sets_is_put_back():
    with process_state_kept() as changed:
        torch.set_default_device("cuda")
        torch.set_autocast_enabled("cuda", True)
    assert torch.get_default_device() == torch.device("cpu")
    assert not torch.is_autocast_enabled("cuda")
    assert len(list(changed)) == 2


@pytest.mark.parametrize(
    "at_import",
    ["", "DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'", "ONES = torch.ones(3, device='cuda')"],
    ids=["no look", "a look at the device", "a tensor on the device"],
)
def test_methods_train_on_the_device_in_workers_and_give_the_numbers_of_one_process(tmp_path, at_import):
    """A fork of a process that uses the device cannot use it; what a plugin does at import must not matter."""
    plugin = tmp_path / "on_device.py"
    plugin.write_text(PLUGIN.format(at_import=at_import))
    found = []
    for workers in (1, 2):
        done = run(
            methods="on_device",
            datasets="synthetic[rows=400]",
            repeats=3,
            reference=False,
            workers=workers,
            plugins=[plugin],
            out=tmp_path / str(workers),
            quiet=True,
        )
        assert {record.status for record in done.results.records} == {"done"}, [
            record.reason for record in done.results.records
        ]
        found.append(sorted((r.cell.repeat, [v.value for v in r.values]) for r in done.results.records))
    assert found[0] == found[1]


def test_a_network_computes_the_same_on_the_device():
    torch.manual_seed(0)
    model, X = mlp(8, (16, 16), seed=0), torch.randn(100, 8)
    here = model(X)
    assert torch.allclose(model.cuda()(X.cuda()).cpu(), here, atol=1e-5)
