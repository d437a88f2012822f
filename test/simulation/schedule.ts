import { PEER_KINDS } from '../../proto/peer-message.js';
import { clientNames, type SimConfiguration } from './configuration.js';
import { COORDINATOR, FAULT_KINDS, type Fault, type FaultKind, REPLICA, type Trigger } from './faults.js';
import { drawLinks, type Names } from './partitions.js';
import { SeededRandom } from './seeded-random.js';

/** Share of the faults that may do so which strike between two answers of a quorum, instead of at a time. */
const TRIGGERED = 0.4;
const TRIGGERABLE: ReadonlySet<FaultKind> = new Set(['partition', 'kill', 'pause', 'slow disk']);

/** Peer requests of which several answers make a quorum. */
const QUORUM_REQUESTS = ['peer.merge', 'peer.read'];
if (PEER_KINDS.some((kind) => kind.startsWith('register'))) QUORUM_REQUESTS.push('peer.register');

/** The faults that a seed strikes with, in the order of their times. A pure function. */
export function scheduleOf(config: SimConfiguration): Fault[] {
  const root = new SeededRandom(config.seed).fork('schedule');
  const faults: Fault[] = [];
  for (const kind of FAULT_KINDS) {
    const everyMs = config.faultEveryMs[kind];
    if (everyMs === undefined) continue;
    const random = root.fork(kind);
    const gapMs = () => -Math.log(1 - random.next()) * everyMs;
    for (let atMs = gapMs(); atMs < config.safetyMs; atMs += gapMs()) {
      faults.push(drawFault(config, { kind, atMs }, random));
    }
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}

function drawFault(config: SimConfiguration, base: Fault, random: SeededRandom): Fault {
  const nodes = config.cluster.nodes.map(({ id }) => id);
  const fault = { ...base, ...draws[base.kind](random, { nodes, clients: clientNames(config) }, config) };
  fault.atMs = Math.round(fault.atMs);
  if (!TRIGGERABLE.has(fault.kind) || !random.chance(TRIGGERED)) return fault;
  const { links: _, ...others } = fault;
  const node = random.chance(0.6) ? COORDINATOR : REPLICA;
  const triggered: Fault = { ...others, node, trigger: drawTrigger(config, random) };
  if (fault.kind === 'partition') triggered.shape = 'isolate one';
  return triggered;
}

/** Somewhere among the replies that the clients' work is likely to bring. */
function drawTrigger(config: SimConfiguration, random: SeededRandom): Trigger {
  const { rate, sdkClients, plainClients, safetyMs, pipeline } = config;
  const clients = pipeline ? pipeline.partitions : sdkClients + plainClients;
  const likely = Math.ceil((rate * clients * safetyMs) / 1000);
  return { reply: random.pick(QUORUM_REQUESTS), nth: 1 + random.below(likely) };
}

const whole = (ms: number): number => Math.ceil(ms);

type Draw = (random: SeededRandom, names: Names, config: SimConfiguration) => Partial<Fault>;

const draws: Record<FaultKind, Draw> = {
  partition: (random, names, { partitionShapes }) => {
    const shape = random.pick(partitionShapes);
    const durationMs = whole(random.between(200, 8_000));
    return { shape, durationMs, links: drawLinks(shape, names, random) };
  },
  'slow peer': (random, { nodes }) => ({
    node: random.pick(nodes),
    delayMs: whole(random.between(50, 500)),
    durationMs: whole(random.between(500, 6_000)),
  }),
  kill: (random, { nodes }) => ({
    node: random.pick(nodes),
    durationMs: whole(random.between(50, 6_000)),
  }),
  'kill at start': (random, { nodes }) => ({
    node: random.pick(nodes),
    delayMs: whole(random.between(0, 40)),
    durationMs: whole(random.between(10, 2_000)),
  }),
  'rolling restart': (random) => ({ delayMs: whole(random.between(0, 1_000)) }),
  pause: (random, { nodes }) => ({
    node: random.pick(nodes),
    durationMs: whole(random.between(50, 8_000)),
  }),
  'clock jump': (random, { nodes }) => ({ node: random.pick(nodes), ...drawJump(random) }),
  'client clock jump': (random, _, config) => ({ node: drawSdk(config, random), ...drawJump(random) }),
  'client crash': (random, _, config) => ({ node: drawSdk(config, random) }),
  overload: (random, { nodes }) => ({
    node: random.pick(nodes),
    burst: {
      of: random.pick(['increments', 'reads']),
      calls: random.pick([2, 20]),
      perCall: random.pick([1, 10]),
    },
  }),
  'slow disk': (random, { nodes }) => ({
    node: random.pick(nodes),
    factor: random.pick([5, 50, 400]),
    durationMs: whole(random.between(200, 5_000)),
  }),
  'failed write': (random, { nodes }) => ({ node: random.pick(nodes) }),
  wipe: (random, { nodes }) => ({ node: random.pick(nodes) }),
  'old snapshot': (random, { nodes }) => ({
    node: random.pick(nodes),
    durationMs: whole(random.between(200, 1_500)),
  }),
  'lost batch': (random, { nodes }) => ({ node: random.pick(nodes) }),
  'flipped bit': (random, { nodes }) => ({ node: random.pick(nodes) }),
};

const drawSdk = ({ sdkClients }: SimConfiguration, random: SeededRandom): string =>
  `sdk-${1 + random.below(sdkClients)}`;

function drawJump(random: SeededRandom): Partial<Fault> {
  return {
    jumpMs: random.pick([-7_200_000, -5_000, -20, 50, 3_000, 600_000]),
    durationMs: whole(random.between(500, 10_000)),
  };
}
