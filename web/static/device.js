// A screen that nobody tends: it fetches itself again and again, and says so when it cannot.
const shown = document.getElementById("shown");
const lost = document.getElementById("lost");
const EVERY_MS = 5000;
const PATIENCE_MS = 8000;
const AWAY_MS = 15000;
const AFRESH_MS = 6 * 3600 * 1000; // a page that lives for weeks is made anew now and then
const began = performance.now();
let heard = began;
let asked = began; // when what is shown was asked for: it may be that old
let waiting = false;

function take(text, at) {
  const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("shown");
  if (fresh === null || fresh.dataset.version !== shown.dataset.version) {
    location.reload(); // it is another screen now, or the node another release
    return;
  }
  shown.replaceChildren(...fresh.childNodes);
  asked = at;
  heard = performance.now();
  if (heard - began > AFRESH_MS) location.reload();
}

async function renew() {
  if (waiting) return;
  waiting = true;
  const at = performance.now();
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const answer = await fetch("/display", { cache: "no-store", signal });
    if (answer.ok) take(await answer.text(), at);
  } catch {
    // The node is away: the clock below says so.
  } finally {
    waiting = false;
    tick();
  }
}

// A code is hidden when its time is over, whatever the node does.
function tick() {
  const now = performance.now();
  const isLost = now - heard > AWAY_MS;
  lost.hidden = !isLost;
  document.body.classList.toggle("is-lost", isLost);
  const code = shown.querySelector("[data-left]");
  if (code === null) return;
  const left = Number(code.dataset.left) - (now - asked) / 1000;
  const isOver = left <= 0 || isLost;
  code.querySelector("#digits").classList.toggle("is-over", isOver);
  if (isOver) code.querySelector("#digits").textContent = "··· ···";
  code.querySelector("#left").value = Math.max(0, left);
  if (isOver && !isLost) renew();
}

tick();
setInterval(tick, 500);
setInterval(renew, EVERY_MS);
document.addEventListener("visibilitychange", renew);
