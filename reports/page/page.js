// Keeps the numbers of a page moving. What is on the page was true when the server
// drew it; whatever this script cannot do leaves it as it is, with its time.
(() => {
  'use strict';
  const $ = (id) => document.getElementById(id);
  const print = document.querySelector('[data-print]');
  if (print) {
    print.hidden = false;
    print.addEventListener('click', () => window.print());
  }
  const body = document.body;
  const text = body.dataset;
  if (!text.live || !window.EventSource || !window.fetch) return;

  // Numbers as the server writes them: a rate is cut, never rounded up.
  const number = (n) => n.toLocaleString('en');
  const rateOf = (count, of) => (of > 0 ? count / of : null);
  const tenths = (rate) => Math.floor(rate * 1000 + 1e-9) / 10;
  const percent = (rate) => (rate === null ? '–' : tenths(rate).toFixed(tenths(rate) % 100 === 0 ? 0 : 1) + '%');
  const bar = (rate) => Math.max(0, Math.min(100, tenths(rate || 0)));
  const level = (rate, left) => (!rate ? 0 : rate < 0.6 ? 1 : rate < 0.9 ? 2 : rate < 1 || left > 0 ? 3 : 4);
  const setLevel = (element, rate, left) => {
    for (let i = 0; i < 5; i++) element.classList.toggle('l' + i, i === level(rate, left));
  };
  const set = (element, value) => {
    if (element && element.textContent !== value) element.textContent = value;
  };
  const leftOf = (count, of) => Math.max(0, of - count);
  const headline = (data, all = data) => { // the parts of a region as all of it, to which they add up
    const must = data.required;
    const [count, of] = must && all.required && all.required.enrolled > 0 ? [must.count, must.enrolled] : [data.participants.student || 0, data.enrolled];
    return [count, of, must && must.left >= 0 && of > 0 ? must.left : leftOf(count, of)]; // a node that is older does not tell
  };

  // ---- what is shown ----

  let asOf = text.asOf;
  let heard = 0; // when a stream or an answer last said something, by performance.now()
  let polled = 0; // every so many seconds, where there is no stream to be had
  let lag = 0; // how old the numbers were then, in seconds
  let state = 'connecting'; // live, spooled, away, off, ended
  let before = '';

  const say = (key) => (text[key] || '').replace('{at}', asOf.slice(11, 19));

  const show = () => {
    const counting = state === 'live' || state === 'spooled';
    const pill = $('pill');
    pill.dataset.is = counting && !polled ? 'live' : counting || state === 'connecting' ? 'still' : 'off';
    set($('pill-text'), counting ? (polled ? text.textEvery.replace('{n}', polled) : text.textOn) : state === 'connecting' ? text.textConnecting : text.textLost);
    const banner = $('banner');
    const words = { spooled: 'textSpooled', away: 'textAway', off: 'textOff', ended: 'textEnded' }[state]
      || (state === 'connecting' && text.state === 'archive' ? 'textArchive' : '');
    set(banner, words ? say(words) : '');
    banner.hidden = !words;
    body.classList.toggle('stale', state === 'away' || state === 'off' || state === 'ended');
    const clock = $('as-of');
    set(clock, text.textAsOf.replace('{at}', asOf.slice(11, 19)));
    clock.dateTime = asOf;
    const old = Math.round(lag + (performance.now() - heard) / 1000);
    set($('lag'), heard && counting && old > 1 ? text.textLag.replace('{n}', old) : '');
  };

  const tile = (key, count, of, left) => {
    const element = document.querySelector(`[data-tile="${key}"]`);
    if (!element) return;
    const rate = rateOf(count, of);
    set(element.querySelector('.n b'), number(count));
    set(element.querySelector('.n .of'), number(of));
    set(element.querySelector('.rate'), percent(rate));
    element.querySelector('.fill').setAttribute('stroke-dasharray', bar(rate) + ' 100');
    setLevel(element, rate, left);
  };
  const row = (key, count, of, left) => {
    const element = document.querySelector(`[data-row="${key}"]`);
    if (!element) return;
    const rate = rateOf(count, of);
    set(element.querySelector('.of'), number(of));
    set(element.querySelector('.n'), number(count));
    set(element.querySelector('.left'), number(left));
    set(element.querySelector('.rate span'), percent(rate));
    element.querySelector('.fill').setAttribute('width', bar(rate) + '%');
    setLevel(element, rate, left);
  };
  const fact = (key, value) => document.querySelectorAll(`[data-fact="${key}"]`).forEach((b) => set(b, number(value)));

  const apply = (data) => {
    if (data.participants) {
      asOf = data.as_of;
      const [count, of, left] = headline(data);
      const rate = rateOf(count, of);
      set($('count'), number(count));
      set($('of'), number(of));
      $('total').classList.toggle('long', number(count).length > 5 && number(count).length <= 8);
      $('total').classList.toggle('longer', number(count).length > 8);
      set($('rate'), percent(rate));
      setLevel($('rate'), rate, left);
      setLevel($('bar'), rate, left);
      $('bar').querySelector('.fill').setAttribute('width', bar(rate) + '%');
      if (of > 0) set($('sentence'), left === 0 ? text.textDone : text.textLeft.replace('{n}', number(left)));
      for (const role of Object.keys(data.participants)) fact(role, data.participants[role]);
      if (data.today) fact('today', data.today.participants.student || 0);
      for (const c of data.classes || []) tile(c.grade + '.' + c.class, c.participants.student || 0, c.enrolled, leftOf(c.participants.student || 0, c.enrolled));
      for (const r of data.regions || []) {
        tile(r.region, ...headline(r, data));
        row(r.region, ...headline(r, data));
      }
      for (const s of data.schools || []) {
        tile(s.school, ...headline(s, data));
        row(s.school, ...headline(s, data));
      }
      if (data.classes) {
        const must = document.querySelectorAll('.grade:not(.free) .tile, .board:not(:has(.grade:not(.free))) .tile');
        fact('complete', [...must].filter((t) => t.classList.contains('l4')).length);
      }
      const now = JSON.stringify([data.participants, data.required, data.classes]);
      if (before && before !== now) {
        freshen(4000 + 2000 * Math.random());
        seatsOf(data.classes || []);
      }
      before = now;
    }
    hear(data);
  };
  const hear = (data) => {
    heard = performance.now();
    if (data.as_of) asOf = data.as_of;
    lag = data.now && data.as_of ? Math.max(0, (Date.parse(data.now) - Date.parse(data.as_of)) / 1000) : 0;
    polled = data.polled || 0;
    state = data.state || 'live';
    show();
  };
  const lose = (how) => {
    state = how;
    show();
  };
  setInterval(show, 1000);

  // ---- what the server draws again ----

  const address = (part, url = location.href) => {
    const to = new URL(url, location.href);
    to.hash = '';
    to.searchParams.set('part', part);
    return to;
  };
  const fetchPart = async (part, url) => {
    const reply = await fetch(address(part, url), { credentials: 'same-origin' });
    if (!reply.ok) throw new Error(reply.status);
    return new DOMParser().parseFromString(await reply.text(), 'text/html');
  };
  // What was reached by keyboard keeps the focus, a table that was scrolled its place.
  const adopt = (to, from) => {
    const reach = () => [...to.querySelectorAll('a, summary, [tabindex]')];
    const held = document.activeElement;
    const at = reach().indexOf(held);
    const left = (to.querySelector('.scroll') || to).scrollLeft;
    to.replaceChildren(...[...from.childNodes].map((node) => document.importNode(node, true)));
    (to.querySelector('.scroll') || to).scrollLeft = left;
    const now = at < 0 ? null : reach().find((e) => held.href && e.href === held.href) || reach()[at];
    if (now) now.focus({ preventScroll: true });
  };

  // The archive's numbers, at most every five seconds and only where something has changed.
  let freshening = false;
  const freshen = (after) => {
    if (freshening) return;
    freshening = true;
    setTimeout(async () => {
      freshening = false;
      if (document.hidden && !body.classList.contains('wall')) return missed = true;
      try {
        const parts = await fetchPart('archive');
        for (const from of parts.querySelectorAll('[data-for]')) {
          const to = $(from.dataset.for);
          if (!to) continue;
          const open = !!to.querySelector('details[open]');
          adopt(to, from);
          if (open && to.querySelector('details')) to.querySelector('details').open = true;
        }
        if (body.classList.contains('bureau')) adopt($('rows'), (await fetchPart('rows')).body);
        if (document.querySelector('[data-later]')) freshen(3000);
      } catch (e) {
        if (state === 'live') freshen(10000 + 5000 * Math.random());
      }
    }, after);
  };
  // A wall whose rows are on several pages turns them.
  if (body.classList.contains('wall')) {
    setInterval(async () => {
      const more = document.querySelector('[data-next]');
      if (!more) return;
      try {
        adopt($('rows'), (await fetchPart('rows', more.dataset.next)).body);
        history.replaceState(null, '', more.dataset.next);
      } catch (e) { /* this page stays */ }
    }, 20000);
  }
  let missed = false;
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && missed) {
      missed = false;
      freshen(0);
    }
  });
  if (document.querySelector('[data-later]')) freshen(1500);

  // ---- the seats of a class ----

  const seats = $('seats');
  let shown = -1; // how many of the class that is open had taken part
  let wanted = ''; // the address of those that are on their way
  const openSeats = async (url = location.href) => {
    wanted = url;
    const part = await fetchPart('seats', url).catch((e) => e);
    if (wanted !== url) return false; // others were chosen since
    wanted = '';
    if (part instanceof Error) throw part;
    adopt(seats, part.body);
    seats.hidden = !seats.querySelector('[data-class]');
    return true;
  };
  const seatsOf = (classes) => {
    const open = seats && !seats.hidden && seats.querySelector('[data-class]');
    if (!open || wanted) return;
    const c = classes.find((c) => c.grade + '.' + c.class === open.dataset.class);
    if (!c || c.participants.student === shown) return;
    shown = c.participants.student;
    openSeats().catch(() => { shown = -1; });
  };
  const choose = (key) => document.querySelectorAll('[data-tile]').forEach((t) => {
    if (t.dataset.tile === key) t.setAttribute('aria-current', 'true');
    else t.removeAttribute('aria-current');
  });
  if (seats) {
    document.addEventListener('click', async (e) => {
      const link = e.target.closest('a.tile, a.close');
      if (!link || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
      e.preventDefault();
      const was = document.querySelector('.tile[aria-current]');
      choose(link.dataset.tile); // at once: the network may be slow
      try {
        if (!await openSeats(link.href)) return;
      } catch (error) {
        location.href = link.href;
        return;
      }
      history.pushState(null, '', link.href);
      shown = -1;
      if (!seats.hidden) {
        seats.scrollIntoView({ block: 'nearest' });
        seats.querySelector('h2').focus({ preventScroll: true });
      } else if (was) {
        was.focus();
      }
    });
    document.addEventListener('keydown', (e) => {
      const close = seats.querySelector('a.close');
      if (e.key === 'Escape' && close && !e.target.closest('input, select')) close.click();
    });
    window.addEventListener('popstate', async () => {
      await openSeats(location.href).catch(() => location.reload());
      const open = seats.querySelector('[data-class]');
      choose(open ? open.dataset.class : '');
    });
  }

  // ---- one stream for all tabs that show the same ----

  const channel = window.BroadcastChannel ? new BroadcastChannel('canyu ' + text.live) : null;
  let leading = false;
  let newest = null; // what the leader tells a tab that has just come
  const tell = (kind, data) => {
    newest = kind === 'apply' ? { kind, data } : newest;
    receive({ kind, data });
    if (channel) channel.postMessage({ kind, data });
  };
  const receive = ({ kind, data }) => {
    if (polled && data.now < asOf) return; // a proxy lets go what it has held back
    if (kind === 'apply') apply(data);
    else if (kind === 'hear') hear(data);
    else if (kind === 'lose') lose(data);
  };
  if (channel) {
    channel.onmessage = (e) => {
      if (e.data.kind !== 'ask') receive(e.data);
      else if (leading && newest) channel.postMessage(newest);
    };
    channel.postMessage({ kind: 'ask' });
  }
  // A tab whose leader has fallen silent says so too.
  setInterval(() => {
    if (!leading && heard && performance.now() - heard > silence && state !== 'ended') lose('off');
  }, 1000);

  const silence = 25000; // a stream beats every ten seconds
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const jitter = (ms) => ms * (0.5 + Math.random() / 2);

  // Browsers have six connections to a server by HTTP/1.1: three are left for the rest.
  const slot = async () => {
    for (let i = 0; navigator.locks && i < 3; i++) {
      const got = await new Promise((resolve) => navigator.locks.request('canyu stream ' + i, { ifAvailable: true }, (lock) => {
        resolve(!!lock);
        return lock ? new Promise(() => {}) : undefined;
      }));
      if (got) return true;
    }
    return !navigator.locks;
  };

  // Asks once where there is no stream to be had, as every so many seconds.
  const poll = async (seconds) => {
    try {
      const reply = await fetch(text.live.replace('/live?', '/counts?'), { credentials: 'same-origin' });
      if (reply.ok) {
        const data = await reply.json();
        tell('apply', Object.assign(data, { state: data.spooled ? 'spooled' : 'live', polled: seconds }));
      } else if (reply.status === 401 || reply.status === 403) tell('lose', 'ended');
      else tell('lose', 'off');
    } catch (e) {
      tell('lose', 'off');
    }
  };

  // Where a proxy holds streams back, or refuses them, a tab that is looked at asks for
  // the counts, and tells the others.
  const often = 20;
  let asked = 0;
  let due = jitter(10000); // the first time
  setInterval(() => {
    const now = performance.now();
    const quiet = now - Math.max(heard, asked);
    if (document.hidden || state === 'ended' || quiet < (heard > asked && !polled ? silence : due)) return;
    asked = now;
    due = (often - 5 + 8 * Math.random()) * 1000; // within silence
    poll(often);
  }, 1000);

  // stream resolves when it has ended.
  const stream = () => new Promise((resolve) => {
    const source = new EventSource(text.live);
    let last = performance.now();
    let said = false;
    const end = () => {
      source.close();
      clearInterval(watch);
      resolve(said);
    };
    const watch = setInterval(() => {
      if (performance.now() - last > silence || !leading) end();
    }, 1000);
    const take = (kind) => (e) => {
      last = performance.now();
      said = true;
      tell(kind, JSON.parse(e.data));
    };
    source.onmessage = take('apply');
    source.addEventListener('beat', take('hear'));
    source.onerror = end;
    window.addEventListener('pagehide', () => source.close(), { once: true });
  });

  const lead = async () => {
    if (leading) return;
    leading = true;
    while (leading && !(await slot())) {
      await poll(6);
      await pause(jitter(8000));
    }
    for (let failures = 0; leading;) {
      const began = performance.now();
      failures = (await stream()) ? 0 : failures + 1;
      if (!leading) return;
      // A stream that ends after a good while is begun anew before it is missed.
      const gone = setTimeout(() => {
        if (!polled || performance.now() - heard > silence) tell('lose', 'off');
      }, failures || performance.now() - began < 60000 ? 0 : 3000);
      if (failures) {
        const head = await fetch(text.live, { method: 'HEAD', credentials: 'same-origin' }).catch(() => null);
        if (head && (head.status === 401 || head.status === 403)) {
          clearTimeout(gone);
          return tell('lose', 'ended');
        }
        if (head && head.status === 503 && !polled) {
          clearTimeout(gone);
          await poll(often);
        }
      }
      await pause(jitter(Math.min(30000, 1000 * 2 ** failures)));
      clearTimeout(gone);
    }
  };

  // Without locks, as over plain http, a note in the storage says who leads.
  const leadByNote = () => {
    const key = 'canyu leads ' + text.live;
    const me = Math.random().toString(36).slice(2);
    const fresh = 6000;
    const look = () => {
      let note = null;
      try {
        note = JSON.parse(localStorage.getItem(key));
        if (note && note.by !== me && Date.now() - note.at < fresh && Date.now() >= note.at) {
          leading = false;
          return;
        }
        localStorage.setItem(key, JSON.stringify({ by: me, at: Date.now() }));
      } catch (e) { /* no storage: every tab for itself */ }
      if (note && note.by === me || !channel) lead(); // the second look, or nobody to ask
    };
    look();
    setTimeout(look, 300 + 400 * Math.random());
    setInterval(look, 2000);
    window.addEventListener('pagehide', () => {
      try {
        const note = JSON.parse(localStorage.getItem(key));
        if (note && note.by === me) localStorage.removeItem(key);
      } catch (e) { /* as above */ }
    });
  };

  show();
  if (navigator.locks && channel) {
    navigator.locks.request('canyu ' + text.live, () => {
      lead();
      return new Promise(() => {});
    });
  } else if (channel) {
    leadByNote();
  } else {
    lead();
  }
})();
