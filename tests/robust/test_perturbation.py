"""The base class of attacks: calling it is perturbing."""

import pytest
import torch

from tests.robust.attacked import BOTH


@pytest.mark.parametrize("lib", BOTH)
def test_calling_it_calls_perturb_with_all_arguments(lib):
    class Scaled(lib.Perturbation):
        def perturb(self, inputs, factor, *, shift=0):
            return inputs * factor + shift

    assert torch.equal(Scaled()(torch.ones(2), 3, shift=1), torch.full((2,), 4.0))
    assert issubclass(lib.FGSM, lib.Perturbation) and issubclass(lib.PGD, lib.Perturbation)


@pytest.mark.parametrize("lib", BOTH)
def test_a_perturbation_without_the_method_says_so(lib):
    with pytest.raises(AttributeError, match="perturb"):
        lib.Perturbation()(torch.ones(2))
