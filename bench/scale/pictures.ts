import { parse, View } from 'vega';
import { type Config, compile, type TopLevelSpec } from 'vega-lite';
import type { Figures, RingFigures } from './figures.js';

/** A white ground of their own, so that they read the same on a light and on a dark page. */
const CONFIG: Config = {
  background: 'white',
  font: 'system-ui, sans-serif',
  padding: 16,
  title: { anchor: 'start', fontSize: 16, offset: 12, subtitleFontSize: 12, subtitleColor: '#444' },
  axis: {
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    gridColor: '#e4e4e4',
    tickCount: 8,
  },
  legend: { labelFontSize: 12, labelLimit: 0, titleFontSize: 12, titleFontWeight: 'normal' },
  view: { stroke: null },
  range: { category: ['#1b6ca8', '#c8553d', '#2f8f5b', '#7a5195'] },
};

const SIZE = { width: 560, height: 300 };
const COLOUR_BY_NODES = { field: 'nodes', type: 'nominal', title: 'nodes' } as const;

const LOG_NODES = {
  field: 'nodes',
  type: 'quantitative',
  title: 'nodes (logarithmic)',
  scale: { type: 'log', nice: false, padding: 24 },
} as const;

type Draw = (figures: Figures) => TopLevelSpec;

/** By name of the file, without its ending. */
const PICTURES: Record<string, Draw> = {
  convergence: ({ gossip }) => ({
    title: { text: 'A changed status reaches every node', subtitle: 'mean over all changes' },
    data: {
      values: gossip.flatMap(({ nodes, curve }) => curve.map((at) => ({ nodes: name(nodes), ...at }))),
    },
    mark: { type: 'line', strokeWidth: 2.5 },
    encoding: {
      x: { field: 'rounds', type: 'quantitative', title: 'rounds (seconds) since it was declared' },
      y: { field: 'share', type: 'quantitative', title: 'nodes that know it', axis: { format: '.0%' } },
      color: { ...COLOUR_BY_NODES, sort: gossip.map(({ nodes }) => name(nodes)) },
    },
  }),

  bytes: ({ gossip }) => ({
    title: { text: 'What gossip costs in the steady state', subtitle: 'sent and received, encoded messages' },
    data: {
      values: gossip.flatMap((of) => [
        {
          nodes: of.nodes,
          who: 'mean',
          kilobytes: (of.sentBytesPerNodeSecond + of.receivedBytesPerNodeSecond) / 1e3,
        },
        { nodes: of.nodes, who: 'busiest', kilobytes: of.busiestBytesPerSecond / 1e3 },
      ]),
    },
    encoding: {
      x: { ...LOG_NODES, axis: { values: gossip.map(({ nodes }) => nodes), format: ',' } },
      y: {
        field: 'kilobytes',
        type: 'quantitative',
        title: 'kB per node and second',
        scale: { type: 'log' },
        axis: { tickCount: 4, format: '~s' },
      },
      color: { field: 'who', type: 'nominal', title: 'node', sort: ['mean', 'busiest'] },
    },
    layer: [
      { mark: { type: 'line', point: { size: 70 }, strokeWidth: 2.5 } },
      {
        mark: { type: 'text', dy: -12, fontSize: 12 },
        encoding: { text: { field: 'kilobytes', format: ',.3~r' } },
      },
    ],
  }),

  convictions: ({ convictions }) => {
    const values = convictions.map(({ convictions: count, perNodeHour, atMostPerNodeHour, ...of }) => ({
      nodes: name(of.nodes),
      trouble: of.pauses === 'none' ? `${100 * of.lossRate} %` : `${of.pauses} pauses`,
      rate: count === 0 ? atMostPerNodeHour : perNodeHour,
      what: count === 0 ? 'none; at most (95 %)' : 'seen',
    }));
    return {
      title: {
        text: 'Living nodes convicted',
        subtitle: 'message loss in each direction, or processes that pause',
      },
      data: { values },
      mark: { type: 'point', size: 110, filled: true, opacity: 1 },
      encoding: {
        x: {
          field: 'trouble',
          type: 'nominal',
          sort: [...new Set(values.map(({ trouble }) => trouble))],
          title: 'messages lost, or pauses',
          axis: { labelAngle: 0 },
        },
        xOffset: { field: 'nodes', type: 'nominal' },
        y: {
          field: 'rate',
          type: 'quantitative',
          title: 'convictions per node and hour',
          scale: { type: 'log' },
          axis: { tickCount: 5, format: '~g' },
        },
        color: COLOUR_BY_NODES,
        shape: {
          field: 'what',
          type: 'nominal',
          title: null,
          scale: { domain: ['none; at most (95 %)', 'seen'], range: ['triangle-down', 'circle'] },
        },
      },
    };
  },

  detection: ({ detection }) => ({
    title: { text: 'A machine that vanishes is convicted', subtitle: 'silently: no connection is reset' },
    data: {
      values: detection.flatMap(({ nodes, seconds }) => [
        { nodes: name(nodes), what: 'median', seconds: seconds.median },
        { nodes: name(nodes), what: 'p99', seconds: seconds.p99 },
      ]),
    },
    encoding: {
      x: { field: 'nodes', type: 'nominal', sort: null, title: 'nodes', axis: { labelAngle: 0 } },
      xOffset: { field: 'what', type: 'nominal' },
      y: { field: 'seconds', type: 'quantitative', title: 'seconds until a node convicts it' },
    },
    layer: [
      { mark: 'bar', encoding: { color: { field: 'what', type: 'nominal', title: 'of all nodes' } } },
      {
        mark: { type: 'text', dy: -8, fontSize: 12 },
        encoding: { text: { field: 'seconds', format: '.1f' } },
      },
    ],
  }),

  'ring-balance': ({ ring }) =>
    lineWithLimit(ring, {
      title: {
        text: 'The fullest node of the ring',
        subtitle: `primary ownership, ${ring[0]?.vnodes} vnodes`,
      },
      lines: { 'worst names': (of) => of.worstBalance, 'median names': (of) => of.medianBalance },
      axis: 'fullest node / mean',
      from: 1,
    }),

  'ring-movement': ({ ring }) =>
    lineWithLimit(ring, {
      title: { text: 'What moves when one node joins', subtitle: 'against the ideal: 1/(n+1) of the data' },
      lines: { 'data copied': (of) => of.worstMovement, 'keys touched': (of) => of.keysTouched },
      axis: 'moved / ideal',
      from: 0.8,
    }),
};

