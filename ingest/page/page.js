// Sends the form through the API and tries again until the server has answered.
// Whatever it cannot do itself it leaves to the form, which works without it:
// the same id goes along, so nothing is counted twice.
(() => {
  'use strict';
  const form = document.getElementById('form');
  const thanks = document.getElementById('thanks');
  if (!form || !thanks || !window.fetch || !window.AbortController) return;
  const button = form.querySelector('button');
  const status = document.getElementById('status');
  const steps = [...form.querySelectorAll('input[name=steps]')];
  let busy = false;

  // The steps are done in their order.
  const order = () => {
    let open = true;
    for (const step of steps) {
      step.disabled = !open;
      step.checked = step.checked && open;
      open = step.checked;
    }
  };
  steps.forEach((step) => step.addEventListener('change', order));
  order();

  const field = (name) => {
    const input = form.elements[name];
    return input ? input.value : undefined;
  };

  const submission = () => {
    const s = {
      activity: field('activity'),
      school: field('school'),
      grade: Number(field('grade')),
      class: Number(field('class')),
      role: field('role'),
      steps: steps.filter((step) => step.checked).map((step) => step.value),
      id: field('id'),
    };
    const seat = field('seat');
    if (seat !== undefined) {
      s.seat = Number(seat.normalize('NFKC').trim() || NaN);
      if (!Number.isSafeInteger(s.seat)) return null;
    }
    if (field('name') !== undefined) s.name = field('name');
    const message = (field('message') || '').trim();
    if (message) {
      s.message = message;
      s.steps.push('message');
    }
    return s;
  };

  const post = async (body) => {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), 15000);
    try {
      const reply = await fetch('/v1/participations', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body,
        signal: patience.signal,
      });
      return { status: reply.status, after: Number(reply.headers.get('Retry-After')) || 0, result: reply.ok ? await reply.json() : null };
    } catch (e) {
      return { status: 0, after: 0 };
    } finally {
      clearTimeout(timer);
    }
  };

  // Backs off up to half a minute, at random, so that a school whose network comes
  // back does not come back at once; the network's return ends the wait.
  const wait = (attempt, after) => new Promise((resolve) => {
    const longest = Math.min(30000, 1000 * 2 ** attempt);
    setTimeout(resolve, after * 1000 + longest * (0.5 + Math.random() / 2));
    window.addEventListener('online', () => setTimeout(resolve, 1000 * Math.random()), { once: true });
  });

  const show = (code, result) => {
    const screen = document.importNode(thanks.content, true);
    const reveal = (name, text) => {
      screen.querySelector('.' + name).hidden = false;
      return text;
    };
    if (code === 202) reveal('accepted');
    else if (result.counted) screen.querySelector('.ordinal').textContent = reveal('counted', result.ordinal.toLocaleString('en'));
    else reveal('repeat');
    if (result.receipt) screen.querySelector('.receipt').textContent = reveal('proof', result.receipt);
    const main = document.querySelector('main');
    main.textContent = '';
    main.appendChild(screen);
    main.querySelector('h2').focus();
    window.scrollTo(0, 0);
  };

  const leave = (e) => {
    e.preventDefault();
    e.returnValue = '';
  };
  const plainly = () => {
    window.removeEventListener('beforeunload', leave);
    form.submit();
  };

  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    if (busy) return;
    busy = true;
    button.disabled = true;
    const s = submission();
    if (!s) return plainly();
    status.textContent = form.dataset.sending;
    window.addEventListener('beforeunload', leave);
    const body = JSON.stringify(s);
    for (let attempt = 0; ; attempt++) {
      const { status: code, after, result } = await post(body);
      if (result) {
        window.removeEventListener('beforeunload', leave);
        return show(code, result);
      }
      if (code >= 400 && code < 500 && code !== 408 && code !== 429) return plainly();
      status.textContent = form.dataset.retrying;
      await wait(attempt, after);
    }
  });
})();
