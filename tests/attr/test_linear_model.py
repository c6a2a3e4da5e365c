"""Linear models against Captum's on random data, scikit-learn itself, and closed forms."""

import random
import warnings

import captum._utils.models as captum_models
import captum._utils.models.linear_model as exported
import captum._utils.models.linear_model.model as captum
import numpy as np
import pytest
import torch
from captum._utils.models.linear_model import train as captum_train
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch.utils.data import DataLoader, TensorDataset

import xai_nlp.attr as attr
import xai_nlp.attr.linear_model as ours
from tests.captum_names import LINEAR_MODELS, called_alike
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.errors import InvalidInput

BOTH = (ours, captum)
SKLEARN = ("SkLearnLasso", "SkLearnRidge", "SkLearnLinearRegression")
CLASSIFIERS = ("SkLearnLogisticRegression", "SkLearnSGDClassifier")
SGD = ("SGDLasso", "SGDRidge", "SGDLinearRegression")


def test_captums_names_are_there_and_called_alike():
    assert set(LINEAR_MODELS) >= {*exported.__all__, *captum_models.__all__, *CLASSIFIERS}
    for name in LINEAR_MODELS:
        called_alike(getattr(ours, name), getattr(captum, name))
    for name in ("sgd_train_linear_model", "sklearn_train_linear_model", "l2_loss", "NormLayer"):
        called_alike(getattr(ours, name), getattr(captum_train, name))


def regression(draw, weighted):
    """Rows, and values that are nearly linear in them."""
    rows, features = draw.randint(8, 30), draw.randint(1, 5)
    x = torch.randn(rows, features)
    y = x @ torch.randn(features) + 0.1 * torch.randn(rows) + draw.choice([0.0, 2.0])
    return (x, y, torch.rand(rows) + 0.1) if weighted else (x, y)


def fitted(lib, name, data, make, how, batch, seed):
    torch.manual_seed(seed)
    model = getattr(lib, name)(**make)
    loader = DataLoader(TensorDataset(*data), batch_size=batch, shuffle=name in SGD)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = model.fit(loader, **how)
    return model.eval(), report


