"""Why did the model like this review? From one call to a comparison of methods. Run: python tutorials/sentiment.py"""

import xai_nlp

# One call. The embedded model needs no download; name any other with model="…".
why = xai_nlp.explain("Not a bad film, but far too long.")
print(why)
print(why.to_ansi())

# Scores are raw, signed, in logits, and add up: f(x) − f(x₀) = Σ scores + residual.
print(f"f(x) − f(x₀) = {why.explained:+.4f} = Σ {sum(why.scores):+.4f} + residual {why.residual:+.4f}")

# Whole words, and why NEGATIVE rather than POSITIVE.
explainer = xai_nlp.load("sentiment")
contrast = explainer.explain("Not a bad film, but far too long.", target="NEGATIVE-POSITIVE").words()
for token, score in sorted(zip(contrast.tokens, contrast.scores, strict=True), key=lambda pair: -abs(pair[1]))[:4]:
    print(f"{score:+.3f}  {token}")

# Methods disagree; look at several before believing one. Only complete methods share out f(x) − f(x₀).
for other in explainer.explain(why.segments[0], method=["integrated_gradients", "occlusion", "saliency"]):
    strongest = max(zip(other.scores, other.tokens, strict=True))[1]
    print(f"{other.method:22} {strongest!r:8} {'complete' * other.complete}")

# What if the baseline were another? The answer is always "compared with what".
for baseline in ("pad", "mask", "zero", "a perfectly decent film"):
    found = explainer.explain(why.segments[0], baseline=baseline, target="NEGATIVE")
    strongest = max(zip(found.scores, found.tokens, strict=True))[1]
    print(f"{baseline:25} f(x₀) = {found.baseline_value:+.2f}, strongest {strongest!r}")

# Captum's names, same answers.
# from captum.attr import LayerIntegratedGradients  becomes
from xai_nlp.attr import LayerIntegratedGradients  # noqa: E402

batch = explainer.tokenizer("a gripping film", return_tensors="pt")
lig = LayerIntegratedGradients(lambda ids: explainer.model(ids).logits, explainer.model.bert.embeddings)
scores, delta = lig.attribute(batch["input_ids"], target=1, return_convergence_delta=True)
print(scores.sum(-1), delta)
