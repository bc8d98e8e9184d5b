// A slider and its number say the same, and so do the lines over the scores.
const STEPS = 50;
const HIGH = 40;
const fieldOf = (key) => document.querySelector(`input[name="${CSS.escape(key)}"]`);

function line(key, value) {
  const path = document.querySelector(`[data-line="${key.split(".").pop()}"]`);
  if (path && Number.isFinite(value)) path.setAttribute("d", `M${STEPS * value} 0V${HIGH}`);
}

for (const slider of document.querySelectorAll("input[data-of]")) {
  const number = fieldOf(slider.dataset.of);
  const read = () => parseFloat((number.value || number.placeholder).replace(",", "."));
  slider.addEventListener("input", () => {
    number.value = String(Math.round(slider.value * 1000) / 1000);
    line(slider.dataset.of, Number(slider.value));
    mark();
  });
  number.addEventListener("input", () => {
    if (Number.isFinite(read())) slider.value = read();
    line(slider.dataset.of, read());
    mark();
  });
}

// Where review is above reject nothing would ever be reviewed: said before it is sent.
function mark() {
  const value = (name) => {
    const input = document.querySelector(`.pair input[name$=".${name}"]`);
    return parseFloat((input.value || input.placeholder).replace(",", "."));
  };
  const wrong = value("review_score") > value("reject_score");
  for (const each of document.querySelectorAll(".pair")) each.classList.toggle("wrong", wrong);
}
mark();
