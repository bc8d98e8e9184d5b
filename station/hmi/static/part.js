// The slider over a picture: how much of the heat map is seen. H switches it, the arrow keys go to the neighbours.
for (const slider of document.querySelectorAll("[data-opacity]")) {
  const heat = slider.closest(".view").querySelector(".heat");
  const show = () => { heat.style.opacity = slider.value / 100; };
  slider.addEventListener("input", show);
  show(); // a browser that comes back keeps the slider
}

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea, [contenteditable]") || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "h") {
    for (const slider of document.querySelectorAll("[data-opacity]")) {
      slider.value = slider.value > 0 ? 0 : 100;
      slider.dispatchEvent(new Event("input"));
    }
  }
  const way = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  if (way) document.querySelector(`a[rel="${way}"]`)?.click();
});