/** What is promised both of balance and of movement. */
const RING_LIMIT = 1.1;

interface Lines {
  title: { text: string; subtitle: string };
  lines: Record<string, (of: RingFigures) => number>;
  axis: string;
  /** Where the axis begins. */
  from: number;
}

function lineWithLimit(ring: readonly RingFigures[], { title, lines, axis, from }: Lines): TopLevelSpec {
  const values = Object.entries(lines).flatMap(([line, pick]) =>
    ring.map((of) => ({ nodes: of.nodes, line, value: pick(of) })),
  );
  const y = { type: 'quantitative' as const, title: axis, scale: { domain: [from, 1.15] } };
  return {
    title,
    layer: [
      {
        data: { values },
        mark: { type: 'line', point: { size: 50 }, strokeWidth: 2.5 },
        encoding: {
          x: { ...LOG_NODES, axis: { values: [3, 8, 16, 32, 64, 100, 1_000], format: ',' } },
          y: { ...y, field: 'value' },
          color: { field: 'line', type: 'nominal', title: null, sort: Object.keys(lines) },
        },
      },
      {
        data: { values: [{ limit: RING_LIMIT }] },
        mark: { type: 'rule', strokeDash: [5, 4], strokeWidth: 1.5, color: '#444' },
        encoding: { y: { ...y, field: 'limit' } },
      },
      {
        data: { values: [{ limit: RING_LIMIT, label: `limit ${RING_LIMIT}` }] },
        mark: { type: 'text', align: 'right', dy: -8, fontSize: 12, color: '#444' },
        encoding: { x: { value: SIZE.width }, y: { ...y, field: 'limit' }, text: { field: 'label' } },
      },
    ],
  };
}

function name(nodes: number): string {
  return nodes.toLocaleString('en');
}

/** Every picture as SVG, by name. */
export async function drawPictures(figures: Figures): Promise<Map<string, string>> {
  const drawn = new Map<string, string>();
  for (const [picture, draw] of Object.entries(PICTURES)) {
    const { spec } = compile({ ...draw(figures), ...SIZE } as TopLevelSpec, { config: CONFIG });
    const view = new View(parse(spec), { renderer: 'none' });
    drawn.set(picture, await view.toSVG());
    view.finalize();
  }
  return drawn;
}
