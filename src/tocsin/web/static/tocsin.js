// What the pages do beyond HTML: clocks, the live state, keys. Without it everything still works.
(() => {
  "use strict";
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // -- Time: the server's clock decides, the reader's zone shows. --------------------------------
  let ahead = 0; // How far our clock is ahead of the server's, in ms.
  const heed = (iso) => { const t = Date.parse(iso); if (!Number.isNaN(t)) ahead = Date.now() - t; };
  const now = () => Date.now() - ahead;
  heed(document.documentElement.dataset.now);

  const clock = (options) => new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", ...options });
  const two = "2-digit";
  const hm = clock({ hour: two, minute: two });
  const hms = clock({ hour: two, minute: two, second: two });
  const day = clock({ day: "numeric", month: "long", year: "numeric" });
  const dayHm = clock({ day: "numeric", month: "short", hour: two, minute: two });
  const shown = {
    hm: (t) => hm.format(t),
    hms: (t) => hms.format(t),
    day: (t) => day.format(t),
    when: (t) => Math.abs(now() - t) > 64800e3 ? dayHm.format(t).replace(",", "") : hm.format(t),
    event: (t) => Math.abs(now() - t) > 64800e3 ? dayHm.format(t).replace(",", "") : hms.format(t),
  };
  const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };

  const localise = (root) => {
    for (const node of all("[data-f]", root)) {
      const iso = node.getAttribute("datetime") || node.closest("time")?.getAttribute("datetime");
      const t = Date.parse(iso);
      if (!Number.isNaN(t)) put(node, shown[node.dataset.f](t));
    }
  };
  const until = (s) => {
    if (s <= 0) return "due now";
    const pad = (n) => String(n).padStart(2, "0");
    if (s < 3600) return `${Math.floor(s / 60)}:${pad(s % 60)}`;
    if (s < 259200) return `${Math.floor(s / 3600)} h ${pad(Math.floor((s % 3600) / 60))}`;
    return `${Math.floor(s / 86400)} days`;
  };
  const lasting = (s) => {
    if (s < 100) return `${Math.max(0, Math.round(s))} s`;
    const m = Math.round(s / 60);
    if (m < 100 && m !== 60) return `${m} min`;
    const h = Math.floor(m / 60);
    if (h < 72) return m % 60 ? `${h} h ${String(m % 60).padStart(2, "0")}` : `${h} h`;
    return `${Math.round(h / 24)} days`;
  };
  const tick = () => {
    const t = now();
    for (const node of all("[data-until]")) {
      const s = Math.floor((Date.parse(node.dataset.until) - t) / 1000);
      put(node, until(s));
      if (node.classList.contains("left") && !node.classList.contains("ok")) node.classList.toggle("near", s < 120);
      const bar = $("progress", node.closest(".until") || document.createElement("i"));
      if (bar) bar.value = bar.max - Math.max(0, s);
    }
    for (const node of all("[data-since]")) put(node, lasting((t - Date.parse(node.dataset.since)) / 1000));
    for (const node of all("[data-clock]")) put(node, hms.format(t));
    offlineFor();
  };

  // -- Live: one stream says that something changed; htmx fetches the page's main part. ------------
  const badge = $("#live"), bar = $("#offline"), stream = $("#stream");
  let lostAt = 0, heardAt = 0;
  const live = () => {
    heardAt = Date.now();
    lostAt = 0;
    badge.hidden = false;
    badge.classList.remove("off");
    badge.removeAttribute("title");
    put(badge, "Live");
    bar.hidden = true;
    for (const button of all("[data-held]")) { button.disabled = false; delete button.dataset.held; }
  };
  const lost = () => {
    if (lostAt) return;
    lostAt = Date.now();
    put($("#offline-since"), hm.format(lostAt - ahead));
  };
  const offlineFor = () => {
    if (!stream) return;
    if (!lostAt && heardAt && Date.now() - heardAt > 40000) lost();
    if (!lostAt) return;
    const s = Math.floor((Date.now() - lostAt) / 1000);
    badge.hidden = false;
    badge.classList.add("off");
    put(badge, s < 10 ? "Reconnecting" : `Offline ${until(s)}`);
    if (s < 10) return;
    bar.hidden = false;
    for (const button of all("main .btn.go:not(:disabled)")) { button.disabled = true; button.dataset.held = ""; }
  };
  if (stream) {
    for (const name of ["hello", "changed", "tick"]) {
      stream.addEventListener(name, (event) => { heed(event.detail?.data); live(); });
    }
    stream.addEventListener("htmx:sse:error", lost);
    stream.addEventListener("htmx:sse:before:connection", (event) => { if (event.detail.connection?.attempt > 0) lost(); });
    // The first connection is an ordinary request, which nobody tries again.
    const again = () => { lost(); setTimeout(() => { if (lostAt) htmx.trigger(stream, "reconnect"); }, 5000); };
    stream.addEventListener("htmx:error", again);
    stream.addEventListener("htmx:response:error", again);
    stream.addEventListener("htmx:sse:close", again);
    addEventListener("offline", lost);
  }

  // -- What is new is tinted once; what the reader has open or typed stays. ------------------------
  let known = new Set();
  const remember = () => { known = new Set(all("[data-fresh]").map((node) => node.id)); };
  const announce = () => {
    const text = [$("h1"), $(".phases [aria-current]"), $(".ask header .act")].map((n) => n?.textContent.trim() || "").join(". ");
    const said = $("#said");
    if (said.dataset.last && said.dataset.last !== text) put(said, text);
    said.dataset.last = text;
  };
  document.addEventListener("htmx:before:swap", remember);
  document.addEventListener("htmx:after:swap", () => {
    const main = $("#main");
    localise(main);
    tick();
    announce();
    for (const node of all("[data-fresh]", main)) if (known.size && !known.has(node.id)) node.classList.add("fresh");
    if (lostAt) offlineFor();
  });
  document.addEventListener("htmx:after:request", (event) => {
    const form = event.target.closest?.("form");
    const status = event.detail?.ctx?.response?.status;
    if (!form || !(status < 400)) return;
    form.reset();
    const opened = form.closest("details");
    if (opened) opened.open = false;
  });

  // -- Keys ----------------------------------------------------------------------------------------
  const typing = (node) => node.closest?.("input, textarea, select, [contenteditable]");
  const move = (step) => {
    const links = all(".lead .cover, .board .cover");
    const at = links.indexOf(document.activeElement);
    const to = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step))];
    to?.focus();
    to?.parentElement.scrollIntoView({ block: "nearest" });
  };
  const keys = {
    j: () => move(1),
    k: () => move(-1),
    a: () => $("main .btn.go")?.focus(),
    n: () => { const field = $("#say"); if (field) { if (!field.offsetParent) location.hash = "#timeline"; field.focus(); } },
    "?": () => { const list = $("#keys"); if (list && !list.open) list.showModal(); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.id === "say") {
      event.target.form.requestSubmit();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || $("dialog[open]")) return;
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });

  localise(document);
  tick();
  announce();
  setInterval(tick, 1000);
})();
