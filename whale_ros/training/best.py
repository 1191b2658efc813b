"""The weights that did best on held-out data so far, and when they were last surpassed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from torch import Tensor, nn

PREFIX = "best."


class Best:
    def __init__(self, network: nn.Module, held_out: Callable[[], float]) -> None:
        """held_out: the loss of the network as it is, on data that it does not learn from."""
        self._network, self._held_out = network, held_out
        self.step, self.loss = 0, math.inf
        self._weights: dict[str, Tensor] = {}

    def look(self, step: int) -> float:
        """The loss after so many steps. The weights are kept if none had less."""
        self._network.eval()
        loss = self._held_out()
        self._network.train()
        if loss < self.loss:
            self.step, self.loss = step, loss
            self._weights = {
                name: weight.detach().clone() for name, weight in trained(self._network).items()
            }
        return loss

    def take(self) -> None:
        """Give the network the best weights. Raises ValueError if there are none."""
        if not self._weights:
            raise ValueError("the held-out loss was never a number; is the data sound?")
        put(self._network, self._weights)

    def state(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Tensors by name, and the rest as words: `restore` takes both back, to the bit."""
        words = {"best_step": str(self.step), "best_loss": self.loss.hex()}
        return {PREFIX + name: weight for name, weight in self._weights.items()}, words

    def restore(self, tensors: dict[str, Tensor], words: dict[str, str]) -> None:
        """Raises KeyError if there is nothing of it, RuntimeError if it is another network's."""
        self.step, self.loss = int(words["best_step"]), float.fromhex(words["best_loss"])
        self._weights = {
            name: tensors[PREFIX + name].to(weight.device)
            for name, weight in trained(self._network).items()
        }
        _must_fit(self._weights, trained(self._network))


def trained(network: nn.Module) -> dict[str, nn.Parameter]:
    """Of the weights, those that are not frozen."""
    return {name: weight for name, weight in network.named_parameters() if weight.requires_grad}


def put(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Raises RuntimeError unless these are all that is trained, and of its shapes."""
    own = trained(network)
    _must_fit(weights, own)
    for name, weight in own.items():
        weight.data.copy_(weights[name])


def _must_fit(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Raises RuntimeError unless they have the same names and shapes."""
    if own.keys() != weights.keys():
        raise RuntimeError(f"other weights: {sorted(own.keys() ^ weights.keys())[:3]} ...")
    for name, weight in own.items():
        if weight.shape != weights[name].shape:
            raise RuntimeError(f"{name} has the shape {tuple(weights[name].shape)}")
