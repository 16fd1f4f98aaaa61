// What the browser of trajectories decides, without a page: tests run it in an engine of its own.
const logic = (data) => {
  "use strict";
  const DIFF_CELLS = 4000000;
  // A text is itself, or its number in the table; an entry of the table may be
  // [beginning, characters of the whole, words of what is left out].
  const entry = (ref) => (typeof ref === "number" ? data.texts[ref] : ref ?? "");
  const plain = (ref) => { const found = entry(ref); return typeof found === "string" ? found : found[0]; };
  const leftOut = (ref) => { const found = entry(ref); return typeof found === "string" ? 0 : found[1] - [...found[0]].length; };
  const wordsLeftOut = (ref) => { const found = entry(ref); return typeof found === "string" ? "" : found[2] || ""; };
  const words = (name) => name.replaceAll("_", " ");

  const items = data.runs.flatMap((run, r) => run.documents.map((doc, d) => ({ run: r, doc, key: `${r}.${d}` })));
  const different = (values) => [...new Set(values)].filter(Boolean).sort();
  const options = {
    outcome: different(items.map((item) => item.doc.status)),
    mode: different(items.flatMap((item) => item.doc.rounds.map((round) => round.mode))),
    type: different(items.flatMap((item) => item.doc.rounds.map((round) => plain(round.type)))),
  };

  // What the text filter looks into, made when it is first asked for.
  const DOCUMENT_TEXTS = ["name", "title", "why", "note", "text"];
  const ROUND_TEXTS = ["question", "context", "passage", "reference", "type", "quality", "judgement", "reason", "feedback", "lessons"];
  function haystack(item) {
    if (item.hay !== undefined) return item.hay;
    const { doc } = item;
    const refs = [...DOCUMENT_TEXTS.map((name) => doc[name]), ...(doc.errors || [])];
    const criteria = (list) => (list || []).map((one) => one[1]);
    for (const round of doc.rounds) {
      refs.push(...ROUND_TEXTS.map((name) => round[name]), ...(round.skills || []), ...criteria(round.rubric), ...(round.labels || []));
      for (const one of round.attempts || []) refs.push(one.answer, one.model, ...(one.reasons || []), ...criteria(one.criteria));
      for (const one of round.verdicts || []) refs.push(one.summary);
    }
    return (item.hay = [...refs.map(plain), wordsLeftOut(doc.text)].filter(Boolean).join("\n").toLowerCase());
  }
  // Of a document whose text is shortened only words are known: then all words of what is looked for must be there.
  function holds(item, wanted) {
    const text = wanted.trim().toLowerCase();
    if (!text) return true;
    const hay = haystack(item);
    return hay.includes(text) || (wordsLeftOut(item.doc.text) !== "" && text.split(/\s+/).every((word) => hay.includes(word)));
  }

  const number = (text) => (text === undefined || text === "" ? null : Number(text));
  // `wanted` has the values of the filters by name, empty for those that are not set.
  function fits(item, wanted) {
    if (wanted.run && Number(wanted.run) !== item.run) return false;
    if (wanted.outcome && item.doc.status !== wanted.outcome) return false;
    const low = number(wanted.low), high = number(wanted.high), bounded = low !== null || high !== null;
    const within = (value) => value != null && (low === null || value >= low) && (high === null || value <= high);
    if (wanted.mode || wanted.type || bounded) {
      const some = item.doc.rounds.some((round) =>
        (!wanted.mode || round.mode === wanted.mode)
        && (!wanted.type || plain(round.type) === wanted.type)
        && (!bounded || within(round[wanted.measure || "gap"])));
      if (!some) return false;
    }
    return holds(item, wanted.text || "");
  }

  // Differences word by word, by the longest common subsequence: [tag, text] of what stayed, left and came. Null for
  // texts that are too long to compare.
  function difference(before, after) {
    const a = before.split(/(\s+)/).filter(Boolean), b = after.split(/(\s+)/).filter(Boolean);
    if (a.length * b.length > DIFF_CELLS) return null;
    const width = b.length + 1, best = new Uint16Array((a.length + 1) * width);
    for (let i = a.length - 1; i >= 0; i--)
      for (let j = b.length - 1; j >= 0; j--)
        best[i * width + j] = a[i] === b[j] ? best[(i + 1) * width + j + 1] + 1 : Math.max(best[(i + 1) * width + j], best[i * width + j + 1]);
    const out = [];
    const add = (tag, word) => {
      const last = out[out.length - 1];
      if (last && last[0] === tag) last[1] += word; else out.push([tag, word]);
    };
    let i = 0, j = 0;
    while (i < a.length || j < b.length) {
      if (i < a.length && j < b.length && a[i] === b[j]) { add("span", a[i]); i++; j++; }
      else if (i < a.length && (j === b.length || best[(i + 1) * width + j] >= best[i * width + j + 1])) add("del", a[i++]);
      else add("ins", b[j++]);
    }
    return out;
  }

  // Signs that would command the order of letters, or show nothing, are named: [text, the sign's name] in turn.
  const SIGNS = /([\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u202a-\u202e\u2066-\u2069])/;
  const named = (sign) => "U+" + sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  const signs = (text) => text.split(SIGNS).map((part, place) => (place % 2 ? named(part) : part));

  return { plain, leftOut, words, items, options, fits, difference, signs };
};
