// Live values: changes text in place; a page whose structure changed fetches its parts again.
const MIN_GAP_MS = 2500;
const word = document.getElementById("live-word");
let lastRefresh = 0;
let pending = 0;
let lastHouse = Number(document.body.dataset.house);

function setText(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

function setEnd(node, machine) {
  setText(node, machine.ends);
  node.dateTime = machine.ends_utc;
}

function update(box, machine) {
  for (const node of box.querySelectorAll("[data-f]")) {
    const name = node.dataset.f;
    if (name === "progress") node.value = machine.progress ?? 0;
    else if (name === "ends") setEnd(node, machine);
    else setText(node, machine[name] ?? "");
  }
  for (const node of box.querySelectorAll("[data-t]")) {
    setText(node, machine.temperatures[node.dataset.t] ?? "–");
  }
  for (const node of box.querySelectorAll("[data-act]")) {
    const isLegal = machine.acts.includes(node.dataset.act);
    // One that has the keyboard keeps it: it only says that it cannot be pressed.
    node.disabled = !isLegal && node !== document.activeElement;
    node.setAttribute("aria-disabled", String(!isLegal));
  }
  for (const node of box.querySelectorAll("[data-alarm]")) {
    node.dataset.alarm = machine.presence_is_loud ? "yes" : "";
  }
  for (const pill of box.querySelectorAll("[data-pill]")) pill.dataset.state = machine.state;
}

// Swapping a part under a person's hands would lose their place: then it waits.
function isBusy(part) {
  return part.contains(document.activeElement) || part.querySelector("details[open]") !== null;
}

function refresh() {
  clearTimeout(pending);
  const wait = lastRefresh + MIN_GAP_MS - Date.now();
  if (wait > 0) {
    pending = setTimeout(refresh, wait);
    return;
  }
  lastRefresh = Date.now();
  if (!window.htmx || document.hidden) return;
  for (const part of document.querySelectorAll("[data-refresh][id]")) {
    if (isBusy(part)) pending = setTimeout(refresh, MIN_GAP_MS);
    else {
      const address = new URL(location.href);
      address.searchParams.delete("said");
      const select = `#${part.id}`;
      window.htmx.ajax("GET", address.pathname + address.search, {
        target: select, select, swap: "outerHTML",
      });
    }
  }
}

// Who stands at a beam must not miss that they are asked: it sounds and flashes until they answer.
let sound = null;
document.addEventListener("pointerdown", () => {
  // A browser lets a page sound only once somebody has touched it.
  if (sound === null && document.querySelector("[data-alarm]") && window.AudioContext) {
    sound = new AudioContext();
  }
});

function beep() {
  if (sound === null || sound.state !== "running") return;
  const tone = sound.createOscillator();
  tone.frequency.value = 880;
  tone.connect(sound.destination);
  tone.start();
  tone.stop(sound.currentTime + 0.25);
}

function alarm() {
  if (!document.querySelector('[data-alarm="yes"]')) return;
  beep();
  navigator.vibrate?.(200);
}
setInterval(alarm, 2000);

// How long until an instant, such as the end of a fire watch; at its end the page asks anew.
function countDown() {
  for (const node of document.querySelectorAll("[data-until]")) {
    const left = Math.ceil((Date.parse(node.dataset.until) - Date.now()) / 1000);
    if (left > 0) setText(node, `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`);
    else {
      delete node.dataset.until;
      setText(node, "");
      refresh();
    }
  }
}
setInterval(countDown, 1000);

function onMachines(event) {
  const { house, machines } = JSON.parse(event.data);
  const watched = document.querySelector("[data-watch]")?.dataset.watch;
  let isChanged = watched === "machines" || (watched !== undefined && house !== lastHouse);
  lastHouse = house;
  for (const machine of machines) {
    for (const box of document.querySelectorAll(`[data-machine="${machine.slug}"]`)) {
      update(box, machine);
      if (box.dataset.key !== undefined && box.dataset.key !== machine.key) {
        isChanged = true;
        const name = box.querySelector("[translate=no]")?.textContent ?? machine.slug;
        if (box.dataset.state !== machine.state) setText(word, `${name}: ${machine.state_text}`);
        box.dataset.state = machine.state;
      }
    }
  }
  if (isChanged) refresh();
}

// A part that came anew may have another word to say than the one it replaced.
let lastWord = document.querySelector("[data-word]")?.dataset.word;
document.addEventListener("htmx:afterSettle", () => {
  const now = document.querySelector("[data-word]")?.dataset.word;
  if (now && now !== lastWord) setText(word, now);
  lastWord = now;
});

// Old values look like new ones: a page that hears nothing says so.
const AWAY_MS = 4000;
const AGAIN_MS = 15000;
const away = document.getElementById("away");
let source = null;
let silence = 0;

function sayAway(isAway) {
  clearTimeout(silence);
  silence = 0;
  if (away.hidden !== isAway) return;
  away.hidden = !isAway;
  away.textContent = isAway ? away.dataset.text : "";
}

function onError() {
  silence ||= setTimeout(sayAway, AWAY_MS, true);
  if (source?.readyState !== EventSource.CLOSED) return; // else the browser comes back by itself
  source = null;
  setTimeout(watch, AGAIN_MS);
}

function leave() {
  source?.close();
  source = null;
  sayAway(false);
}

// A browser keeps few connections to one house: a hidden page gives its own back.
function watch() {
  if (document.hidden) {
    leave();
  } else if (source === null) {
    source = new EventSource(document.body.dataset.events);
    source.addEventListener("open", () => sayAway(false));
    source.addEventListener("error", onError);
    source.addEventListener("machines", onMachines);
  }
}
document.addEventListener("visibilitychange", watch);
addEventListener("pagehide", leave);
addEventListener("pageshow", watch); // the Back button may bring the page as it was

// A tap beside the stop sheet closes it.
document.addEventListener("click", (event) => {
  const sheet = document.querySelector("details.stop[open]");
  if (sheet && !sheet.contains(event.target)) sheet.open = false;
});

// What cannot be done now is not asked for, though it still has the keyboard.
document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-act][aria-disabled=true]")) {
    event.preventDefault();
    event.stopPropagation();
  }
}, true);

// Closing the stop sheet with Escape gives the keyboard back to its button.
document.addEventListener("keydown", (event) => {
  const sheet = document.querySelector("details.stop[open]");
  if (event.key !== "Escape" || !sheet) return;
  sheet.open = false;
  sheet.querySelector("summary").focus();
});

// A file that is too large is said before it travels.
document.addEventListener("change", (event) => {
  const { target } = event;
  if (target.type !== "file" || !target.dataset.limit) return;
  const isTooLarge = target.files.length > 0 && target.files[0].size > Number(target.dataset.limit);
  target.setCustomValidity(isTooLarge ? target.dataset.tooLarge : "");
  target.reportValidity();
});

// A slider shows what it is at; without this its form has a button.
document.addEventListener("change", (event) => {
  const form = event.target.closest?.("form[data-swap]");
  if (!form || !window.htmx) return;
  const address = `${form.getAttribute("action")}?${new URLSearchParams(new FormData(form))}`;
  const select = form.dataset.swap;
  history.replaceState(null, "", address);
  window.htmx.ajax("GET", address, { target: select, select, swap: "outerHTML" });
});
for (const button of document.querySelectorAll("form[data-swap] button")) {
  button.hidden = Boolean(window.htmx);
}

watch();
