// The form, one step at a time. What has been done stands in sessionStorage, without
// a name: F5 and the back button lose nothing, and a second click has the same id.
// What the server refuses is left to the form itself, which works without all this:
// the page that comes back says why, next to the field.
(() => {
  'use strict';
  const form = document.getElementById('form');
  const root = document.querySelector('main');
  const shown = root && root.querySelector('.keepsake');
  if (shown) canyu.thanks(root); // the answer to a form that was sent plainly
  if (!form || !window.fetch || !window.AbortController) return;
  const { outbox, say } = canyu;
  const field = (name) => form.elements[name];
  const value = (name) => (field(name) ? field(name).value : undefined);
  const button = form.querySelector('[type=submit]');
  const status = document.getElementById('status');
  const write = form.querySelector('.write');
  const progress = form.querySelector('.progress');
  const steps = JSON.parse(form.dataset.steps);
  const boxes = steps.map((step) => form.querySelector('input[name=steps][value="' + step.id + '"]'));
  const key = 'canyu.form.' + ['activity', 'school', 'grade', 'class', 'role'].map(value).join('.');
  const bad = form.querySelector('[aria-invalid]'); // the server has answered with mistakes
  let state = canyu.get(key);
  if (!state || bad || document.querySelector('.alert')) {
    state = { id: bad ? value('id') : canyu.id(), at: boxes.filter((box) => box.checked).length, seat: value('seat'), message: value('message') };
  }
  const keep = () => canyu.put(key, state, canyu.session);

  const template = document.getElementById('thanks'); // it leaves with the form
  const thanks = (answer) => {
    const screen = document.importNode(template.content, true);
    const reveal = (name) => {
      const element = screen.querySelector('.' + name);
      element.hidden = false;
      return element;
    };
    const seat = screen.querySelector('.seat'); // a pupil's
    if (seat) seat.textContent = say('class.seat', state.seat);
    if (!answer) reveal('kept');
    else if (answer.state) reveal(answer.state === 'held' ? 'held' : 'accepted');
    else if (!answer.counted) {
      const repeat = reveal('repeat');
      if (seat) repeat.textContent = say('thanks.repeat.seat', state.seat);
    } else if (answer.ordinal) reveal('counted').querySelector('.ordinal').textContent = answer.ordinal.toLocaleString('en');
    if (answer) {
      reveal('proof').querySelector('.receipt').textContent = answer.receipt;
    } else {
      screen.querySelector('.keepsake').classList.add('unsent');
      const lasting = outbox.lasting(state.id);
      screen.querySelector('h2').textContent = say(lasting ? 'live.kept' : 'live.unsent');
      if (!lasting) screen.querySelector('.kept').textContent = say('live.kept.here');
    }
    screen.querySelector('.again').addEventListener('click', () => canyu.remove(key));
    root.textContent = '';
    root.appendChild(screen);
    if (answer) canyu.thanks(root, !answer.counted); // a repeat adds nothing, and what waits is in no count yet
    root.querySelector('h2').focus();
    window.scrollTo(0, 0);
  };

  // look shows what has become of the submission.
  let drawn = '';
  const look = () => {
    if (!state.sent) return;
    const answer = outbox.answer(state.id);
    if (answer && answer.refused) {
      state.sent = false;
      keep();
      if (document.body.contains(form)) {
        outbox.forget(state.id);
        form.submit();
      } else {
        window.location.reload(); // the line of the outbox says why
      }
      return;
    }
    const next = answer ? 'answer' : outbox.pending().some((item) => item.s.id === state.id) ? 'kept' : 'gone';
    if (next === 'gone') { // a name went with its tab, or it is long ago
      state.sent = false;
      keep();
      return;
    }
    if (drawn === next || next === 'kept' && Date.now() - state.sent < 3000) return;
    drawn = next;
    thanks(answer);
  };

  const complain = (input, text) => {
    const error = document.getElementById('error-' + input.id);
    error.textContent = text;
    error.hidden = !text;
    if (text) {
      input.setAttribute('aria-invalid', 'true');
      input.focus();
    } else {
      input.removeAttribute('aria-invalid');
    }
    return Boolean(text);
  };

  // wrong checks what can be known without the server, so that it is told at once.
  const wrong = (s) => {
    const seat = field('seat');
    const name = field('name');
    if (seat) {
      const text = seat.value.normalize('NFKC').trim();
      const max = Number(seat.dataset.max);
      s.seat = /^\d+$/.test(text) ? Number(text) : 0;
      if (complain(seat, !text ? say('error.seat') : s.seat < 1 || s.seat > max ? say('error.seat.range', max) : '')) return true;
    }
    if (name) {
      s.name = name.value;
      if (complain(name, name.value.trim() ? '' : say('error.name'))) return true;
    }
    const consent = field('consent');
    return Boolean(consent) && complain(consent, consent.checked ? '' : say('error.consent'));
  };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (state.sent) return;
    const s = {
      activity: value('activity'), school: value('school'), grade: Number(value('grade')), class: Number(value('class')),
      role: value('role'), steps: steps.map((step) => step.id), id: state.id,
    };
    if (wrong(s)) return;
    const message = (value('message') || '').trim();
    if (message) {
      s.message = message;
      s.steps.push('message');
    }
    boxes.forEach((box) => { box.checked = true; });
    field('id').value = state.id;
    state.sent = Date.now();
    if (s.seat) state.seat = s.seat;
    delete state.message;
    keep();
    button.setAttribute('aria-disabled', 'true');
    status.textContent = say('live.sending');
    outbox.add(s, false);
    setTimeout(look, 3100);
  });

  const ritual = canyu.ritual(form.querySelector('.ritual'), steps, {
    progress,
    done: (at) => {
      state.at = at;
      keep();
      window.history.pushState(null, '');
      draw();
    },
  });
  const draw = (quietly) => {
    ritual.show(state.at, quietly);
    write.hidden = state.at < steps.length;
    const first = write.querySelector('[aria-invalid]') || write.querySelector('input, textarea');
    if (!write.hidden && !quietly && first) first.focus();
  };
  window.addEventListener('popstate', () => {
    if (state.sent) return; // the thanks stay
    if (state.at > 0) state.at--;
    keep();
    draw();
  });
  for (const name of ['seat', 'name', 'message']) {
    const input = field(name);
    if (!input) continue;
    const kept = name !== 'name';
    if (kept && state[name] !== undefined && !bad) input.value = state[name];
    input.addEventListener('input', () => {
      if (input.hasAttribute('aria-invalid') && document.getElementById('error-' + name)) complain(input, '');
      if (!kept) return;
      state[name] = input.value;
      keep();
    });
  }
  form.noValidate = true;
  form.classList.add('staged');
  if (progress) progress.hidden = false;
  draw(!bad);
  outbox.onchange(look);
  look();
})();
