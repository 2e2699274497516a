"use strict";
// the server writes all text, escaped: this only puts the newest panel in place of the last one
const panel = document.getElementById("panel");
const picture = document.querySelector("img");
const watch = () => { picture.src = "stream.mjpg?" + Date.now(); };
let away = false;
async function refresh() {
  try {
    const answer = await fetch("panel", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(answer.statusText);
    panel.innerHTML = await answer.text();
    if (away) watch();
    away = false;
  } catch (error) {
    away = true;
    const health = panel.querySelector(".health");
    if (health) {
      health.className = "health lost";
      health.textContent = "the board does not answer";
    }
  }
  setTimeout(refresh, document.hidden ? 10000 : 1000);
}
// a click saves without loading the page again; the answer is a line, behind it the page itself
const hard = document.getElementById("hard");
async function click(event) {
  event.preventDefault();
  const form = event.target, said = document.querySelector(".said"), body = new URLSearchParams(new FormData(form));
  if (event.submitter && event.submitter.name) body.set(event.submitter.name, event.submitter.value);
  try {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body, redirect: "manual" });
    const saved = answer.type === "opaqueredirect";
    const told = saved ? "saved in " + body.get("label") : await answer.text();
    if (answer.status === 403) location.reload();
    else if (!form.closest("#hard")) said.textContent = told;
    else if (saved) form.remove();
    else form.querySelector(".guess").textContent = told;
  } catch (error) {
    if (said) said.textContent = "not saved: the board does not answer";
  }
}
document.addEventListener("submit", click);
// not while somebody points at a button
async function sort() {
  try {
    const answer = hard.matches(":hover, :focus-within") ? null : await fetch("hard", { cache: "no-store" });
    const text = answer && answer.ok ? await answer.text() : hard.last;
    if (text !== hard.last) hard.innerHTML = hard.last = text;
  } catch (error) { /* the panel tells that the board is away */ }
  setTimeout(sort, 10000);
}
if (hard.firstChild) setTimeout(sort, 10000);
// the page is complete with a still picture; an endless one would keep it loading for ever
window.addEventListener("load", () => { watch(); setTimeout(refresh, 1000); });
