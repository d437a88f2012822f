import type { TallyringClient } from '../../../client/client.js';
import { ClusterStore } from '../../../client/log-driven/cluster-store.js';
import { logDrivenLimits } from '../../../client/log-driven/options.js';
import type { OperatorCalls } from '../../../proto/calls.js';
import { partitionOf } from '../../event.js';
import type { DeadLetters } from '../../log/dead-letters.js';
import type { EventLog } from '../../log/log.js';
import type { ProcessingConfig } from '../config.js';
import { EventRule, type EventRuleParts } from '../event-rule.js';
import { checkpointName } from '../instance.js';
import { logSource } from '../log-source.js';
import { clusterSight } from './cluster-sight.js';
import type { Finding, PartitionReport } from './findings.js';
import { RECOUNT_NAME } from './name.js';
import { recountPartition } from './partition.js';

export interface RecountOptions {
  client: TallyringClient<'bigint'>;
  log: EventLog;
  deadLetters: DeadLetters;
  /** One node alone, at its address. */
  connect(address: string): Promise<Pick<OperatorCalls, 'getLocal'>>;
  config: ProcessingConfig;
  /** This key alone. */
  key?: string | undefined;
  repair: boolean;
  /** Most cells in memory at once; the log is read anew for every so many. */
  maxCells?: number | undefined;
  signal: AbortSignal;
  onProgress(report: Readonly<PartitionReport>): void;
  onFinding(finding: Finding): void;
}

export const DEFAULT_MAX_CELLS = 500_000;

/**
 * Compares what the log says with what the store holds, one partition after the other; whoever counts a partition
 * stands by meanwhile. One report per partition; never rejects for what is wrong with one of them.
 */
export async function recount(options: RecountOptions): Promise<PartitionReport[]> {
  const { log, key, signal } = options;
  const { partitions } = log.description;
  const all = key === undefined ? [...Array(partitions).keys()] : [partitionOf(key, partitions)];
  const reports: PartitionReport[] = [];
  for (const partition of all) {
    if (signal.aborted) break;
    reports.push(await recountPartition(partsOf(partition, options)));
  }
  return reports;
}

function partsOf(partition: number, options: RecountOptions) {
  const { client, log, deadLetters, connect, config } = options;
  const { attemptTimeoutMs: timeoutMs, maxPageBytes, dedupWindow } = config;
  const { key, repair, maxCells = DEFAULT_MAX_CELLS, signal, onProgress, onFinding } = options;
  const rule = (reject: EventRuleParts['reject']) =>
    new EventRule({ partition, dedupWindow, reject, onCounted() {}, onDuplicate() {} });
  return {
    ...{ partition, key, repair, maxCells, signal, onProgress, onFinding },
    owner: {
      register: client.register(checkpointName(config.pipeline, partition)),
      store: new ClusterStore(client.parts),
      source: logSource(log, partition, { maxPageBytes, timeoutMs }),
      // A batch that was pending is completed as its owner would have: with its rejected records kept.
      rule: rule((letters, { timeoutMs: callMs = timeoutMs, signal: over }) =>
        deadLetters.put(letters, { timeoutMs: callMs, signal: over }),
      ),
      name: RECOUNT_NAME,
      ports: client.parts.ports,
      limits: logDrivenLimits(config),
    },
    reading: rule(async () => {}),
    sight: clusterSight({ client, connect, timeoutMs: client.parts.limits.requestTimeoutMs }),
  };
}
