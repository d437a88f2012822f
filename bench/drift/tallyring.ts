import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { parse, stringify } from 'yaml';
import { livePid } from '../../cli/state-folder.js';
import { connect, PendingError, TallyringError } from '../../client/index.js';
import { channelOptions } from '../../proto/channel.js';
import { fromGrpcError } from '../../proto/status.js';
import { DrillCluster, PROJECT } from '../../test/chaos/drill-cluster.js';
import { counterMethods } from '../counter-service.js';
import type { ProcessGroup } from '../processes.js';
import type { CallOutcome, Contestant, CountedEvent, Counting, System } from './system.js';

const FIRST_PORT = 24_301;
const TIMEOUT_MS = 10_000;
const EQUAL_TIMEOUT_MS = 120_000;
const READ_AT_ONCE = 500;
const BASE = 'QUORUM, N 3, every write synced before it is acknowledged, requests time out after 10 s';

export interface TallyringPeer {
  system: System;
  contestants: Contestant[];
  versions: Record<string, string>;
}

/** A fresh cluster for each contestant: both count the same keys. */
export async function startTallyring(
  contestant: 'sdk' | 'plain',
  processes: ProcessGroup,
): Promise<TallyringPeer> {
  const cluster = new DrillCluster('drift', FIRST_PORT);
  // The drills' short limits are not what a user runs with, and the peer gets ten seconds too.
  const { limits: _, ...config } = parse(readFileSync(cluster.configFile, 'utf8'));
  writeFileSync(cluster.configFile, stringify(config));
  const nodeId = (node: number) => cluster.nodeIds[node - 1]!;
  const killIfAlive = (id: string) => {
    const pid = livePid(cluster.data, id);
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    return pid !== undefined;
  };
  // The nodes outlive the command line that starts them, but not this run.
  const forget = processes.onKill(() => cluster.nodeIds.forEach(killIfAlive));
  const system: System = {
    kill(node) {
      if (!killIfAlive(nodeId(node))) throw new Error(`${nodeId(node)} does not run, so it cannot be killed`);
    },
    async start(node) {
      await cluster.start(nodeId(node));
    },
    async stop() {
      await cluster.close();
      forget();
    },
  };
  try {
    await cluster.up();
  } catch (error) {
    await system.stop();
    throw error;
  }
  const { version } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { version: string };
  return { system, contestants: [CONTESTANTS[contestant](cluster)], versions: { tallyring: version } };
}

const CONTESTANTS = {
  sdk: (cluster: DrillCluster): Contestant => ({
    name: 'tallyring, SDK',
    setup: `${BASE}; the SDK with its defaults; the application calls increment() once for each event`,
    retries: false,
    promise: 'exact',
    open: () => openSdk(cluster),
  }),
  plain: (cluster: DrillCluster): Contestant => ({
    name: 'tallyring, plain Increment, not retried',
    setup: `${BASE}; gRPC's round_robin over the three nodes, no retries, reconnecting every second at most`,
    retries: false,
    promise: 'within the answers',
    open: async () => openPlain(cluster),
  }),
};

const settled = async (cluster: DrillCluster) => {
  await cluster.untilEqual(EQUAL_TIMEOUT_MS);
};

async function openSdk(cluster: DrillCluster): Promise<Counting> {
  const client = await connect({ contactPoints: cluster.addresses });
  return {
    async count({ key, eventType }: CountedEvent): Promise<CallOutcome> {
      try {
        await client.increment(key, eventType, { timeoutMs: TIMEOUT_MS });
        return 'acknowledged';
      } catch (error) {
        if (!(error instanceof TallyringError)) throw error;
        return { failure: error.code, isRefused: !(error instanceof PendingError) };
      }
    },
    async settle() {
      await client.close({ timeoutMs: EQUAL_TIMEOUT_MS });
      await settled(cluster);
    },
    totals: (names) => totalsOf(cluster, names),
    close: () => client.close({ timeoutMs: TIMEOUT_MS }),
  };
}

/** As a program in any language would call it. */
function openPlain(cluster: DrillCluster): Counting {
  const { path, requestSerialize, responseDeserialize } = counterMethods().Increment;
  const target = `ipv4:${cluster.addresses.join(',')}`;
  const client = new Client(target, credentials.createInsecure(), {
    ...channelOptions({ maxReceiveBytes: -1 }),
    'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  });
  const metadata = new Metadata();
  const count = ({ key, eventType }: CountedEvent) =>
    new Promise<CallOutcome>((resolve) => {
      const request = { key, eventType, value: '1' };
      const options = { deadline: Date.now() + TIMEOUT_MS };
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        options,
        (error) => {
          if (!error) return resolve('acknowledged');
          const { code, mayHaveApplied } = fromGrpcError(error, 'the node', true);
          resolve({ failure: code, isRefused: !mayHaveApplied });
        },
      );
    });
  return {
    count,
    settle: () => settled(cluster),
    totals: (names) => totalsOf(cluster, names),
    close: async () => client.close(),
  };
}

async function totalsOf(cluster: DrillCluster, names: readonly string[]): Promise<Map<string, number>> {
  await using client = await connect({ contactPoints: cluster.addresses });
  const found = new Map<string, number>();
  for (let from = 0; from < names.length; from += READ_AT_ONCE) {
    const part = names.slice(from, from + READ_AT_ONCE);
    const requests = part.map((name) => {
      const [key, eventType] = name.split('\t') as [string, string];
      return { key, eventType };
    });
    const answers = await client.getMany(requests, { consistency: 'ALL' });
    for (const [i, { value, error }] of answers.entries()) {
      if (error) throw error;
      // Each event is worth 1.
      if (value.sum !== value.count) throw new Error(`${part[i]}: ${value.count} events, sum ${value.sum}`);
      found.set(part[i]!, value.count);
    }
  }
  return found;
}
