// Ticked images -> the text of a veto file. Works without a network; without this script, edit removed.txt.
"use strict";
const boxes = [...document.querySelectorAll("input[data-name]")];
const text = document.getElementById("veto-text");
const save = document.getElementById("veto-save");
const knownGood = text.value;

function update() {
  const names = new Set(boxes.filter((box) => box.checked).map((box) => box.dataset.name));
  text.value = knownGood + [...names].map((name) => name + "\n").join("");
  URL.revokeObjectURL(save.href);
  save.href = URL.createObjectURL(new Blob([text.value], { type: "text/plain" }));
}

for (const box of boxes) {
  box.addEventListener("change", () => {
    for (const same of boxes) if (same.dataset.name === box.dataset.name) same.checked = box.checked;
    update();
  });
}
document.getElementById("veto-tool").hidden = false;
update(); // a browser may remember ticks over a reload
