"""Captum's names and signatures over our engine: `from captum.attr import …` becomes `from xai_nlp.attr import …`.

Same answers to 1e-6. That holds for `riemann_trapezoid` too, whose weights sum to (n − 1)/n, as Captum's do: the right
rule is `core.quadrature.trapezoid`, and `gausslegendre` is better than either.
"""

from types import ModuleType as _ModuleType

from xai_nlp.attr import visualization as visualization
from xai_nlp.attr.base import Attribution as Attribution
from xai_nlp.attr.base import GradientAttribution as GradientAttribution
from xai_nlp.attr.base import LayerAttribution as LayerAttribution
from xai_nlp.attr.base import NeuronAttribution as NeuronAttribution
from xai_nlp.attr.base import PerturbationAttribution as PerturbationAttribution
from xai_nlp.attr.cam import GuidedGradCam as GuidedGradCam
from xai_nlp.attr.cam import LayerGradCam as LayerGradCam
from xai_nlp.attr.dataloader import DataLoaderAttribution as DataLoaderAttribution
from xai_nlp.attr.deeplift import DeepLift as DeepLift
from xai_nlp.attr.deeplift import DeepLiftShap as DeepLiftShap
from xai_nlp.attr.deeplift import LayerDeepLift as LayerDeepLift
from xai_nlp.attr.deeplift import LayerDeepLiftShap as LayerDeepLiftShap
from xai_nlp.attr.deeplift import NeuronDeepLift as NeuronDeepLift
from xai_nlp.attr.deeplift import NeuronDeepLiftShap as NeuronDeepLiftShap
from xai_nlp.attr.embedding import InterpretableEmbeddingBase as InterpretableEmbeddingBase
from xai_nlp.attr.embedding import TokenReferenceBase as TokenReferenceBase
from xai_nlp.attr.embedding import configure_interpretable_embedding_layer as configure_interpretable_embedding_layer
from xai_nlp.attr.embedding import remove_interpretable_embedding_layer as remove_interpretable_embedding_layer
from xai_nlp.attr.gradient import Deconvolution as Deconvolution
from xai_nlp.attr.gradient import GuidedBackprop as GuidedBackprop
from xai_nlp.attr.gradient import InputXGradient as InputXGradient
from xai_nlp.attr.gradient import LayerActivation as LayerActivation
from xai_nlp.attr.gradient import LayerGradientXActivation as LayerGradientXActivation
from xai_nlp.attr.gradient import NeuronDeconvolution as NeuronDeconvolution
from xai_nlp.attr.gradient import NeuronGradient as NeuronGradient
from xai_nlp.attr.gradient import NeuronGuidedBackprop as NeuronGuidedBackprop
from xai_nlp.attr.gradient import Saliency as Saliency
from xai_nlp.attr.interpretable import ImageMaskInput as ImageMaskInput
from xai_nlp.attr.interpretable import InterpretableInput as InterpretableInput
from xai_nlp.attr.interpretable import ProductBaselines as ProductBaselines
from xai_nlp.attr.interpretable import TextTemplateInput as TextTemplateInput
from xai_nlp.attr.interpretable import TextTokenInput as TextTokenInput
from xai_nlp.attr.llm import LLMAttribution as LLMAttribution
from xai_nlp.attr.llm import LLMGradientAttribution as LLMGradientAttribution
from xai_nlp.attr.llm_result import LLMAttributionResult as LLMAttributionResult
from xai_nlp.attr.lrp import LRP as LRP
from xai_nlp.attr.lrp import LayerLRP as LayerLRP
from xai_nlp.attr.noise import GradientShap as GradientShap
from xai_nlp.attr.noise import LayerGradientShap as LayerGradientShap
from xai_nlp.attr.noise import NeuronGradientShap as NeuronGradientShap
from xai_nlp.attr.noise import NoiseTunnel as NoiseTunnel
from xai_nlp.attr.path import IntegratedGradients as IntegratedGradients
from xai_nlp.attr.path import InternalInfluence as InternalInfluence
from xai_nlp.attr.path import LayerConductance as LayerConductance
from xai_nlp.attr.path import LayerIntegratedGradients as LayerIntegratedGradients
from xai_nlp.attr.path import NeuronConductance as NeuronConductance
from xai_nlp.attr.path import NeuronIntegratedGradients as NeuronIntegratedGradients
from xai_nlp.attr.perturbation import FeatureAblation as FeatureAblation
from xai_nlp.attr.perturbation import FeaturePermutation as FeaturePermutation
from xai_nlp.attr.perturbation import LayerFeatureAblation as LayerFeatureAblation
from xai_nlp.attr.perturbation import LayerFeaturePermutation as LayerFeaturePermutation
from xai_nlp.attr.perturbation import NeuronFeatureAblation as NeuronFeatureAblation
from xai_nlp.attr.perturbation import Occlusion as Occlusion
from xai_nlp.attr.perturbation import ShapleyValues as ShapleyValues
from xai_nlp.attr.perturbation import ShapleyValueSampling as ShapleyValueSampling
from xai_nlp.attr.remote import RemoteLLMAttribution as RemoteLLMAttribution
from xai_nlp.attr.remote import RemoteLLMProvider as RemoteLLMProvider
from xai_nlp.attr.remote import VLLMProvider as VLLMProvider
from xai_nlp.attr.stats import MSE as MSE
from xai_nlp.attr.stats import ClassSummarizer as ClassSummarizer
from xai_nlp.attr.stats import CommonStats as CommonStats
from xai_nlp.attr.stats import Count as Count
from xai_nlp.attr.stats import Max as Max
from xai_nlp.attr.stats import Mean as Mean
from xai_nlp.attr.stats import Min as Min
from xai_nlp.attr.stats import StatValue as StatValue
from xai_nlp.attr.stats import StdDev as StdDev
from xai_nlp.attr.stats import Sum as Sum
from xai_nlp.attr.stats import Summarizer as Summarizer
from xai_nlp.attr.stats import SummarizerSingleTensor as SummarizerSingleTensor
from xai_nlp.attr.stats import Var as Var
from xai_nlp.attr.surrogate import BaselineKernelShap as BaselineKernelShap
from xai_nlp.attr.surrogate import KernelShap as KernelShap
from xai_nlp.attr.surrogate import Lime as Lime
from xai_nlp.attr.surrogate import LimeBase as LimeBase
from xai_nlp.attr.surrogate import RandomBaselineKernelShap as RandomBaselineKernelShap

#: All of these names, without the files that they come from.
__all__ = [name for name, value in vars().items() if name[0] != "_" and not isinstance(value, _ModuleType)]
__all__ += ["visualization"]
