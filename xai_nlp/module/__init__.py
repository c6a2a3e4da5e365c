"""Captum's names for modules: stochastic gates that learn which inputs are needed."""

from xai_nlp.module.binary_concrete_gates import BinaryConcreteStochasticGates
from xai_nlp.module.gaussian_gates import GaussianStochasticGates
from xai_nlp.module.stochastic_gates import StochasticGatesBase

__all__ = ["BinaryConcreteStochasticGates", "GaussianStochasticGates", "StochasticGatesBase"]
