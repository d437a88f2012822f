import { momentText } from './format.js';
import { HottestList } from './hottest.js';
import { readHottest, readVideo, ServiceError } from './service.js';
import { granularityFor, hashOf, stateFromHash } from './state.js';
import { setText, VideoCard } from './video.js';

// The page: what is chosen is in the hash, and what is shown is read again every two seconds.

const REFRESH_MS = 2_000;
const at = (id) => document.getElementById(id);
const video = new VideoCard();
const hottest = new HottestList();
let state = stateFromHash(location.hash);
let reading = new AbortController();
let timer;
/** When what is shown was read; 0: nothing is shown. */
let shownAtMs = 0;

async function refresh() {
  clearTimeout(timer);
  reading.abort();
  reading = new AbortController();
  const { signal } = reading;
  try {
    await show(signal);
    if (!signal.aborted) sayLive();
  } catch (error) {
    if (signal.aborted) return;
    sayWrong(error);
  }
  if (!signal.aborted && !document.hidden) timer = setTimeout(refresh, REFRESH_MS);
}

/** All of it is read before any of it is shown. */
async function show(signal) {
  const asked = { ...state };
  const reads = [readHottest(asked, signal), asked.videoId === '' ? undefined : readVideo(asked, signal)];
  const [hot, read] = await Promise.all(reads);
  if (signal.aborted) return;
  const first = hot.videos[0]?.videoId;
  if (asked.videoId === '' && first !== undefined) {
    // Nothing is chosen: the hottest is, and it stays so while others overtake it.
    history.replaceState(null, '', hashOf({ ...asked, videoId: first }));
    state = stateFromHash(location.hash);
    showChoice();
    return show(signal);
  }
  hottest.show(asked, hot);
  at('hottest').hidden = hot.videos.length === 0 && read === undefined;
  const isCounted = read !== undefined && String(read.total.count) !== '0';
  at('video').hidden = !isCounted;
  at('welcome').hidden = isCounted;
  document.title = isCounted ? video.show(asked, read, Date.now()) : 'tallyring';
  if (!isCounted) welcome(asked);
}

function welcome({ videoId, eventType }) {
  const isEmpty = videoId === '';
  setText(
    at('welcome-title'),
    isEmpty ? `No ${eventType} was counted yet` : `No ${eventType} of ${videoId} yet`,
  );
  setText(
    at('welcome-text'),
    isEmpty
      ? 'Choose another event above, or count the first one of a video from a terminal:'
      : 'Nobody counted such an event of this video. Check the spelling, or count the first one:',
  );
  const event = { videoId: isEmpty ? 'cats.mp4' : videoId, eventType };
  const body = JSON.stringify(event).replaceAll("'", "'\\''");
  const address = document.body.dataset.eventsAddress;
  setText(at('curl'), `curl ${address}/countEvent -H 'content-type: application/json' -d '${body}'`);
}

function sayLive() {
  shownAtMs = Date.now();
  at('pulse').dataset.state = 'live';
  setText(at('pulse').lastChild, `live · ${momentText(shownAtMs)}`);
  at('notice').hidden = true;
  document.body.classList.remove('is-stale');
}

function sayWrong(error) {
  const isAsked = error instanceof ServiceError && error.status === 400;
  const what = isAsked
    ? `This cannot be shown: ${error.message}`
    : error.status > 0
      ? `The store cannot be reached: ${error.message}.`
      : error.message;
  const since =
    shownAtMs === 0 ? 'nothing was read yet' : `what is shown was read at ${momentText(shownAtMs)}`;
  const text = isAsked ? what : `${what.replace(/\.\.$/, '.')} Trying again every two seconds; ${since}.`;
  setText(at('notice'), text);
  at('notice').hidden = false;
  at('pulse').dataset.state = 'away';
  setText(
    at('pulse').lastChild,
    isAsked ? 'not shown' : shownAtMs === 0 ? 'no data' : `as of ${momentText(shownAtMs)}`,
  );
  document.body.classList.add('is-stale');
}

/** Controls follow the state. */
function showChoice() {
  if (document.activeElement !== at('videoId')) at('videoId').value = state.videoId;
  if (document.activeElement !== at('eventType')) at('eventType').value = state.eventType;
  for (const [id, chosen] of [
    ['ranges', state.range],
    ['granularities', state.granularity],
  ]) {
    for (const button of at(id).querySelectorAll('button'))
      button.setAttribute('aria-pressed', String(button.value === chosen));
  }
  const hour = at('granularities').querySelector('button');
  hour.disabled = state.range === 'all';
  hour.title = hour.disabled ? 'All time is shown by day' : '';
}

function choose(change) {
  const next = { ...state, ...change };
  next.granularity = granularityFor(next.range, next.granularity);
  location.hash = hashOf(next); // the rest follows from it
}

addEventListener('hashchange', () => {
  state = stateFromHash(location.hash);
  showChoice();
  void refresh();
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) void refresh();
});
at('search').addEventListener('submit', (event) => {
  event.preventDefault();
  choose({ videoId: at('videoId').value.trim(), eventType: at('eventType').value.trim() || 'view' });
  document.activeElement.blur();
});
at('ranges').addEventListener('click', ({ target }) => {
  // Each range has the windows that suit it, until others are chosen.
  if (target.value) choose({ range: target.value, granularity: undefined });
});
at('granularities').addEventListener('click', ({ target }) => {
  if (target.value) choose({ granularity: target.value });
});
at('copy').addEventListener('click', async ({ target }) => {
  await navigator.clipboard.writeText(at('curl').textContent);
  target.textContent = 'Copied';
  setTimeout(() => {
    target.textContent = 'Copy';
  }, 1_500);
});

showChoice();
void refresh();
