"""How families of models name their attention modules; `hooks` knows no family and is given these tables."""

from torch import nn

from xai_nlp.hooks.attention import AttentionFamilies, AttentionReach

#: Families that compute attention themselves: class of the module -> its child that takes the probabilities.
PROBABILITY_CHILD = {
    "BlipAttention": "dropout",
    "BlipTextSelfAttention": "dropout",
    "BloomAttention": "attention_dropout",
    "BrosSelfAttention": "dropout",
    "CodeGenAttention": "attn_dropout",
    "DisentangledSelfAttention": "dropout",  # DeBERTa, DeBERTa-v2
    "FlavaSelfAttention": "dropout",
    "FunnelRelMultiheadAttention": "attention_dropout",
    "GPTJAttention": "attn_dropout",
    "GPTNeoSelfAttention": "attn_dropout",
    "LayoutLMv2SelfAttention": "dropout",
    "LayoutLMv3SelfAttention": "dropout",
    "LukeSelfAttention": "dropout",
    "LxmertAttention": "dropout",
    "MPNetSelfAttention": "dropout",
    "MegatronBertSelfAttention": "dropout",
    "RemBertSelfAttention": "dropout",
    "RoFormerSelfAttention": "dropout",
    "TapasSelfAttention": "dropout",
    "ViltSelfAttention": "dropout",
    "VisualBertSelfAttention": "dropout",
}
#: Parts of the path of a module that attends over another sequence.
CROSS_ATTENTION_NAMES = ("encoder_attn", "EncDecAttention", "crossattention", "cross_attn", "visual_attention")
#: Components of the path of a module that encodes the image alone.
VISION_NAMES = frozenset({"vision_model", "vision_tower", "visual", "r_layers", "visn_self_att"})

#: Classes of modules that put image patches in a random order at every forward pass.
RANDOM_ORDER = frozenset({"ViltEmbeddings"})


def attention_stack(path: str, paired: bool, call: int = 0) -> str:
    """Which tokens look at which in a module: "self"; in an encoder–decoder "encoder", "decoder" or "cross".

    path: the module's path in its model. paired: the model is an encoder–decoder. call: number of the module's call.
    Where the image has a side of its own: "vision" there, "image" where words look at it, "words" where it looks at
    words.
    """
    parts = path.split(".")
    if VISION_NAMES & set(parts):
        return "vision"
    if any(name in path for name in CROSS_ATTENTION_NAMES):
        if "visual_attention" in parts:  # LXMERT: one module for both directions, words first
            return "words" if call else "image"
        return "image" if "text_encoder" in parts else "cross"
    if "text_decoder" in parts:
        return "decoder"
    named = (part for part in parts if paired and part in ("encoder", "decoder"))
    return next(named, "self")  # the outer name, where a decoder calls its layers an encoder's


FAMILIES = AttentionFamilies(probability_child=PROBABILITY_CHILD, stack=attention_stack, random_order=RANDOM_ORDER)


def attention_reach(model: nn.Module) -> AttentionReach:
    """How the attention probabilities of a model are reached. Raises Unsupported if they cannot be."""
    return AttentionReach.of(model, FAMILIES)
