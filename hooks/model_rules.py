"""Gradient rules of a model: found once, when all its operations are looked up, and remembered for its later passes.

The first pass looks up every operation, and notes the modules that ran one by a rule, and the kinds of nodes in its
graph. Later passes look up the operations of those modules alone. A pass that leaves a node of another kind ran an
operation that no pass before it did: it is run again, with every operation looked up. So nothing that is remembered can
be out of date, whatever is done to the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from torch import Tensor, nn

from xai_nlp.hooks.gradient_rules import ModuleRule, Rules, gradient_rules, gradient_rules_within
from xai_nlp.hooks.graph_rules import GraphRules, graph_nodes, hook_nodes
from xai_nlp.hooks.model_state import innermost_frozen_model

Result = TypeVar("Result")
Pass: TypeAlias = Callable[[], Tensor]


@dataclass(frozen=True, eq=False)
class RuledModules:
    """What is remembered of a model's passes."""

    modules: WeakSet[nn.Module] = field(default_factory=WeakSet)  # they run operations that have a rule
    outside: bool = False  # such operations also run outside of modules
    kinds: frozenset[str] = frozenset()  # of nodes, in the graphs of passes whose operations were all looked up

    def with_pass(self, changed: list[nn.Module | None], kinds: frozenset[str]) -> RuledModules:
        """The same, and what another pass showed."""
        modules = WeakSet([*self.modules, *(module for module in changed if module is not None)])
        return RuledModules(modules, self.outside or None in changed, self.kinds | kinds)


Memory: TypeAlias = WeakKeyDictionary[nn.Module, RuledModules]


class _UnknownKind(Exception):
    """A pass left a node of a kind that is not remembered."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelRules:
    """How gradients flow through a model that is frozen (`hooks.model_state`).

    rules: name of an operation -> its rule, which stands in for the operation when it runs.
    module_rule: module -> its rule if the whole module counts as one operation.
    graph_rules: kind of nodes -> the rule that hooks them when the pass is over.
    memory: what is remembered of models, for rules of the same names.
    """

    rules: Rules
    module_rule: ModuleRule
    graph_rules: GraphRules
    memory: Memory

    def apply(self, work: Callable[[Callable[[Pass], Tensor]], Result]) -> Result:
        """What `work(by_rules)` returns; it runs the model in `by_rules(run)`. It is called again if that is needed."""
        model = innermost_frozen_model()
        known = None if model is None else self.memory.get(model)
        if known is not None and not known.outside:
            try:
                return work(partial(self._of_known, known))
            except _UnknownKind:
                pass
        return work(partial(self._of_all, model))

    def _of_known(self, known: RuledModules, run: Pass) -> Tensor:
        with gradient_rules_within(known.modules, self.rules, module_rule=self.module_rule):
            values = run()
        nodes = graph_nodes(values)
        if not known.kinds.issuperset(nodes):
            raise _UnknownKind
        hook_nodes(nodes, self.graph_rules)
        return values

    def _of_all(self, model: nn.Module | None, run: Pass) -> Tensor:
        changed: list[nn.Module | None] = []
        with gradient_rules(self.rules, module_rule=self.module_rule, on_change=changed.append):
            values = run()
        nodes = graph_nodes(values)
        if model is not None:
            self.memory[model] = self.memory.get(model, RuledModules()).with_pass(changed, frozenset(nodes))
        hook_nodes(nodes, self.graph_rules)
        return values
