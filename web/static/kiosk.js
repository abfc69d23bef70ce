// A shared screen: a badge reader types, gloves press, and who has gone is forgotten.
const main = document.getElementById("main");
const badge = document.getElementById("f-badge");
const pin = document.getElementById("f-pin");
const pad = document.getElementById("pad");
const lost = document.getElementById("lost");
const HOME_MS = 60000; // a machine that nobody looks at any more
const ALIVE_MS = 10000;

if (pad !== null) {
  pad.hidden = false;
  pad.addEventListener("click", (event) => {
    const digit = event.target.closest("[data-digit]")?.dataset.digit;
    if (digit === undefined) return;
    pin.value = digit === "" ? pin.value.slice(0, -1) : pin.value + digit;
  });
}

// The reader is a keyboard: what it types is a badge wherever the focus is.
let reading = false;
let number = "";
function onKey(event) {
  const { start, end } = main.dataset;
  if (badge === null || event.ctrlKey || event.altKey || event.metaKey) return;
  const typing = document.activeElement?.matches("#f-login, #f-pin");
  if (start !== "" && event.key === start) {
    reading = true;
    number = "";
  } else if (reading && event.key !== end && event.key.length === 1) {
    number += event.key;
  } else if (reading && event.key === end) {
    reading = false;
    badge.value = number;
    pin.focus();
  } else if (start === "" && document.activeElement === badge && event.key === end) {
    pin.focus();
  } else if (start === "" && !typing && document.activeElement !== badge && event.key.length === 1) {
    badge.focus();
    return; // this very key then goes into the field
  } else {
    return;
  }
  event.preventDefault();
}
document.addEventListener("keydown", onKey);

const began = performance.now();
let touched = began;
let told = began;
for (const kind of ["pointerdown", "keydown"]) {
  document.addEventListener(kind, () => { touched = performance.now(); });
}

// Asking for the page is a touch that the node counts, too; and it says whether the node is there.
async function tellNode() {
  told = performance.now();
  try {
    const answer = await fetch("/kiosk", { cache: "no-store", signal: AbortSignal.timeout(8000) });
    lost.hidden = answer.ok;
  } catch {
    lost.hidden = false;
  }
}

const idle = document.getElementById("idle");
function tick() {
  const now = performance.now();
  const isTouched = touched > told;
  if (main.dataset.idle === undefined) {
    if (now - touched > HOME_MS) location.replace("/kiosk");
    else if (now - told > ALIVE_MS) tellNode();
    return;
  }
  const left = Number(main.dataset.idle) - (now - touched) / 1000;
  idle.textContent = idle.dataset.text.replace("#", String(Math.max(0, Math.ceil(left))));
  if (left <= 0) document.getElementById("leave").requestSubmit();
  else if (isTouched && now - told > 3000) tellNode();
}
tick();
setInterval(tick, 500);
