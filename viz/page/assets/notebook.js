
// One script for all cells of a notebook: the style stays when its cell scrolls away, and later cells are enriched too.
const wake = () => document.querySelectorAll(".xai-nlp:not([data-live])").forEach(enrich);
const [look] = [...document.querySelectorAll(".xai-nlp.in-cell > style")].slice(-1);
const kept = document.getElementById("xai-nlp-look") ?? Object.assign(document.createElement("style"), { id: "xai-nlp-look" });
if (look && kept.textContent !== look.textContent) {
  kept.textContent = look.textContent;
  document.head.append(kept);
}
wake();
if (!document.documentElement.dataset.xaiNlp) {
  document.documentElement.dataset.xaiNlp = "watched";
  new MutationObserver(wake).observe(document.body, { childList: true, subtree: true });
}
