"""Change how gradients flow through a pass that is over: rules on the nodes of its graph.

Autograd keeps a node for each operation, and with it the tensors that its gradient needs. A rule reads them and hooks
the node, so that the pass itself runs as it always does: nothing looks at its operations, and the model is not touched.
Hooks belong to the nodes and go with the graph.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from torch import Tensor
from torch.autograd.graph import Node

from xai_nlp.errors import Unsupported

Gradients: TypeAlias = tuple[Any, ...]  # one for each input, or output, of a node; None where none is wanted
GraphRule: TypeAlias = Callable[[list[Node]], None]  # hooks nodes of one kind
GraphRules: TypeAlias = Mapping[str, GraphRule]  # the name of a kind of nodes ("ReluBackward0") -> its rule


def graph_nodes(values: Tensor) -> dict[str, list[Node]]:
    """The nodes of the operations that a tensor was computed by, each once, by the names of their kinds."""
    nodes = [] if values.grad_fn is None else [values.grad_fn]
    known = set(nodes)
    kinds: dict[type[Node], list[Node]] = defaultdict(list)
    for node in nodes:  # grows on the way
        kinds[type(node)].append(node)
        for before, _ in node.next_functions:
            if before is not None and before not in known:
                known.add(before)
                nodes.append(before)
    return {kind.__name__: of_kind for kind, of_kind in kinds.items()}


def hook_nodes(nodes: Mapping[str, list[Node]], rules: GraphRules) -> None:
    """Hooks the nodes that have a rule: each rule gets all nodes of its kind at once.

    >>> x = torch.tensor([-1.0, 2.0], requires_grad=True)
    >>> y = torch.relu(x)
    >>> def straight_through(nodes):
    ...     for node in nodes:
    ...         node.register_hook(lambda to_inputs, to_outputs: to_outputs)
    >>> hook_nodes(graph_nodes(y), {"ReluBackward0": straight_through})
    >>> torch.autograd.grad(y.sum(), x)
    (tensor([1., 1.]),)
    """
    for kind, rule in rules.items():
        if kind in nodes:
            rule(nodes[kind])


def replace_saved(node: Any, name: str, tensor: Callable[[], Tensor]) -> None:
    """Another tensor takes the place of one that a node saved; it is asked for when the gradient comes.

    >>> x = torch.tensor([2.0], requires_grad=True)
    >>> y = x * torch.tensor([3.0])
    >>> replace_saved(y.grad_fn, "other", lambda: torch.tensor([5.0]))
    >>> torch.autograd.grad(y, x)
    (tensor([5.]),)

    Raises Unsupported where somebody else's hooks keep what nodes save.
    """
    try:
        getattr(node, "_raw_saved_" + name).register_hooks(_forget, lambda _: tensor())
    except RuntimeError as error:
        raise Unsupported(
            "rules of gradients replace what the nodes of a graph save, and other hooks keep that already; close "
            f"`torch.autograd.graph.saved_tensors_hooks` (or `save_on_cpu`) before this call. torch: {error}"
        ) from error


def _forget(tensor: Tensor) -> None:
    """What a node has saved is not needed any more."""
