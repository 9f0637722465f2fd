// Keeps the page up to date by asking for it again and changing what changed, so that focus, scrolling and
// what somebody types stay as they are. Asking, not a stream: each question is short, so that no number of open tabs
// takes the daemon's connections from its probes, and a restart needs no protocol to be recovered from.
"use strict";
(() => {
  const EVERY = 2000; // milliseconds between an answer and the next question
  const SLOWEST = 10000; // the same while nobody answers
  const PATIENCE = 15000; // how long an answer may take: longer than the daemon waits for its loop
  const TYPING = 200; // how long somebody who types has to pause

  const connection = document.getElementById("connection");
  const form = document.getElementById("search");
  let timer, typing, asking, failures = 0, answered = new Date();

  function say(text) {
    if (connection.textContent !== text) connection.textContent = text;
    document.body.toggleAttribute("data-lost", text !== "");
  }

  // Makes `from` like `to`, node by node. What has an id is recognised by it wherever it went.
  function morph(from, to) {
    if (from.nodeType === Node.TEXT_NODE) {
      if (from.data !== to.data) from.data = to.data;
      return;
    }
    if (from.isEqualNode(to) || from.hasAttribute("data-keep")) return;
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && name !== "open") from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    const known = new Map([...from.children].filter((child) => child.id).map((child) => [child.id, child]));
    let place = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      const same = wanted.id ? known.get(wanted.id) : alike(place, wanted) && place;
      if (!same) {
        from.insertBefore(document.adoptNode(wanted), place);
      } else {
        if (same !== place) from.insertBefore(same, place);
        else place = place.nextSibling;
        morph(same, wanted);
      }
    }
    while (place) {
      const gone = place;
      place = place.nextSibling;
      gone.remove();
    }
  }

  const alike = (a, b) => a && a.nodeType === b.nodeType && a.nodeName === b.nodeName && !a.id;

  function take(next) {
    const main = next.getElementById("main");
    if (!main) throw new Error("not one of these pages");
    const focused = document.activeElement;
    morph(document.getElementById("main"), main);
    document.title = next.title;
    // What was moved has lost the focus.
    if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  }

  async function refresh() {
    clearTimeout(timer);
    if (document.hidden) return;
    asking?.abort();
    const mine = (asking = new AbortController());
    try {
      const signal = AbortSignal.any([mine.signal, AbortSignal.timeout(PATIENCE)]);
      const answer = await fetch(location.pathname + location.search, { signal });
      if (!answer.ok && answer.status !== 404) throw new Error(answer.statusText);
      const text = await answer.text();
      if (mine.signal.aborted) return;
      take(new DOMParser().parseFromString(text, "text/html"));
      [failures, answered] = [0, new Date()];
      say("");
    } catch {
      if (mine.signal.aborted) return; // a newer question has taken its place
      failures += 1;
      say(`Not connected since ${answered.toISOString().slice(11, 19)} UTC: this is how it stood then`);
    }
    timer = setTimeout(refresh, Math.min(EVERY * 2 ** Math.min(failures, 8), SLOWEST));
  }

  // The address says all that is shown, so that it can be shared.
  function search(event) {
    if (event.type === "submit") event.preventDefault();
    clearTimeout(typing);
    typing = setTimeout(() => {
      const wanted = [...new FormData(form)].filter(([name, value]) => value && !(name === "sort" && value === "attention"));
      history.replaceState(null, "", `?${new URLSearchParams(wanted)}#accounts`);
      refresh();
    }, event.type === "submit" ? 0 : TYPING);
  }

  if (!document.body.hasAttribute("data-live")) return;
  document.body.setAttribute("data-script", "");
  for (const name of ["input", "submit"]) form?.addEventListener(name, search);
  document.addEventListener("visibilitychange", refresh);
  for (const name of ["online", "pageshow"]) addEventListener(name, refresh);
})();
