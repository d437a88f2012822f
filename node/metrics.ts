import { Counter, Gauge, Histogram, Registry } from 'prom-client';

const LATENCY_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const SIZE_BUCKETS = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536];

/** Every metric of a node, in one registry of its own (several nodes may live in one process). */
export function createMetrics(nodeId: string) {
  const registry = new Registry();
  registry.setDefaultLabels({ node: nodeId });
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `tallyring_${name}`, help, labelNames, registers });
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `tallyring_${name}`, help, labelNames, registers });
  const histogram = (name: string, help: string, buckets: number[], labelNames: string[] = []) =>
    new Histogram({ name: `tallyring_${name}`, help, buckets, labelNames, registers });
  return {
    registry,
    requests: counter('requests_total', 'Client calls by call, level and result code', [
      'call',
      'level',
      'code',
    ]),
    requestSeconds: histogram('request_seconds', 'Duration of client calls', LATENCY_BUCKETS, [
      'call',
      'level',
    ]),
    peerRequests: counter('peer_requests_total', 'Requests from other nodes by kind and result code', [
      'kind',
      'code',
    ]),
    mergedEntries: counter('merged_entries_total', 'Entries merged, by whether they changed anything', [
      'changed',
    ]),
    shardConflicts: counter(
      'shard_conflicts_total',
      'Two shards of one producer and sequence differed: a bug',
    ),
    commits: counter('commits_total', 'Synced batches'),
    commitEntries: histogram('commit_entries', 'Entries per synced batch', SIZE_BUCKETS),
    commitSeconds: histogram('commit_seconds', 'Duration of one synced batch', LATENCY_BUCKETS),
    badRecords: counter('bad_records_total', 'Records whose checksum was wrong'),
    healedRows: counter('healed_rows_total', 'Damaged rows merged back from other replicas'),
    readRepairs: counter('read_repairs_total', 'Stale replicas written back to before an answer'),
    speculativeReads: counter('speculative_reads_total', 'Reads sent to one more replica'),
    hintsStored: counter('hints_stored_total', 'Hint entries stored', ['target']),
    hintsReplayed: counter('hints_replayed_total', 'Hint entries delivered', ['target']),
    hintsDropped: counter('hints_dropped_total', 'Hint entries left to anti-entropy (age or size)', [
      'target',
    ]),
    hintBytes: gauge('hint_bytes', 'Bytes of hints held', ['target']),
    antiEntropyRounds: counter('anti_entropy_rounds_total', 'Comparisons with a peer by result', ['result']),
    antiEntropyEntries: counter('anti_entropy_entries_total', 'Entries moved by anti-entropy', ['direction']),
    overloaded: counter('overloaded_total', 'Requests refused because a queue was full', ['queue']),
    shardsPerCell: histogram('shards_per_cell', 'Shards of a cell, at reads', SIZE_BUCKETS),
    mostShardsPerCell: gauge('most_shards_per_cell', 'The most shards of any cell, at the last scrub'),
    gossipRounds: counter('gossip_rounds_total', 'Gossip rounds'),
    gossipBytes: counter('gossip_bytes_total', 'Bytes gossiped', ['direction']),
    convictions: counter('convictions_total', 'Endpoints convicted by the failure detector'),
    liveNodes: gauge('live_nodes', 'Nodes that are live as this one sees it'),
    storeEntries: gauge('store_entries', 'Entries in the store'),
    storeState: gauge('store_state', '1 in the state that the label names', ['state']),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
