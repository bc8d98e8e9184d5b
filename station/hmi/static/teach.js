// Counts what is left of a strip while parts are left out.
const strip = document.getElementById("strip");
if (strip) {
  const boxes = [...strip.querySelectorAll("[name=out]")];
  const most = Number(strip.dataset.most || Infinity);
  const show = () => {
    const out = boxes.filter((box) => box.checked).length;
    document.getElementById("kept").textContent = boxes.length - out;
    for (const box of boxes) box.disabled = out >= most && !box.checked;
  };
  strip.addEventListener("change", show);
  show(); // a browser that comes back keeps the boxes
}
