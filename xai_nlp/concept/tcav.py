"""Testing with concept activation vectors: does the output rise as examples become more like a concept?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy, deepcopy
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.attr.base import LayerAttribution
from xai_nlp.attr.gradient import LayerGradientXActivation
from xai_nlp.attr.problems import Layer
from xai_nlp.concept.activations import Activations, ActivationStore
from xai_nlp.concept.cav import CAV
from xai_nlp.concept.classifier import Classifier, classifier_of, trained
from xai_nlp.concept.concept import Concept, ConceptInterpreter, concepts_key
from xai_nlp.concept.digests import digest, model_digest
from xai_nlp.concept.examples import POOLING_REMEDY, Examples, check_pooling
from xai_nlp.concept.significance import ConceptSignificance, PermutationTest, adjusted, check_sizes, check_test
from xai_nlp.core.captum_types import CaptumAssertion, TargetType
from xai_nlp.core.forward import as_tuple
from xai_nlp.hooks.model_state import frozen_model

Scores = dict[str, dict[str, dict[str, Tensor]]]  # concept ids -> layer -> name of the score -> (C,)


class TCAV(ConceptInterpreter):
    """Scores of concepts: how the model's output changes along directions that examples of the concepts give.

    A classifier tells the concepts' examples apart by their activations at a layer. Its weights are the directions, and
    the output's slopes along them are summed up over the inputs.

    model: a torch module.
    layers: the layer's name, or several; also hook points such as `xai_nlp.points(model).layers[3]`, which results call
        by `str(point)`.
    model_id: the name of the folder of this model's files. Activations of other weights are recognised and not used.
    classifier: a `Classifier`, or "sgd" (None, the default: `DefaultClassifier`) or "fastcav" (`FastCAV`).
    layer_attr_method: a layer attribution that gives the slopes; None takes gradients.
    attribute_to_layer_input: what enters the layers instead of what leaves them.
    save_path: the folder where activations and CAVs are kept, as safetensors files; None keeps nothing.
    pooling: None lays all numbers of an example at the layer in a row, as Captum does. For texts of different length:
        "mean" over the tokens that are no padding, "first" of them (BERT's [CLS]), or "tokens", a vector for each.
    classifier_kwargs: keywords of the classifier's `train_and_eval`.

    Raises CaptumAssertion for a model that is no module and for an empty model_id, AttributeError for a layer that the
    model lacks, UnknownChoice for a classifier or pooling that does not exist.
    Source: Kim et al. 2018 (arXiv:1711.11279), eq. 1 and sec. 3.3.

    >>> import tempfile
    >>> net = nn.Sequential(nn.Identity(), nn.Linear(2, 1, bias=False))
    >>> net[1].weight.data = torch.tensor([[1.0, 0.0]])
    >>> right, left = Concept(0, "right", [torch.tensor([[2.0, 0.0]])]), Concept(1, "left", [torch.zeros(1, 2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tcav = TCAV(net, "0", classifier="fastcav", save_path=folder)
    ...     tcav.interpret(torch.rand(5, 2), [[right, left]])["0-1"]["0"]
    {'sign_count': tensor([1., 0.]), 'magnitude': tensor([ 1., -1.]), 'magnitude_ratio': tensor([1., 0.])}
    """

    def __init__(
        self,
        model: nn.Module,
        layers: str | list[str],
        model_id: str = "default_model_id",
        classifier: Classifier | str | None = None,
        layer_attr_method: LayerAttribution | None = None,
        attribute_to_layer_input: bool = False,
        save_path: str | None = "./cav/",
        *,
        pooling: str | None = None,
        **classifier_kwargs: Any,
    ) -> None:
        super().__init__(model)
        if not model_id:
            raise CaptumAssertion("model_id names a folder and cannot be empty; leave it out for 'default_model_id'.")
        check_pooling(pooling)
        self.layers: list[Any] = list(layers) if isinstance(layers, (list, tuple)) else [layers]
        self.modules_of(self.layers)
        self.model_id = model_id
        self.concepts: set[Concept] = set()
        self.classifier = classifier_of(classifier)
        self.classifier_kwargs: Any = classifier_kwargs
        self.cavs: dict[str, dict[str, CAV]] = {}
        self.layer_attr_method = layer_attr_method
        self.attribute_to_layer_input = attribute_to_layer_input
        self.save_path = save_path
        self.pooling = pooling
        self._classifier_key = _settings(self.classifier)
        if save_path is not None:
            CAV.create_cav_dir_if_missing(save_path, model_id)

    # Activations ------------------------------------------------------------------------------------------------------

    def generate_all_activations(self) -> None:
        """Compute and keep the activations of all concepts in `concepts`, where they are not there."""
        self.generate_activations(dict.fromkeys(self.concepts, self.layers))

    def generate_activation(self, layers: str | list[str], concept: Concept) -> None:
        """Compute and keep the activations of a concept at a layer, or at several, where they are not there."""
        self._store(layers).of(concept)

    def generate_activations(self, concept_layers: dict[Concept, list[str]]) -> None:
        """The same for several concepts, each with its layers."""
        for concept, layers in concept_layers.items():
            self.generate_activation(layers, concept)

    def modules_of(self, layers: Any) -> dict[str, Layer]:
        """The layers by their names. Raises AttributeError for a name that the model lacks."""
        listed = layers if isinstance(layers, (list, tuple)) else [layers]
        for one in listed:
            if not isinstance(one, str) and not hasattr(one, "open"):
                raise CaptumAssertion(f"a layer is the name of a module, or a hook point; got {type(one).__name__}.")
        return {str(one): self.model.get_submodule(one) if isinstance(one, str) else one for one in listed}

    def _store(self, layers: Any, model_key: str | None = None) -> ActivationStore:
        return ActivationStore(
            model=self.model,
            model_key=model_key or model_digest(self.model),
            layers=self.modules_of(layers),
            layer_input=self.attribute_to_layer_input,
            pooling=self.pooling,
            folder=None if self.save_path is None else Path(self.save_path, self.model_id),
        )

    # CAVs -------------------------------------------------------------------------------------------------------------

    def load_cavs(self, concepts: list[Concept]) -> tuple[list[str], dict[Concept, list[str]]]:
        """Load the CAVs of a set of concepts that were trained on these examples of this model.

        Returns the layers whose CAV is still to be trained, and the same layers for each concept. Activations are
        computed where they are not there, since the examples decide whether a CAV is theirs.
        """
        missing = self._load_cavs(concepts, self._activations(concepts))
        return missing, {concept: missing for concept in concepts if missing}

    def compute_cavs(
        self, experimental_sets: list[list[Concept]], force_train: bool = False, processes: int | None = None
    ) -> dict[str, dict[str, CAV]]:
        """The CAV of each set of concepts at each layer: {"0-1": {"layer": CAV}}. New ones are saved.

        experimental_sets: the sets; each is told apart by a classifier of its own.
        force_train: train also what has been trained on these examples before.
        processes: classifiers that are trained at the same time, in threads.
        Raises CaptumAssertion for fewer than two concepts in a set, two concepts of one id, and a concept without
        examples.
        """
        self._check_sets(experimental_sets)
        activations = self._activations(concept for concepts in experimental_sets for concept in concepts)
        work = [
            (concepts, layer)
            for concepts in experimental_sets
            for layer in (map(str, self.layers) if force_train else self._load_cavs(concepts, activations))
        ]
        if processes is not None and processes > 1:
            with ThreadPoolExecutor(processes) as pool:
                list(pool.map(lambda one: self._train(deepcopy(self.classifier), one[0], one[1], activations), work))
        else:
            for concepts, layer in work:
                self._train(self.classifier, concepts, layer, activations)
        return self.cavs

    def _check_sets(self, sets: Sequence[Sequence[Concept]]) -> None:
        """Raises CaptumAssertion for sets that cannot be told apart; then the concepts join `concepts`."""
        known = self.concepts | {concept for concepts in sets for concept in concepts}
        by_id: dict[int, Concept] = {}
        for concept in known:
            if by_id.setdefault(concept.id, concept) is not concept:
                raise CaptumAssertion(
                    f"{by_id[concept.id]} and {concept} have one id; give each its own, and the same object again."
                )
        if not sets or any(len(set(concepts)) != len(concepts) or len(concepts) < 2 for concepts in sets):
            raise CaptumAssertion(
                "experimental_sets is a list of lists of two or more different concepts: [[concept, random]]; got "
                f"{[list(concepts) for concepts in sets]}."
            )
        self.concepts = known

    def _activations(self, concepts: Iterable[Concept]) -> dict[Concept, dict[str, Activations]]:
        """The activations of each concept at each layer."""
        store = self._store(self.layers)
        return {concept: store.of(concept) for concept in dict.fromkeys(concepts)}

    def _cav_key(self, concepts: Sequence[Concept], layer: str, activations: dict[Concept, Any]) -> str:
        """A digest of what a CAV depends on: activations, their concepts' ids, the classifier and its keywords."""
        of_concepts = [(concept.id, activations[concept][layer].key) for concept in concepts]
        return digest(of_concepts, self._classifier_key, repr(self.classifier_kwargs))

    def _load_cavs(self, concepts: list[Concept], activations: dict[Concept, Any]) -> list[str]:
        """Load what was trained on these activations; returns the layers where nothing was."""
        missing = []
        for layer in map(str, self.layers):
            cav = None if self.save_path is None else CAV.load(self.save_path, self.model_id, concepts, layer)
            if cav is not None and cav.key == self._cav_key(concepts, layer, activations):
                self.cavs.setdefault(concepts_key(concepts), {})[layer] = cav
            else:
                missing.append(layer)
        return missing

    def _train(
        self, classifier: Classifier, concepts: list[Concept], layer: str, activations: dict[Concept, Any]
    ) -> None:
        """Train the CAV of a set of concepts at a layer, and save it."""
        parts = [activations[concept][layer].vectors for concept in concepts]
        x, labels = labelled(parts, [concept.id for concept in concepts])
        stats = trained(classifier, x, labels, **self.classifier_kwargs)
        key = self._cav_key(concepts, layer, activations)
        cav = CAV(concepts, layer, stats, self.save_path or "./cav/", self.model_id, key=key)
        if self.save_path is not None:
            cav.save()
        self.cavs.setdefault(concepts_key(concepts), {})[layer] = cav

    # Scores -----------------------------------------------------------------------------------------------------------

    def interpret(
        self,
        inputs: Any,
        experimental_sets: list[list[Concept]],
        target: TargetType = None,
        additional_forward_args: object | None = None,
        processes: int | None = None,
        **kwargs: Any,
    ) -> Scores:
        """Scores of each set of concepts, in its order: {"0-1": {"layer": {"sign_count": (C,), …}}}, by ids and layer.

        "sign_count" is the share of the inputs whose output rises along the concept's direction, "magnitude" the mean
        slope along it. "magnitude_ratio" is the part of all slopes' sizes that belongs to rising ones, which Captum
        documents as magnitude; it is NaN where all slopes are 0.

        inputs: a tensor (N, …), a tuple of them, or a dict such as a `BatchEncoding`.
        experimental_sets: lists of concepts; each list is told apart by a classifier of its own.
        target: the output that is read: an index, or one for each input.
        additional_forward_args: further arguments of the model.
        processes: classifiers that are trained at the same time.
        kwargs: keywords of the layer attribution's `attribute`.
        Raises CaptumAssertion for arguments that do not fit each other. `significance` tells whether scores are chance.
        """
        self.compute_cavs(experimental_sets, processes=processes)
        slopes = self._slopes(inputs, target, additional_forward_args, kwargs)
        return {
            concepts_key(concepts): {
                layer: _scores(along(slopes[layer], self.cavs[concepts_key(concepts)][layer], concepts))
                for layer in slopes
            }
            for concepts in experimental_sets
        }

    def significance(
        self,
        inputs: Any,
        concepts: Sequence[Concept],
        random_concepts: Sequence[Concept],
        target: TargetType = None,
        additional_forward_args: object | None = None,
        *,
        permutations: int = 500,
        statistic: str = "magnitude",
        correction: str = "holm",
        seed: int = 0,
        **kwargs: Any,
    ) -> list[ConceptSignificance]:
        """Does each concept matter at each layer more than examples drawn at random?

        A permutation test: a concept's examples and all random ones are mixed, and as many as the concept has are
        called the concept. p is the share of `permutations` whose score is at least as far from chance, which is exact.
        The t-test of Kim et al. 2018, sec. 3.4, is not: its runs share the concept's examples, so that it finds most
        random concepts significant (tests/concept/test_significance.py measures both).

        inputs, target, additional_forward_args, kwargs: as in `interpret`.
        random_concepts: sets of examples from where the concepts' examples might come too.
        statistic: "magnitude", the mean slope along the CAV; "unit_magnitude", the same with the CAV's length made 1,
            which finds more with classifiers whose weights grow where classes lie close ("sgd"); or "sign_count",
            which says little where all inputs have nearly the same gradient: any direction then scores 0 or 1.
        correction: for the number of concepts times layers: "holm", "bonferroni", or "none".
        seed: of the permutations.
        Raises CaptumAssertion and UnknownChoice for arguments that do not fit; Unsupported for pooling="tokens", since
        tokens of one text are not independent.
        """
        check_test(permutations, statistic, correction, self.pooling)
        if not concepts or not random_concepts:
            raise CaptumAssertion("give at least one concept and one random concept.")
        self._check_sets([[*concepts, *random_concepts]])
        activations = self._activations([*concepts, *random_concepts])
        slopes = self._slopes(inputs, target, additional_forward_args, kwargs)
        results = []
        for layer in map(str, self.layers):
            test = PermutationTest(
                slopes=slopes[layer].float(),
                random=[activations[one][layer].vectors for one in random_concepts],
                classifier=deepcopy(self.classifier),
                classifier_kwargs=self.classifier_kwargs,
                permutations=permutations,
                statistic=statistic,
                seed=seed,
            )
            results += [test.of(concept.name, layer, activations[concept][layer].vectors) for concept in concepts]
        return adjusted(results, correction)

    def _slopes(self, inputs: Any, target: TargetType, extra: Any, kwargs: dict[str, Any]) -> dict[str, Tensor]:
        """The slopes of the target at each layer, as vectors (N, F)."""
        if "attribute_to_layer_input" in kwargs:
            raise CaptumAssertion(
                "attribute_to_layer_input is an argument of TCAV itself, so that activations and slopes agree."
            )
        examples = Examples.of(self.model, inputs)
        layers = self.modules_of(self.layers)
        with frozen_model(self.model):
            call = dict(
                target=target,
                additional_forward_args=extra,
                attribute_to_layer_input=self.attribute_to_layer_input,
                **kwargs,
            )
            tensors = [method.attribute(examples.tensors, **call) for method in self._methods(examples, layers)]
        by_layer = tensors[0] if self.layer_attr_method is None else tensors
        return {
            name: examples.vectors(as_tuple(one), self.pooling, slopes=True)
            for name, one in zip(layers, by_layer, strict=True)
        }

    def _methods(self, examples: Examples, layers: dict[str, Layer]) -> Iterator[Any]:
        """The attribution of all layers at once; or copies of the one that was given, for each layer."""
        if self.layer_attr_method is None:
            yield LayerGradientXActivation(examples.func, list(layers.values()), multiply_by_inputs=False)
            return
        for layer in layers.values():
            method = copy(self.layer_attr_method)
            method.layer = layer
            if examples.func is not self.model:
                method.forward_func = examples.func
            yield method


def labelled(parts: Sequence[Tensor], ids: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The vectors of several concepts in one tensor (N, F), and whose each is (N,).

    Raises CaptumAssertion for vectors of several sizes.
    """
    sizes = sorted({part.shape[1] for part in parts})
    if len(sizes) > 1:
        raise CaptumAssertion(
            f"examples of the concepts give {' and '.join(map(str, sizes))} numbers at the layer. " + POOLING_REMEDY
        )
    labels = torch.tensor(ids, device=parts[0].device)
    return torch.cat(list(parts)), labels.repeat_interleave(torch.tensor([len(part) for part in parts]).to(labels))


def along(slopes: Tensor, cav: CAV, concepts: Sequence[Concept]) -> Tensor:
    """The slope of each input along each concept's direction: (N, C). Raises CaptumAssertion for other sizes."""
    assert cav.stats is not None
    classes = list(cav.stats["classes"])
    weights = cav.stats["weights"][[classes.index(concept.id) for concept in concepts]].to(slopes.device).float()
    check_sizes(slopes, weights)
    return slopes.float() @ weights.T


def _scores(slopes: Tensor) -> dict[str, Tensor]:
    """The scores of slopes (N, C) along directions: (C,) each."""
    return {
        "sign_count": (slopes > 0).float().mean(0),
        "magnitude": slopes.mean(0),
        "magnitude_ratio": slopes.clamp(min=0).sum(0) / slopes.abs().sum(0),
    }


def _settings(classifier: Classifier) -> str:
    """What tells a classifier from another one of its class: its class and attributes, before it is trained."""
    cls = type(classifier)
    return digest(cls.__module__, cls.__qualname__, repr(sorted(vars(classifier).items(), key=itemgetter(0))))
