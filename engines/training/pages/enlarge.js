// Pictures enlarge in a window of the page: keys ← → go through them, Esc closes. Without this script they are links.
"use strict";
const links = [...document.querySelectorAll("a[data-large]")];
const view = document.getElementById("large");
const large = document.createElement("img");
view.prepend(large);
const said = view.querySelector("p");
let at = 0;

function show(number) {
  at = (number + links.length) % links.length;
  large.src = links[at].href;
  large.alt = links[at].querySelector("img").alt;
  said.textContent = `${at + 1} / ${links.length} · ${links[at].dataset.large}`;
}

for (const [number, link] of links.entries()) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(number);
    view.showModal();
  });
}
view.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) show(at + step);
});
view.addEventListener("click", (event) => {
  const step = event.target.dataset.step;
  if (step) show(at + Number(step));
  else if (event.target === large || event.target === view) view.close();
});
