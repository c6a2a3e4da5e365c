"""Classifiers against Captum's, scikit-learn and by hand."""

import random

import captum.concept as captum
import numpy as np
import pytest
import torch
from sklearn.linear_model import SGDClassifier
from torch.utils.data import DataLoader, TensorDataset

import xai_nlp.concept as ours
from tests.concept.explained import BOTH, gaussian, seeded
from xai_nlp.concept.classifier import CLASSIFIERS, classifier_of, examples_of, trained
from xai_nlp.core.captum_types import CaptumAssertion, UnknownChoice


def data(count, apart=1.0, size=20, width=5, seed=0):
    x = torch.cat([gaussian(apart * (-1) ** k * (k + 1), size, width, seed * 10 + k) for k in range(count)])
    return x, torch.arange(count).repeat_interleave(size) + 3


def loader(x, labels):
    return DataLoader(TensorDataset(x, labels), batch_size=7)


def test_the_default_classifier_is_captums():
    """Given the same random numbers: 30 data sets, with two concepts and with more."""
    for number in range(30):
        count = 2 + number % 3
        x, labels = data(count, 0.3 + number / 20, seed=number)

        def run(lib, x=x, labels=labels, number=number):
            classifier = lib.DefaultClassifier()
            stats = classifier.train_and_eval(loader(x, labels), test_split_ratio=0.2 + number / 100)
            return classifier, stats

        (own_value, got), (reference, expected) = (seeded(lambda lib=lib: run(lib), number) for lib in BOTH)
        torch.testing.assert_close(own_value.weights(), reference.weights())
        assert list(own_value.classes()) == list(reference.classes())
        assert own_value.weights().shape == (count, 5)
        if count > 2:
            torch.testing.assert_close(got["accs"], expected["accs"])


def test_captums_accuracy_of_two_concepts_is_the_share_of_the_first():
    """It takes the arg max over one column, which is always 0."""
    x, labels = data(2, 9.0)
    both = [seeded(lambda lib=lib: lib.DefaultClassifier().train_and_eval(loader(x, labels))["accs"]) for lib in BOTH]
    random.seed(0)
    held_out = list(range(len(x)))
    random.shuffle(held_out)
    first = (labels[held_out[: int(0.33 * len(x))]] == 3).float().mean()
    assert both[0] == 1
    assert both[1] == first < 0.7


def test_the_default_classifier_takes_float64_and_a_seed():
    x, labels = data(2)
    made = []
    for _ in range(2):
        classifier = ours.DefaultClassifier(seed=4)
        assert classifier.train_and_eval(loader(x.double(), labels))["accs"] > 0.8
        made.append(classifier.weights())
    assert torch.equal(*made)
    order = list(range(40))
    random.Random(4).shuffle(order)
    kept = order[int(0.33 * 40) :]
    sgd = SGDClassifier(alpha=0.01, max_iter=1000, tol=1e-3, random_state=4).fit(x.double()[kept], labels[kept])
    torch.testing.assert_close(made[0][1], torch.from_numpy(sgd.coef_[0]).float())
    assert torch.equal(made[0][0], -made[0][1])


def test_no_examples_to_test_on():
    """Captum fails there."""
    x, labels = data(2)
    assert ours.DefaultClassifier().train_and_eval(loader(x, labels), test_split_ratio=0)["accs"].isnan()
    with pytest.raises(ValueError, match="unpack"):
        seeded(lambda: captum.DefaultClassifier().train_and_eval(loader(x, labels), test_split_ratio=0))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_bad_input(name):
    classifier = CLASSIFIERS[name]()
    for call in (classifier.weights, classifier.classes):
        with pytest.raises(AssertionError, match=r"fit|train"):
            call()
    with pytest.raises(CaptumAssertion, match="no examples"):
        classifier.train_and_eval([])
    with pytest.raises(CaptumAssertion, match="concept"):
        classifier.train_and_eval([(torch.rand(9, 2), torch.zeros(9).long())])
    for ratio in (1, -0.1):
        with pytest.raises(CaptumAssertion, match="test_split_ratio"):
            ours.DefaultClassifier().train_and_eval(loader(*data(2)), test_split_ratio=ratio)


def test_fastcav_by_loops():
    for count in (2, 3):
        x, labels = data(count, 0.4)
        labels = labels.roll(3)
        fast = ours.FastCAV()
        got = fast.train_and_eval(loader(x, labels))["accs"]
        right = 0
        for i in range(len(x)):
            kept = torch.arange(len(x)) != i
            means = torch.stack([x[kept & (labels == c)].mean(0) for c in fast.classes()])
            right += fast.classes()[int((means - x[i]).norm(dim=1).argmin())] == labels[i]
        assert 0.5 < got == right / len(x)
        for c, row in zip(fast.classes(), fast.weights(), strict=True):
            torch.testing.assert_close(row, x[labels == c].mean(0) - x.mean(0))


def test_fastcav_points_where_the_best_classifier_does():
    """For Gaussians of one spread the best direction is the difference of means; SGD finds nearly the same."""
    x, labels = data(2, 1.0, size=2000, width=8)
    directions = []
    for name in CLASSIFIERS:
        stats = trained(CLASSIFIERS[name](), x, labels)
        directions.append(torch.nn.functional.normalize(stats["weights"][1], dim=0))
    assert directions[0] @ directions[1] > 0.95
    assert directions[1] @ -torch.ones(8) / 8**0.5 > 0.99


def test_one_example_of_a_concept():
    fast = ours.FastCAV()
    accuracy = fast.train_and_eval([(torch.tensor([[0.0], [1.0], [1.1]]), torch.tensor([0, 1, 1]))])["accs"]
    torch.testing.assert_close(accuracy, torch.tensor(2 / 3))


def test_choices():
    assert type(classifier_of(None)) is type(classifier_of("sgd")) is ours.DefaultClassifier
    assert type(classifier_of("fastcav")) is ours.FastCAV
    own = ours.FastCAV()
    assert classifier_of(own) is own
    with pytest.raises(UnknownChoice, match="fastcav"):
        classifier_of("fast")
    with pytest.raises(CaptumAssertion, match="train_and_eval"):
        classifier_of(object())
    with pytest.raises(TypeError, match="abstract"):
        ours.Classifier()


def test_a_classifier_that_gives_nonsense_is_refused():
    class Own(ours.FastCAV):
        rows, known = torch.ones(2, 5), [3, 4]

        def weights(self):
            return self.rows

        def classes(self):
            return self.known

    x, labels = data(2)
    assert (trained(Own(), x, labels)["classes"] == np.array([3, 4])).all()
    for name, value in (("rows", torch.ones(2, 4)), ("known", [3, 7]), ("known", [3]), ("rows", None), ("known", [])):
        own = Own()
        setattr(own, name, value)
        with pytest.raises(CaptumAssertion, match=r"classes"):
            trained(own, x, labels)


def test_training_draws_no_numbers_of_torchs():
    state = torch.get_rng_state()
    trained(ours.FastCAV(), *data(2))
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(CaptumAssertion, match="no examples"):
        examples_of([])
