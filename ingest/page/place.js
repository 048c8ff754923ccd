// Type-ahead for schools, and the class that was here last. The search itself is the
// page's own: what it answers is taken out of it.
(() => {
  'use strict';
  const main = document.querySelector('main');
  const last = document.getElementById('last');
  const here = document.querySelector('[data-place]');
  if (here) canyu.put('canyu.place', { at: Date.now(), query: here.dataset.place, text: here.dataset.text });
  const place = canyu.get('canyu.place');
  if (last && place && /^[?&=a-z0-9-]+$/.test(place.query)) {
    const link = last.querySelector('a');
    link.href = window.location.pathname + place.query + (last.dataset.lang ? '&lang=' + last.dataset.lang : '');
    link.textContent = place.text;
    last.hidden = false;
  }

  const search = document.getElementById('search');
  if (!search || !window.fetch || !window.URLSearchParams) return;
  const input = search.querySelector('[type=search]');
  const found = document.getElementById('found');
  let asked = 0;
  let timer = 0;
  const look = async () => {
    const n = ++asked;
    try {
      const reply = await fetch(search.action + '?' + new URLSearchParams(new FormData(search)));
      const text = await reply.text();
      const fresh = new DOMParser().parseFromString(text, 'text/html').getElementById('found');
      if (n !== asked || !fresh) return;
      found.textContent = '';
      found.append(...fresh.childNodes);
    } catch (e) { /* the button does it as well */ }
  };
  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(look, 150);
  });
  // From the field down into what was found, and up again.
  main.addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
    const stops = [input, ...found.querySelectorAll('a')];
    const at = stops.indexOf(document.activeElement);
    const next = stops[at + (event.key === 'ArrowDown' ? 1 : -1)];
    if (at < 0 || !next) return;
    event.preventDefault();
    next.focus();
  });
})();
