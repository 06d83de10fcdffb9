"use strict";
// Looks for a newer board, puts it in the place of the old one, and marks the rows that have moved. A look at what has
// not changed is answered without content. Of results that are hidden it learns when they are shown, and that this has
// changed. Without this script a board asks for itself again every 20 seconds, a hidden one every minute.
const EVERY = 5000, HIDDEN = 45000, MOST = 60000;
const board = document.getElementById("board");
const state = document.getElementById("state");
const news = document.getElementById("news");
const reveal = document.getElementById("reveal");
const countdown = document.getElementById("countdown");
const hidden = document.getElementById("hidden");
let known = null, wait = EVERY, due = false, timer;

function placesByTeam(root) {
  const places = new Map();
  root.querySelectorAll("tr[data-team]").forEach((row, i) => places.set(row.dataset.team, i));
  return places;
}

function replaceBoard(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  const made = page.getElementById("board"), still = page.getElementById("hidden");
  if (hidden && still && hidden.dataset.reveals === still.dataset.reveals) return;
  // Where results are hidden, shown no longer hidden, or shown at another time, the page is another one.
  if (!board || !made) { location.reload(); return; }
  if (made.dataset.digest === board.dataset.digest) return;
  board.dataset.digest = made.dataset.digest;
  const before = placesByTeam(board), after = placesByTeam(made);
  let moved = 0;
  for (const row of made.querySelectorAll("tr[data-team]")) {
    const old = before.get(row.dataset.team), place = after.get(row.dataset.team);
    if (old === place || !before.size) continue;
    // Who was not there before has come up from below, or is new.
    row.classList.add(old === undefined || place < old ? "up" : "down");
    if (old !== undefined) moved += 1;
  }
  const regions = [...board.querySelectorAll(".wide")];
  const scrolled = regions.map((region) => [region.scrollLeft, region.scrollTop]);
  const open = [...board.querySelectorAll("details")].map((part) => part.open);
  const focused = regions.indexOf(document.activeElement);
  board.replaceChildren(...made.childNodes);
  [...board.querySelectorAll(".wide")].forEach((region, i) => {
    if (scrolled[i]) [region.scrollLeft, region.scrollTop] = scrolled[i];
    if (i === focused) region.focus({ preventScroll: true });
  });
  board.querySelectorAll("details").forEach((part, i) => { if (i in open) part.open = open[i]; });
  const fresh = after.size - [...after.keys()].filter((team) => before.has(team)).length;
  if (moved || fresh) news.textContent = `New board: ${moved} moved, ${fresh} new.`;
}

async function look() {
  try {
    const answer = await fetch(location.pathname, { cache: "no-cache" });
    if (!answer.ok) throw new Error(String(answer.status));
    const name = answer.headers.get("ETag");
    if (name !== known) {
      known = name;
      replaceBoard(await answer.text());
    }
    wait = hidden && !due ? HIDDEN : EVERY;
    if (state) { state.textContent = "Live"; state.className = "state"; }
  } catch {
    wait = Math.min(2 * wait, MOST);
    if (state) { state.textContent = "No connection"; state.className = "state away"; }
  }
  // Not all at once, though a thousand have opened the page at the same moment.
  clearTimeout(timer);
  timer = setTimeout(whenSeen, wait * (0.8 + 0.4 * Math.random()));
}

function whenSeen() {
  if (!document.hidden) { look(); return; }
  document.addEventListener("visibilitychange", whenSeen, { once: true });
}

function countDown() {
  const left = Math.max(0, Math.ceil((Date.parse(reveal.dateTime) - Date.now()) / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const days = Math.floor(left / 86400);
  const clock = [Math.floor(left / 3600) % 24, Math.floor(left / 60) % 60, left % 60].map(two).join(":");
  countdown.textContent = days ? `${days} d ${clock}` : clock;
  if (left > 0) { setTimeout(countDown, 1000); return; }
  // By this clock, which may run ahead: the server knows when it is time.
  due = true;
  clearTimeout(timer);
  timer = setTimeout(whenSeen, 1000 + 2000 * Math.random());
}

if (board || hidden) look();
if (countdown) countDown();
