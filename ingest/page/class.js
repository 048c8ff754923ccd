// A class at one screen: each pupil touches the seat, does the steps, and the seats
// are back. Nobody waits for the network: submissions go to the outbox, which sends
// them together. Done is what the server says, where this browser may ask (a class
// link was opened), and what was sent from here.
(() => {
  'use strict';
  const root = document.getElementById('class');
  if (!root || !window.fetch || !window.AbortController) return;
  const { outbox, say } = canyu;
  const rite = document.getElementById('rite');
  const about = JSON.parse(root.dataset.submission);
  const steps = JSON.parse(root.dataset.steps);
  const seats = [...root.querySelectorAll('[data-seat]')];
  const tally = document.getElementById('tally');
  const missing = document.getElementById('left');
  const thanks = document.getElementById('thanked');
  const who = rite.querySelector('.who');
  const writing = document.getElementById('writing'); // whether messages are asked for
  const message = rite.querySelector('.message');
  const text = message && message.querySelector('textarea');
  let told = new Set(seats.filter((element) => element.classList.contains('done')).map((element) => Number(element.dataset.seat))); // by the server
  let known = Boolean(tally.textContent); // it has told: else only what was sent from here is known
  let seat = 0;

  const numbers = () => {
    const waiting = new Set();
    for (const { s, shared } of outbox.pending()) {
      if (shared && ['activity', 'school', 'grade', 'class'].every((field) => s[field] === about[field])) waiting.add(s.seat);
    }
    return { waiting, done: new Set([...told, ...outbox.seats(about)]) };
  };

  const draw = () => {
    const { waiting, done } = numbers();
    for (const element of seats) {
      const n = Number(element.dataset.seat);
      const state = done.has(n) ? 'done' : waiting.has(n) ? 'waiting' : '';
      element.classList.toggle('done', state === 'done');
      element.classList.toggle('waiting', state === 'waiting');
      element.setAttribute('aria-label', say('class.seat', n) + (state ? ' ' + say('class.' + state) : ''));
    }
    const left = [...waiting].filter((n) => !done.has(n)).length;
    tally.textContent = say(done.size === seats.length ? 'class.all' : known ? 'class.tally' : 'class.tally.here', done.size, seats.length) +
      (left ? say('class.tally.waiting', left) : '');
    if (known) {
      const open = seats.map((element) => Number(element.dataset.seat)).filter((n) => !done.has(n));
      missing.textContent = say('class.left', open.join(', '));
      missing.hidden = !open.length || open.length > done.size;
    }
    return { waiting, done };
  };

  // One seat is in the tab order; the arrows move among all of them.
  const aim = (element, quietly) => {
    seats.forEach((other) => { other.tabIndex = other === element ? 0 : -1; });
    if (!quietly) element.focus({ preventScroll: true });
  };
  const columns = () => {
    const top = seats[0].offsetTop;
    const n = seats.findIndex((element) => element.offsetTop > top);
    return n < 0 ? seats.length : n;
  };
  root.addEventListener('keydown', (event) => {
    const at = seats.indexOf(document.activeElement);
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns(), Home: -at, End: seats.length - 1 - at }[event.key];
    if (event.key === ' ' && at >= 0) {
      event.preventDefault();
      seats[at].click();
    }
    if (at < 0 || by === undefined || !seats[at + by]) return;
    event.preventDefault();
    aim(seats[at + by]);
    seats[at + by].scrollIntoView({ block: 'nearest' });
  });

  const back = () => {
    const from = seats[seat - 1];
    seat = 0;
    rite.hidden = true;
    root.hidden = false;
    const { waiting, done } = draw();
    const open = (element) => !waiting.has(Number(element.dataset.seat)) && !done.has(Number(element.dataset.seat));
    const i = seats.indexOf(from);
    aim([...seats.slice(i), ...seats.slice(0, i)].find(open) || from);
  };

  let hush = 0;
  const flash = (words) => {
    clearTimeout(hush);
    thanks.textContent = words;
    thanks.classList.add('on');
    hush = setTimeout(() => thanks.classList.remove('on'), 2500);
  };

  const finish = () => {
    const s = Object.assign({}, about, { seat, steps: steps.map((step) => step.id), id: canyu.id() });
    const words = text && !message.hidden ? text.value.trim() : '';
    if (words) {
      s.message = words;
      s.steps.push('message');
    }
    outbox.add(s, true);
    flash(say('class.thanks', seat));
    back();
  };

  const ritual = canyu.ritual(rite.querySelector('.ritual'), steps, {
    quick: true,
    done: (at) => {
      if (at < steps.length) return;
      if (!message || !writing.checked) {
        finish();
        return;
      }
      message.hidden = false;
      text.value = '';
      text.focus();
    },
  });

  for (const element of seats) {
    element.setAttribute('role', 'button');
    element.addEventListener('click', (event) => {
      event.preventDefault();
      const n = Number(element.dataset.seat);
      const { waiting, done } = numbers();
      aim(element);
      if (waiting.has(n) || done.has(n)) {
        flash(say('class.already', n));
        return;
      }
      seat = n;
      who.textContent = say('class.seat', n);
      root.hidden = true;
      rite.hidden = false;
      if (message) message.hidden = true;
      thanks.classList.remove('on');
      window.scrollTo(0, 0);
      ritual.show(0);
      if (steps.length === 0) finish();
    });
  }
  rite.querySelector('.back').addEventListener('click', back);
  if (message) {
    message.querySelector('button').addEventListener('click', finish);
    writing.checked = Boolean((canyu.get('canyu.writing') || {}).on);
    writing.addEventListener('change', () => canyu.put('canyu.writing', { at: Date.now(), on: writing.checked }));
    writing.parentNode.hidden = false;
  }
  rite.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') back();
  });

  // ask the server who is done, which it tells who opened a class link.
  const ask = async () => {
    try {
      const reply = await fetch(root.dataset.seats);
      if (reply.status === 401 || reply.status === 403) return; // the link has expired
      if (reply.ok) {
        told = new Set((await reply.json()).done);
        known = true;
        draw();
      }
    } catch (e) { /* later */ }
    setTimeout(ask, 20000 + 10000 * Math.random());
  };
  outbox.onchange(draw);
  aim(seats[0], true);
  draw();
  if (root.dataset.seats) setTimeout(ask, known ? 20000 * Math.random() : 0);
})();
