// The steps one after the other, each with its scene and one button: for the form, and
// for a class at one screen.
canyu.ritual = (root, steps, options) => {
  'use strict';
  const scene = root.querySelector('.scene');
  const picture = root.querySelector('.picture');
  const title = root.querySelector('.title');
  const hint = root.querySelector('.hint');
  const go = root.querySelector('.go');
  const progress = options.progress ? [...options.progress.children] : [];
  const calm = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
  let at = 0;
  let acting = 0;

  const mark = () => progress.forEach((item, i) => {
    item.classList.toggle('done', i < at);
    if (i === at) item.setAttribute('aria-current', 'step');
    else item.removeAttribute('aria-current');
  });

  const show = (i, quietly) => {
    clearTimeout(acting);
    acting = 0;
    at = i;
    mark();
    scene.classList.remove('acting');
    scene.dataset.done = steps.slice(0, i).map((step) => step.id).join(' ');
    root.hidden = i >= steps.length;
    if (i >= steps.length) return;
    const step = steps[i];
    scene.dataset.step = step.id;
    picture.hidden = !step.picture;
    if (step.picture) picture.src = step.picture;
    title.textContent = step.title;
    hint.textContent = step.hint;
    go.textContent = step.title;
    go.removeAttribute('aria-disabled');
    if (!quietly) go.focus({ preventScroll: true });
  };

  go.addEventListener('click', () => {
    if (acting) return;
    go.setAttribute('aria-disabled', 'true'); // it keeps the focus
    scene.classList.add('acting');
    scene.dataset.done += ' ' + steps[at].id;
    acting = setTimeout(() => {
      show(at + 1);
      options.done(at);
    }, calm ? 120 : options.quick ? 1100 : 2200);
  });
  return { show, at: () => at };
};
