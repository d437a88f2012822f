import { Client, credentials } from '@grpc/grpc-js';
import { realClock, realTimers } from '../../ports/real.js';
import type { CallOptions } from '../../proto/calls.js';
import { channelOptions } from '../../proto/channel.js';
import * as convert from '../../proto/convert.js';
import { columnOutcomesFromWire } from '../../proto/convert-column.js';
import { descriptionFromWire, reportFromWire } from '../../proto/convert-operator.js';
import { addressToWire, mintToWire, shardOutcomesFromWire } from '../../proto/convert-producer.js';
import { recordFromWire, recordToWire } from '../../proto/convert-register.js';
import { asTallyringError, errorToData, TallyringError } from '../../proto/errors.js';
import {
  counterService as counter,
  type Method,
  operatorService as operator,
  registerService as register,
} from '../../proto/load.js';
import type { ClientTransport, NodeConnection, OperatorConnection } from '../transport.js';
import { streamedCalls } from './streamed-calls.js';
import { callUnary, checkCount, type UnaryCaller } from './unary.js';

/** An answer of `limits.maxQueriesPerCall` long series has its place; more is a mistake. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** Connections to nodes over gRPC. Nothing keeps the process alive for long but calls in flight. */
export function grpcTransport(): ClientTransport {
  return { connect: (address) => openConnection(address) };
}

/** A connection that can also ask what operators ask. */
export function connectOperator(address: string): OperatorConnection {
  return openConnection(address);
}

function checkAddress(address: string): string {
  if (/^(\[[0-9a-fA-F:.]+\]|[^:\s/[\]]+):\d{1,5}$/.test(address)) return address;
  throw new TallyringError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(address)} is not an address; give host:port`,
  );
}

function openConnection(text: string): OperatorConnection {
  const address = checkAddress(text);
  const options = channelOptions({ maxReceiveBytes: MAX_ANSWER_BYTES });
  const client = new Client(address, credentials.createInsecure(), options);
  const streamed = streamedCalls({ client, address, clock: realClock, timers: realTimers });
  let closed = false;
  const caller: UnaryCaller = { client, address, clock: realClock, isClosed: () => closed };
  const read = <Request, Reply>(method: Method<Request, Reply>, request: Request, given: CallOptions) =>
    callUnary(caller, method, request, { ...given, writes: false });
  const reads = readCalls(read);
  return {
    address,
    flush: streamed.flush,
    get: streamed.get,
    increment: incrementCall(caller),
    ...reads,
    stats: (queries, level, given) =>
      (streamed.areShort(queries) ? streamed : reads).stats(queries, level, given),
    ...registerCalls(caller),
    ...operatorCalls(read),
    close() {
      closed = true;
      streamed.close();
      client.close();
    },
  };
}

/** Refuses a reply that has not the outcomes of the first requests, one at least. */
function checkFirst(outcomes: number, asked: number): void {
  if (outcomes > asked || (outcomes === 0 && asked > 0)) checkCount(outcomes, asked);
}

type Read = <Request, Reply>(
  method: Method<Request, Reply>,
  request: Request,
  options: CallOptions,
) => Promise<Reply>;

/** One increment goes as the plain unary call, which is cheaper; its error becomes its outcome. */
function incrementCall(caller: UnaryCaller): NodeConnection['increment'] {
  return async (requests, level, given) => {
    const consistency = convert.levelToWire(level);
    const options = { ...given, writes: true };
    if (requests.length === 1) {
      const request = { ...convert.incrementToWire(requests[0]!), consistency };
      try {
        await callUnary(caller, counter.Increment, request, options);
        return [{ ok: null }];
      } catch (error) {
        if (given.signal?.aborted) throw error;
        return [{ error: errorToData(asTallyringError(error)) }];
      }
    }
    const items = requests.map(convert.incrementToWire);
    const { outcomes } = await callUnary(caller, counter.BatchIncrement, { items, consistency }, options);
    checkCount(outcomes.length, requests.length);
    return outcomes.map(({ error }) => (error ? { error: convert.errorFromWire(error) } : { ok: null }));
  };
}

function readCalls(
  read: Read,
): Pick<NodeConnection, 'describe' | 'mintProducer' | 'stats' | 'shards' | 'columns'> {
  return {
    describe: async (options) => descriptionFromWire(await read(counter.Describe, {}, options)),
    mintProducer: async (request, options) =>
      (await read(counter.MintProducer, mintToWire(request), options)).producerId,
    async shards(cells, level, options) {
      const request = { cells: cells.map(addressToWire), consistency: convert.levelToWire(level) };
      const outcomes = shardOutcomesFromWire(await read(counter.Shards, request, options));
      checkFirst(outcomes.length, cells.length);
      return outcomes;
    },
    async columns(keys, level, options) {
      const request = {
        keys: keys.map((key) => convert.textToWire('key', key)),
        consistency: convert.levelToWire(level),
      };
      const outcomes = columnOutcomesFromWire(await read(counter.Columns, request, options));
      checkFirst(outcomes.length, keys.length);
      return outcomes;
    },
    async stats(queries, level, options) {
      const request = {
        queries: queries.map(convert.statsQueryToWire),
        consistency: convert.levelToWire(level),
      };
      const { outcomes } = await read(counter.StatsMany, request, options);
      checkCount(outcomes.length, queries.length);
      return convert.statsOutcomesFromWire(outcomes);
    },
  };
}

function registerCalls(
  caller: UnaryCaller,
): Pick<NodeConnection, 'acquireRegister' | 'writeRegister' | 'readRegister'> {
  const named = (name: string) => ({ name: convert.textToWire('name', name) });
  return {
    acquireRegister: async (name, options) =>
      recordFromWire(await callUnary(caller, register.Acquire, named(name), { ...options, writes: true })),
    async writeRegister(name, record, options) {
      const request = { ...named(name), record: recordToWire(record) };
      await callUnary(caller, register.Write, request, { ...options, writes: true });
    },
    async readRegister(name, options) {
      const reply = await callUnary(caller, register.Read, named(name), { ...options, writes: false });
      return reply.record === null ? undefined : recordFromWire(reply.record);
    },
  };
}

function operatorCalls(read: Read): Omit<OperatorConnection, keyof NodeConnection> {
  return {
    report: async (options) => reportFromWire(await read(operator.Report, {}, options)),
    endpointsOf: async (key, options) =>
      (await read(operator.EndpointsOf, { key: convert.textToWire('key', key) }, options)).nodeIds,
    async getLocal(queries, options) {
      const request = { queries: queries.map(convert.cellQueryToWire) };
      const outcomes = convert.cellOutcomesFromWire(await read(operator.GetLocal, request, options));
      checkCount(outcomes.length, queries.length);
      return outcomes;
    },
    async scanLocal(after, limit, options) {
      const request = { after, limit: convert.uint32ToWire('limit', limit) };
      const { keys, hashes, more } = await read(operator.ScanLocal, request, options);
      return { keys, hashes, more };
    },
  };
}
