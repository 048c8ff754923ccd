// What was submitted here and is not yet known to be counted. One key of localStorage
// for each submission: it outlives reload and restart, and tabs do not overwrite each
// other. What has a name in it stands in sessionStorage instead, which ends with the
// tab. Each has an id made here, so sending it twice, from two tabs too, is harmless;
// once answered it is removed, and the answer, which says nothing of a child, is kept
// for a day so that a reload can show it again.
window.canyu = (() => {
  'use strict';
  const OUT = 'canyu.out.';
  const ANSWER = 'canyu.answer.';
  const SEATS = 'canyu.seats.';
  const WAIT = 'canyu.wait';
  const SECOND = 1000;
  const DAY = 86400 * SECOND;
  const texts = JSON.parse(document.body.dataset.texts || '{}');
  const page = document.body.dataset.page; // says that this is a page of ours
  const listeners = [];

  const say = (key, ...args) => (texts[key] || '').replace(/%[ds]/g, () => args.shift());

  // Where storage is forbidden or full, this page's memory has to do.
  const memory = {};
  const areas = [() => window.localStorage, () => window.sessionStorage];
  const local = 0;
  const session = 1;
  const get = (key) => {
    for (const area of areas) {
      try {
        const text = area().getItem(key);
        if (text !== null) return JSON.parse(text);
      } catch (e) { /* the next one */ }
    }
    return memory[key];
  };
  const put = (key, value, area) => {
    try {
      areas[area || local]().setItem(key, JSON.stringify(value));
    } catch (e) {
      memory[key] = value;
    }
  };
  const remove = (key) => {
    for (const area of areas) {
      try { area().removeItem(key); } catch (e) { /* it is not there */ }
    }
    delete memory[key];
  };
  const keys = (prefix) => {
    const found = new Set(Object.keys(memory));
    for (const area of areas) {
      try { Object.keys(area()).forEach((key) => found.add(key)); } catch (e) { /* none */ }
    }
    return [...found].filter((key) => key.startsWith(prefix));
  };

  // randomUUID is new, and there only behind https.
  const id = () => {
    if (window.crypto.randomUUID) return window.crypto.randomUUID();
    const bytes = window.crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
  };

  const pending = () => keys(OUT).map(get).filter(Boolean).sort((a, b) => a.at - b.at);
  const answer = (key) => get(ANSWER + key);
  const seatsKey = (s) => SEATS + [s.activity, s.school, s.grade, s.class].join('.');
  const seats = (s) => (get(seatsKey(s)) || { seats: [] }).seats;

  const changed = () => {
    bar();
    listeners.forEach((listen) => listen());
  };

  // answered takes a submission out. reply is the server's: a receipt, or why not.
  const answered = (item, reply) => {
    const { seat } = item.s;
    if (reply.receipt && item.shared) {
      const done = new Set(seats(item.s));
      put(seatsKey(item.s), { at: Date.now(), seats: [...done.add(seat)] });
    }
    const kept = { at: Date.now() };
    for (const field of ['counted', 'state', 'ordinal', 'receipt', 'refused']) {
      if (reply[field] !== undefined) kept[field] = reply[field];
    }
    if (reply.refused) kept.seat = seat;
    put(ANSWER + item.s.id, kept);
    remove(OUT + item.s.id);
  };

  const why = (problem) => {
    const name = String(problem.type).replace('urn:canyu:problem:', '');
    const field = problem.errors && problem.errors[0] && problem.errors[0].field;
    if (name === 'closed' || name === 'not_open' || name === 'unknown_activity') return name;
    if (field === 'seat') return 'seat';
    return field === 'school' || field === 'grade' || field === 'class' ? 'class' : 'other';
  };
  const final = (status) => status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429;

  const seconds = (header) => {
    if (!header) return 0;
    const n = Number(header);
    const until = Number.isNaN(n) ? (Date.parse(header) - Date.now()) / SECOND : n;
    return Math.min(Math.max(until, 0) || 0, 600);
  };

  // post sends some submissions; null is an answer that is none: no network, a proxy's
  // own page, a server that is busy.
  const post = async (items) => {
    const body = JSON.stringify(items.length === 1 ? items[0].s : items.map((item) => item.s));
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), 15 * SECOND);
    try {
      const reply = await fetch('/v1/participations', {
        method: 'POST',
        headers: Object.assign({ 'Content-Type': 'application/json' }, page ? { 'Canyu-Page': page } : {}),
        body,
        keepalive: body.length < 50000, // arrives also where the tab is closed now
        signal: patience.signal,
      });
      const after = seconds(reply.headers.get('Retry-After'));
      const type = reply.headers.get('Content-Type') || '';
      const json = /^application\/(problem\+)?json/.test(type) ? await reply.json() : null;
      if (json && reply.ok && json.results) return { after, results: json.results };
      if (json && reply.ok && json.receipt) return { after, results: [Object.assign({ status: reply.status }, json)] };
      if (type.startsWith('application/problem') && final(reply.status)) return { after, results: items.length === 1 ? [json] : null, split: true };
      return { after, results: null };
    } catch (e) {
      return { after: 0, results: null };
    } finally {
      clearTimeout(timer);
    }
  };

  // round sends up to a hundred and reports whether it got on. What cannot go together
  // goes one by one.
  const round = async () => {
    const items = pending().slice(0, 100);
    let reply = await post(items);
    if (!reply.results && reply.split) {
      reply = { after: 0, results: [] };
      for (const item of items) {
        const one = await post([item]);
        reply.after = Math.max(reply.after, one.after);
        reply.results.push(one.results ? one.results[0] : { status: 503 });
      }
    }
    let left = items.length;
    (reply.results || []).forEach((result, i) => {
      if (!items[i] || !(result.receipt || final(result.status))) return; // to be sent again
      answered(items[i], result.receipt ? result : { refused: why(result) });
      left--;
    });
    if (left === 0) {
      remove(WAIT);
      return;
    }
    // Twice as long each time up to a minute, at random, so that a school whose network
    // is back does not come back at once; never before the server said.
    const { failures = 0 } = get(WAIT) || {};
    const longest = SECOND * Math.min(60, 2 ** failures);
    const pause = Math.max(longest * (0.5 + Math.random() / 2), reply.after * SECOND * (1 + Math.random() / 4));
    put(WAIT, { failures: failures + 1, until: Date.now() + pause, asked: reply.after > 0 });
  };

  // One tab sends at a time, where the browser can tell.
  const alone = (f) => (navigator.locks ? navigator.locks.request('canyu.outbox', { ifAvailable: true }, (lock) => lock && f()) : f());

  let sending = false;
  let timer = 0;
  const send = async () => {
    if (sending || pending().length === 0) return;
    clearTimeout(timer);
    const pause = Math.min((get(WAIT) || { until: 0 }).until - Date.now(), 750 * SECOND);
    if (pause > 0) {
      timer = setTimeout(send, pause);
      return;
    }
    sending = true;
    const before = pending().length;
    try {
      await alone(round);
    } finally {
      sending = false;
    }
    changed();
    if (pending().length > 0) timer = setTimeout(send, pending().length < before ? 0 : SECOND / 2);
  };

  // sooner: there is reason to believe that it would go now.
  const sooner = () => {
    const wait = get(WAIT);
    if (wait && !wait.asked) put(WAIT, Object.assign(wait, { until: Math.min(wait.until, Date.now() + SECOND * Math.random()) }));
    send();
  };

  const add = (s, shared) => {
    put(OUT + s.id, { at: Date.now(), s, shared: Boolean(shared) }, s.name === undefined ? local : session);
    remove(ANSWER + s.id);
    sooner();
    setTimeout(bar, 4 * SECOND);
  };

  // lasting: it is still there when the tab has been closed.
  const lasting = (key) => {
    try { return window.localStorage.getItem(OUT + key) !== null; } catch (e) { return false; }
  };

  // The line that says what is still here. It waits a moment: mostly all is well.
  const element = document.getElementById('outbox');
  const bar = () => {
    if (!element) return;
    const late = pending().filter((item) => Date.now() - item.at > 3 * SECOND || get(WAIT));
    const kept = late.filter((item) => lasting(item.s.id)).length;
    const here = late.length - kept;
    const refused = keys(ANSWER).map((key) => ({ key, value: get(key) })).filter(({ value }) => value && value.refused);
    const shown = [kept, here] + '/' + refused.map(({ key }) => key).join();
    if (element.dataset.shown === shown) return;
    element.dataset.shown = shown;
    element.textContent = '';
    const line = (text) => {
      const p = document.createElement('p');
      p.textContent = text;
      return element.appendChild(p);
    };
    if (kept) line(say('live.waiting', kept));
    if (here) line(say('live.waiting.here', here));
    for (const { key, value } of refused) {
      const reason = say('live.refused.' + value.refused);
      const p = line(value.seat ? say('live.refused.seat.of', value.seat, reason) : reason);
      const button = p.appendChild(document.createElement('button'));
      button.type = 'button';
      button.textContent = say('live.understood');
      button.addEventListener('click', () => {
        remove(key);
        changed();
      });
    }
    element.hidden = !element.textContent;
  };

  for (const [prefix, age] of [[ANSWER, DAY], [SEATS, 14 * DAY], [OUT, 60 * DAY]]) {
    for (const key of keys(prefix)) {
      const value = get(key);
      if (!value || Date.now() - value.at > age) remove(key);
    }
  }
  window.addEventListener('online', sooner);
  window.addEventListener('storage', changed); // another tab sent something
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && sooner());
  setTimeout(() => {
    changed();
    sooner(); // somebody has come back
  }, 0);

  const outbox = { add, pending, lasting, answer, seats, forget: (key) => remove(ANSWER + key), onchange: (f) => listeners.push(f) };
  return { say, id, get, put, remove, outbox, session };
})();