def compare(name, number):
    draw = random.Random(f"{name} {number}")
    torch.manual_seed(number)
    data = regression(draw, draw.random() < 0.5)
    make, how = {}, {}
    if name in ("SkLearnLasso", "SkLearnRidge"):
        make["alpha"] = draw.choice([0.01, 0.5])
    if name in SKLEARN:
        make["fit_intercept"] = draw.random() < 0.7
    if name in SGD:
        make = {"bias": draw.random() < 0.7, "norm_type": draw.choice([None, "batch_norm", "layer_norm"])}
        how = {"max_epoch": draw.randint(1, 30), "initial_lr": draw.choice([0.01, 0.1]), "patience": draw.randint(2, 9)}
        how |= {"reduce_lr": draw.random() < 0.5, "init_scheme": draw.choice(["zeros", "xavier"])}
        how |= {"running_loss_window": draw.choice([None, 3])} | ({} if name.endswith("Regression") else {"alpha": 0.1})
    if name in CLASSIFIERS:
        data = (data[0], (data[1] > 0).long() + (data[1] > 1).long() * draw.randint(0, 1), *data[2:])
        data[1][:2] = torch.tensor([0, 1])
        make = {"random_state": 0}
    batch = 100 if make.get("norm_type") else draw.choice([3, 100])  # norms need several rows
    (own, report), (reference, captum_value) = (fitted(lib, name, data, make, how, batch, number) for lib in BOTH)
    assert list(report) == list(captum_value)
    torch.testing.assert_close(own.representation(), reference.representation(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(own(data[0]), reference(data[0]), atol=1e-4, rtol=1e-5)
    for key in set(report) - {"train_time"}:
        assert report[key] == pytest.approx(captum_value[key], rel=1e-5), key
    if name in CLASSIFIERS:
        assert own.classes().tolist() == reference.classes().tolist()


@pytest.mark.parametrize("name", [*SKLEARN, *CLASSIFIERS, *SGD])
def test_is_captums(name):
    for number in range(30):
        compare(name, number)


def loader(*data, batch=4):
    return DataLoader(TensorDataset(*data), batch_size=batch)


def test_gradient_descent_finds_the_line():
    torch.manual_seed(0)
    x = torch.randn(64, 2)
    model = ours.SGDLinearRegression()
    model.fit(loader(x, x @ torch.tensor([2.0, -1.0]) + 0.5, batch=16), initial_lr=0.1, max_epoch=300, threshold=1e-9)
    torch.testing.assert_close(model.representation(), torch.tensor([[2.0, -1.0]]), atol=0.02, rtol=0)
    torch.testing.assert_close(model.bias(), torch.tensor([0.5]), atol=0.02, rtol=0)


@pytest.mark.parametrize("debug", [False, True])
def test_debug_prints_each_loss(debug, capsys):
    ours.SGDLasso().fit(loader(torch.ones(4, 1), torch.ones(4)), max_epoch=2, debug=debug)
    assert capsys.readouterr().out.count("lr=0.01, loss=") == (2 if debug else 0)


def test_several_values_have_biases_of_a_linear_layer():
    """Captum's bias of several outputs is a row (1, K), with which the weights cannot be loaded into a layer."""
    x = torch.randn(20, 3)
    y = torch.stack([x.sum(1), x[:, 0] + 1], 1)
    made = {}
    for lib in BOTH:
        made[lib] = lib.SkLearnLinearRegression()
        made[lib].fit(loader(x, y, batch=20))
    torch.testing.assert_close(made[ours](x), y, atol=1e-5, rtol=0)
    assert made[ours].bias().shape == (2,) and made[captum].bias().shape == (1, 2)
    torch.nn.Linear(3, 2).load_state_dict(made[ours].linear.state_dict())


def test_normalised_inputs_predict_as_scikit_learn_does():
    """Captum's layer keeps arrays, and a feature that is always the same is divided by 0."""
    torch.manual_seed(0)
    x = torch.randn(50, 3) * torch.tensor([1.0, 10.0, 0.0]) + 5
    y = x[:, 0] + x[:, 1] * 0.1
    model = ours.SkLearnRidge(alpha=0.1)
    model.fit(loader(x, y, batch=10), norm_input=True)
    assert (model(x)[:, 0] - y).abs().max() < 0.05
    assert "norm.mean" in model.state_dict()


def test_what_scikit_learn_fits_is_what_is_kept():
    torch.manual_seed(0)
    x, w = torch.randn(40, 3), torch.rand(40)
    y = (x[:, 0] > 0).long()
    model, expected = ours.SkLearnLogisticRegression(C=2.0), LogisticRegression(C=2.0)
    model.fit(loader(x, y, w))
    expected.fit(x.numpy(), y.numpy(), sample_weight=w.numpy())
    np.testing.assert_allclose(model(x)[:, 0].detach(), expected.decision_function(x.numpy()), atol=1e-4)
    line = ours.SkLearnLinearModel("LinearRegression")  # a name alone
    line.fit(loader(x, x[:, 0]))
    np.testing.assert_allclose(line.representation()[0], LinearRegression().fit(x, x[:, 0]).coef_, atol=1e-5)


def test_weights_that_are_not_taken_are_warned_of():
    data = (torch.randn(9, 2), torch.randn(9), torch.rand(9))
    for lib in BOTH:
        with pytest.warns(UserWarning, match="weight"):
            lib.SkLearnLinearModel("linear_model.Lars").fit(loader(*data))


def test_the_models_without_a_fit():
    model = ours.SGDLasso()
    assert model.bias() is None and model.classes() is None
    for work in (model.representation, lambda: model(torch.ones(1, 2))):
        with pytest.raises(AssertionError, match="call `fit` first"):
            work()
    fitted = ours.SkLearnLasso()
    fitted.fit(loader(torch.randn(9, 2), torch.randn(9)))
    assert fitted.classes() is None  # Captum raises AttributeError


def test_what_makes_no_sense_is_refused_with_captums_errors():
    data = loader(torch.randn(4, 2), torch.randn(4))
    for lib in BOTH:
        with pytest.raises(ValueError, match="nonsense"):
            lib.SGDLasso(norm_type="nonsense").fit(data)
        with pytest.raises(AssertionError):
            lib.SGDLasso().fit(data, init_scheme="ones")
        with pytest.raises(ValueError, match="weight_values"):
            lib.LinearModel(print)._construct_model_params()
        with pytest.raises(ValueError, match="bias"):
            lib.LinearModel(print)._construct_model_params(2, 1, bias=False, bias_value=torch.ones(1))
    with pytest.raises(CaptumAssertion, match="batches are"):
        ours.SkLearnLasso().fit([(torch.ones(1, 1),)])
    with pytest.raises(InvalidInput, match="nothing to fit"):
        ours.SGDLasso().fit(DataLoader([]))


def test_lime_takes_them():
    torch.manual_seed(0)
    net = torch.nn.Linear(4, 1)
    scores = attr.Lime(net, ours.SkLearnLinearRegression()).attribute(torch.ones(1, 4), n_samples=50)
    torch.testing.assert_close(scores, net.weight.data, atol=1e-4, rtol=0)
