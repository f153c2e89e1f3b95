"""The gradient of a loss, handed over parameter by parameter."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

Receive = Callable[[str, int, Tensor], None]
"""Takes a parameter's gradient: name of its block, place in the block, gradient of the parameter's shape."""


def stream_gradients(
    loss: Tensor,
    parameters: Mapping[str, Sequence[nn.Parameter]],
    receive: Receive,
    keep_graph: bool = False,
) -> None:
    """Hand over the gradient of a scalar loss a parameter at a time, while the backward pass runs.

    Only the gradients that ``receive`` holds on to stay in memory. A parameter the loss does not reach is
    left out. ``.grad`` and hooks of the parameters are as before afterwards, also after an error.

    Args:
        loss: scalar with a graph.
        parameters: block name -> its parameters.
        receive: called once for each parameter that is reached, in the order of the backward pass.
        keep_graph: whether another loss will be differentiated through the same forward pass.
    """

    def hand_over(block: str, place: int, parameter: Tensor) -> None:
        gradient, parameter.grad = parameter.grad, None
        assert gradient is not None
        receive(block, place, gradient)

    flat = [parameter for group in parameters.values() for parameter in group]
    before = [parameter.grad for parameter in flat]
    hooks = []
    try:
        for block, group in parameters.items():
            for place, parameter in enumerate(group):
                parameter.grad = None
                hook = partial(hand_over, block, place)
                hooks.append(parameter.register_post_accumulate_grad_hook(hook))
        torch.autograd.backward(loss, inputs=flat, retain_graph=keep_graph)
    finally:
        for handle in hooks:
            handle.remove()
        for parameter, gradient in zip(flat, before, strict=True):
            parameter.grad = gradient
