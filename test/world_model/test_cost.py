"""The numbers of `whale models`, against a count layer by layer on a model that really runs."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from whale_ros.world_model.config import BehaviorConfig, DynamicsConfig, WhaleConfig
from whale_ros.world_model.cost import cost, full_state


@pytest.fixture(params=["as small as can be", "other sizes"])
def config(request, small_config):
    if request.param == "as small as can be":
        return small_config
    return replace(
        small_config,
        behavior=BehaviorConfig(width=16, layers=2, heads=1, window=4, z_dim=3),
        dynamics=DynamicsConfig(width=24, layers=3, heads=3, window=9),
    )


@torch.no_grad()
def layer_flops(model: nn.Module, work, *arguments) -> int:
    """Two for every weight that a linear layer or a convolution applies to every position."""
    total = 0

    def count(layer, _, output):
        nonlocal total
        channels = output.shape[-1] if isinstance(layer, nn.Linear) else output.shape[1]
        total += 2 * layer.weight.numel() * (output.numel() // channels)

    hooks = [
        layer.register_forward_hook(count)
        for layer in model.modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
    ]
    work(*arguments)
    for hook in hooks:
        hook.remove()
    return total


def attention_flops(queries: int, keys: int, width: int) -> int:
    """Queries against keys, then the weights against values; two for every product."""
    return 2 * 2 * queries * keys * width


def test_a_step_costs_its_layers_and_its_attention_to_full_windows(config, random_model):
    model = random_model(0, config)
    dynamics, behavior, tokens = config.dynamics, config.behavior, config.tokenizer.tokens
    state = full_state(model)
    layers = layer_flops(model, model.step, state, torch.zeros(1, 7))
    attention = 0
    for part, seen in ((dynamics, tokens), (behavior, 1 + tokens)):
        spatial = attention_flops(seen, seen, part.width)
        temporal = seen * attention_flops(1, part.window, part.width)
        attention += part.layers * (spatial + temporal)
    assert cost(config).step_flops == pytest.approx(layers + attention, rel=0.01)


def test_a_picture_costs_the_layers_that_it_goes_through(config, random_model):
    model = random_model(0, config)
    size, tokens = config.tokenizer, config.tokenizer.tokens
    frame = torch.rand(1, 3, size.resolution, size.resolution)
    attention = size.layers * attention_flops(tokens, tokens, size.width)
    encoding = layer_flops(model, model.encode, frame) + attention
    assert cost(config).encode_flops == encoding
    decoding = layer_flops(model, model.decode, model.encode(frame), frame) + attention
    assert cost(config).decode_flops == decoding


def test_memory_is_that_of_the_weights_and_of_the_cached_past(config, random_model):
    model, found = random_model(0, config), cost(config)
    weights = list(model.parameters())
    assert found.parameters == sum(weight.numel() for weight in weights)
    assert found.weights_bytes == sum(weight.numel() * weight.element_size() for weight in weights)
    state = full_state(model)
    cached = 0
    for cache, window in (
        (state.dynamics, config.dynamics.window),
        (state.behavior, config.behavior.window),
    ):
        for keys, values in cache.buffer.layers:
            cached += keys[:window].nbytes + values[:window].nbytes
    assert found.full_windows_cache_bytes == cached


def test_training_needs_a_weight_a_gradient_and_two_moments(small_config, random_model):
    model = random_model(0)
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    numbers = [parameter for parameter in model.parameters()]
    numbers += [parameter.grad for parameter in model.parameters()]
    for moments in optimizer.state.values():
        numbers += [moments["exp_avg"], moments["exp_avg_sq"]]
    assert cost(small_config).training_bytes == sum(number.nbytes for number in numbers)


def test_whale_x_is_as_large_as_the_published_one():
    assert cost(WhaleConfig.named("whale_x")).parameters == pytest.approx(414e6, rel=0.02)
