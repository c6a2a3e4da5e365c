"""How families of models name their attention modules; `hooks` knows no family and is given these tables."""

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
