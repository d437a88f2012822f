import type { Figures, Spread } from './figures.js';

/** The figures as Markdown tables: for the terminal, and for docs/scale/README.md. */
export function renderTables(figures: Figures): string {
  return [gossipTable(figures), detectionTable(figures), convictionTable(figures), ringTable(figures)].join(
    '\n',
  );
}

function gossipTable({ gossip }: Figures): string {
  const head =
    '| nodes | rounds until all know a change: median / p99 | a start | sent per node and s | busiest node, both ways | CPU per node and s | most peers a round |';
  return table(
    head,
    gossip.map((of) => [
      of.nodes.toLocaleString('en'),
      rounds(of.changeRounds),
      rounds(of.startRounds),
      kilobytes(of.sentBytesPerNodeSecond),
      kilobytes(of.busiestBytesPerSecond),
      `${of.cpuMsPerNodeSecond.toFixed(2)} ms`,
      String(of.mostPeersARound),
    ]),
  );
}

function detectionTable({ detection, gossip }: Figures): string {
  return table(
    '| nodes | seconds until a vanished machine is convicted: median / p99 / last | verdicts | convictions of the living meanwhile (node hours) |',
    detection.map(({ nodes, seconds, missing }) => {
      const { falseConvictions, nodeHours } = gossip.find((of) => of.nodes === nodes)!;
      return [
        nodes.toLocaleString('en'),
        `${seconds.median.toFixed(1)} / ${seconds.p99.toFixed(1)} / ${seconds.max.toFixed(1)}`,
        seconds.count.toLocaleString('en') + (missing > 0 ? `, ${missing} of them later` : ''),
        `${falseConvictions} (${nodeHours.toFixed(1)})`,
      ];
    }),
  );
}

function convictionTable({ convictions }: Figures): string {
  return table(
    '| nodes | messages lost | pauses | node hours | convictions of living nodes | per node and hour |',
    convictions.map((of) => [
      of.nodes.toLocaleString('en'),
      `${100 * of.lossRate} %`,
      of.pauses,
      of.nodeHours.toFixed(1),
      String(of.convictions),
      of.convictions === 0 ? `0 (< ${of.atMostPerNodeHour.toFixed(2)})` : of.perNodeHour.toPrecision(3),
    ]),
  );
}

function ringTable({ ring }: Figures): string {
  return table(
    '| nodes | fullest node / mean, worst names | median names | data moved by a join / ideal, worst names | keys touched / ideal | built in |',
    ring.map((of) => [
      of.nodes.toLocaleString('en'),
      of.worstBalance.toFixed(3),
      of.medianBalance.toFixed(3),
      of.worstMovement.toFixed(3),
      of.keysTouched.toFixed(3),
      `${(of.buildMs / 1_000).toFixed(2)} s`,
    ]),
  );
}

function table(head: string, rows: readonly (readonly string[])[]): string {
  const columns = head.split('|').length - 2;
  const lines = rows.map((cells) => `| ${cells.join(' | ')} |`);
  return [head, `|${'---:|'.repeat(columns)}`, ...lines, ''].join('\n');
}

function rounds({ median, p99 }: Spread): string {
  return `${median.toFixed(1)} / ${p99.toFixed(1)}`;
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1_000).toFixed(1)} kB`;
}
