import type { NodeConnection } from '../../client/transport.js';
import type { IncrementRequest, Outcome } from '../../proto/calls.js';
import { asTallyringError, errorToData } from '../../proto/errors.js';
import type { ConsistencyLevel } from '../../proto/level.js';
import type { Fault } from './faults.js';
import type { IncrementRecord } from './history.js';
import { SimProcess } from './process.js';
import {
  CALL_TIMEOUT_MS,
  connectAll,
  randomEvent,
  repeatedly,
  type Workload,
  type WorkloadParts,
} from './workloads.js';

/** Callers of the plain RPC at random nodes: what times out is in doubt, and never retried. */
export function plainClient(parts: WorkloadParts, name: string): Workload {
  const { config, random: root, time, network } = parts;
  const random = root.fork(name);
  const process = new SimProcess(name, time);
  network.attach(process);
  const connections = connectAll(parts, process);
  const perSecond = config.rate;
  return repeatedly(process, { random, perSecond }, () => {
    const event = randomEvent(config, random, time.nowMs);
    send(parts, { name, events: [event], level: event.level }, random.pick(connections));
  });
}

/** A caller that sends a node far more at once than it takes, when it is told to. */
export function burstClient(parts: WorkloadParts) {
  const { config, random: root, time, network } = parts;
  const name = 'burst-1';
  const random = root.fork(name);
  const process = new SimProcess(name, time);
  network.attach(process);
  const connections = connectAll(parts, process);
  return (nodeId: string, { of, calls, perCall }: NonNullable<Fault['burst']>): void => {
    const connection = connections[config.cluster.nodes.findIndex(({ id }) => id === nodeId)]!;
    for (let call = 0; call < calls; call++) {
      const events = Array.from({ length: perCall }, () => randomEvent(config, random, time.nowMs));
      if (of === 'increments') send(parts, { name, events, level: 'QUORUM' }, connection);
      else readAway(events, connection);
    }
  };
}

/** Reads for the load alone: their answers are looked at by nobody. */
function readAway(events: readonly Event[], connection: NodeConnection): void {
  const queries = events.map(({ key, eventType }) => ({ key, eventType, granularity: 'total' as const }));
  connection.get(queries, 'QUORUM', { timeoutMs: CALL_TIMEOUT_MS }).catch(() => undefined);
}

type Event = ReturnType<typeof randomEvent>;

interface Sending {
  name: string;
  events: Event[];
  level: ConsistencyLevel;
}

/** One call, whose increments are settled each for itself. */
function send(parts: WorkloadParts, { name, events, level }: Sending, connection: NodeConnection): void {
  const { history, trace } = parts;
  const records = events.map((event): IncrementRecord => {
    const record: IncrementRecord = {
      client: name,
      producer: 'plain',
      ...event,
      level,
      ...history.began(),
      outcome: 'waiting',
    };
    history.increments.push(record);
    return record;
  });
  const end = (record: IncrementRecord, answer: Outcome<null>): void => {
    const error = 'error' in answer ? answer.error : undefined;
    record.outcome = error === undefined ? 'acknowledged' : error.mayHaveApplied ? 'in doubt' : 'not applied';
    if (error) record.error = error;
    history.ended(record);
    const { key, eventType, value, outcome } = record;
    trace.note(`${name}: ${key} ${eventType} ${value} at ${level}: ${outcome}`);
    if (outcome === 'acknowledged') parts.acknowledged(key, eventType);
  };
  const requests = events.map(
    ({ key, eventType, value, timestampMs }): IncrementRequest => ({ key, eventType, value, timestampMs }),
  );
  connection.increment(requests, level, { timeoutMs: CALL_TIMEOUT_MS }).then(
    (answers) => {
      for (const [i, answer] of answers.entries()) end(records[i]!, answer);
    },
    (thrown) => {
      const error = errorToData(asTallyringError(thrown));
      for (const record of records) end(record, { error });
    },
  );
}
