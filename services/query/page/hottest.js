import { clockText, formatInteger } from './format.js';
import { hashOf } from './state.js';
import { setText } from './video.js';

// The hottest videos: rows stay where they are while their figures change.

export class HottestList {
  #list = document.getElementById('hottest-list');
  #rows = new Map();

  show(state, hottest) {
    const { videos, lastHour } = hottest;
    const note = document.getElementById('hottest-note');
    const since = clockText(Date.parse(lastHour.startTime));
    setText(
      note,
      videos.length === 0
        ? `No ${state.eventType} of late.`
        : `${state.eventType} since ${since}; the order is approximate`,
    );
    const most = Math.max(...videos.map(({ estimate }) => estimate), Number.MIN_VALUE);
    const rows = videos.map((video) => {
      const row = this.#rows.get(video.videoId) ?? newRow();
      this.#rows.set(video.videoId, row);
      fill(row, { state, video, most });
      return row;
    });
    const isSame =
      rows.length === this.#list.children.length && rows.every((row, i) => this.#list.children[i] === row);
    // A row that has the focus keeps it: it is moved only when the order changed.
    if (!isSame) this.#reorder(rows);
    for (const videoId of this.#rows.keys()) {
      if (!videos.some((video) => video.videoId === videoId)) this.#rows.delete(videoId);
    }
    suggest(videos);
  }

  #reorder(rows) {
    const focused = document.activeElement;
    this.#list.replaceChildren(...rows);
    if (this.#list.contains(focused)) focused.focus({ preventScroll: true });
  }
}

function newRow() {
  const row = document.createElement('li');
  const link = row.appendChild(document.createElement('a'));
  for (const name of ['name', 'count', 'track'])
    link.appendChild(document.createElement('span')).className = name;
  link.lastChild.appendChild(document.createElement('div')).className = 'fill';
  return row;
}

function fill(row, { state, video, most }) {
  const link = row.firstChild;
  const [name, count, track] = link.children;
  const { videoId, estimate, lastHour } = video;
  link.href = hashOf({ ...state, videoId });
  link.title = `about ${formatInteger(Math.round(estimate))} of late; ${videoId}`;
  setText(name, video.name ?? videoId);
  setText(count, lastHour === null ? '–' : formatInteger(lastHour.count));
  track.firstChild.style.width = `${(100 * estimate) / most}%`;
  const isCurrent = String(videoId === state.videoId);
  if (link.getAttribute('aria-current') !== isCurrent) link.setAttribute('aria-current', isCurrent);
}

function suggest(videos) {
  const list = document.getElementById('known-videos');
  const ids = videos.map(({ videoId }) => videoId);
  if ([...list.children].map(({ value }) => value).join('\n') === ids.join('\n')) return;
  list.replaceChildren(
    ...videos.map(({ videoId, name }) => {
      const option = document.createElement('option');
      option.value = videoId;
      if (name !== null) option.label = name;
      return option;
    }),
  );
}
