// One place's markup brought to life: the same call in a page, in a notebook and in the web app.
export function enrich(root) {
  if (mount(root)) {
    maps(root);
    images(root);
  }
}
