"use strict";
// the server writes all text, escaped: this only puts the newest panel in place of the last one
const panel = document.getElementById("panel");
const picture = document.querySelector("img");
let away = false;
async function refresh() {
  try {
    const answer = await fetch("panel", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(answer.statusText);
    panel.innerHTML = await answer.text();
    if (away) picture.src = "stream.mjpg?" + Date.now();
    away = false;
  } catch (error) {
    away = true;
    const health = panel.querySelector(".health");
    health.className = "health lost";
    health.textContent = "the board does not answer";
  }
  setTimeout(refresh, document.hidden ? 10000 : 1000);
}
setTimeout(refresh, 1000);
