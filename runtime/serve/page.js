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
    health.className = "health lost";
    health.textContent = "the board does not answer";
  }
  setTimeout(refresh, document.hidden ? 10000 : 1000);
}
// the page is complete with a still picture; an endless one would keep it loading for ever
window.addEventListener("load", () => { watch(); setTimeout(refresh, 1000); });
