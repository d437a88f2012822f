/** Where progress is shown: a terminal's line is rewritten, anything else gets a line a state at most. */
interface Output {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

export interface ProgressLine {
  show(text: string): void;
  end(text: string): void;
}

const REDRAW_MS = 100;

/** One benchmark's progress: `label: text (seconds)`. */
export function createProgressLine(output: Output, label: string): ProgressLine {
  const startMs = performance.now();
  let shownMs = 0;
  const compose = (text: string) =>
    `${label}: ${text} (${((performance.now() - startMs) / 1000).toFixed(0)} s)`;
  const rewrite = (line: string) => output.write(`\r\x1b[K${line.slice(0, (output.columns ?? 80) - 1)}`);
  if (output.isTTY) rewrite(compose('starting'));
  else output.write(`${compose('starting')}\n`);
  return {
    show(text) {
      if (text === '') return;
      const now = performance.now();
      // Progress that ticks all the time is for terminals; a log file gets it every ten seconds.
      if (now - shownMs < (output.isTTY ? REDRAW_MS : 10_000)) return;
      shownMs = now;
      if (output.isTTY) rewrite(compose(text));
      else output.write(`${compose(text)}\n`);
    },
    end(text) {
      if (output.isTTY) output.write('\r\x1b[K');
      output.write(`${compose(text)}\n`);
    },
  };
}
