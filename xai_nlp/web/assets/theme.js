// The theme before the first paint, and its switch. "auto" follows the system.
const root = document.documentElement;
function show(theme) {
  if (theme) root.setAttribute("theme", theme);
  else root.removeAttribute("theme");
}
function stored() {
  try { return localStorage.getItem("xai-theme") ?? ""; } catch { return ""; }      // storage may be forbidden
}
show(["light", "dark"].includes(stored()) ? stored() : "");
document.addEventListener("DOMContentLoaded", () => {
  const buttons = [...document.querySelectorAll(".theme button")];
  const press = () => {
    for (const one of buttons) one.setAttribute("aria-pressed", String(one.dataset.theme === (root.getAttribute("theme") ?? "")));
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      show(button.dataset.theme);
      try { localStorage.setItem("xai-theme", button.dataset.theme); } catch { /* then it lasts as long as the page */ }
      press();
    });
  }
  press();
});
