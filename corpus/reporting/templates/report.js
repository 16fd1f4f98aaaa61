// The browser of trajectories. Texts come from strangers: they enter the page as text nodes only.
(async () => {
  "use strict";
  const holder = document.getElementById("data");
  const byId = (name) => document.getElementById(name);
  const PAGE = 100;
  // Answers longer than this may need to be scrolled, also from the keyboard.
  const LONG = 600;

  async function read() {
    if (holder.dataset.packed !== "gzip") return JSON.parse(holder.textContent);
    const bytes = Uint8Array.from(atob(holder.textContent), (sign) => sign.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  let data;
  try {
    data = await read();
  } catch (error) {
    byId("count").textContent = "The trajectories could not be read: a newer browser may be needed. " + error;
    return;
  }
  holder.remove();

  const { plain, leftOut, words, items, options, fits, difference, signs } = logic(data);
  const figure = (value, places = 2) => (value == null ? "-" : value.toFixed(places));

  function make(tag, names = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(names)) {
      if (name === "class") node.className = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== false) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return node;
  }

  const signed = (text) => signs(text).map((part, place) => (place % 2 ? make("span", { class: "sign" }, part) : part));
  function put(ref, tag = "div") {
    const node = make(tag, { class: "text", dir: "auto" }, ...signed(plain(ref)));
    const rest = leftOut(ref);
    if (rest > 0) node.append(make("span", { class: "left-out" }, ` … ${rest.toLocaleString("en")} more characters`));
    return node;
  }
  const part = (title, ref) => (plain(ref) ? [make("h4", {}, title), put(ref)] : []);

  const form = byId("filters");
  const field = (name) => form.elements.namedItem(name);
  for (const [name, values] of Object.entries(options))
    field(name).append(...values.map((value) => make("option", { value }, words(value))));

  const list = byId("list"), more = byId("more"), browser = document.querySelector(".browser"), detail = byId("detail");
  let shown = [], rows = 0, current = null;

  function row(item) {
    const rounds = item.doc.rounds, last = rounds[rounds.length - 1] || {};
    const facts = [words(item.doc.status), `${rounds.length} round${rounds.length === 1 ? "" : "s"}`];
    if (last.weak != null) facts.push(`weak ${figure(last.weak)}`);
    if (last.strong != null) facts.push(`strong ${figure(last.strong)}`);
    const name = make("span", { dir: "auto", class: "text" }, ...signed(plain(item.doc.name)));
    return make("li", {}, make("button", { type: "button", "data-key": item.key, "aria-current": item === current ? "true" : null, onclick: () => choose(item, true) },
      name, make("small", { class: item.doc.status }, facts.join(", "))));
  }
  function fill(upTo) {
    const next = shown.slice(rows, upTo);
    list.append(...next.map(row));
    rows += next.length;
    more.hidden = rows >= shown.length;
    more.textContent = `Show more (${(shown.length - rows).toLocaleString("en")} left)`;
  }
  function filter() {
    const wanted = Object.fromEntries(new FormData(form));
    shown = items.filter((item) => fits(item, wanted));
    rows = 0;
    list.replaceChildren();
    fill(PAGE);
    byId("count").textContent = `${shown.length.toLocaleString("en")} of ${items.length.toLocaleString("en")} documents`;
  }
  more.addEventListener("click", () => fill(rows + PAGE));

  function choose(item, focus, n) {
    current = item;
    for (const button of list.querySelectorAll("button")) {
      if (button.dataset.key === item.key) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    browser.classList.add("open");
    show(item, n);
    history.replaceState(null, "", `#doc=${item.key}`);
    if (focus) detail.focus();
  }

  function table(name, heads, lines) {
    return make("table", { class: name }, make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, ...lines.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell))))));
  }

  function attempt(one, round) {
    const criteria = one.criteria || round.rubric || [];
    const answer = put(one.answer);
    if (plain(one.answer).length > LONG) answer.setAttribute("tabindex", "0");
    const head = [`${words(one.stage)} solver, attempt ${one.index + 1}: ${figure(one.score)}`];
    if (one.cut) head.push("cut off by the token limit");
    if (one.unanswered) head.push("no final answer");
    if (one.by && one.by !== "judge") head.push(`decided by ${one.by}`);
    const marks = [...(one.met || "")].map((met, n) => [
      make("span", { class: met === "1" ? "met" : "unmet" }, met === "1" ? "✓ met" : "✗ not met"),
      criteria[n] ? (criteria[n][0] > 0 ? "+" : "") + criteria[n][0] : "",
      make("div", {}, criteria[n] ? put(criteria[n][1], "span") : "", plain((one.reasons || [])[n]) ? make("div", { class: "quiet" }, put(one.reasons[n], "span")) : ""),
    ]);
    return make("div", { class: "attempt" },
      make("div", {}, make("h5", {}, head.join(", "), make("span", { class: "quiet" }, "  ", ...signed(plain(one.model)))), answer),
      make("div", {}, marks.length ? table("marks", ["mark", "weight", "criterion and reason"], marks) : make("p", { class: "quiet" }, "No marks.")));
  }

  function compared(before, after) {
    const found = difference(before, after);
    if (!found) return make("p", { class: "quiet" }, "Too long to compare.");
    return make("div", { class: "text", dir: "auto" }, ...found.map(([tag, text]) => make(tag, {}, ...signed(text))));
  }
  function changes(round, before) {
    const body = make("div", {});
    const node = make("details", {}, make("summary", {}, `What changed since round ${before.n}`), body);
    node.addEventListener("toggle", () => {
      if (!node.open || body.firstChild) return;
      const rubric = (one) => (one.rubric || []).map((item) => `${item[0] > 0 ? "+" : ""}${item[0]} ${plain(item[1])}`).join("\n");
      for (const [name, of] of [["Question", (one) => plain(one.question)], ["Context", (one) => plain(one.context)], ["Rubric", rubric], ["Reference answer", (one) => plain(one.reference)]]) {
        if (of(round) === of(before)) { if (of(round)) body.append(make("p", { class: "quiet" }, `${name}: the same`)); continue; }
        body.append(make("h4", {}, name), compared(of(before), of(round)));
      }
    }, { once: false });
    return node;
  }

  function verdict(one) {
    const lines = (one.checks || []).map(([name, value, bound, passed]) => [plain(name), plain(value), bound || "-", make("span", { class: passed ? "met" : "unmet" }, passed ? "✓ passed" : "✗ failed")]);
    return make("div", {}, make("p", {}, `${words(one.stage)} stage, preset ${one.preset}: `, make("strong", {}, words(one.decision)), one.mode ? ` (${words(one.mode)})` : ""),
      lines.length ? table("rubric", ["check", "value", "needed", "result"], lines) : "", ...part("Summary", one.summary));
  }

  function roundNode(round, before, open) {
    const inside = () => [
      ...(before ? [changes(round, before)] : []),
      ...part("Question", round.question), ...part("Context", round.context), ...part("Passage", round.passage),
      ...part("Reference answer", round.reference),
      ...(round.type || round.skills ? [make("p", { class: "quiet" }, [plain(round.type), ...(round.skills || []).map(plain)].filter(Boolean).join(", "))] : []),
      ...(round.rubric ? [make("h4", {}, "Rubric"), table("rubric", ["weight", "criterion", "category"], round.rubric.map(([weight, text, kind]) => [(weight > 0 ? "+" : "") + weight, put(text, "span"), kind]))] : []),
      ...part("Quality check", round.quality),
      ...(round.attempts ? [make("h4", {}, "Attempts"), ...round.attempts.map((one) => attempt(one, round))] : []),
      ...(round.verdicts ? [make("h4", {}, "Verdict"), ...round.verdicts.map(verdict)] : []),
      ...part("Judgement", round.judgement),
      ...(round.labels || []).flatMap((label) => part("A person", label)),
      ...part("Lessons the challenger was shown", round.lessons),
      ...part("Reason", round.reason), ...part("Feedback to the challenger", round.feedback),
    ];
    const facts = [`Round ${round.n}: ${words(round.outcome)}${round.mode ? `, ${words(round.mode)}` : ""}`];
    if (round.weak != null) facts.push(`weak ${figure(round.weak)}`);
    if (round.strong != null) facts.push(`strong ${figure(round.strong)}`);
    if (round.gap != null) facts.push(`gap ${figure(round.gap)}`);
    if (round.partial) facts.push("means of the attempts made");
    const body = make("div", {});
    const node = make("details", { class: "round", "data-n": String(round.n) }, make("summary", {}, facts.join("; ")), body);
    const fillIn = () => { if (!body.firstChild) body.append(...inside()); };
    node.addEventListener("toggle", () => node.open && fillIn());
    if (open) { fillIn(); node.open = true; }
    return node;
  }

  function show(item, n) {
    const doc = item.doc, rounds = doc.rounds;
    const opened = rounds.findIndex((round) => round.n === n);
    const place = opened >= 0 ? opened : rounds.length - 1;
    detail.replaceChildren(
      make("button", { type: "button", id: "back", onclick: back }, "Back to the list"),
      make("h3", {}, put(doc.name, "span"), " ", make("small", { class: doc.status }, words(doc.status), plain(doc.why) ? ": " : "", ...signed(words(plain(doc.why))))),
      ...[doc.title, doc.note].filter((text) => plain(text)).map((text) => make("p", { class: "quiet" }, put(text, "span"))),
      ...(doc.errors || []).map((text) => make("p", { class: "errored" }, put(text, "span"))),
      ...(plain(doc.text) || leftOut(doc.text) ? [make("details", { class: "source" }, make("summary", {}, "The document's text"), put(doc.text))] : []),
      ...rounds.map((round, at) => roundNode(round, rounds[at - 1], at === place)),
      ...(rounds.length ? [] : [make("p", { class: "quiet" }, "No rounds.")]),
    );
  }
  function back() {
    browser.classList.remove("open");
    const button = current && list.querySelector(`button[data-key="${current.key}"]`);
    (button || byId("trajectories")).focus();
  }

  function step(by) {
    if (!shown.length) return;
    const at = shown.indexOf(current);
    const place = at < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, at + by));
    if (place >= rows) fill(place + PAGE);
    choose(shown[place], true);
    const button = list.querySelector(`button[data-key="${current.key}"]`);
    if (button) button.scrollIntoView({ block: "nearest" });
  }
  function stepRound(by) {
    const summaries = [...detail.querySelectorAll(".round > summary")];
    if (!summaries.length) return;
    const at = summaries.indexOf(document.activeElement);
    const open = summaries.findIndex((summary) => summary.parentNode.open);
    const next = summaries[Math.min(summaries.length - 1, Math.max(0, (at < 0 ? open : at) + by))];
    next.parentNode.open = true;
    next.focus();
  }
  const KEYS = { j: () => step(1), k: () => step(-1), n: () => stepRound(1), p: () => stepRound(-1), Escape: back, "/": () => field("text").focus() };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (typing && event.key !== "Escape") return;
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  for (const dots of document.querySelectorAll("g.dots")) {
    dots.addEventListener("click", (event) => {
      if (!event.target.dataset.at) return;
      const [place, n] = event.target.dataset.at.split(".").map(Number);
      const item = items.find((one) => one.key === `${dots.dataset.run}.${place}`);
      if (item) { choose(item, false, n); byId("trajectories").scrollIntoView(); }
    });
  }

  const KEPT = "autodata-filters";
  const again = byId("again"), follow = byId("follow");
  function reload() {
    sessionStorage.setItem(KEPT, JSON.stringify([...new FormData(form)]));
    sessionStorage.setItem(KEPT + "-follow", follow.checked ? "1" : "");
    location.reload();
  }
  if (again) {
    for (const [name, value] of JSON.parse(sessionStorage.getItem(KEPT) || "[]")) if (field(name)) field(name).value = value;
    follow.checked = sessionStorage.getItem(KEPT + "-follow") === "1";
    again.addEventListener("click", reload);
    setInterval(() => follow.checked && reload(), 30000);
  }
  filter();
  const wanted = /^#doc=([\d.]+)$/.exec(location.hash);
  const item = wanted && items.find((one) => one.key === wanted[1]);
  if (item) choose(item, false);
  document.documentElement.dataset.ready = "1";
})();
