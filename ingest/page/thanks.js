// The keepsake: how many of the school there are by now, a name that stays in this
// browser, and the printer.
canyu.thanks = (root, uncounted) => {
  'use strict';
  const school = root.querySelector('.school[data-counts]');
  if (school && !uncounted) {
    fetch(school.dataset.counts).then((reply) => (reply.ok ? reply.json() : null)).then((counts) => {
      const n = counts && counts.participants && counts.participants[school.dataset.role];
      if (!n) return;
      school.textContent = canyu.say('thanks.school.' + school.dataset.role, n.toLocaleString('en'));
      school.hidden = false;
    }).catch(() => {}); // it is an ornament
  }
  const name = root.querySelector('#card-name');
  const written = root.querySelector('.card-name');
  name.addEventListener('input', () => {
    written.textContent = name.value.trim();
    written.hidden = !written.textContent;
  });
  root.querySelector('.print').addEventListener('click', () => window.print());
  root.querySelector('.make').hidden = false;
};
